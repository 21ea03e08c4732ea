"""Counts over all jobs, each by an index. Each runs inside the caller's transaction."""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from medkg_dagster.ledger.schema import HISTORY, JOBS, PHASES


def count_jobs(connection: Connection) -> dict[tuple[str, str], int]:
    """Return how many jobs there are, by pipeline and status."""
    by = (JOBS.c.status, JOBS.c.pipeline)
    rows = connection.execute(select(*by, func.count()).group_by(*by))
    return {(pipeline, status): count for status, pipeline, count in rows}


def count_due(connection: Connection) -> int:
    """Return how many phases wait to be started."""
    return int(connection.scalar(select(func.count()).where(PHASES.c.status == "due")) or 0)


def latest_change(connection: Connection) -> str | None:
    """Return when a job was changed last; None where none was."""
    last: str | None = connection.scalar(select(HISTORY.c.at).order_by(HISTORY.c.id.desc()).limit(1))
    return last
