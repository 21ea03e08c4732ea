"""Following a job from the console until it has ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

import click

from medkg_dagster.cli.output import one_line, paragraph, run_command
from medkg_dagster.errors import BatchFailedError, counted
from medkg_dagster.io.times import utc_now

if TYPE_CHECKING:
    from medkg_dagster.ledger import Job, JobLedger, JobPhase, JobStatus, StageRun
    from medkg_dagster.resolution.plan import PipelinePlan

LOOK_EVERY_SECONDS = 1.0
PATIENCE_SECONDS = 60.0
INTERRUPTED = 130
_FAILED = 1

Echo = Callable[[str], None]
Attend = Callable[["Job", tuple["JobPhase", ...]], int | None]
"""Sees to a job that has not ended, at each look; an exit code ends the following."""
Step = tuple[str, str, str]
"""When, what tells the step apart from all others, and what to say of it."""


def follow(  # noqa: PLR0917 - what, and then how to tell it
    book: JobLedger,
    pipeline: PipelinePlan,
    job_id: str,
    echo: Echo = click.echo,
    attend: Attend | None = None,
    pause: float = LOOK_EVERY_SECONDS,
) -> int:
    """Print every step of a job until it has ended.

    Args:
        book: The open ledger.
        pipeline: The pipeline's plan.
        job_id: The job's id.
        echo: Prints a line.
        attend: Sees to the job while it has not ended; says by default when nobody starts it.
        pause: Seconds between two looks.

    Returns:
        The exit code: 0 where it succeeded.
    """
    from medkg_dagster.ledger import JobKey, JobStatus

    key = JobKey(pipeline.name, job_id)
    open_statuses = {JobStatus.SUBMITTED, JobStatus.RUNNING, JobStatus.WAITING}
    shown: set[str] = set()
    attend = attend or IdleWarning()
    try:
        while True:
            job = book.jobs.get(key)
            phases = book.phases.of_job(key)
            steps = [*_stage_steps(book.stage_runs.of_job(key)), *_phase_steps(pipeline, phases)]
            for at, step, text in sorted([*steps, *_error_steps(job, open_statuses)]):
                if step not in shown:
                    shown.add(step)
                    echo(f"  {at[11:19]}  {text}")
            if job.status not in open_statuses:
                return _conclude(pipeline, job, echo, _left_over(book, job))
            code = attend(job, phases)
            if code is not None:
                return code
            time.sleep(pause)
    except KeyboardInterrupt:
        click.echo(
            f"\nmedkg: no longer following; the job goes on: `medkg ledger show {pipeline.name}/{job_id}`",
            err=True,
        )
        return INTERRUPTED


_NOBODY_STARTS = (
    "medkg: nobody has started the job yet; does a daemon run, with this MEDKG_HOME? `make dev` starts one"
)


class IdlePhases:
    """Notices phases that are due and that nobody is starting, or whose starter has let his time pass.

    Args:
        patience: Seconds until they are found.
    """

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._since: float | None = None

    def find(self, phases: tuple[JobPhase, ...]) -> tuple[JobPhase, ...]:
        """Return those that have been idle for so long."""
        from medkg_dagster.ledger import PhaseStatus
        from medkg_dagster.ledger.statements.phase_rows import Lease

        lease = Lease.by(utc_now)
        idle = tuple(phase for phase in phases if phase.status is PhaseStatus.DUE and lease.is_free(phase))
        now = time.monotonic()
        self._since = (now if self._since is None else self._since) if idle else None
        return idle if self._since is not None and now - self._since >= self._patience else ()


class IdleWarning:
    """Says once that nobody starts a phase.

    Args:
        patience: Seconds a phase may be due before that.
    """

    def __init__(self, patience: float = PATIENCE_SECONDS) -> None:
        self._idle = IdlePhases(patience)
        self._has_warned = False

    def __call__(self, _job: Job, phases: tuple[JobPhase, ...]) -> None:
        """Look at a job."""
        if not self._has_warned and self._idle.find(phases):
            self._has_warned = True
            click.echo(_NOBODY_STARTS, err=True)


def _stage_steps(runs: tuple[StageRun, ...]) -> Iterator[Step]:
    from medkg_dagster.ledger import StageStatus

    for run in runs:
        key = f"{run.stage} {run.run_id} {run.started_at}"
        yield run.started_at, key, f"{run.stage}: begins"
        ended = run.finished_at or run.started_at
        if run.status is StageStatus.FINISHED:
            refused = f", {counted(run.quarantined, 'document')} set aside" if run.quarantined else ""
            yield ended, f"{key} finished", f"{run.stage}: {run.output_count} made{refused}"
        elif run.status is not StageStatus.STARTED:
            how = run.status.replace("_", " ")
            yield ended, f"{key} {how}", f"{run.stage}: {how}: {one_line(run.error or '')}"


def _phase_steps(pipeline: PipelinePlan, phases: tuple[JobPhase, ...]) -> Iterator[Step]:
    from medkg_dagster.domain.gate_conditions import describe_condition
    from medkg_dagster.ledger import PhaseStatus

    for phase in phases:
        key = f"{phase.phase} {phase.attempt} {phase.since}"
        again = f" (attempt {phase.attempt})" if phase.attempt > 1 else ""
        gate = pipeline.find_gate(phase.gate) if phase.gate else None
        if gate is None:
            if phase.status is PhaseStatus.STARTED and phase.run_id:
                yield phase.since, f"{key} started", f"{phase.phase}: run {phase.run_id[:8]}{again}"
            continue
        if phase.status is not PhaseStatus.EXPECTED and phase.opened_at != phase.since:
            until = f", until {phase.deadline[:19]}Z" if phase.deadline else ""
            waits = f"waits at gate {gate.name} for {describe_condition(gate.condition)}{until}{again}"
            yield phase.since, f"{key} waits", waits
        if phase.opened_at and phase.status in {PhaseStatus.DUE, PhaseStatus.STARTED}:
            opened = f"gate {gate.name} is open: {one_line(phase.reason or '')}, by {phase.opened_by}{again}"
            yield phase.opened_at, f"{key} open", opened


def _error_steps(job: Job, open_statuses: set[JobStatus]) -> Iterator[Step]:
    if job.error and job.status in open_statuses:
        yield job.updated_at, f"error {job.error}", one_line(job.error)


def _left_over(book: JobLedger, job: Job) -> Iterator[str]:
    """Yield what a job has left to somebody's word, and to the next runs of others."""
    runs = book.stage_runs.of_job(job.key)
    if waiting := sum(run.counts.get("documents_waiting", 0) for run in runs):
        shows = f"`medkg documents withdraw --accept {job.pipeline} --dry-run` shows them"
        are_waiting = counted(waiting, "document is", "documents are")
        yield f"{are_waiting} listed no more, too many to go without your word: {shows}"
    began = min((run.started_at for run in runs), default=job.updated_at)
    for other, count in sorted(book.documents.left_to_others(job.key, began).items()):
        brings = f"{run_command(*other)} brings them"
        are_current = counted(count, "document is", "documents are")
        yield f"{are_current} current in a form that {other} holds: {brings}"


def _conclude(pipeline: PipelinePlan, job: Job, echo: Echo, left_over: Iterable[str]) -> int:
    from medkg_dagster.ledger import JobStatus

    place = str(job.key)
    if job.status is JobStatus.SUCCEEDED:
        echo(f"{place} succeeded")
        for told in left_over:
            echo(f"  {told}")
        return 0
    echo(f"{place}: {job.status}")
    if job.error:
        echo(paragraph(job.error, indent="  "))
    again = f"`medkg ledger retry {place}` starts it again"
    if BatchFailedError.__name__ in (job.error or ""):
        # The same documents would fail again.
        retry = f"`medkg ledger retry {place} --phase {pipeline.phases[0].job_name}`"
        again = f"once its documents are mended or removed, {retry} starts it again"
    echo(f"  `medkg ledger show {place}` tells more; {again}")
    return _FAILED
