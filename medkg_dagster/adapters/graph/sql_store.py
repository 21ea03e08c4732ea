"""Reads and writes the tables of the SQL graph, and exports them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Table, delete, func, or_, select

from medkg_dagster.adapters.graph import sql_changes
from medkg_dagster.adapters.graph.kgx import write_lines
from medkg_dagster.adapters.graph.sql_edges import edge_row, read_edge, said_by, said_in
from medkg_dagster.adapters.graph.sql_migrations import GRAPH
from medkg_dagster.adapters.graph.sql_nodes import (
    contributions,
    read_node,
    read_nodes,
    refresh_nodes,
    replace_contributions,
)
from medkg_dagster.adapters.graph.sql_reader import SqlGraphReader
from medkg_dagster.adapters.graph.sql_rows import portions, write_rows
from medkg_dagster.adapters.graph.sql_schema import ALIASES, CONTRIBUTIONS, DOCUMENTS, EDGES, NODES
from medkg_dagster.domain.graph_selection import EdgeSelection
from medkg_dagster.domain.knowledge import GraphChange, graph_hashes
from medkg_dagster.io.sql import Database, check_address, lock_writers
from medkg_dagster.stage_api import Edge, GraphReceipt, Neighbour, Node

_FORGOTTEN_AT_ONCE = 5000


class SqlGraph:
    """Keeps nodes and edges in SQL tables.

    What a node is called and what it is are computed from what its documents say, so the graph depends on
    the documents in it and on nothing else: not on their order, not on what was there before.

    Args:
        file: The SQLite file that is used without a URL.
        url: An SQLAlchemy URL; None for the file.

    Raises:
        ConfigError: The URL is malformed or in memory, or its driver is missing.
        StoreError: The database cannot be opened, is damaged, foreign, or of a newer release.
    """

    def __init__(self, file: Path, url: str | None = None) -> None:
        if url is not None:
            check_address(GRAPH, url)
        self._database = Database(GRAPH, file if url is None else url)
        self._location = file.name if url is None else self._database.place

    def upsert(
        self, documents: Sequence[str], nodes: Mapping[str, Sequence[Node]], edges: Sequence[Edge]
    ) -> GraphReceipt:
        """Write nodes and edges in one transaction.

        Older edges of the given documents are removed, and so are nodes that no edge or document of the graph
        needs any more. Writing the same batch again changes nothing.

        Args:
            documents: CURIEs of every document of the batch, also those without edges.
            nodes: What each document says about nodes, by document; a node that is neither the document
                nor at the end of one of its edges is not kept.
            edges: Edges, merged by id.

        Raises:
            StoreError: An edge has no node or no document, or the database cannot be written.
        """
        return self.apply(graph_hashes(documents, nodes, edges), (), nodes, edges)

    def held(self) -> Mapping[str, str]:
        """Return the documents of the graph, each with the hash of what it was given of it.

        Raises:
            StoreError: The database cannot be read.
        """
        return {row.id: row.input_hash for row in self._read(select(DOCUMENTS))}

    def held_versions(self, document: str) -> frozenset[str] | None:
        """Return the content hashes of what the graph has of a document; None where it does not hold it."""
        if not self._read(select(DOCUMENTS.c.id).where(DOCUMENTS.c.id == document)):
            return None
        found = self._read(select(EDGES.c.document_hash).where(EDGES.c.document_id == document))
        return frozenset(row.document_hash for row in found)

    def apply(
        self,
        changed: Mapping[str, str],
        removed: Collection[str],
        nodes: Mapping[str, Sequence[Node]],
        edges: Sequence[Edge],
    ) -> GraphReceipt:
        """Write some documents and take others out, in one transaction.

        Args:
            changed: The documents to write, also those without edges, each with the hash of its input.
            removed: The documents to take out, known or not.
            nodes: What each changed document says about nodes, as for `upsert`.
            edges: The edges of the changed documents, merged by id.

        Raises:
            StoreError: An edge has no node or no document, or the database cannot be written.
        """
        rows = contributions(changed, nodes, edges)
        by_id = {edge.id: edge for edge in edges}
        touched = {*changed, *removed}
        with self._database.writing() as connection:
            lock_writers(connection, GRAPH.lock)
            held, said = said_by(connection, touched)
            sql_changes.note_changes(connection, said, said_in(by_id.values()))
            stale = [edge for edge in held if edge not in by_id]
            for some in portions(stale):
                connection.execute(delete(EDGES).where(EDGES.c.id.in_(some)))
            write_rows(connection, EDGES, [edge_row(edge) for edge in by_id.values()])
            refresh_nodes(connection, replace_contributions(connection, touched, rows))
            for some in portions(sorted(touched - changed.keys())):
                connection.execute(delete(DOCUMENTS).where(DOCUMENTS.c.id.in_(some)))
            known = [{"id": name, "input_hash": digest} for name, digest in changed.items()]
            write_rows(connection, DOCUMENTS, known)
        return GraphReceipt(
            store="sql",
            location=self._location,
            documents=len(changed),
            nodes_written=len({row["node_id"] for row in rows}),
            edges_written=len(by_id),
            edges_removed=len(stale),
        )

    def changes(self, since: str, limit: int) -> tuple[GraphChange, ...]:
        """Return what writes changed from a time on, the latest first.

        Args:
            since: UTC, ISO 8601.
            limit: At most so many.
        """
        with self._database.reading() as connection:
            return sql_changes.read_changes(connection, since, limit)

    def changes_begin(self) -> str:
        """Return from when on every change is remembered; before, at most the latest of each document."""
        with self._database.reading() as connection:
            return sql_changes.changes_begin(connection)

    def forget_changes(self, before: str, *, is_dry: bool = False) -> int:
        """Forget changes from before a time; the latest of each document of the graph stays.

        Args:
            before: UTC, ISO 8601.
            is_dry: Whether to count only.

        Returns:
            How many.
        """
        if is_dry:
            with self._database.reading() as connection:
                return sql_changes.count_forgettable(connection, before)
        count, last = 0, 0
        while True:  # a transaction for some at a time, so that runs go on meanwhile
            with self._database.writing() as connection:
                numbers = sql_changes.forget_changes(connection, before, last, _FORGOTTEN_AT_ONCE)
            if not numbers:
                return count
            count, last = count + len(numbers), numbers[-1]

    def size(self, documents: Collection[str]) -> tuple[int, int]:
        """Return how many nodes and edges of some documents the graph holds.

        Raises:
            StoreError: The database cannot be read.
        """
        with self._database.reading() as connection:
            held = set(connection.execute(select(DOCUMENTS.c.id)).scalars())
            if held <= set(documents):
                return _count(connection, NODES), _count(connection, EDGES)
            ids: set[str] = set()
            edges = 0
            for some in portions(sorted(documents)):
                chosen = select(CONTRIBUTIONS.c.node_id).where(CONTRIBUTIONS.c.document_id.in_(some))
                ids.update(connection.execute(chosen.distinct()).scalars())
                of_some = EDGES.c.document_id.in_(some)
                edges += _count(connection, EDGES, of_some)
            return len(ids), edges

    @contextmanager
    def reading(self) -> Iterator[SqlGraphReader]:
        """Open the graph to be asked, in one consistent state.

        Raises:
            StoreError: The database cannot be read.
        """
        with self._database.reading() as connection:
            yield SqlGraphReader(connection)

    def find(self, name: str) -> tuple[Node, ...]:
        """Return the nodes with this CURIE or name in any case, by CURIE first, then in order of CURIE.

        Where there is none, those with this synonym or equivalent identifier.
        """
        wanted = name.strip().casefold()
        query = select(NODES).where(or_(NODES.c.folded_id == wanted, NODES.c.folded_name == wanted))
        found = [read_node(row) for row in self._read(query)]
        if not found:
            called = select(ALIASES.c.node_id).where(ALIASES.c.folded == wanted)
            found = [read_node(row) for row in self._read(select(NODES).where(NODES.c.id.in_(called)))]
        return tuple(sorted(found, key=lambda node: (node.id != name, node.id.casefold() != wanted, node.id)))

    def neighbours(self, curie: str, limit: int) -> tuple[Neighbour, ...]:
        """Return the edges of a node with the nodes at their other ends.

        Returns:
            Statements before mentions, then by predicate, node and id.
        """
        if limit < 1:
            return ()
        mention = EDGES.c.predicate == "biolink:mentions"
        query = (
            select(EDGES)
            .where(or_(EDGES.c.subject == curie, EDGES.c.object == curie))
            .order_by(mention, EDGES.c.predicate, EDGES.c.subject, EDGES.c.object, EDGES.c.id)
            .limit(limit)
        )
        with self._database.reading() as connection:
            edges = [read_edge(row) for row in connection.execute(query)]
            nodes = read_nodes(connection, {end for edge in edges for end in (edge.subject, edge.object)})
        return tuple(
            Neighbour(edge, nodes[edge.object if outgoing else edge.subject], outgoing)
            for edge in edges
            for outgoing in (edge.subject == curie,)
        )

    def export_kgx(self, folder: Path) -> tuple[Path, ...]:
        """Write `nodes.jsonl`, `edges.jsonl` and `aggregated_edges.jsonl` in the KGX format, each atomically.

        Nodes and edges are sorted by id, aggregated edges by subject, predicate and object. Nodes go with one
        of the two: what is in one file of edges is in the other, too.

        Args:
            folder: Where to; it is made if need be.

        Raises:
            StoreError: The graph cannot be read or a file cannot be written; the old one is still there.
        """
        with self.reading() as graph:
            everything = EdgeSelection(mentions=True)
            return (
                write_lines(folder / "nodes.jsonl", graph.node_records(everything)),
                write_lines(folder / "edges.jsonl", graph.edge_records(everything)),
                write_lines(folder / "aggregated_edges.jsonl", graph.aggregated_records(everything)),
            )

    def close(self) -> None:
        """Release files and connections."""
        self._database.close()

    def _read(self, query: Any) -> Sequence[Row[Any]]:
        with self._database.reading() as connection:
            return connection.execute(query).all()


def _count(connection: Connection, table: Table, *which: ColumnElement[bool]) -> int:
    return connection.execute(select(func.count()).select_from(table).where(*which)).scalar_one()
