"""Counts over all jobs and documents, each by an index alone. Each runs inside the caller's transaction."""

from __future__ import annotations

from sqlalchemy import Column, ColumnElement, Connection, func, literal_column, select

from medkg_dagster.domain.holdings import DocumentStatus
from medkg_dagster.ledger.schema import DOCUMENT_OUTCOMES, DOCUMENTS, HISTORY, JOBS, PHASES, REGISTRATIONS

# Written into the statement: a database matches a parameter with no partial index.
_IS_WAITING = PHASES.c.status == literal_column("'waiting'")
_IS_DUE = PHASES.c.status == literal_column("'due'")

Counts = dict[tuple[str, ...], float]
"""How many, by labels."""


def count_jobs(connection: Connection) -> Counts:
    """Return how many jobs there are, by status and pipeline."""
    return _grouped(connection, JOBS.c.status, JOBS.c.pipeline)


def count_documents(connection: Connection) -> Counts:
    """Return how many documents there are, by status."""
    # Nearly all are current, and to count all takes a tenth of the time that telling them apart does.
    status, current = DOCUMENTS.c.status, DocumentStatus.CURRENT.value
    found = _grouped(connection, status, where=status < current)
    found |= _grouped(connection, status, where=status > current)
    rest = (connection.scalar(select(func.count()).select_from(DOCUMENTS)) or 0) - sum(found.values())
    return found | {(current,): rest} if rest else found


def count_quarantined(connection: Connection) -> Counts:
    """Return how many documents are quarantined, by pipeline, stage and class of error."""
    table = DOCUMENT_OUTCOMES.c
    by = (table.pipeline, table.stage, table.error_class)
    query = select(*by, func.count()).where(table.document_status == "quarantined").group_by(*by)
    return {tuple(labels): count for *labels, count in connection.execute(query)}


def waiting_since(connection: Connection) -> dict[tuple[str, ...], tuple[int, str]]:
    """Return by pipeline and phase how many jobs wait at its gate, and since when the first."""
    by = (PHASES.c.pipeline, PHASES.c.phase)
    query = select(*by, func.count(), func.min(PHASES.c.since)).where(_IS_WAITING).group_by(*by)
    return {(pipeline, phase): (count, since) for pipeline, phase, count, since in connection.execute(query)}


def due_since(connection: Connection) -> dict[tuple[str, ...], tuple[int, str]]:
    """Return by pipeline and phase how many wait to be started, and since when the first."""
    by = (PHASES.c.pipeline, PHASES.c.phase)
    query = select(*by, func.count(), func.min(PHASES.c.opened_at)).where(_IS_DUE).group_by(*by)
    return {(pipeline, phase): (count, since) for pipeline, phase, count, since in connection.execute(query)}


def count_plugins(connection: Connection) -> Counts:
    """Return what became of plugins at the last load, by distribution, outcome and refusal."""
    table = REGISTRATIONS.c
    last = select(func.max(table.id)).group_by(table.distribution, table.entry_point, table.subject)
    by = (table.distribution, table.outcome, table.refusal)
    query = select(*by, func.count()).where(table.id.in_(last)).group_by(*by)
    return {tuple(labels): count for *labels, count in connection.execute(query)}


def latest_change(connection: Connection) -> str | None:
    """Return when a job was changed last; None where none was."""
    last: str | None = connection.scalar(select(HISTORY.c.at).order_by(HISTORY.c.id.desc()).limit(1))
    return last


def _grouped(connection: Connection, *by: Column[str], where: ColumnElement[bool] | None = None) -> Counts:
    query = select(*by, func.count()).group_by(*by)
    if where is not None:
        query = query.where(where)
    return {tuple(labels): count for *labels, count in connection.execute(query)}
