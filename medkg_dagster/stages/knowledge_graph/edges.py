"""Edges: claims, what a document mentions, and what it cites."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from medkg_dagster.domain.biolink import MENTIONS, narrows
from medkg_dagster.stage_api import AnnotationRole, Claim, Document, Edge, Entity
from medkg_dagster.stages.extract.sentences import SentencesAround

TEXT_SOURCE = "infores:medkg"
STRUCTURED = "structured"

_BY_MACHINE = frozenset({AnnotationRole.CONDITION_MESH, AnnotationRole.INTERVENTION_MESH})
_BY_HAND = frozenset({AnnotationRole.CONDITION, AnnotationRole.INTERVENTION})
_SHARED = {"category", "publications", "supporting_text", "synthetic", "data_source", "licence"}


def claim_edge(claim: Claim, document: Document | None, curie: str) -> Edge:
    """Return the edge of a claim.

    Args:
        claim: The claim.
        document: The document that makes it; None where the pipeline has it not here.
        curie: The document's node.
    """
    shared = claim.model_dump(include=set(Edge.model_fields) - _SHARED)
    narrowing = {slot: value for slot, value in claim.qualifiers.items() if narrows(slot)}
    return Edge(
        **shared | {"qualifiers": narrowing},
        properties={slot: value for slot, value in claim.qualifiers.items() if slot not in narrowing},
        publications=(curie,),
        supporting_text=claim.sentence,
        **origin(document),
    )


def origin(document: Document | None) -> dict[str, Any]:
    """Return what an edge has of its document; nothing where the pipeline has it not here."""
    if document is None:
        return {}
    return {
        "data_source": document.source,
        "licence": document.licence,
        "synthetic": document.synthetic,
    }


def mention_edges(document: Document, curie: str, entities: Sequence[Entity]) -> Iterator[Edge]:
    """Yield an edge from a document to every concept in it, with the best evidence there is.

    Args:
        document: The document.
        curie: Its node.
        entities: Its entities.
    """
    best: dict[str, Entity] = {}
    for entity in entities:
        known = best.get(entity.curie)
        if known is None or _evidence_rank(entity) < _evidence_rank(known):
            best[entity.curie] = entity
    roles = _roles(document)
    sentences = SentencesAround(document)
    for entity in best.values():
        if entity.curie not in {document.id, curie}:
            yield _mention_edge(document, curie, entity, sentences, roles)


def _evidence_rank(entity: Entity) -> tuple[bool, bool, int]:
    return entity.start is None, entity.negated, entity.start or 0


def _roles(document: Document) -> Mapping[str, set[AnnotationRole]]:
    roles: dict[str, set[AnnotationRole]] = {}
    for note in document.annotations:
        roles.setdefault(note.name, set()).add(note.role)
    return roles


def _mention_edge(
    document: Document,
    curie: str,
    entity: Entity,
    sentences: SentencesAround,
    roles: Mapping[str, set[AnnotationRole]],
) -> Edge:
    start, end = _evidence(entity, sentences)
    asserted = entity.start is None
    level, agent = "not_provided", "text_mining_agent"
    if asserted:
        level, agent = _asserted_by(roles.get(entity.surface, set()))
    return Edge(
        id=edge_id(document, MENTIONS, entity.curie, start, end),
        subject=curie,
        predicate=MENTIONS,
        object=entity.curie,
        negated=False,
        primary_knowledge_source=document.source if asserted else TEXT_SOURCE,
        knowledge_level=level,
        agent_type=agent,
        publications=(curie,),
        supporting_text=document.text[start:end],
        document_id=document.id,
        document_hash=document.content_hash,
        start=start,
        end=end,
        method=entity.method,
        extractor=entity.extractor or entity.method,
        vocabulary=entity.vocabulary,
        **origin(document),
    )


def _asserted_by(roles: set[AnnotationRole]) -> tuple[str, str]:
    """Return knowledge level and agent of what a structured field says.

    Registrants write conditions and interventions; a registry computes MeSH terms from those. Who indexed an
    article, a person or a machine, is not said.
    """
    if roles & _BY_HAND:
        return "knowledge_assertion", "manual_agent"
    if roles and roles <= _BY_MACHINE:
        return "not_provided", "automated_agent"
    return "knowledge_assertion", "not_provided"


def edge_id(document: Document, predicate: str, object_: str, start: int, end: int) -> str:
    """Return the id of an edge from a document, the same wherever it is made."""
    key = "\x00".join((document.id, document.content_hash, predicate, object_, str(start), str(end)))
    return hashlib.sha256(key.encode()).hexdigest()[:32]


def _evidence(entity: Entity, sentences: SentencesAround) -> tuple[int, int]:
    """Return where the sentence of a mention stands; nowhere for a structured field."""
    if entity.start is None or entity.end is None:
        return 0, 0
    place = sentences.find(entity.start, entity.end)
    return (entity.start, entity.end) if place is None else (place.start, place.end)
