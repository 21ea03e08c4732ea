"""What came to the SQL graph and went from it: statements, document by document, with the time."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from sqlalchemy import ColumnElement, Connection, delete, func, insert, or_, select, update

from medkg_dagster.adapters.graph.sql_schema import CHANGES, CHANGES_BEGIN, DOCUMENTS
from medkg_dagster.domain.knowledge import GraphChange, Statement
from medkg_dagster.io.times import stamp, utc_now


def note_changes(
    connection: Connection, before: Mapping[str, set[Statement]], after: Mapping[str, set[Statement]]
) -> None:
    """Remember what each document says now and did not before, and the other way round.

    Another place or sentence for the same statement is no change.
    """
    at = stamp(utc_now)
    rows = []
    for document in sorted(before.keys() | after.keys()):
        old, new = before.get(document, set()), after.get(document, set())
        if old != new:
            came, gone = json.dumps(sorted(new - old)), json.dumps(sorted(old - new))
            rows.append({"at": at, "document_id": document, "came": came, "gone": gone})
    if rows:
        connection.execute(insert(CHANGES), rows)


def read_changes(connection: Connection, since: str, limit: int) -> tuple[GraphChange, ...]:
    """Return what writes changed from a time on, the latest first."""
    earlier = CHANGES.alias()
    is_before = (earlier.c.document_id == CHANGES.c.document_id) & (earlier.c.number < CHANGES.c.number)
    previous = select(func.max(earlier.c.at)).where(is_before).scalar_subquery()
    query = select(CHANGES, previous.label("previous")).where(CHANGES.c.at >= since)
    return tuple(
        GraphChange(
            at=row.at,
            document_id=row.document_id,
            came=tuple(Statement(*item) for item in json.loads(row.came)),
            gone=tuple(Statement(*item) for item in json.loads(row.gone)),
            previous=row.previous,
        )
        for row in connection.execute(query.order_by(CHANGES.c.number.desc()).limit(limit))
    )


def changes_begin(connection: Connection) -> str:
    """Return from when on every change is remembered; before, at most the latest of each document."""
    return str(connection.scalar(select(CHANGES_BEGIN.c.at)))


def count_forgettable(connection: Connection, before: str) -> int:
    """Return how many changes from before a time are not the latest of a document that the graph holds."""
    query = select(func.count()).select_from(CHANGES).where(_is_forgettable(before))
    return connection.execute(query).scalar_one()


def forget_changes(connection: Connection, before: str, after: int, limit: int) -> Sequence[int]:
    """Remove changes from before a time, but for the latest of each document that the graph holds.

    Args:
        connection: The caller's.
        before: UTC, ISO 8601.
        after: Only those with a greater number.
        limit: At most so many.

    Returns:
        The numbers of those that were removed, in order.
    """
    number = CHANGES.c.number
    query = select(number).where(_is_forgettable(before), number > after).order_by(number).limit(limit)
    numbers = connection.scalars(query).all()
    if numbers:
        between = select(number).where(_is_forgettable(before), number.between(numbers[0], numbers[-1]))
        connection.execute(delete(CHANGES).where(number.in_(between)))
        connection.execute(update(CHANGES_BEGIN).where(CHANGES_BEGIN.c.at < before).values(at=before))
    return numbers


def _is_forgettable(before: str) -> ColumnElement[bool]:
    later = CHANGES.alias()
    of_same = later.c.document_id == CHANGES.c.document_id
    is_followed = select(later.c.number).where(of_same, later.c.number > CHANGES.c.number).exists()
    is_held = select(DOCUMENTS.c.id).where(DOCUMENTS.c.id == CHANGES.c.document_id).exists()
    return (CHANGES.c.at < before) & or_(is_followed, ~is_held)
