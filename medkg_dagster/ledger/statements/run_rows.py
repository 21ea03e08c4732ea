"""Statements on the runs of jobs. Each runs inside the caller's transaction."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, insert, select, update

from medkg_dagster.ledger.encoding import read_member, storable
from medkg_dagster.ledger.models import JobKey, JobRun, RunStatus
from medkg_dagster.ledger.schema import RUNS

_OF_JOB = and_(RUNS.c.pipeline == bindparam("of_pipeline"), RUNS.c.job_id == bindparam("of_job_id"))
_OF_RUN = and_(_OF_JOB, RUNS.c.run_id == bindparam("of_run_id"))
_SELECT_RUN = select(RUNS).where(_OF_RUN)
_UPDATE_RUN = update(RUNS).where(_OF_RUN)
_INSERT_RUN = insert(RUNS)
_LAST_ENDED = (
    select(RUNS)
    .where(
        _OF_JOB,
        RUNS.c.is_work == bindparam("of_is_work"),
        RUNS.c.ended_at.is_not(None),
        RUNS.c.status != RunStatus.REFUSED.value,
    )
    .order_by(RUNS.c.ended_at.desc(), RUNS.c.run_id.desc())
    .limit(1)
)


def find_run(connection: Connection, key: JobKey, run_id: str) -> JobRun | None:
    """Return a run of a job; None where it never began."""
    row = connection.execute(_SELECT_RUN, _place(key, of_run_id=run_id)).first()
    return None if row is None else _run(row)


def put_run(connection: Connection, key: JobKey, run: JobRun) -> None:
    """Write a run; the caller holds the job."""
    values = {
        "job_name": run.job_name,
        "is_work": int(run.is_work),
        "status": run.status.value,
        "error": None if run.error is None else storable(run.error),
        "began_at": run.began_at,
        "ended_at": run.ended_at,
    }
    if connection.execute(_UPDATE_RUN, {**_place(key, of_run_id=run.run_id), **values}).rowcount == 0:
        connection.execute(_INSERT_RUN, {**key._asdict(), "run_id": run.run_id, **values})


def last_ended_run(connection: Connection, key: JobKey, *, is_work: bool) -> JobRun | None:
    """Return the run of a job that ended last, those left out that were refused.

    Args:
        connection: The transaction.
        key: The job.
        is_work: Whether of work that goes on while the job waits at a gate, or of the job's pipeline.
    """
    row = connection.execute(_LAST_ENDED, _place(key, of_is_work=int(is_work))).first()
    return None if row is None else _run(row)


def list_runs(
    connection: Connection, key: JobKey, statuses: Collection[RunStatus], limit: int | None = None
) -> tuple[JobRun, ...]:
    """Return the runs of a job in these statuses, the latest first."""
    query = select(RUNS).where(_OF_JOB, RUNS.c.status.in_([status.value for status in statuses]))
    query = query.order_by(RUNS.c.began_at.desc(), RUNS.c.run_id.desc()).limit(limit)
    return tuple(_run(row) for row in connection.execute(query, _place(key)))


def _place(key: JobKey, **more: Any) -> dict[str, Any]:
    return {"of_pipeline": key.pipeline, "of_job_id": key.job_id, **more}


def _run(row: Row[Any]) -> JobRun:
    return JobRun(
        run_id=row.run_id,
        job_name=row.job_name,
        is_work=bool(row.is_work),
        status=read_member(RunStatus, row.status, "ledger_runs.status"),
        error=row.error,
        began_at=row.began_at,
        ended_at=row.ended_at,
    )
