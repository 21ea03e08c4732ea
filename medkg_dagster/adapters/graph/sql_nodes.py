"""The nodes of the SQL graph: computed from what documents say about them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, delete, select

from medkg_dagster.adapters.graph.sql_rows import insert_into, portions, write_rows
from medkg_dagster.adapters.graph.sql_schema import CONTRIBUTIONS, NODES, STATEMENTS
from medkg_dagster.errors import StoreError
from medkg_dagster.stage_api import Edge, Node

_STATEMENT = ("node_id", "name", "category", "synthetic")


def contributions(
    documents: Collection[str], nodes: Mapping[str, Iterable[Node]], edges: Iterable[Edge]
) -> list[dict[str, Any]]:
    """Return what each document says about the nodes it needs, and refuse edges that hang in the air."""
    batch = set(documents)
    known = {document: _said_by_one(nodes.get(document, ())) for document in batch}
    needed = {(document, document) for document in batch if document in known[document]}
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
    return [
        {
            "document_id": document,
            "node_id": curie,
            "name": known[document][curie].name,
            "category": json.dumps(known[document][curie].category),
            "synthetic": known[document][curie].synthetic,
        }
        for document, curie in sorted(needed)
    ]


def _said_by_one(nodes: Iterable[Node]) -> dict[str, Node]:
    best: dict[str, Node] = {}
    for node in sorted(nodes, key=lambda node: (-len(node.category), node.category, node.name)):
        best.setdefault(node.id, node)
    return best


def replace_contributions(
    connection: Connection, documents: Iterable[str], rows: Sequence[Mapping[str, Any]]
) -> list[str]:
    """Replace what documents say about nodes; return the nodes about which something else is said now."""
    said = Counter(_statement(row) for row in rows)
    for some in portions(sorted(set(documents))):
        chosen = CONTRIBUTIONS.c.document_id.in_(some)
        said.subtract(
            _statement(row._asdict()) for row in connection.execute(select(CONTRIBUTIONS).where(chosen))
        )
        connection.execute(delete(CONTRIBUTIONS).where(chosen))
    write_rows(connection, CONTRIBUTIONS, rows)
    changed = sorted((statement, count) for statement, count in said.items() if count)
    if changed:
        statement = insert_into(connection, STATEMENTS)
        together = STATEMENTS.c.documents + statement.excluded.documents
        keys = STATEMENTS.primary_key.columns.keys()
        connection.execute(
            statement.on_conflict_do_update(index_elements=keys, set_={"documents": together}),
            [
                {**dict(zip(_STATEMENT, said_of, strict=True)), "documents": count}
                for said_of, count in changed
            ],
        )
    return sorted({node for (node, *_), _ in changed})


def _statement(row: Mapping[str, Any]) -> tuple[str, str, str, bool]:
    node, name, category, synthetic = (row[column] for column in _STATEMENT)
    return node, name, category, synthetic


def refresh_nodes(connection: Connection, touched: Sequence[str]) -> None:
    """Let nodes be what is said about them, and go where nobody says anything; as much as differs is read."""
    for some in portions(touched):
        of_some = STATEMENTS.c.node_id.in_(some)
        connection.execute(delete(STATEMENTS).where(of_some, STATEMENTS.c.documents == 0))
        found: dict[str, list[tuple[tuple[str, ...], str, bool]]] = {}
        for row in connection.execute(select(STATEMENTS).where(of_some)):
            found.setdefault(row.node_id, []).append(
                (tuple(json.loads(row.category)), row.name, row.synthetic)
            )
        rows = []
        for curie, names in found.items():
            category, name, _ = min(names, key=lambda item: (-len(item[0]), item))
            invented = all(synthetic for _, _, synthetic in names)
            rows.append(_node_row(curie, name, category, synthetic=invented))
        write_rows(connection, NODES, rows)
        if gone := sorted(set(some) - found.keys()):
            connection.execute(delete(NODES).where(NODES.c.id.in_(gone)))


def _node_row(curie: str, name: str, category: Sequence[str], *, synthetic: bool) -> dict[str, Any]:
    return {
        "id": curie,
        "name": name,
        "folded_name": name.casefold(),
        "folded_id": curie.casefold(),
        "category": json.dumps(list(category)),
        "synthetic": synthetic,
    }
