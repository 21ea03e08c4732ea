"""Statements on what changed about documents, in the caller's transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, func, insert, select, update

from medkg_dagster.domain.holdings import DocumentChange
from medkg_dagster.ledger.schema import CHANGES_BEGIN, DOCUMENT_CHANGES, DOCUMENTS
from medkg_dagster.ledger.statements.work_rows import portions


def note_changes(connection: Connection, changes: Sequence[Mapping[str, Any]]) -> None:
    """Add changes of documents to those that are remembered."""
    if changes:
        connection.execute(insert(DOCUMENT_CHANGES), [dict(change) for change in changes])


def list_changes(
    connection: Connection,
    *,
    since: str = "",
    documents: Sequence[str] | None = None,
    limit: int | None = None,
) -> tuple[DocumentChange, ...]:
    """Return changes of documents from a time on, the latest first, or all of some documents.

    Args:
        connection: The caller's.
        since: A stamp.
        documents: Their ids; None for all.
        limit: At most so many; None for all.
    """
    table = DOCUMENT_CHANGES
    joined = table.join(DOCUMENTS, DOCUMENTS.c.id == table.c.document_id)
    query = select(table, DOCUMENTS.c.title, DOCUMENTS.c.origin).select_from(joined)
    query = query.where(table.c.at >= since).order_by(table.c.at.desc(), table.c.id.desc()).limit(limit)
    chosen = (
        [query]
        if documents is None
        else [query.where(table.c.document_id.in_(some)) for some in portions(documents)]
    )
    return tuple(
        DocumentChange(**{name: getattr(row, name) for name in DocumentChange.model_fields})
        for statement in chosen
        for row in connection.execute(statement)
    )


def changes_begin(connection: Connection) -> str:
    """Return from when on every change is remembered; before, at most the latest of each document."""
    return str(connection.scalar(select(CHANGES_BEGIN.c.at)))


def count_forgettable(connection: Connection, before: str) -> int:
    """Return how many changes from before a time a later one of the same document stands for."""
    query = select(func.count()).select_from(DOCUMENT_CHANGES).where(_is_forgettable(before))
    return connection.execute(query).scalar_one()


def forget_changes(connection: Connection, before: str, after: int, limit: int) -> Sequence[int]:
    """Remove changes from before a time, where a later one of the same document stays.

    Args:
        connection: The caller's.
        before: A stamp.
        after: Only those with a greater number.
        limit: At most so many.

    Returns:
        The numbers of those that were removed, in order.
    """
    number = DOCUMENT_CHANGES.c.id
    query = select(number).where(_is_forgettable(before), number > after).order_by(number).limit(limit)
    numbers = connection.scalars(query).all()
    if numbers:
        between = select(number).where(_is_forgettable(before), number.between(numbers[0], numbers[-1]))
        connection.execute(delete(DOCUMENT_CHANGES).where(number.in_(between)))
        connection.execute(update(CHANGES_BEGIN).where(CHANGES_BEGIN.c.at < before).values(at=before))
    return numbers


def _is_forgettable(before: str) -> ColumnElement[bool]:
    later = DOCUMENT_CHANGES.alias()
    of_same = later.c.document_id == DOCUMENT_CHANGES.c.document_id
    is_followed = select(later.c.id).where(of_same, later.c.id > DOCUMENT_CHANGES.c.id).exists()
    return (DOCUMENT_CHANGES.c.at < before) & is_followed
