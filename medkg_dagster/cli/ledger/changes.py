"""`medkg ledger set`, `retry` and `files`: what changes jobs, and the files fetched for them."""

from __future__ import annotations

import getpass
import json
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any

import click

from medkg_dagster.cli.ledger import open_ledger
from medkg_dagster.cli.output import echo_json, echo_records
from medkg_dagster.cli.pipelines import find_pipeline, load_pipelines, way_to_start_again
from medkg_dagster.cli.stores import take_out
from medkg_dagster.domain.holdings import short_name
from medkg_dagster.errors import ConfigError, LedgerError, counted, did_you_mean
from medkg_dagster.settings import Settings

if TYPE_CHECKING:
    from medkg_dagster.ledger import Job, JobLedger
    from medkg_dagster.resolution.plan import Phase, PipelinePlan, Plan, PlannedGate


def parse_assignments(texts: Iterable[str], what: str, *, as_text: bool = False) -> dict[str, Any]:
    """Return values by name; a value is JSON where it is valid JSON, else text.

    Args:
        texts: `name=value` each.
        what: What is assigned, for the error.
        as_text: Whether every value is text.

    Raises:
        click.UsageError: One is no assignment, or a name is given twice.
        ConfigError: A value is nested so deep that it cannot be read.
    """
    values: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise click.UsageError(f"{what} {text!r} is no assignment; write NAME=VALUE")
        if name in values:
            raise click.UsageError(f"{what} {name!r} is given twice")
        try:
            values[name] = value if as_text else _parse(value)
        except RecursionError:
            from medkg_dagster.ledger.encoding import MAX_DEPTH

            raise ConfigError(f"{what} {name!r} is nested deeper than {MAX_DEPTH} levels") from None
    return values


