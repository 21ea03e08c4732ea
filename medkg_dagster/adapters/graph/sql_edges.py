"""The edges of the SQL graph as rows."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Row, select

from medkg_dagster.adapters.graph.sql_rows import portions
from medkg_dagster.adapters.graph.sql_schema import EDGES
from medkg_dagster.domain.knowledge import Statement
from medkg_dagster.stage_api import Edge

ALIKE = (
    *("subject", "predicate", "object", "negated", "qualifiers"),
    *("primary_knowledge_source", "knowledge_level", "agent_type"),
)
"""What is the same of edges that say the same, and who vouches for it."""
_NAMES = {"start": "start_offset", "end": "end_offset"}
_STATEMENT = ("subject", "predicate", "object", "negated", "qualifiers")
_DETAILS = set(Edge.model_fields) - set(EDGES.c.keys()) - _NAMES.keys()


def said_by(connection: Connection, documents: Iterable[str]) -> tuple[list[str], dict[str, set[Statement]]]:
    """Return the ids of the edges of some documents, and what each document says."""
    ids: list[str] = []
    said: dict[str, set[Statement]] = {}
    columns = [EDGES.c[name] for name in ("id", "document_id", *_STATEMENT)]
    for some in portions(sorted(documents)):
        for row in connection.execute(select(*columns).where(EDGES.c.document_id.in_(some))):
            ids.append(row.id)
            narrowed = json.loads(row.qualifiers)
            statement = Statement.of(row.subject, row.predicate, row.object, row.negated, narrowed)
            said.setdefault(row.document_id, set()).add(statement)
    return ids, said


def said_in(edges: Iterable[Edge]) -> dict[str, set[Statement]]:
    """Return what edges say by document."""
    said: dict[str, set[Statement]] = {}
    for edge in edges:
        said.setdefault(edge.document_id, set()).add(edge.statement)
    return said


def edge_row(edge: Edge) -> dict[str, Any]:
    """Return the row of an edge."""
    row = edge.model_dump(exclude=_DETAILS)
    for name, column in _NAMES.items():
        row[column] = row.pop(name)
    details = edge.model_dump(include=_DETAILS, exclude_defaults=True)
    return {
        **row,
        "publications": json.dumps(list(edge.publications)),
        "qualifiers": json.dumps(edge.qualifiers, sort_keys=True),
        "details": json.dumps(details),
    }


def read_edge(row: Row[Any]) -> Edge:
    """Return the edge of a row."""
    values = dict(row._mapping)
    values |= json.loads(values.pop("details"))
    for name, column in _NAMES.items():
        values[name] = values.pop(column)
    values["publications"] = tuple(json.loads(values["publications"]))
    values["qualifiers"] = json.loads(values["qualifiers"])
    return Edge.model_validate(values)
