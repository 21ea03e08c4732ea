"""`medkg run`."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Iterable
from contextlib import ExitStack
from io import BufferedReader
from itertools import dropwhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from medkg_dagster.cli.follow import LOOK_EVERY_SECONDS, IdlePhases, follow
from medkg_dagster.cli.ledger.changes import parse_assignments, user_name
from medkg_dagster.cli.output import one_line, seconds
from medkg_dagster.cli.pipelines import find_pipeline
from medkg_dagster.cli.submit import build_request, locate_path, source_options
from medkg_dagster.domain.job_ids import check_job_id
from medkg_dagster.errors import ConfigError, did_you_mean
from medkg_dagster.settings import DEFAULT_JOB_ID, Settings

if TYPE_CHECKING:
    from medkg_dagster.ledger import Job, JobLedger, JobPhase
    from medkg_dagster.resolution.plan import PipelinePlan
    from medkg_dagster.runtime.launch import Launcher

WAITS = 3
# A sensor's round takes five seconds; a daemon that was stopped is taken for one that runs for a while.
DAEMON_PATIENCE_SECONDS = 20.0
_LOG_LINES = 15
_LONGEST_REASON = 400
_OURS = "medkg: "


@click.command()
@source_options
@click.option(
    "--config",
    "config_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Options of stages in a file, as for `dagster job execute --config FILE`; --set wins over it.",
)
@click.option("--job-id", default=DEFAULT_JOB_ID, show_default=True, help="The job's id.")
@click.option("--by", default=user_name, help="Who asks; the user's name by default.")
@click.pass_context
def run(  # noqa: PLR0917 - one parameter per option of the command
    ctx: click.Context,
    pipeline: str,
    adapter: str | None,
    params: tuple[str, ...],
    options: tuple[str, ...],
    config_file: Path | None,
    job_id: str,
    by: str,
) -> None:
    """Run PIPELINE and follow it until it has ended; a job that has ended before runs again.

    Where Dagster's daemon runs (`make dev`), it starts the job; else a process of its own carries it out.
    The run shows in the UI either way. Exit code: 0 succeeded, 1 failed, 3 waits at a gate and no daemon
    runs, 130 no longer followed.
    """
    from medkg_dagster.ledger import JobLedger
    from medkg_dagster.resolution import load_deployment
    from medkg_dagster.runtime.launch import launcher

    settings: Settings = ctx.obj
    deployment = load_deployment(settings)
    planned = find_pipeline(deployment.plan, pipeline)
    configured = {} if config_file is None else read_config(config_file, planned)
    request = build_request(
        planned,
        deployment.extensions,
        adapter,
        locate_path(parse_assignments(params, "parameter")),
        configured | parse_assignments(options, "option"),
    )
    check_job_id(job_id)
    with ExitStack() as stack:
        launched = stack.enter_context(launcher(settings.home))
        has_daemon = finds_daemon(launched)
        book = stack.enter_context(JobLedger.of(settings))
        submit_again(book, planned, job_id, request, by)
        attendant = Attendant(settings.home, book, planned, launched, has_daemon, stack)
        code = follow(book, planned, job_id, attend=attendant)
    ctx.exit(code)


def finds_daemon(launched: Launcher) -> bool:
    """Wait until a launching process has loaded all that a run needs; say whether a daemon starts jobs.

    Raises:
        ConfigError: It ended instead: the definitions or Dagster's instance do not load.
    """
    answers = launched.process.stdout
    assert isinstance(answers, BufferedReader)
    if answers.peek(1):
        return launched.sees_daemon()
    launched.process.wait()
    lines = launched.log.read_text(errors="replace").splitlines()
    ours = [line.removeprefix(_OURS) for line in lines if line.startswith(_OURS)]
    frames = next((at for at, line in enumerate(reversed(lines)) if line.startswith("Traceback")), 0)
    raised = dropwhile(lambda line: line.startswith(" "), lines[len(lines) - frames :])
    reason = textwrap.shorten(one_line(" ".join(ours or raised)), _LONGEST_REASON, placeholder=" ...")
    raise ConfigError(f"nothing was begun, as Dagster does not start: {reason}; its log is {launched.log}")


def read_config(file: Path, pipeline: PipelinePlan) -> dict[str, Any]:
    """Return options of stages, by `stage.option`, from a file of Dagster's run configuration.

    Args:
        file: YAML, `ops: {<pipeline>__stages: {ops: {<stage>: {config: {...}}}}}`.
        pipeline: The pipeline it is for.

    Raises:
        ConfigError: It is not of that form, or names a stage that there is none of.
    """
    from medkg_dagster.topology.names import dagster_name, graph_name
    from medkg_dagster.topology.yaml_source import read_yaml

    source = read_yaml(file)
    if source.problems:
        raise ConfigError("\n".join(map(str, source.problems)))
    graph = graph_name(pipeline.name)
    names = {dagster_name(stage.name): stage.name for stage in pipeline.stages}
    stages = _only(_only(_only(source.value, "ops", file), graph, file), "ops", file)
    options: dict[str, Any] = {}
    for name, value in stages.items():
        if name not in names:
            raise ConfigError(
                f"{file}: pipeline '{pipeline.name}' has no stage {name!r}; {did_you_mean(name, names)}"
            )
        config = _only(value, "config", file)
        options |= {f"{names[name]}.{option}": item for option, item in config.items()}
    return options


def _only(value: Any, key: str, file: Path) -> dict[str, Any]:
    """Return the mapping under the only key there may be."""
    found = value.get(key) if isinstance(value, dict) else None
    others = [f"'{name}'" for name in value if name != key] if isinstance(value, dict) else []
    if others or not isinstance(found, dict):
        there = f", and not {', '.join(others)}" if others else ""
        raise ConfigError(
            f"{file}: expected the one key '{key}' with a mapping{there}, as a job keeps options of stages "
            "alone; write ops: {<pipeline>__stages: {ops: {<stage>: {config: {<option>: <value>}}}}}"
        )
    return found


def submit_again(
    book: JobLedger, pipeline: PipelinePlan, job_id: str, request: dict[str, Any], actor: str
) -> None:
    """Submit a job; one that has ended is started from its beginning.

    Where nothing is asked of a job that is known, it works on what it was submitted with.
    """
    from medkg_dagster.ledger import JobKey, JobStatus

    first = pipeline.phases[0].job_name
    known = [] if request else book.jobs.list(pipeline.name, job_id=job_id)
    request = dict(known[0].request) if known else request
    key = JobKey(pipeline.name, job_id)
    job = book.phases.submit(key, first, request, actor=actor)
    if job.status in {JobStatus.RUNNING, JobStatus.WAITING}:
        click.echo(f"{key} is {job.status} already; following it")
    elif job.status is JobStatus.SUBMITTED:
        click.echo(f"submitted {key}")
    else:
        book.phases.retry(key, first, None, actor=actor, reason="medkg run")
        click.echo(f"submitted {key} again; it had {job.status}")


class Attendant:
    """Starts what nobody else starts, in a process of its own.

    Args:
        home: The folder for all data.
        book: The open ledger.
        pipeline: The pipeline's plan.
        launched: Waits to be told what to run.
        has_daemon: Whether a daemon starts jobs.
        stack: Closes what was opened, at the end.
    """

    def __init__(  # noqa: PLR0917 - what to see to, and then by what
        self,
        home: Path,
        book: JobLedger,
        pipeline: PipelinePlan,
        launched: Launcher,
        has_daemon: bool,
        stack: ExitStack,
    ) -> None:
        self._pipeline = pipeline
        self._home = home
        self._book = book
        self._stack = stack
        self._launched = launched
        self._has_daemon = has_daemon
        self._idle = IdlePhases(DAEMON_PATIENCE_SECONDS if self._has_daemon else 0.0)
        self._running: JobPhase | None = None
        self._run_id: str | None = None
        self._starters: set[str] = set()
        self._refused_before: set[str] = set()
        self._has_ended = False
        self._worked_at: float | None = None

    def __call__(self, job: Job, phases: tuple[JobPhase, ...]) -> int | None:
        """Look at a job that has not ended; return the exit code where there is nothing to wait for."""
        from medkg_dagster.ledger import JobStatus, PhaseStatus

        if self._running is not None:
            return self._look_at_process(job, phases)
        for phase in self._idle.find(phases):
            self._start(phase)
            return None
        if self._has_daemon:
            return None
        # A job that waits at one gate may be open at another, and somebody about to start what is behind it.
        due = [phase for phase in phases if phase.status is PhaseStatus.DUE]
        self._tell_of_starters(due)
        return self._waits(job) if job.status is JobStatus.WAITING and not due else None

    def _tell_of_starters(self, due: Iterable[JobPhase]) -> None:
        """Say once for whom it waits: who was to start a phase may have been killed before he came to it."""
        for phase in due:
            if phase.starter and phase.starter not in self._starters:
                self._starters.add(phase.starter)
                until = f"if it has not by {seconds(phase.lease_until)}, it runs here"
                click.echo(f"medkg: {phase.starter} is to start it; {until}", err=True)

    def _start(self, phase: JobPhase) -> None:
        from medkg_dagster.ledger import RunStatus
        from medkg_dagster.runtime.launch import launcher

        if self._has_daemon:
            click.echo("medkg: the daemon does not start it; it runs here", err=True)
            self._has_daemon = False
        if self._launched.has_ended:
            self._launched = self._stack.enter_context(launcher(self._home))
        starter = f"medkg run {self._launched.process.pid}"
        claimed = self._book.phases.claim(phase.key, phase.phase, starter)
        if claimed is not None and claimed.starter == starter:
            work = self._pipeline.work.get(phase.phase)
            runs = self._book.runs.of_job(phase.key)
            self._refused_before = {run.run_id for run in runs if run.status is RunStatus.REFUSED}
            self._run_id = self._launched.run(claimed, work.declared if work else None)
            self._running, self._has_ended = claimed, False

    def _look_at_process(self, job: Job, phases: tuple[JobPhase, ...]) -> int | None:
        """See to a process that ended, one look later: what it wrote last is read then."""
        from medkg_dagster.ledger import JobStatus, PhaseStatus

        assert self._running is not None
        if not self._has_ended:
            self._has_ended = self._launched.has_ended
            return None
        if self._run_id is None:
            self._run_id = self._launched.told_run_id()
        started, self._running = self._running, None
        phase = next((item for item in phases if item.phase == started.phase), started)
        if self._was_refused(phase) or self._is_of_another(phase):
            for lost in self._runs_at_work(phase) if self._run_id else []:
                self._end(phase, lost, f"the process that ran {phase.phase} ended early")
            click.echo("medkg: another run has begun it meanwhile; following that one", err=True)
            return None
        self._worked_at = time.monotonic() if phase.is_work else None
        never_began = phase.status is PhaseStatus.DUE and phase.starter is not None
        is_open = phase.status is not PhaseStatus.DUE and job.status is JobStatus.RUNNING
        return self._lost(phase) if never_began or is_open or self._runs_at_work(phase) else None

    def _was_refused(self, phase: JobPhase) -> bool:
        """Say whether it was another run's turn by the time that the process came to it."""
        from medkg_dagster.ledger import RunStatus

        runs = [run for run in self._book.runs.of_job(phase.key) if run.job_name == phase.phase]
        refused = {run.run_id for run in runs if run.status is RunStatus.REFUSED} - self._refused_before
        return bool(refused) and phase.run_id not in {None, *refused}

    def _is_of_another(self, phase: JobPhase) -> bool:
        """Say whether a run began a phase that is known to be another one than the process's."""
        return self._run_id is not None and phase.run_id not in {None, self._run_id}

    def _runs_at_work(self, phase: JobPhase) -> list[str]:
        """Return the runs of a phase that have not said how they ended; ours alone where it is known."""
        from medkg_dagster.ledger import RunStatus

        return [
            run.run_id
            for run in self._book.runs.of_job(phase.key)
            if run.job_name == phase.phase
            and run.status is RunStatus.STARTED
            and self._run_id in {None, run.run_id}
        ]

    def _lost(self, phase: JobPhase) -> int:
        """Tell the ledger and the user that the process ended without saying what became of the job."""
        again = f"`medkg ledger retry {phase.key}` starts it again"
        error = f"the process that ran {phase.phase} ended early; {again}"
        # Its run may have begun, though none of its stages.
        at_work = self._runs_at_work(phase)
        unknown = f"{phase.starter}, attempt {phase.attempt}"
        self._end(phase, next(iter(at_work), phase.run_id or self._run_id or unknown), error)
        log = self._launched.log
        lines = log.read_text(errors="replace").splitlines()[-_LOG_LINES:] if log.exists() else []
        click.echo("\n".join([*lines, f"medkg: {phase.key}: {error}", f"medkg: its log is {log}"]), err=True)
        return 1

    def _end(self, phase: JobPhase, run_id: str, error: str) -> None:
        from medkg_dagster.ledger import RunIdentity, RunStatus

        run = RunIdentity(run_id, phase.attempt, job_name=phase.phase)
        self._book.runs.end(phase.key, run, RunStatus.FAILED, error)

    def _waits(self, job: Job) -> int | None:
        """Look at the gate where the wait may be over, as the daemon would; else leave the job waiting."""
        from medkg_dagster.runtime.ledger_job_record import gate_rule

        gate = self._pipeline.find_gate(str(job.phase))
        if self._worked_at is not None and gate is not None:
            # It looks at nothing until the gate's `poll_interval_seconds` have passed since the last time.
            until = self._worked_at + gate.condition.poll_interval_seconds + 2 * LOOK_EVERY_SECONDS
            if self._book.gates.review(job.key.pipeline, gate_rule(gate)).looked or time.monotonic() > until:
                self._worked_at = None
            return None
        if job.error is not None:
            click.echo(
                f"{job.key} waits at gate '{job.phase}' for what failed; "
                f"`medkg ledger retry {job.key}` starts it again"
            )
            return 1
        click.echo(
            f"{job.key} waits at gate '{job.phase}', and no daemon runs that would look at it: "
            "`medkg gate list` shows what it waits for, `make dev` goes on by itself, and "
            f"`medkg gate approve {job.key} {job.phase} --reason WHY --now` opens the gate"
        )
        return WAITS
