"""What came to the SQL graph and went from it: statements, document by document, with the time."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from sqlalchemy import Connection, func, insert, select

from medkg_dagster.adapters.graph.sql_schema import CHANGES, EDGES
from medkg_dagster.domain.knowledge import Edge, GraphChange, Statement


def read_statements(connection: Connection, documents: Sequence[str]) -> dict[str, set[Statement]]:
    """Return what the graph says by documents; the caller names so many as one statement takes."""
    said: dict[str, set[Statement]] = {}
    columns = (EDGES.c.document_id, EDGES.c.subject, EDGES.c.predicate, EDGES.c.object, EDGES.c.negated)
    for document, *statement in connection.execute(
        select(*columns).where(EDGES.c.document_id.in_(documents))
    ):
        said.setdefault(document, set()).add(Statement(*statement))
    return said


def note_changes(connection: Connection, before: dict[str, set[Statement]], edges: Iterable[Edge]) -> None:
    """Remember what each document says now and did not before, and the other way round.

    Another place or sentence for the same statement is no change.
    """
    after: dict[str, set[Statement]] = {}
    for edge in edges:
        statement = Statement(edge.subject, edge.predicate, edge.object, edge.negated)
        after.setdefault(edge.document_id, set()).add(statement)
    at = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
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
