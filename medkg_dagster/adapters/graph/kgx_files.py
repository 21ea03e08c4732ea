"""Writes a graph as KGX JSON Lines (https://github.com/biolink/kgx).

Beside the slots of the Biolink Model every edge carries `document_hash`, `start` and `end`: where the
supporting text stands in the text of the first publication.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from medkg_dagster.errors import StoreError
from medkg_dagster.io.atomic_files import replacing
from medkg_dagster.stage_api import Edge, Node


def write_kgx(folder: Path, nodes: Iterable[Node], edges: Iterable[Edge]) -> tuple[Path, Path]:
    """Write `nodes.jsonl` and `edges.jsonl`, each replaced as a whole.

    Args:
        folder: Where to; it is made if need be.
        nodes: The nodes in the order to write.
        edges: The edges in the order to write.

    Returns:
        The two files.

    Raises:
        StoreError: A file cannot be written; the old one is still there.
    """
    try:
        return (
            _write_lines(folder / "nodes.jsonl", map(_node, nodes)),
            _write_lines(folder / "edges.jsonl", map(_edge, edges)),
        )
    except OSError as error:
        raise StoreError(
            f"cannot write to {folder}: {error.strerror or error}; name another folder"
        ) from error


def _node(node: Node) -> dict[str, Any]:
    return {"id": node.id, "category": list(node.category), "name": node.name}


def _edge(edge: Edge) -> dict[str, Any]:
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
        "supporting_text": edge.supporting_text,
        "document_hash": edge.document_hash,
        "start": edge.start,
        "end": edge.end,
    }


def _write_lines(path: Path, records: Iterable[Mapping[str, Any]]) -> Path:
    with replacing(path) as stream:
        for record in records:
            stream.write(json.dumps(record, ensure_ascii=False).encode() + b"\n")
    return path
