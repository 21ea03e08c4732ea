"""A graph in the KGX format (https://github.com/biolink/kgx): a line of JSON for each node and edge.

Keys are slots of the Biolink Model, and those that `domain.biolink.OWN_PROPERTIES` gives a reason for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic_core import to_json

from medkg_dagster.domain.biolink import ASSOCIATION
from medkg_dagster.errors import StoreError
from medkg_dagster.io.atomic_files import replacing
from medkg_dagster.stage_api import Node

OWN_SOURCE = "infores:medkg"
NOT_STATED = "not stated"
_NOTHING: Mapping[str, Any] = {}


def write_lines(path: Path, records: Iterable[Mapping[str, Any]]) -> Path:
    """Write records to a file, atomically.

    Raises:
        StoreError: It cannot be written; the old one is still there.
    """
    try:
        with replacing(path) as stream:
            for record in records:
                stream.write(to_json(record) + b"\n")
    except OSError as error:
        raise StoreError(
            f"cannot write to {path.parent}: {error.strerror or error}; name another folder"
        ) from error
    return path


def node_record(node: Node) -> dict[str, Any]:
    """Return a node as slots of the Biolink Model."""
    record: dict[str, Any] = {"id": node.id, "category": list(node.category), "name": node.name}
    if "biolink:Publication" in node.category:
        is_article = any(curie.startswith(("PMID:", "PMC:")) for curie in (node.id, *node.equivalents))
        record["publication_type"] = ["fabio:Article" if is_article else "fabio:Expression"]
    for slot, values in (
        ("synonym", node.synonyms),
        ("equivalent_identifiers", node.equivalents),
        ("provided_by", node.sources),
    ):
        if values:
            record[slot] = list(values)
    if node.document_id is not None:
        record["document"] = node.document_id
        if "biolink:Publication" in node.category:
            record["license"] = node.licence or NOT_STATED
    if node.synthetic:
        record["synthetic"] = True
    return record


def edge_record(edge: Mapping[str, Any]) -> dict[str, Any]:
    """Return an edge as slots of the Biolink Model, and where its text stands in the document.

    Args:
        edge: The fields of an `Edge`; those that are as they are by default may be missing.
    """
    get = edge.get
    record: dict[str, Any] = {
        "id": edge["id"],
        "category": [get("category", ASSOCIATION)],
        "subject": edge["subject"],
        "predicate": edge["predicate"],
        "object": edge["object"],
        "negated": edge["negated"],
        **edge["qualifiers"],
        **get("properties", _NOTHING),
    }
    if original := get("original_predicate"):
        record["original_predicate"] = original
    primary, origin = edge["primary_knowledge_source"], get("data_source", "")
    record["primary_knowledge_source"] = primary
    if primary != OWN_SOURCE:
        record["aggregator_knowledge_source"] = [OWN_SOURCE]
    record["sources"] = _retrieved_from(primary, (origin,) if origin else ())
    record["knowledge_level"] = edge["knowledge_level"]
    record["agent_type"] = edge["agent_type"]
    record["publications"] = edge["publications"]
    text = edge["supporting_text"]
    record["supporting_text"] = [text] if text else []
    record["license"] = get("licence") or NOT_STATED
    record["certainty"] = get("certainty", "asserted")
    record["background"] = get("background", False)
    record["method"] = get("method", "")
    if field := get("record_field"):
        record["record_field"] = field
    record["extractor"] = get("extractor") or NOT_STATED
    record["vocabulary"] = get("vocabulary") or NOT_STATED
    record["document"] = edge["document_id"]
    record["document_hash"] = edge["document_hash"]
    record["start"] = edge["start"]
    record["end"] = edge["end"]
    if edge["synthetic"]:
        record["synthetic"] = True
    return record


def aggregated_record(edges: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return one edge as slots of the Biolink Model for some that say the same.

    Alike are subject, predicate, object, qualifiers and polarity, and who vouches for it: what is read in
    text is one edge, what a registry asserts another.

    Args:
        edges: The fields of at least one `Edge`, in the order of their ids; see `edge_record`.
    """
    first = edges[0]
    primary = first["primary_knowledge_source"]
    record: dict[str, Any] = {
        "id": _aggregated_id(first),
        "category": [_most_exact([edge.get("category", ASSOCIATION) for edge in edges])],
        "subject": first["subject"],
        "predicate": first["predicate"],
        "object": first["object"],
        "negated": first["negated"],
        **first["qualifiers"],
    }
    if original := next(filter(None, (edge.get("original_predicate") for edge in edges)), None):
        record["original_predicate"] = original
    record["primary_knowledge_source"] = primary
    if primary != OWN_SOURCE:
        record["aggregator_knowledge_source"] = [OWN_SOURCE]
    record["sources"] = _retrieved_from(primary, tuple(_each([edge.get("data_source") for edge in edges])))
    record["knowledge_level"] = first["knowledge_level"]
    record["agent_type"] = first["agent_type"]
    record["publications"] = _each([curie for edge in edges for curie in edge["publications"]])
    texts = dict.fromkeys([edge["supporting_text"] for edge in edges])
    record["supporting_text"] = [text for text in texts if text]
    record["has_evidence"] = [edge["id"] for edge in edges]
    record["evidence_count"] = len(edges)
    record["possible_count"] = sum([edge.get("certainty") == "possible" for edge in edges])
    record["license"] = _each([edge.get("licence") for edge in edges]) or [NOT_STATED]
    record["agents"] = _each([edge.get("extractor") for edge in edges])
    if all(edge["synthetic"] for edge in edges):
        record["synthetic"] = True
    return record


def _aggregated_id(edge: Mapping[str, Any]) -> str:
    narrowed = "; ".join([f"{slot}={value}" for slot, value in sorted(edge["qualifiers"].items())])
    alike = (
        *(edge["subject"], edge["predicate"], edge["object"], str(edge["negated"]), narrowed),
        *(edge["primary_knowledge_source"], edge["knowledge_level"], edge["agent_type"]),
    )
    return hashlib.sha256("\x00".join(alike).encode()).hexdigest()[:32]


def _most_exact(categories: Sequence[str]) -> str:
    return (
        min(categories, key=lambda name: (name == ASSOCIATION, name))
        if len(categories) > 1
        else categories[0]
    )


def _each(values: Sequence[str | None]) -> list[str]:
    """Return different values in order; most edges stand for themselves alone."""
    if len(values) == 1:
        return [values[0]] if values[0] else []
    return sorted(filter(None, set(values)))


@lru_cache(maxsize=1024)
def _retrieved_from(primary: str, origins: tuple[str, ...]) -> Sequence[Mapping[str, Any]]:
    mined = primary == OWN_SOURCE
    upstream = sorted(set(origins) - {primary}) if mined else []
    retrieved = [_retrieved(primary, "primary_knowledge_source", upstream)]
    retrieved += [_retrieved(origin, "supporting_data_source", []) for origin in upstream]
    if not mined:
        retrieved.append(_retrieved(OWN_SOURCE, "aggregator_knowledge_source", [primary]))
    return retrieved


def _retrieved(resource: str, role: str, upstream: Sequence[str]) -> dict[str, Any]:
    return {
        "id": resource,
        "resource_id": resource,
        "resource_role": role,
        "upstream_resource_ids": list(upstream),
    }
