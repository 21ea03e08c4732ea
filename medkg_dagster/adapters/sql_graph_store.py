"""Reading and writing the SQL graph."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, Table, delete, func, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from medkg_dagster.adapters.sql_graph_schema import EDGES, NODES, GraphDatabase
from medkg_dagster.domain.knowledge import Edge, Node
from medkg_dagster.domain.receipts import GraphReceipt
from medkg_dagster.stage_api import Neighbour

ROWS_PER_STATEMENT = 500


class SqlGraphStore:
    """A graph in SQL tables.

    Args:
        url: A SQLAlchemy URL, for SQLite or PostgreSQL.
    """

    def __init__(self, url: str) -> None:
        self._database = GraphDatabase(url)

    @property
    def location(self) -> str:
        """The file or server, without its password."""
        return self._database.location

    def upsert(self, documents: Sequence[str], nodes: Sequence[Node], edges: Sequence[Edge]) -> GraphReceipt:
        """Write a batch in one transaction.

        Edges of these documents that the batch no longer holds go, and with them nodes that nothing needs
        any more, so that the graph is that of one clean run over the latest documents.

        Args:
            documents: CURIEs of every document of the batch.
            nodes: Nodes, merged by CURIE.
            edges: Edges, merged by id.

        Returns:
            What was written.

        Raises:
            StoreError: The database refused; nothing is written.
        """
        new_nodes = {node.id: node for node in nodes}
        new_edges = {edge.id: edge for edge in edges}
        with self._database.writing() as connection:
            stale = _delete_stale_edges(connection, documents, new_edges)
            _write(connection, NODES, _merge(connection, new_nodes))
            _write(connection, EDGES, [edge.model_dump(mode="json") for edge in new_edges.values()])
            _delete_unused_nodes(connection, {end for edge in stale for end in edge[1:]} - new_nodes.keys())
        return GraphReceipt(
            store="sql",
            location=self.location,
            documents=len(set(documents)),
            nodes_written=len(new_nodes),
            edges_written=len(new_edges),
            edges_removed=len(stale),
        )

    def find(self, name: str) -> tuple[Node, ...]:
        """Return the nodes with this CURIE or name, upper and lower case alike; CURIEs first."""
        wanted = name.strip().lower()
        by_curie = func.lower(NODES.c.id) == wanted
        query = select(NODES).where(or_(by_curie, func.lower(NODES.c.name) == wanted))
        with self._database.reading() as connection:
            rows = connection.execute(query.order_by(by_curie.desc(), NODES.c.id)).all()
        return tuple(_node(row) for row in rows)

    def neighbours(self, curie: str, limit: int) -> tuple[Neighbour, ...]:
        """Return the edges of a node: claims before mentions, then by predicate, node and evidence."""
        query = (
            select(EDGES)
            .where(or_(EDGES.c.subject == curie, EDGES.c.object == curie))
            .order_by(
                EDGES.c.predicate == "biolink:mentions",
                EDGES.c.predicate,
                EDGES.c.subject,
                EDGES.c.object,
                EDGES.c.id,
            )
            .limit(limit)
        )
        with self._database.reading() as connection:
            edges = [_edge(row) for row in connection.execute(query)]
            others = {edge.object if edge.subject == curie else edge.subject for edge in edges}
            nodes = {node.id: node for node in _nodes(connection, others)}
        return tuple(
            Neighbour(
                edge, nodes[edge.object if edge.subject == curie else edge.subject], edge.subject == curie
            )
            for edge in edges
        )

    def export_kgx(self, folder: Path) -> tuple[Path, Path]:
        """Write the graph as KGX JSON Lines, each file whole or not at all.

        Args:
            folder: Where `nodes.jsonl` and `edges.jsonl` go; made if it is not there.

        Returns:
            The two files.
        """
        folder.mkdir(parents=True, exist_ok=True)
        with self._database.reading() as connection:
            nodes = (_node(row) for row in connection.execute(select(NODES).order_by(NODES.c.id)))
            written_nodes = _write_lines(folder / "nodes.jsonl", (_kgx_node(node) for node in nodes))
            edges = (_edge(row) for row in connection.execute(select(EDGES).order_by(EDGES.c.id)))
            written_edges = _write_lines(folder / "edges.jsonl", (_kgx_edge(edge) for edge in edges))
        return written_nodes, written_edges

    def close(self) -> None:
        """Close every connection."""
        self._database.close()


def _delete_stale_edges(
    connection: Connection, documents: Sequence[str], kept: dict[str, Edge]
) -> list[Row[tuple[str, str, str]]]:
    stale = [
        row
        for portion in _portions(documents)
        for row in connection.execute(
            select(EDGES.c.id, EDGES.c.subject, EDGES.c.object).where(EDGES.c.document_id.in_(portion))
        )
        if row.id not in kept
    ]
    for portion in _portions([row.id for row in stale]):
        connection.execute(delete(EDGES).where(EDGES.c.id.in_(portion)))
    return stale


def _merge(connection: Connection, new: dict[str, Node]) -> list[dict[str, Any]]:
    """Merge nodes with those of other batches: the first name of the alphabet, all categories.

    Either rule gives the same result in any order of batches.
    """
    stored = {node.id: node for node in _nodes(connection, new)}
    rows = []
    for node in new.values():
        old = stored.get(node.id, node)
        own = node.category if node.category[:1] <= old.category[:1] else old.category
        category = (*own[:1], *sorted({*node.category, *old.category} - {*own[:1]}))
        rows.append({"id": node.id, "name": min(node.name, old.name), "category": list(category)})
    return rows


def _delete_unused_nodes(connection: Connection, candidates: Iterable[str]) -> None:
    for portion in _portions(sorted(candidates)):
        used = set(connection.scalars(select(EDGES.c.subject).where(EDGES.c.subject.in_(portion))))
        used |= set(connection.scalars(select(EDGES.c.object).where(EDGES.c.object.in_(portion))))
        connection.execute(
            delete(NODES).where(NODES.c.id.in_([curie for curie in portion if curie not in used]))
        )


def _write(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    if not rows:
        return
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(table)
    others = {column.name: statement.excluded[column.name] for column in table.c if not column.primary_key}
    upsert = statement.on_conflict_do_update(index_elements=[table.c.id], set_=others)
    connection.execute(upsert, sorted(rows, key=lambda row: str(row["id"])))


def _nodes(connection: Connection, curies: Iterable[str]) -> Iterator[Node]:
    for portion in _portions(sorted(curies)):
        for row in connection.execute(select(NODES).where(NODES.c.id.in_(portion))):
            yield _node(row)


def _node(row: Row[Any]) -> Node:
    return Node(id=row.id, name=row.name, category=tuple(row.category))


def _edge(row: Row[Any]) -> Edge:
    return Edge.model_validate(row._asdict())


def _kgx_node(node: Node) -> dict[str, Any]:
    return {"id": node.id, "category": list(node.category), "name": node.name}


def _kgx_edge(edge: Edge) -> dict[str, Any]:
    """Return an edge in the terms of KGX and the Biolink Model; where the evidence lies has names of our own."""
    return {
        "id": edge.id,
        "category": ["biolink:Association"],
        "subject": edge.subject,
        "predicate": edge.predicate,
        "object": edge.object,
        "negated": edge.negated,
        "primary_knowledge_source": edge.primary_knowledge_source,
        "knowledge_level": edge.knowledge_level,
        "agent_type": edge.agent_type,
        "publications": list(edge.publications),
        "supporting_text": [edge.supporting_text],
        "supporting_document": edge.document_id,
        "supporting_document_hash": edge.document_hash,
        "supporting_text_start": edge.start,
        "supporting_text_end": edge.end,
    }


def _write_lines(target: Path, records: Iterable[dict[str, Any]]) -> Path:
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".partial")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            for record in records:
                stream.write(json.dumps(record, ensure_ascii=False) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        Path(name).replace(target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            Path(name).unlink()
        raise
    return target


def _portions(values: Sequence[str]) -> Iterator[Sequence[str]]:
    """Cut values into portions a statement can take as parameters."""
    for start in range(0, len(values), ROWS_PER_STATEMENT):
        yield values[start : start + ROWS_PER_STATEMENT]
