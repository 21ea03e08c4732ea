"""What the SQL graph answers: nodes by name, edges that are selected, what is next to what.

Each question is answered by a bounded number of statements, whatever the graph holds.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from operator import itemgetter
from typing import Any

from sqlalchemy import JSON, ColumnElement, Connection, Integer, Table, and_, cast, func, or_, select, true

from medkg_dagster.adapters.graph import sql_records
from medkg_dagster.adapters.graph.sql_edges import ALIKE, read_edge
from medkg_dagster.adapters.graph.sql_nodes import read_node, read_nodes
from medkg_dagster.adapters.graph.sql_rows import portions
from medkg_dagster.adapters.graph.sql_schema import ALIASES, CONTRIBUTIONS, DOCUMENTS, EDGES, NODES
from medkg_dagster.domain.biolink import MENTIONS
from medkg_dagster.domain.graph_selection import (
    ClaimStatus,
    EdgeGroup,
    EdgeSelection,
    FoundNode,
    GraphTotals,
    MentionedConcept,
    Polarity,
)
from medkg_dagster.stage_api import Edge, Node

_POSSIBLE = '"certainty": "possible"'
_BACKGROUND = '"background": true'
_PUBLICATION = '%"biolink:Publication"%'
_MOST_CANDIDATES = 5000
_BEGINNING = 2


class SqlGraphReader:
    """The SQL graph in one consistent state.

    Args:
        connection: A transaction that reads.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def held(self, documents: Collection[str]) -> frozenset[str]:
        """Return those of the documents that the graph holds."""
        found: set[str] = set()
        for some in portions(sorted(documents)):
            found.update(self._connection.scalars(select(DOCUMENTS.c.id).where(DOCUMENTS.c.id.in_(some))))
        return frozenset(found)

    def find(self, names: Sequence[str], without: frozenset[str]) -> tuple[FoundNode, ...]:
        """Return the nodes with one of these CURIEs or names, in any case.

        Where there is none, those with one of them as a synonym or equivalent identifier.

        Args:
            names: Ways to write one name, the likeliest first.
            without: Documents that count for nothing.
        """
        folded = list(dict.fromkeys(name.strip().casefold() for name in names))
        for some in [folded[:1], folded] if len(folded) > 1 else [folded]:
            called = or_(NODES.c.folded_id.in_(some), NODES.c.folded_name.in_(some))
            found = self._shown(select(NODES).where(called), without)
            ways = ["id" if node.id.casefold() in some else "name" for node in found]
            if not found:
                other = select(ALIASES.c.node_id).where(ALIASES.c.folded.in_(some))
                found = self._shown(select(NODES).where(NODES.c.id.in_(other)), without)
                ways = ["other name"] * len(found)
            if found:
                both = [FoundNode(node, how) for node, how in zip(found, ways, strict=True)]
                return tuple(sorted(both, key=lambda one: (one.how != "id", one.node.id)))
        return ()

    def nodes(self, curies: Collection[str]) -> dict[str, Node]:
        """Return some nodes by CURIE."""
        return read_nodes(self._connection, curies)

    def similar(self, name: str, limit: int, without: frozenset[str]) -> tuple[Node, ...]:
        """Return nodes with a name like one that was not found, the closest first."""
        import difflib

        wanted = name.strip().casefold()
        if not wanted:
            return ()
        called = dict(self._candidates(wanted))
        close = difflib.get_close_matches(wanted, list(called), n=4 * limit)
        holding = sorted((key for key in called if wanted in key), key=lambda key: (len(key), key))
        curies = list(dict.fromkeys(called[key] for key in (*close, *holding[: 4 * limit])))
        nodes = {node.id: node for node in self._shown(select(NODES).where(NODES.c.id.in_(curies)), without)}
        return tuple(nodes[curie] for curie in curies if curie in nodes)[:limit]

    def groups(self, which: EdgeSelection, limit: int, evidence: int) -> tuple[tuple[EdgeGroup, ...], int]:
        """Return edges that say the same taken together: statements before mentions, most often said first.

        Args:
            which: Which edges.
            limit: At most so many groups.
            evidence: Of each at most so many edges.

        Returns:
            The groups, and how many there are.
        """
        alike = [EDGES.c[name] for name in ALIKE]
        number = func.count().label("edges")
        query = (
            select(
                *alike,
                number,
                func.sum(cast(_holds(_POSSIBLE), Integer)).label("possible"),
                func.count(EDGES.c.document_id.distinct()).label("documents"),
                func.min(cast(EDGES.c.synthetic, Integer)).label("synthetic"),
                func.count().over().label("groups"),
            )
            .where(*self._clauses(which))
            .group_by(*alike)
            .order_by(EDGES.c.predicate == MENTIONS, number.desc(), *alike)
            .limit(limit)
        )
        rows = self._connection.execute(query).all()
        ends = {end for row in rows for end in (row.subject, row.object)}
        best = self._best(which, ends, evidence) if rows and evidence else {}
        groups = (
            EdgeGroup(
                tuple(best.get(_key(row), ())), row.edges, row.possible, row.documents, bool(row.synthetic)
            )
            for row in rows
        )
        return tuple(groups), (rows[0].groups if rows else 0)

    def edges(self, which: EdgeSelection, limit: int, after: str | None = None) -> tuple[Edge, ...]:
        """Return edges in the order of their ids.

        Args:
            which: Which edges.
            limit: At most so many.
            after: Only those behind the edge of this id.
        """
        behind = [] if after is None else [EDGES.c.id > after]
        query = select(EDGES).where(*self._clauses(which), *behind).order_by(EDGES.c.id).limit(limit)
        return tuple(map(read_edge, self._connection.execute(query)))

    def count(self, which: EdgeSelection) -> int:
        """Return how many edges are selected."""
        query = select(func.count()).select_from(EDGES).where(*self._clauses(which))
        return self._connection.execute(query).scalar_one()

    def adjacent(
        self, curies: Collection[str], which: EdgeSelection, limit: int
    ) -> dict[tuple[str, str], int]:
        """Return which nodes have an edge to some nodes.

        Args:
            curies: The nodes.
            which: By which edges.
            limit: At most so many from either side of the edges, of some hundred nodes each.

        Returns:
            Pairs of one of the nodes and one that is next to it, each with the number of edges.
        """
        pairs: dict[tuple[str, str], int] = {}
        clauses = self._clauses(which)
        number = func.count()
        for near, far in ((EDGES.c.subject, EDGES.c.object), (EDGES.c.object, EDGES.c.subject)):
            for some in portions(sorted(curies)):
                query = select(near, far, number).where(near.in_(some), *clauses).group_by(near, far)
                for row in self._connection.execute(query.order_by(near, far).limit(limit)):
                    pair = (row[0], row[1])
                    pairs[pair] = pairs.get(pair, 0) + row[2]
        return pairs

    def documents_of(self, curies: Collection[str], without: frozenset[str]) -> frozenset[str]:
        """Return the documents that speak of any of some nodes."""
        clauses = self._clauses(EdgeSelection(mentions=True, without=without))
        found: set[str] = set()
        for end in (EDGES.c.subject, EDGES.c.object):
            query = select(EDGES.c.document_id).where(self._among(end, curies), *clauses).distinct()
            found.update(self._connection.scalars(query))
        return frozenset(found)

    def mentioned(self, documents: Collection[str]) -> tuple[MentionedConcept, ...]:
        """Return the concepts that some documents mention; what they cite is none."""
        columns = (EDGES.c.document_id, EDGES.c.document_hash, EDGES.c.start_offset)
        query = (
            select(*columns, NODES.c.id, NODES.c.name, NODES.c.category, NODES.c.synthetic)
            .join_from(EDGES, NODES, EDGES.c.object == NODES.c.id)
            .where(EDGES.c.predicate == MENTIONS, NODES.c.category.notlike(_PUBLICATION))
        )
        return tuple(
            MentionedConcept(*row[:5], tuple(json.loads(row.category)), row.synthetic)
            for some in portions(sorted(documents))
            for row in self._connection.execute(query.where(EDGES.c.document_id.in_(some)))
        )

    def totals(self, without: frozenset[str]) -> GraphTotals:
        """Return how much the graph holds."""
        clauses = self._clauses(EdgeSelection(mentions=True, without=without))
        number = func.count().label("number")
        hidden = self.held(without)
        by_predicate = select(EDGES.c.predicate, number).where(*clauses).group_by(EDGES.c.predicate)
        predicates = {row.predicate: row.number for row in self._connection.execute(by_predicate)}
        by_category = select(NODES.c.category, number).where(self._spoken(hidden)).group_by(NODES.c.category)
        categories: dict[str, int] = {}
        for row in self._connection.execute(by_category):
            name = (json.loads(row.category) or ["not stated"])[0]
            categories[name] = categories.get(name, 0) + row.number
        synthetic = select(func.count()).select_from(EDGES).where(*clauses, EDGES.c.synthetic)
        return GraphTotals(
            documents=self._count(DOCUMENTS) - len(hidden),
            nodes=sum(categories.values()),
            edges=sum(predicates.values()),
            synthetic_edges=self._connection.execute(synthetic).scalar_one(),
            predicates=_most_first(predicates),
            categories=_most_first(categories),
        )

    def node_records(self, which: EdgeSelection) -> Iterator[dict[str, Any]]:
        """Yield the nodes of selected edges in the terms of KGX, in the order of their ids.

        Where all edges are selected, nodes without an edge are among them.
        """
        is_everything = which == EdgeSelection(mentions=True, without=which.without)
        spoken = self._spoken(which.without) if is_everything else None
        return sql_records.node_records(self._connection, self._clauses(which), spoken)

    def edge_records(self, which: EdgeSelection) -> Iterator[dict[str, Any]]:
        """Yield selected edges in the terms of KGX, in the order of their ids."""
        return sql_records.edge_records(self._connection, self._clauses(which))

    def aggregated_records(self, which: EdgeSelection) -> Iterator[dict[str, Any]]:
        """Yield one record for all selected edges that say the same, by subject, predicate and object."""
        return sql_records.aggregated_records(self._connection, self._clauses(which))

    def slots(self, which: EdgeSelection) -> tuple[str, ...]:
        """Return the names that selected edges have in the terms of KGX besides those of every edge."""
        return sql_records.slots(self._connection, self._clauses(which))

    def _spoken(self, without: frozenset[str]) -> ColumnElement[bool]:
        """Return that a node is spoken of by a document that counts for something."""
        if not without:
            return true()
        by_others = ~self._among(CONTRIBUTIONS.c.document_id, without)
        return NODES.c.id.in_(select(CONTRIBUTIONS.c.node_id).where(by_others))

    def _best(self, which: EdgeSelection, ends: Collection[str], evidence: int) -> dict[Any, list[Edge]]:
        """Return the edges to be shown for those that say the same: real, sure, no background, a sentence."""
        order = (
            EDGES.c.synthetic,
            _holds(_POSSIBLE),
            _holds(_BACKGROUND),
            EDGES.c.supporting_text == "",
            func.length(EDGES.c.supporting_text),
            EDGES.c.id,
        )
        alike = [EDGES.c[name] for name in ALIKE]
        place = func.row_number().over(partition_by=alike, order_by=order).label("place")
        # Of a node with many edges only those to the ends that are shown are ranked.
        among = and_(self._among(EDGES.c.subject, ends), self._among(EDGES.c.object, ends))
        ranked = select(EDGES, place).where(*self._clauses(which), among).subquery()
        query = select(ranked).where(ranked.c.place <= evidence).order_by(ranked.c.place)
        found: dict[Any, list[Edge]] = {}
        columns = [ranked.c[column.name] for column in EDGES.c]
        for row in self._connection.execute(query.with_only_columns(*columns)):
            found.setdefault(_key(row), []).append(read_edge(row))
        return found

    def _clauses(self, which: EdgeSelection) -> list[ColumnElement[bool]]:
        subject, object_ = EDGES.c.subject, EDGES.c.object
        found: list[ColumnElement[bool]] = []
        if which.node is not None:
            found.append(or_(subject == which.node, object_ == which.node))
        if which.between is not None:
            one, other = which.between
            there, back = (subject == one) & (object_ == other), (subject == other) & (object_ == one)
            found.append(or_(there, back))
        for column, value in ((subject, which.subject), (object_, which.object)):
            if value is not None:
                found.append(column == value)
        if which.predicate is not None:
            found.append(EDGES.c.predicate == which.predicate)
        elif not which.mentions:
            found.append(EDGES.c.predicate != MENTIONS)
        if which.category is not None:
            found.append(or_(*(_is_of(which.category, end) for end in (subject, object_))))
        if which.source is not None:
            origin = f'"data_source": {json.dumps(which.source)}'
            found.append(or_(EDGES.c.primary_knowledge_source == which.source, _holds(origin)))
        if which.status is not None:
            found.append(_is_held_so(which.status))
        if which.polarity is not None:
            found.append(EDGES.c.negated == (which.polarity is Polarity.DENIED))
        if which.documents is not None:
            found.append(self._among(EDGES.c.document_id, which.documents))
        if which.without:
            found.append(~self._among(EDGES.c.document_id, which.without))
        return found

    def _among(self, column: ColumnElement[str], names: Collection[str]) -> ColumnElement[bool]:
        """Return that a column is one of however many names: they are one parameter."""
        listed = json.dumps(sorted(names))
        if self._connection.dialect.name == "postgresql":
            given = func.json_array_elements_text(cast(json.loads(listed), JSON)).table_valued("value")
        else:
            given = func.json_each(listed).table_valued("value")
        return column.in_(select(given.c.value))

    def _shown(self, query: Any, without: frozenset[str]) -> list[Node]:
        """Return nodes of which a document speaks that counts for something."""
        found = [read_node(row) for row in self._connection.execute(query.order_by(NODES.c.id))]
        if not without or not found:
            return found
        shown = []
        for node in found:
            of_node = EdgeSelection(node=node.id, mentions=True, without=without)
            is_linked = select(EDGES.c.id).where(*self._clauses(of_node)).limit(1)
            own = () if node.document_id is None else (node.document_id,)
            if without.isdisjoint(own) and (own or self._connection.execute(is_linked).first()):
                shown.append(node)
        return shown

    def _candidates(self, wanted: str) -> Iterator[tuple[str, str]]:
        """Yield names that may be meant with the CURIE of their node, as many as can be compared at once."""
        for name, curie in ((ALIASES.c.folded, ALIASES.c.node_id), (NODES.c.folded_name, NODES.c.id)):
            begin = wanted[:_BEGINNING]
            alike = and_(name >= begin, name < begin + "\U0010ffff")
            for which in (alike, name.contains(wanted, autoescape=True)):
                query = select(name, curie).where(which).order_by(name, curie).limit(_MOST_CANDIDATES)
                yield from map(itemgetter(0, 1), self._connection.execute(query))

    def _count(self, table: Table) -> int:
        return self._connection.execute(select(func.count()).select_from(table)).scalar_one()


def _key(row: Any) -> tuple[Any, ...]:
    return tuple(row._mapping[name] for name in ALIKE)


def _holds(text: str) -> ColumnElement[bool]:
    return EDGES.c.details.contains(text, autoescape=True)


def _is_held_so(status: ClaimStatus) -> ColumnElement[bool]:
    if status is ClaimStatus.POSSIBLE:
        return _holds(_POSSIBLE)
    if status is ClaimStatus.BACKGROUND:
        return _holds(_BACKGROUND)
    return ~_holds(_POSSIBLE) & ~_holds(_BACKGROUND)


def _is_of(category: str, end: ColumnElement[str]) -> ColumnElement[bool]:
    listed = NODES.c.category.contains(json.dumps(category), autoescape=True)
    return select(NODES.c.id).where(NODES.c.id == end, listed).exists()


def _most_first(counts: dict[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda one: (-one[1], one[0])))
