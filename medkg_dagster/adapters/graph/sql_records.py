"""The SQL graph as a stream of records in the terms of KGX, some rows in memory at a time."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

from pydantic_core import from_json
from sqlalchemy import ColumnElement, Connection, or_, select

from medkg_dagster.adapters.graph.kgx import aggregated_record, edge_record, node_record
from medkg_dagster.adapters.graph.sql_edges import ALIKE
from medkg_dagster.adapters.graph.sql_nodes import read_node
from medkg_dagster.adapters.graph.sql_schema import EDGES, NODES

_AT_ONCE = 500
_NAMES = {"start_offset": "start", "end_offset": "end"}
_DETAILS = [column.name for column in EDGES.c].index("details")
_FIELDS = [_NAMES.get(column.name, column.name) for column in EDGES.c if column.name != "details"]
_PROPERTIES = '"properties": {'

Clauses = Sequence[ColumnElement[bool]]


def node_records(
    connection: Connection, clauses: Clauses, spoken: ColumnElement[bool] | None
) -> Iterator[dict[str, Any]]:
    """Yield nodes in the order of their ids.

    Args:
        connection: The caller's.
        clauses: Those at the ends of these edges.
        spoken: In their place these.
    """
    query = select(NODES).order_by(NODES.c.id)
    if spoken is not None:
        query = query.where(spoken)
    else:
        ends = (
            select(EDGES.c.id).where(end == NODES.c.id, *clauses) for end in (EDGES.c.subject, EDGES.c.object)
        )
        query = query.where(or_(*(edges.correlate(NODES).exists() for edges in ends)))
    for row in _streamed(connection, query):
        yield node_record(read_node(row))


def edge_records(connection: Connection, clauses: Clauses) -> Iterator[dict[str, Any]]:
    """Yield selected edges in the order of their ids."""
    return map(edge_record, _edges(connection, select(EDGES).where(*clauses).order_by(EDGES.c.id)))


def aggregated_records(connection: Connection, clauses: Clauses) -> Iterator[dict[str, Any]]:
    """Yield one record for all selected edges that say the same, by subject, predicate and object."""
    alike = [EDGES.c[name] for name in ALIKE]
    edges = _edges(connection, select(EDGES).where(*clauses).order_by(*alike, EDGES.c.id))
    for _, group in groupby(edges, key=itemgetter(*ALIKE)):
        yield aggregated_record(list(group))


def _edges(connection: Connection, query: Any) -> Iterator[dict[str, Any]]:
    """Yield the fields of edges, without those that are as they are by default."""
    for row in _streamed(connection, query):
        values = list(row)
        details = from_json(values.pop(_DETAILS))
        edge = dict(zip(_FIELDS, values, strict=True))
        edge["publications"] = from_json(edge["publications"])
        qualifiers = edge["qualifiers"]
        edge["qualifiers"] = {} if qualifiers == "{}" else from_json(qualifiers)
        if details:
            edge |= details
        yield edge


def slots(connection: Connection, clauses: Clauses) -> tuple[str, ...]:
    """Return the names that selected edges have besides those of every edge, in order."""
    found: set[str] = set()
    for (text,) in connection.execute(select(EDGES.c.qualifiers).where(*clauses).distinct()):
        found.update(json.loads(text))
    has_properties = EDGES.c.details.contains(_PROPERTIES, autoescape=True)
    for (text,) in _streamed(connection, select(EDGES.c.details).where(has_properties, *clauses)):
        found.update(from_json(text)["properties"])
    return tuple(sorted(found))


def _streamed(connection: Connection, query: Any) -> Any:
    return connection.execution_options(yield_per=_AT_ONCE).execute(query)
