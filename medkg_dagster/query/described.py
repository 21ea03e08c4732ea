"""Edges and nodes of a graph as they are answered, each with its document."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from medkg_dagster.query.answers import (
    Concept,
    DocumentRef,
    Evidence,
    SharedStatement,
    StatedClaim,
)

if TYPE_CHECKING:
    from medkg_dagster.domain.graph_selection import EdgeGroup
    from medkg_dagster.domain.knowledge import Edge, Node
    from medkg_dagster.query.opened import OpenedStores
    from medkg_dagster.query.readable import GraphReader

_OF_STATEMENT = (
    *("predicate", "negated", "qualifiers", "original_predicate"),
    *("primary_knowledge_source", "knowledge_level", "agent_type"),
)
_OF_EVIDENCE = (
    *("id", "document_hash", "start", "end", "negated", "certainty", "background", "method"),
    *("extractor", "vocabulary", "record_field", "properties", "licence", "synthetic"),
)


def concept(node: Node) -> Concept:
    """Return a node as it is answered wherever it is named."""
    return Concept.model_validate({name: getattr(node, name) for name in Concept.model_fields})


class EdgeDescriber:
    """Describes edges of one answer: the nodes and documents that they name are looked up at once.

    Args:
        graph: Where the nodes are.
        stores: What knows the documents.
        edges: All edges of the answer.
    """

    def __init__(self, graph: GraphReader, stores: OpenedStores, edges: Collection[Edge]) -> None:
        ends = {end for edge in edges for end in (edge.subject, edge.object)}
        self._concepts = {curie: concept(node) for curie, node in graph.nodes(ends).items()}
        self._documents: Mapping[str, DocumentRef] = stores.references({edge.document_id for edge in edges})

    def evidence(self, edge: Edge) -> Evidence:
        """Return where an edge stands."""
        shared = {name: getattr(edge, name) for name in _OF_EVIDENCE}
        document = self._documents[edge.document_id]
        if edge.synthetic and not document.synthetic:
            document = document.model_copy(update={"synthetic": True})
        return Evidence(**shared, document=document, sentence=edge.supporting_text)

    def claim(self, edge: Edge) -> StatedClaim:
        """Return an edge with where it stands."""
        return StatedClaim(**self._stated(edge), synthetic=edge.synthetic, evidence=self.evidence(edge))

    def shared(self, group: EdgeGroup) -> dict[str, Any]:
        """Return the fields of what is stated alike."""
        first = group.best[0]
        original = next((edge.original_predicate for edge in group.best if edge.original_predicate), None)
        return {
            **self._stated(first),
            "original_predicate": original,
            "synthetic": group.synthetic,
            "evidence_count": group.edges,
            "possible_count": group.possible,
            "document_count": group.documents,
            "evidence": tuple(map(self.evidence, group.best)),
        }

    def statement(self, group: EdgeGroup) -> SharedStatement:
        """Return what is stated alike."""
        return SharedStatement(**self.shared(group))

    def _stated(self, edge: Edge) -> dict[str, Any]:
        ends = {"subject": self._concepts[edge.subject], "object": self._concepts[edge.object]}
        return {**{name: getattr(edge, name) for name in _OF_STATEMENT}, **ends}


def edges_of(groups: Iterable[EdgeGroup]) -> Sequence[Edge]:
    """Return all edges that are shown for some groups."""
    return [edge for group in groups for edge in group.best]
