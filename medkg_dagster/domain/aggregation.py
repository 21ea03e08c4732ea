"""One edge for all that say the same: how often it is said, where, and by whom."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pydantic import Field

from medkg_dagster.domain import Value
from medkg_dagster.domain.biolink import ASSOCIATION
from medkg_dagster.domain.knowledge import Edge, Node


class AggregatedEdge(Value):
    """What any number of documents state alike.

    Alike are subject, predicate, object, qualifiers and polarity, and who vouches for it: what is read in
    text is one edge, what a registry asserts another.

    Attributes:
        id: Stable hash over what is alike.
        subject: CURIE of the subject node.
        predicate: Biolink predicate.
        object: CURIE of the object node.
        negated: Whether the statement is denied.
        qualifiers: What narrows it, by slot of the Biolink Model.
        original_predicate: What its source calls the relation, where the model has no predicate for it.
        category: The class of associations of the Biolink Model.
        primary_knowledge_source: infores CURIE.
        knowledge_level: Biolink knowledge level.
        agent_type: Biolink agent type.
        evidence: Ids of the edges that it stands for, in their order.
        evidence_count: How many that are.
        possible_count: How many of them hold it possible only.
        documents: Ids of the documents in the pipeline, sorted.
        publications: CURIEs of the documents, sorted.
        supporting_text: What stands in them, each text once, in the order of the evidence.
        data_sources: infores CURIEs of where the documents are from, sorted.
        licences: Licences of the documents, sorted; what is not stated is left out.
        extractors: Which extractors say it, sorted.
        synthetic: Whether only invented documents say it.
    """

    id: str
    subject: str
    predicate: str
    object: str
    negated: bool
    qualifiers: dict[str, str | int | float] = Field(default_factory=dict)
    original_predicate: str | None = None
    category: str
    primary_knowledge_source: str
    knowledge_level: str
    agent_type: str
    evidence: tuple[str, ...]
    evidence_count: int
    possible_count: int
    documents: tuple[str, ...]
    publications: tuple[str, ...]
    supporting_text: tuple[str, ...]
    data_sources: tuple[str, ...]
    licences: tuple[str, ...]
    extractors: tuple[str, ...]
    synthetic: bool = False


class AggregatedNeighbour(NamedTuple):
    """An aggregated edge seen from a node.

    Attributes:
        edge: The edge.
        best: An edge that it stands for, to be shown for all of them.
        node: The node at the other end.
        outgoing: Whether the node that was asked for is the edge's subject.
    """

    edge: AggregatedEdge
    best: Edge
    node: Node
    outgoing: bool


def aggregate(edges: Sequence[Edge]) -> AggregatedEdge:
    """Return the edge that stands for some that say the same.

    Args:
        edges: At least one.
    """
    ordered = sorted(edges, key=lambda edge: edge.id)
    first = ordered[0]
    alike = (*first.statement, first.primary_knowledge_source, first.knowledge_level, first.agent_type)
    return AggregatedEdge(
        id=hashlib.sha256("\x00".join(map(str, alike)).encode()).hexdigest()[:32],
        subject=first.subject,
        predicate=first.predicate,
        object=first.object,
        negated=first.negated,
        qualifiers=first.qualifiers,
        original_predicate=next((edge.original_predicate for edge in ordered), None),
        category=min((edge.category for edge in ordered), key=lambda name: (name == ASSOCIATION, name)),
        primary_knowledge_source=first.primary_knowledge_source,
        knowledge_level=first.knowledge_level,
        agent_type=first.agent_type,
        evidence=tuple(edge.id for edge in ordered),
        evidence_count=len(ordered),
        possible_count=sum(edge.certainty == "possible" for edge in ordered),
        documents=_each(edge.document_id for edge in ordered),
        publications=_each(curie for edge in ordered for curie in edge.publications),
        supporting_text=tuple(
            dict.fromkeys(edge.supporting_text for edge in ordered if edge.supporting_text)
        ),
        data_sources=_each(edge.data_source for edge in ordered),
        licences=_each(edge.licence for edge in ordered),
        extractors=_each(edge.extractor for edge in ordered),
        synthetic=all(edge.synthetic for edge in ordered),
    )


def best_of(edges: Iterable[Edge]) -> Edge:
    """Return the edge to be shown for all that say the same: real, sure, no background, with a sentence."""
    return min(
        edges,
        key=lambda edge: (
            edge.synthetic,
            edge.certainty != "asserted",
            edge.background,
            not edge.supporting_text,
            len(edge.supporting_text),
            edge.id,
        ),
    )


def _each(values: Iterable[str | None]) -> tuple[str, ...]:
    return tuple(sorted(filter(None, set(values))))
