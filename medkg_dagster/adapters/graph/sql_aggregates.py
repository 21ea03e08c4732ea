"""Edges of the SQL graph that say the same, taken together when they are read.

Nothing is kept of it: what a document no longer says is in no aggregated edge either.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter

from sqlalchemy import Connection, func, or_, select

from medkg_dagster.adapters.graph.sql_edges import read_edge
from medkg_dagster.adapters.graph.sql_nodes import read_nodes
from medkg_dagster.adapters.graph.sql_schema import EDGES
from medkg_dagster.domain.aggregation import AggregatedEdge, AggregatedNeighbour, aggregate, best_of
from medkg_dagster.domain.biolink import MENTIONS

_NAMES = (
    *("subject", "predicate", "object", "negated", "qualifiers"),
    *("primary_knowledge_source", "knowledge_level", "agent_type"),
)
_ALIKE = [EDGES.c[name] for name in _NAMES]


def read_aggregates(connection: Connection) -> Iterator[AggregatedEdge]:
    """Yield all aggregated edges in the order of subject, predicate and object, some in memory at a time.

    Args:
        connection: The caller's, which reads as a stream.
    """
    rows = connection.execute(select(EDGES).order_by(*_ALIKE, EDGES.c.id))
    for _, group in groupby(rows, key=lambda row: itemgetter(*_NAMES)(row._mapping)):
        yield aggregate([read_edge(row) for row in group])


def read_aggregated_neighbours(
    connection: Connection, curie: str, limit: int
) -> tuple[AggregatedNeighbour, ...]:
    """Return what is said of a node: statements before mentions, what is said most often first.

    Args:
        connection: The caller's.
        curie: The node.
        limit: At most so many.
    """
    count = func.count().label("count")
    query = (
        select(*_ALIKE, count)
        .where(or_(EDGES.c.subject == curie, EDGES.c.object == curie))
        .group_by(*_ALIKE)
        .order_by(EDGES.c.predicate == MENTIONS, count.desc(), *_ALIKE)
        .limit(limit)
    )
    groups = []
    for row in connection.execute(query).all():
        alike = [EDGES.c[name] == row._mapping[name] for name in _NAMES]
        edges = [read_edge(found) for found in connection.execute(select(EDGES).where(*alike))]
        groups.append((aggregate(edges), best_of(edges)))
    nodes = read_nodes(connection, {end for edge, _ in groups for end in (edge.subject, edge.object)})
    return tuple(
        AggregatedNeighbour(edge, best, nodes[edge.object if outgoing else edge.subject], outgoing)
        for edge, best in groups
        for outgoing in (edge.subject == curie,)
    )
