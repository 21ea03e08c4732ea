"""A graph in the KGX format (https://github.com/biolink/kgx): a line of JSON for each node and edge.

Keys are slots of the Biolink Model, and those that `domain.biolink.OWN_PROPERTIES` gives a reason for.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from medkg_dagster.domain.aggregation import AggregatedEdge
from medkg_dagster.errors import StoreError
from medkg_dagster.io.atomic_files import replacing
from medkg_dagster.stage_api import Edge, Node

OWN_SOURCE = "infores:medkg"
NOT_STATED = "not stated"


def write_lines(path: Path, records: Iterable[Mapping[str, Any]]) -> Path:
    """Write records to a file, atomically.

    Raises:
        StoreError: It cannot be written; the old one is still there.
    """
    try:
        with replacing(path) as stream:
            for record in records:
                stream.write(json.dumps(record, ensure_ascii=False).encode() + b"\n")
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
    return {**record, **mark(synthetic=node.synthetic)}


def edge_record(edge: Edge) -> dict[str, Any]:
    """Return an edge as slots of the Biolink Model, and where its text stands in the document."""
    return {
        "id": edge.id,
        "category": [edge.category],
        "subject": edge.subject,
        "predicate": edge.predicate,
        "object": edge.object,
        "negated": edge.negated,
        **edge.qualifiers,
        **edge.properties,
        **({"original_predicate": edge.original_predicate} if edge.original_predicate else {}),
        **_sources(edge, [edge.data_source] if edge.data_source else []),
        "publications": list(edge.publications),
        "supporting_text": [edge.supporting_text] if edge.supporting_text else [],
        "license": edge.licence or NOT_STATED,
        "certainty": edge.certainty,
        "background": edge.background,
        "method": edge.method,
        **({"record_field": edge.record_field} if edge.record_field else {}),
        "extractor": edge.extractor or NOT_STATED,
        "vocabulary": edge.vocabulary or NOT_STATED,
        "document": edge.document_id,
        "document_hash": edge.document_hash,
        "start": edge.start,
        "end": edge.end,
        **mark(synthetic=edge.synthetic),
    }


def aggregated_record(edge: AggregatedEdge) -> dict[str, Any]:
    """Return an aggregated edge as slots of the Biolink Model."""
    return {
        "id": edge.id,
        "category": [edge.category],
        "subject": edge.subject,
        "predicate": edge.predicate,
        "object": edge.object,
        "negated": edge.negated,
        **edge.qualifiers,
        **({"original_predicate": edge.original_predicate} if edge.original_predicate else {}),
        **_sources(edge, edge.data_sources),
        "publications": list(edge.publications),
        "supporting_text": list(edge.supporting_text),
        "has_evidence": list(edge.evidence),
        "evidence_count": edge.evidence_count,
        "possible_count": edge.possible_count,
        "license": list(edge.licences) or [NOT_STATED],
        "agents": list(edge.extractors),
        **mark(synthetic=edge.synthetic),
    }


def _sources(edge: Edge | AggregatedEdge, origins: Sequence[str]) -> dict[str, Any]:
    """Return who says what an edge says: read in a text of other resources, or taken over from one."""
    primary = edge.primary_knowledge_source
    mined = primary == OWN_SOURCE
    upstream = sorted(set(origins) - {primary}) if mined else []
    retrieved = [_retrieved(primary, "primary_knowledge_source", upstream)]
    retrieved += [_retrieved(origin, "supporting_data_source", []) for origin in upstream]
    if not mined:
        retrieved.append(_retrieved(OWN_SOURCE, "aggregator_knowledge_source", [primary]))
    return {
        "primary_knowledge_source": primary,
        **({} if mined else {"aggregator_knowledge_source": [OWN_SOURCE]}),
        "sources": retrieved,
        "knowledge_level": edge.knowledge_level,
        "agent_type": edge.agent_type,
    }


def _retrieved(resource: str, role: str, upstream: Sequence[str]) -> dict[str, Any]:
    return {
        "id": resource,
        "resource_id": resource,
        "resource_role": role,
        "upstream_resource_ids": list(upstream),
    }


def mark(*, synthetic: bool) -> dict[str, bool]:
    """Return what marks an invented thing, at the end of its line."""
    return {"synthetic": True} if synthetic else {}