def user_name() -> str:
    """Return the name under which changes are recorded where none is given."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run under a number without a name
        return "unknown user"


def _parse(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse)
    except ValueError:
        return text


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


@click.command("set")
@click.argument("job")
@click.argument("fields", nargs=-1, required=True, metavar="FIELD=VALUE...")
@click.option("--by", default=user_name, help="Who sets it; the user's name by default.")
@click.option("--reason", help="Why.")
@click.option("--text", "as_text", is_flag=True, help="Take every value as text, also `true` and numbers.")
@click.pass_obj
def set_fields(  # noqa: PLR0917 - one parameter per option of the command
    settings: Settings, job: str, fields: tuple[str, ...], by: str, reason: str | None, as_text: bool
) -> None:
    """Set fields of JOB by dot path; a value is JSON where it can be, else text.

    All fields of one call change at once. Gates that wait for them open at the daemon's next tick.
    """
    changes = parse_assignments(fields, "field", as_text=as_text)
    with open_ledger(settings) as book:
        found = book.jobs.find(job)
        changed = book.jobs.set_fields(found.key, changes, actor=by, reason=reason)
    for warning in _warnings(settings, changed, changes):
        click.echo(f"medkg: warning: {warning}", err=True)
    if changed.updated_at == found.updated_at:
        click.echo(f"{found.key}: unchanged, {', '.join(sorted(changes))} had this value")
    else:
        click.echo(f"{found.key}: set {', '.join(sorted(changes))}")


@click.command("retry")
@click.argument("job")
@click.option("--phase", "phase_name", help="The Dagster job to start again; by default the one that failed.")
@click.option("--quarantined", is_flag=True, help="Work on the quarantined documents once more.")
@click.option("--by", default=user_name, help="Who asks; the user's name by default.")
@click.option("--reason", default="", help="Why.")
@click.option("--force", is_flag=True, help="Also a job that is said to run, because its process is gone.")
@click.pass_obj
def retry(  # noqa: PLR0917 - one parameter per option of the command
    settings: Settings, job: str, phase_name: str | None, quarantined: bool, by: str, reason: str, force: bool
) -> None:
    """Start JOB again where it failed, as a new attempt; a gate that was closed is waited for once more.

    With --quarantined it begins at the first stage that refused a document, also of a job that succeeded.
    """
    if quarantined and phase_name is not None:
        raise click.UsageError("--quarantined names the phase itself; leave --phase out")
    from medkg_dagster.ledger import PhaseStatus
    from medkg_dagster.runtime.ledger_job_record import gate_rule

    plan = load_pipelines(settings)
    with open_ledger(settings) as book:
        found = book.jobs.find(job)
        pipeline = _pipeline_of(plan, found)
        _require_stopped(found, force=force)
        if quarantined:
            phase_name = _refusing_phase(pipeline, book.stage_runs.ask_again(found.key, actor=by), found)
        if phase_name is None:
            phase_name = failed_work(book, pipeline, found, force=force)
        if phase_name is None:
            _require_ended(found, force=force)
            phase_name = failed_phase(book, pipeline, found).job_name
        elif phase_name not in (known := [*pipeline.work, *(phase.job_name for phase in pipeline.phases)]):
            hint = did_you_mean(phase_name, known)
            raise ConfigError(f"pipeline '{pipeline.name}' has no job {phase_name!r}; {hint}")
        if phase_name in pipeline.work:
            after = book.phases.plan_work(found.key, phase_name, actor=by)
        else:
            gate = next((item for item in pipeline.gates if item.job_name == phase_name), None)
            rule = gate_rule(gate) if gate else None
            if gate is not None:
                _require_arrival(book, pipeline, found, gate)
            after = book.phases.retry(found.key, phase_name, rule, actor=by, reason=reason)
    if after.status is PhaseStatus.WAITING:
        click.echo(f"{found.key} waits at gate '{after.gate}' once more")
    else:
        click.echo(f"{found.key}: {phase_name} is due, attempt {after.attempt}")


@click.command("cancel")
@click.argument("job")
@click.option("--by", default=user_name, help="Who asks; the user's name by default.")
@click.option("--reason", required=True, help="Why.")
@click.pass_obj
def cancel(settings: Settings, job: str, by: str, reason: str) -> None:
    """End JOB where it waits at a gate or is to be started; a run at work is terminated in the Dagster UI."""
    with open_ledger(settings) as book:
        found = book.jobs.find(job)
        book.phases.cancel(found.key, actor=by, reason=reason)
    click.echo(f"{found.key}: cancelled; {way_to_start_again(load_pipelines(settings), found.key)}")


@click.command("remove")
@click.argument("job")
@click.option("--dry-run", is_flag=True, help="Only show what would go.")
@click.option("--by", default=user_name, help="Who asks; the user's name by default.")
@click.option("--reason", help="Why.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def remove(  # noqa: PLR0917 - one parameter per option of the command
    settings: Settings, job: str, dry_run: bool, by: str, reason: str | None, as_json: bool
) -> None:
    """Take out of index and graph all documents that only JOB holds; its history stays, and so does the job.

    What another job asked for too, with the same source and parameters, or what another source holds, stays.
    A later run of the job brings back what its source lists then.
    """
    with open_ledger(settings) as book:
        known = book.jobs.find(job)
        key = known.key
        if dry_run:
            found = book.documents.only_of_job(key)
        else:
            held = book.documents.list(pipeline=key.pipeline, job_id=key.job_id, limit=None)
            found = book.documents.remove_job(key, actor=by, reason=reason)
            take_out(settings, book, [item.id for item in held])
            _remove_state(settings, known)
    if as_json:
        echo_json([item.model_dump(mode="json") for item in found])
        return
    rows = [{**item.model_dump(), "file": short_name(item.origin)} for item in found]
    echo_records({"DOCUMENT": "id", "STATUS": "status", "FILE": "file", "TITLE": "title"}, rows)
    told = (
        ("document would go", "documents would go") if dry_run else ("document is gone", "documents are gone")
    )
    documents = counted(len(found), *told)
    click.echo(f"{documents} with {key}")


@click.command("files")
@click.argument("job")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def list_files(settings: Settings, job: str, as_json: bool) -> None:
    """List the files fetched for the documents of JOB."""
    with open_ledger(settings) as book:
        found = book.jobs.find(job)
        records = book.files.of_job(found.key)
    described = [record.model_dump(mode="json") for record in records]
    if as_json:
        echo_json(described)
        return
    if not described:
        click.echo("no files were asked for")
    columns = {"DOCUMENT": "document_id", "STATUS": "status", "BYTES": "size", "SHA-256": "sha256"}
    columns |= {"ATTEMPTS": "attempts", "URL": "url", "ERROR": "error"}
    echo_records(columns, [{**item, "sha256": (item["sha256"] or "")[:12]} for item in described])


def _remove_state(settings: Settings, job: Job) -> None:
    """Remove what stages wrote for a job; one that waits is to go on from it."""
    from medkg_dagster.ledger import JobStatus
    from medkg_dagster.runtime.state.archives import find_archives

    if job.status is not JobStatus.WAITING:
        for path in find_archives(settings.home, job.pipeline, job.job_id):
            path.unlink(missing_ok=True)


def _pipeline_of(plan: Plan, job: Job) -> PipelinePlan:
    try:
        return find_pipeline(plan, job.pipeline)
    except ConfigError as error:
        raise ConfigError(f"{job.key}: {error}. {way_to_start_again(plan, job.key)}") from error


def _refusing_phase(pipeline: PipelinePlan, stages: Collection[str], job: Job) -> str:
    """Return the first phase one of whose stages refused documents."""
    for phase in pipeline.phases:
        if not set(stages).isdisjoint(phase.stages):
            return phase.job_name
    raise LedgerError(f"no stage of {job.key} holds a quarantined document; `medkg why FILE` says more")


def failed_work(book: JobLedger, pipeline: PipelinePlan, job: Job, *, force: bool) -> str | None:
    """Return the work that a waiting job waits for and that failed, or is said to go on where forced."""
    from medkg_dagster.ledger import JobStatus, RunStatus

    if job.status is not JobStatus.WAITING:
        return None
    ended = {RunStatus.SUCCEEDED} if force else {RunStatus.SUCCEEDED, RunStatus.STARTED}
    latest = {run.job_name: run for run in book.runs.of_job(job.key) if run.is_work}
    return next(
        (name for name, run in latest.items() if name in pipeline.work and run.status not in ended), None
    )


def failed_phase(book: JobLedger, pipeline: PipelinePlan, job: Job) -> Phase:
    """Return the phase to start again: of a closed gate, a failed stage or run, or what has not finished."""
    from medkg_dagster.ledger import RunStatus, StageStatus

    by_job = {phase.job_name: phase for phase in pipeline.phases}
    for known in book.phases.of_job(job.key):
        if known.phase in by_job and known.closed_as is not None:
            return by_job[known.phase]
    status = {run.stage: run.status for run in book.stage_runs.of_job(job.key)}
    ended_badly = {StageStatus.FAILED, StageStatus.CANCELLED}
    for phase in pipeline.phases:
        if any(status.get(stage) in ended_badly for stage in phase.stages):
            return phase
    for run in book.runs.of_job(job.key):
        if (
            run.status in {RunStatus.FAILED, RunStatus.CANCELLED, RunStatus.STARTED}
            and run.job_name in by_job
        ):
            return by_job[run.job_name]
    for phase in pipeline.phases:
        if any(status.get(stage) is not StageStatus.FINISHED for stage in phase.stages):
            return phase
    return pipeline.phases[0]


def _require_ended(job: Job, *, force: bool) -> None:
    from medkg_dagster.ledger import JobStatus

    place = f"job '{job.key}'"
    if job.status is JobStatus.SUCCEEDED:
        raise LedgerError(f"{place} succeeded; submit another, or name the phase to repeat with --phase")
    if job.status is JobStatus.SUBMITTED and not force:
        raise LedgerError(f"{place} has not been started yet; is the daemon running (`make dev`)?")
    if job.status is JobStatus.WAITING:
        raise LedgerError(
            f"{place} waits at gate '{job.phase}'; `medkg gate list` shows for what. To repeat another "
            "phase, name it with --phase"
        )


def _require_stopped(job: Job, *, force: bool) -> None:
    from medkg_dagster.ledger import JobStatus

    if job.status is JobStatus.RUNNING and not force:
        raise LedgerError(
            f"job '{job.key}' is running; stop its run in the Dagster UI first, or pass "
            "--force where its process is gone"
        )


def _require_arrival(book: JobLedger, pipeline: PipelinePlan, job: Job, gate: PlannedGate) -> None:
    """Refuse to begin behind a gate while what lies before it is not done."""
    from medkg_dagster.ledger import StageStatus

    runs = book.stage_runs.of_job(job.key)
    finished = {run.stage for run in runs if run.status is StageStatus.FINISHED}
    missing = [stage.name for stage in pipeline.stages if stage.name in gate.upstream - finished]
    if missing:
        raise LedgerError(
            f"job '{job.key}' has not come to gate '{gate.name}': {', '.join(missing)} "
            f"not finished; start {pipeline.phase_of(missing[0]).job_name} again first"
        )


def _warnings(settings: Settings, job: Job, changes: dict[str, Any]) -> list[str]:
    """Say which gates look at the changed fields and cannot make sense of the new values."""
    from medkg_dagster.domain.gate_conditions import judge

    pipelines = [item for item in load_pipelines(settings).pipelines if item.name == job.pipeline]
    found = []
    for gate in (gate for pipeline in pipelines for gate in pipeline.gates):
        for item in judge(gate.condition, job.fields, {}).clauses:
            is_touched = any(
                item.clause.field == path or item.clause.field.startswith(f"{path}.") for path in changes
            )
            if is_touched and item.note and not item.held and item.is_present:
                found.append(f"gate '{gate.name}' stays closed: {item}")
    return found
