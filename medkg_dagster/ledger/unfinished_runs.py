"""What becomes of a job whose run ended without saying so: its process was killed, or never began."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medkg_dagster.ledger.models import JobStatus, PhaseStatus, RunIdentity, StageStatus
from medkg_dagster.ledger.statements import job_rows, phase_rows, stage_rows

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from medkg_dagster.ledger.models import Job, JobPhase


def end_run(  # noqa: PLR0917 - the transaction, what ended, how: the order in which one tells it
    connection: Connection,
    job: Job,
    phase: str,
    run: RunIdentity,
    by: job_rows.Attribution,
    status: JobStatus,
) -> Job:
    """Mark what a run left open, unless another run has taken over since.

    Args:
        connection: The transaction that holds the job.
        job: The job.
        phase: The Dagster job of the run.
        run: The run.
        by: When, and as its reason why the run ended.
        status: What the job becomes: failed or cancelled.

    Returns:
        The job after the change.
    """
    error = by.reason or "the run ended"
    key = phase_rows.PhaseKey(*job.key, phase)
    known = phase_rows.find_phase(connection, key)
    left_open = _end_open_stages(connection, job, run, by, error)
    if known is not None and known.gate is None and job.status is JobStatus.WAITING:
        # The work beside a waiting job: the gate stays closed, and people must see why.
        if known.run_id in {None, run.run_id} and known.attempt == (run.attempt or known.attempt):
            phase_rows.put_phase(connection, key, _begun(run))
            return job_rows.change_job(connection, job, {"error": error}, by)
        return job
    if known is not None and _never_began(known, run):
        phase_rows.put_phase(connection, key, _begun(run))
        is_over = job.status in {JobStatus.SUBMITTED, JobStatus.WAITING}
    else:
        is_over = (left_open or job.status is JobStatus.RUNNING) and _is_latest(connection, job, run)
    if not is_over:
        return job
    return job_rows.change_job(connection, job, {"status": status, "error": error}, by)


def _begun(run: RunIdentity) -> dict[str, str]:
    return {"status": PhaseStatus.STARTED.value, "run_id": run.run_id}


def _never_began(phase: JobPhase, run: RunIdentity) -> bool:
    return phase.status is PhaseStatus.DUE and run.attempt is not None and phase.attempt == run.attempt


def _is_latest(connection: Connection, job: Job, run: RunIdentity) -> bool:
    runs = stage_rows.list_stage_runs(connection, job.key)
    return bool(runs) and max(runs, key=lambda item: item.started_at).run_id == run.run_id


def _end_open_stages(
    connection: Connection, job: Job, run: RunIdentity, by: job_rows.Attribution, error: str
) -> bool:
    left_open = [
        item
        for item in stage_rows.list_stage_runs(connection, job.key)
        if item.run_id == run.run_id and item.status is StageStatus.STARTED
    ]
    for item in left_open:
        values = {"status": StageStatus.FAILED.value, "error": error, "finished_at": by.at}
        key = stage_rows.StageKey(*job.key, item.stage)
        stage_rows.put_stage_run(connection, key, values)
    return bool(left_open)
