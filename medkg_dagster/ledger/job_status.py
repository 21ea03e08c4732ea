"""How a job stands, derived from its runs, its stages and its phases, and from nothing else.

Every change of those ends with this derivation, in the same transaction: what the ledger says of a job is
never older than what it says of the job's parts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from medkg_dagster.ledger.models import (
    Job,
    JobPhase,
    JobRun,
    JobStatus,
    PhaseStatus,
    RunStatus,
    StageRun,
    StageStatus,
)

_AHEAD = frozenset({PhaseStatus.WAITING, PhaseStatus.DUE})
_AFTER_RUN = {RunStatus.FAILED: JobStatus.FAILED, RunStatus.CANCELLED: JobStatus.CANCELLED}
_AFTER_STAGE = {StageStatus.FAILED: JobStatus.FAILED, StageStatus.CANCELLED: JobStatus.CANCELLED}


@dataclass(frozen=True, slots=True)
class JobParts:
    """All that a job's status follows from.

    Attributes:
        phases: Its phases.
        stage_runs: The latest run of each stage.
        at_work: Its runs that have not ended.
        last_ended: The run of its pipeline that ended last, those left out that were refused.
        last_work: The same of work that goes on while it waits at a gate.
    """

    phases: Sequence[JobPhase]
    stage_runs: Sequence[StageRun]
    at_work: Sequence[JobRun]
    last_ended: JobRun | None
    last_work: JobRun | None


@dataclass(frozen=True, slots=True)
class Standing:
    """How a job stands.

    Attributes:
        status: Its status.
        gate: The gate it waits at, was stopped at, or went through last.
        error: Why it failed, or why the work it waits for did.
    """

    status: JobStatus
    gate: str | None
    error: str | None = None


def derive_standing(job: Job, parts: JobParts) -> Standing:  # noqa: PLR0911 - one per rule, in their order
    """Return how a job stands.

    The first that holds: a run is at work; a stage failed or was cancelled and is not to run once more; a
    phase is due; the last run ended badly, if only between two stages; the job waits at a gate, was stopped
    at one, or was cancelled before it began; it has never run. What is left has finished, whole or in part.
    """
    gates = [phase for phase in parts.phases if phase.gate is not None]
    ahead = next((phase for phase in gates if phase.status in _AHEAD), None)
    closed = next((phase for phase in parts.phases if phase.closed_as is not None), None)
    place = ahead or closed or _last_passed(gates)
    gate = None if place is None else place.gate
    stages = [
        run for run in parts.stage_runs if job.pipeline_stages is None or run.stage in job.pipeline_stages
    ]
    last = parts.last_ended
    if any(not run.is_work for run in parts.at_work):
        return Standing(JobStatus.RUNNING, gate)
    # A failure weighs more than a cancellation, which may have been made because of it.
    for run in sorted(stages, key=lambda run: run.status is not StageStatus.FAILED):
        if run.status in _AFTER_STAGE:
            return Standing(_AFTER_STAGE[run.status], gate, f"{run.stage}: {run.error}")
    if any(_is_due_from_the_start(phase) for phase in parts.phases):
        return Standing(JobStatus.SUBMITTED, None)
    if ahead is not None and ahead.status is PhaseStatus.DUE:
        return Standing(JobStatus.WAITING, gate)
    if last is not None and last.status in _AFTER_RUN:
        return Standing(_AFTER_RUN[last.status], gate, last.error)
    if ahead is not None:
        return Standing(JobStatus.WAITING, gate, _work_error(parts))
    if closed is not None and closed.closed_as is not None:
        return Standing(closed.closed_as, gate, _closing_error(closed))
    if not stages and last is None:
        return Standing(JobStatus.SUBMITTED, gate)
    finished = {run.stage for run in stages if run.status is StageStatus.FINISHED}
    wanted = {run.stage for run in stages} if job.pipeline_stages is None else set(job.pipeline_stages)
    return Standing(JobStatus.SUCCEEDED if wanted <= finished else JobStatus.INCOMPLETE, gate)


def _is_due_from_the_start(phase: JobPhase) -> bool:
    return phase.status is PhaseStatus.DUE and phase.gate is None and not phase.is_work


def _last_passed(gates: Iterable[JobPhase]) -> JobPhase | None:
    passed = [phase for phase in gates if phase.status is PhaseStatus.STARTED]
    return max(passed, key=lambda phase: phase.opened_at or phase.since, default=None)


def _work_error(parts: JobParts) -> str | None:
    """Return why the work failed that the job waits for, unless it is being done once more."""
    work = parts.last_work
    is_over = work is not None and not any(run.is_work for run in parts.at_work)
    return work.error if work is not None and is_over and work.status in _AFTER_RUN else None


def _closing_error(phase: JobPhase) -> str:
    if phase.status is PhaseStatus.CANCELLED:
        return f"cancelled by {phase.opened_by}: {phase.reason}"
    if phase.status is PhaseStatus.REJECTED:
        return f"gate '{phase.gate}' was rejected by {phase.opened_by}: {phase.reason}"
    return phase.reason or f"gate '{phase.gate}' did not open in time"
