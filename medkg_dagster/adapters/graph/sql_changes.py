"""What came to the SQL graph and went from it: statements, document by document, with the time."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select

from medkg_dagster.adapters.graph.sql_schema import CHANGES
from medkg_dagster.domain.knowledge import Edge, GraphChange, Statement
from medkg_dagster.io.times import stamp, utc_now


def statements_of(edges: Iterable[Edge | Row[Any]]) -> dict[str, set[Statement]]:
    """Return what edges, or rows of them, say by document."""
    said: dict[str, set[Statement]] = {}
    for edge in edges:
        statement = Statement(edge.subject, edge.predicate, edge.object, edge.negated)
        said.setdefault(edge.document_id, set()).add(statement)
    return said


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
