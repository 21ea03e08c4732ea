"""The nodes of the SQL graph: computed from what documents say about them."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select

from medkg_dagster.adapters.graph.sql_rows import insert_into, portions, write_rows
from medkg_dagster.adapters.graph.sql_schema import ALIASES, CONTRIBUTIONS, NODES, STATEMENTS
from medkg_dagster.errors import StoreError
from medkg_dagster.stage_api import Edge, Node

_COLUMNS = frozenset({"id", "name", "category", "synthetic"})


def said_of(node: Node) -> tuple[str, str]:
    """Return the hash of all that is said about a node, and that itself."""
    said = json.dumps(node.model_dump(exclude_defaults=True))
    return hashlib.sha256(said.encode()).hexdigest()[:32], said


def contributions(
    documents: Collection[str], nodes: Mapping[str, Iterable[Node]], edges: Iterable[Edge]
) -> list[dict[str, Any]]:
    """Return what each document says about the nodes it needs, and refuse edges that hang in the air."""
    batch = set(documents)
    known = {document: _said_by_one(nodes.get(document, ())) for document in batch}
    needed = {
        (document, curie)
        for document in batch
        for curie, node in known[document].items()
        if document in {curie, node.document_id}
    }
    for edge in edges:
        if edge.document_id not in batch:
            raise StoreError(f"edge {edge.id} is of {edge.document_id}, which is not in the batch")
        for end in (edge.subject, edge.object):
            if end not in known[edge.document_id]:
                raise StoreError(
                    f"edge {edge.id} ends at {end}, which is no node of its document {edge.document_id}; "
                    "run the extract stage again, or mend the plugin that made the edge"
                )
            needed.add((edge.document_id, end))
    hashed: dict[Node, tuple[str, str]] = {}
    rows = []
    for document, curie in sorted(needed):
        node = known[document][curie]
        if node not in hashed:
            hashed[node] = said_of(node)
        statement, said = hashed[node]
        rows.append({"document_id": document, "node_id": curie, "statement": statement, "said": said})
    return rows


def _said_by_one(nodes: Iterable[Node]) -> dict[str, Node]:
    best: dict[str, Node] = {}
    for node in nodes:
        known = best.get(node.id)
        if known is None or node.rank < known.rank:
            best[node.id] = node
    return best


def replace_contributions(
    connection: Connection, documents: Iterable[str], rows: Sequence[Mapping[str, Any]]
) -> list[str]:
    """Replace what documents say about nodes; return the nodes about which something else is said now."""
    said = {(row["node_id"], row["statement"]): row["said"] for row in rows}
    counts = Counter((row["node_id"], row["statement"]) for row in rows)
    for some in portions(sorted(set(documents))):
        chosen = CONTRIBUTIONS.c.document_id.in_(some)
        before = connection.execute(select(CONTRIBUTIONS.c.node_id, CONTRIBUTIONS.c.statement).where(chosen))
        counts.subtract((row.node_id, row.statement) for row in before)
        connection.execute(delete(CONTRIBUTIONS).where(chosen))
    columns = CONTRIBUTIONS.c.keys()
    write_rows(connection, CONTRIBUTIONS, [{name: row[name] for name in columns} for row in rows])
    changed = sorted((statement, count) for statement, count in counts.items() if count)
    if changed:
        statement = insert_into(connection, STATEMENTS)
        together = STATEMENTS.c.documents + statement.excluded.documents
        keys = STATEMENTS.primary_key.columns.keys()
        connection.execute(
            statement.on_conflict_do_update(index_elements=keys, set_={"documents": together}),
            [
                {"node_id": key[0], "statement": key[1], "said": said.get(key, ""), "documents": count}
                for key, count in changed
            ],
        )
    return sorted({node for (node, _), _ in changed})


def refresh_nodes(connection: Connection, touched: Sequence[str]) -> None:
    """Let nodes be what is said about them, and go where nobody says anything; as much as differs is read."""
    for some in portions(touched):
        of_some = STATEMENTS.c.node_id.in_(some)
        connection.execute(delete(STATEMENTS).where(of_some, STATEMENTS.c.documents == 0))
        found: dict[str, list[Node]] = {}
        for row in connection.execute(select(STATEMENTS).where(of_some)):
            found.setdefault(row.node_id, []).append(Node.model_validate(json.loads(row.said)))
        before = {row.id: row for row in connection.execute(select(NODES).where(NODES.c.id.in_(some)))}
        changed = []
        for curie, said in found.items():
            best = min(said, key=lambda node: node.rank)
            node = best.model_copy(update={"synthetic": all(each.synthetic for each in said)})
            if curie not in before or read_node(before[curie]) != node:
                changed.append(node)
        write_rows(connection, NODES, [_node_row(node) for node in changed])
        _write_aliases(connection, changed)
        if gone := sorted(before.keys() - found.keys()):
            connection.execute(delete(NODES).where(NODES.c.id.in_(gone)))
            connection.execute(delete(ALIASES).where(ALIASES.c.node_id.in_(gone)))


def _write_aliases(connection: Connection, nodes: Sequence[Node]) -> None:
    if nodes:
        chosen = ALIASES.c.node_id.in_([node.id for node in nodes])
        connection.execute(delete(ALIASES).where(chosen))
    rows = [
        {"folded": folded, "node_id": node.id}
        for node in nodes
        for folded in sorted(set(_aliases(node)) - {node.id.casefold(), node.name.casefold()})
    ]
    if rows:
        connection.execute(insert(ALIASES), rows)


def _aliases(node: Node) -> Iterator[str]:
    for name in (*node.synonyms, *node.equivalents, *filter(None, [node.document_id])):
        yield name.casefold()


def read_nodes(connection: Connection, curies: Iterable[str]) -> dict[str, Node]:
    """Return some nodes by CURIE."""
    found: dict[str, Node] = {}
    for some in portions(sorted(curies)):
        rows = connection.execute(select(NODES).where(NODES.c.id.in_(some)))
        found |= {row.id: read_node(row) for row in rows}
    return found


def read_node(row: Row[Any]) -> Node:
    """Return the node of a row."""
    return Node(
        id=row.id,
        name=row.name,
        category=tuple(json.loads(row.category)),
        synthetic=row.synthetic,
        **json.loads(row.details),
    )


def _node_row(node: Node) -> dict[str, Any]:
    details = node.model_dump(exclude=set(_COLUMNS), exclude_defaults=True)
    return {
        "id": node.id,
        "name": node.name,
        "folded_name": node.name.casefold(),
        "folded_id": node.id.casefold(),
        "category": json.dumps(list(node.category)),
        "synthetic": node.synthetic,
        "details": json.dumps(details),
    }
