"""`medkg gate`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from medkg_dagster.cli.ledger import open_ledger, require_ledger
from medkg_dagster.cli.ledger.changes import parse_assignments, user_name
from medkg_dagster.cli.output import ROWS, echo_json, echo_records, echo_table, paragraph, seconds
from medkg_dagster.cli.pipelines import find_pipeline, load_pipelines, way_to_start_again
from medkg_dagster.cli.run import finds_daemon
from medkg_dagster.errors import ConfigError, did_you_mean
from medkg_dagster.settings import Settings

if TYPE_CHECKING:
    from medkg_dagster.ledger import GateDecision, JobPhase
    from medkg_dagster.resolution.plan import PipelinePlan, Plan, PlannedGate
    from medkg_dagster.runtime.launch import Launcher

STARTER = "medkg gate approve"
_FIELD_HELP = "What the gate asks for, once for each of its fields."


class _Said(NamedTuple):
    """What a person says of a gate.

    Attributes:
        by: Who.
        reason: Why.
        inputs: What is given for the gate's fields, as text by name.
    """

    by: str
    reason: str
    inputs: Mapping[str, str]


@click.group()
def gate() -> None:
    """Look at what waits at gates, and open or reject them."""


@gate.command("list")
@click.option("--pipeline", help="Only jobs of this pipeline.")
@click.option("--limit", default=100, show_default=True, type=ROWS, help="Jobs to show.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def list_gates(settings: Settings, pipeline: str | None, limit: int, as_json: bool) -> None:
    """List jobs that wait: for what, since when, and until when; and gates decided ahead."""
    plan = load_pipelines(settings)
    pipeline = find_pipeline(plan, pipeline).name if pipeline else None
    with open_ledger(settings) as book:
        waiting = [
            _describe(plan, phase) | {"error": book.jobs.get(phase.key).error}
            for phase in book.gates.waiting(pipeline, limit=limit)
        ]
        ahead = [_describe(plan, phase) for phase in book.gates.decided_ahead(pipeline, limit=limit)]
    if as_json:
        echo_json([*waiting, *ahead])
        return
    _print_waiting(plan, waiting)
    _print_decided(ahead)


def _print_waiting(plan: Plan, rows: list[dict[str, Any]]) -> None:
    from medkg_dagster.ledger import JobKey

    if not rows:
        click.echo("no job waits")
    echo_table(
        ("JOB", "GATE", "WAITS FOR", "OBSERVED", "SINCE", "UNTIL"),
        [
            (
                f"{row['pipeline']}/{row['job_id']}",
                row["gate"],
                row["waits_for"],
                row["observed"] or "not looked at yet",
                f"{row['since'][:19]}Z ({_span(row['waited_seconds'])})",
                f"{row['until'][:19]}Z" if row["until"] else "no limit",
            )
            for row in rows
        ],
    )
    for row in rows:
        if row["error"]:
            job = f"{row['pipeline']}/{row['job_id']}"
            again = way_to_start_again(plan, JobKey(row["pipeline"], row["job_id"]))
            hint = "" if again in row["error"] else f"; {again}"
            click.echo("\n" + paragraph(f"{job}: what it waits for failed: {row['error']}{hint}", indent=""))


def _print_decided(rows: list[dict[str, Any]]) -> None:
    if not rows:
        return
    click.echo("\ndecided ahead, for when the job comes to the gate")
    columns = {"JOB": "job", "GATE": "gate", "DECISION": "decision", "BY": "decided_by"}
    columns |= {"REASON": "reason", "SINCE": "since"}
    echo_records(columns, [{**row, "job": f"{row['pipeline']}/{row['job_id']}"} for row in rows])


@gate.command("approve")
@click.argument("job")
@click.argument("gate_name", metavar="GATE")
@click.option("--by", default=user_name, help="Who approves; the user's name by default.")
@click.option("--reason", required=True, help="Why.")
@click.option("--field", "inputs", multiple=True, metavar="NAME=VALUE", help=_FIELD_HELP)
@click.option("--now", is_flag=True, help="Start the next phase at once, not at the daemon's next tick.")
@click.pass_obj
def approve(  # noqa: PLR0917 - one parameter per option of the command
    settings: Settings, job: str, gate_name: str, by: str, reason: str, inputs: tuple[str, ...], now: bool
) -> None:
    """Open GATE for JOB (`job_id` or `pipeline/job_id`), whatever its condition says.

    A job that has not come to the gate yet will find it open.
    """
    from medkg_dagster.runtime.launch import launcher

    said = _Said(by, reason, parse_assignments(inputs, "field", as_text=True))
    if not now:
        click.echo(_approve(settings, job, gate_name, said, None))
        return
    require_ledger(settings)
    with launcher(settings.home) as started:
        finds_daemon(started)
        click.echo(_approve(settings, job, gate_name, said, started))


def _approve(settings: Settings, job: str, gate_name: str, said: _Said, started: Launcher | None) -> str:
    """Approve, start the next phase where there is a launcher and it is due, and say what happened."""
    from medkg_dagster.ledger import GateDecision, PhaseStatus

    starter = f"{STARTER} {started.process.pid}" if started else None
    before, phase = _decide(settings, job, gate_name, GateDecision.APPROVED, said, starter)
    place = f"gate '{phase.gate}' of {phase.key}"
    if phase.status is PhaseStatus.EXPECTED:
        if before is not None and before.decision is phase.decision:
            return f"{place} was approved ahead by {phase.opened_by}, at {seconds(phase.since)}"
        return f"{place} is approved ahead; it will be open when the job comes to it"
    is_new = before is None or before.status is PhaseStatus.WAITING
    state = "is open" if is_new else f"is open since {seconds(phase.opened_at)}, by {phase.opened_by}"
    if phase.status is PhaseStatus.STARTED:
        return f"{place} {state}; run {phase.run_id} has gone through"
    if started and phase.starter == starter:
        started.run(phase)
        return f"{place} {state}; {phase.phase} starts now and logs to {started.log}"
    if phase.starter is not None:
        return f"{place} {state}; {phase.starter} is starting {phase.phase}"
    return f"{place} {state}; the daemon starts {phase.phase}"


@gate.command("reject")
@click.argument("job")
@click.argument("gate_name", metavar="GATE")
@click.option("--by", default=user_name, help="Who rejects; the user's name by default.")
@click.option("--reason", required=True, help="Why.")
@click.option("--field", "inputs", multiple=True, metavar="NAME=VALUE", help=_FIELD_HELP)
@click.pass_obj
def reject(  # noqa: PLR0917 - one parameter per option of the command
    settings: Settings, job: str, gate_name: str, by: str, reason: str, inputs: tuple[str, ...]
) -> None:
    """Close GATE for JOB for good: what lies behind it does not run."""
    from medkg_dagster.ledger import GateDecision, PhaseStatus

    said = _Said(by, reason, parse_assignments(inputs, "field", as_text=True))
    before, phase = _decide(settings, job, gate_name, GateDecision.REJECTED, said, None)
    place = f"gate '{phase.gate}' of {phase.key}"
    if phase.status is PhaseStatus.EXPECTED:
        click.echo(f"{place} is rejected ahead; the job will end when it comes to it")
    elif before is not None and before.status is PhaseStatus.REJECTED:
        click.echo(f"{place} is rejected since {seconds(phase.opened_at)}, by {phase.opened_by}")
    else:
        click.echo(f"{place} is rejected; the job has ended")


@gate.command("move")
@click.argument("pipeline")
@click.argument("gate_name", metavar="GATE")
@click.argument("new_gate", metavar="NEW_GATE")
@click.option("--job-id", help="Only this job; by default all that wait there.")
@click.option("--by", default=user_name, help="Who asks; the user's name by default.")
@click.option("--reason", required=True, help="Why.")
@click.pass_obj
def move(  # noqa: PLR0917 - one parameter per option of the command
    settings: Settings, pipeline: str, gate_name: str, new_gate: str, job_id: str | None, by: str, reason: str
) -> None:
    """Let the jobs of PIPELINE that wait at GATE wait at NEW_GATE, as if they came to it now.

    GATE is called as it was when they came to it: it may have been renamed or removed since.
    """
    from medkg_dagster.runtime.ledger_job_record import gate_rule

    require_ledger(settings)
    planned = find_pipeline(load_pipelines(settings), pipeline)
    target = gate_rule(find_gate(planned, new_gate))
    with open_ledger(settings) as book:
        moved = book.gates.move(planned.name, gate_name, target, job_id=job_id, actor=by, reason=reason)
    if not moved:
        raise ConfigError(
            f"no job of pipeline '{planned.name}' waits at gate {gate_name!r}; "
            "`medkg gate list` shows what waits where"
        )
    for phase in moved:
        click.echo(f"{phase.key}: {phase.status} at gate '{phase.gate}'")


def _decide(  # noqa: PLR0917 - where, which, what, by whom: the order in which one tells it
    settings: Settings,
    job: str,
    gate_name: str,
    decision: GateDecision,
    said: _Said,
    starter: str | None,
) -> tuple[JobPhase | None, JobPhase]:
    """Decide, and return the phase as it was before and as it is."""
    from medkg_dagster.domain.decision_fields import read_inputs
    from medkg_dagster.runtime.ledger_job_record import gate_rule

    plan = load_pipelines(settings)
    with open_ledger(settings) as book:
        found = book.jobs.find(job)
        planned = find_gate(find_pipeline(plan, found.pipeline), gate_name)
        phases = book.phases.of_job(found.key)
        before = next((phase for phase in phases if phase.phase == planned.job_name), None)
        return before, book.gates.decide(
            found.key,
            gate_rule(planned),
            decision,
            actor=said.by,
            reason=said.reason,
            starter=starter,
            inputs=read_inputs(planned.fields, said.inputs),
        )


def find_gate(pipeline: PipelinePlan, name: str) -> PlannedGate:
    """Return the gate of that name.

    Raises:
        ConfigError: The pipeline has none of that name.
    """
    found = pipeline.find_gate(name)
    if found is None:
        hint = did_you_mean(name, [item.name for item in pipeline.gates])
        raise ConfigError(f"pipeline '{pipeline.name}' has no gate {name!r}; {hint}")
    return found


def _describe(plan: Plan, phase: JobPhase) -> dict[str, Any]:
    from medkg_dagster.domain.gate_conditions import describe_condition
    from medkg_dagster.topology.names import DECISIONS

    pipeline = next((item for item in plan.pipelines if item.name == phase.pipeline), None)
    planned = pipeline.find_gate(phase.gate or "") if pipeline else None
    since = datetime.fromisoformat(phase.since)
    return {
        "pipeline": phase.pipeline,
        "job_id": phase.job_id,
        "gate": phase.gate,
        "waits_for": describe_condition(planned.condition) if planned else "a gate that is no longer defined",
        "description": planned.description if planned else "",
        "commands": {item: planned.decision_command(item, str(phase.key)) for item in DECISIONS}
        if planned
        else {},
        "observed": phase.observed,
        "since": phase.since,
        "waited_seconds": round((datetime.now(UTC) - since).total_seconds(), 1),
        "until": phase.deadline,
        "next": phase.phase,
        "status": phase.status,
        "decision": phase.decision,
        "decided_by": phase.opened_by,
        "reason": phase.reason,
    }


def _span(seconds: float) -> str:
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"
