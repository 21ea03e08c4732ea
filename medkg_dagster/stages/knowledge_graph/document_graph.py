"""What the graph is given of one document: nodes and edges that fit the Biolink Model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from medkg_dagster.domain import Value
from medkg_dagster.domain.biolink import association, categories, fits
from medkg_dagster.errors import DocumentError
from medkg_dagster.stage_api import Claim, Document, Edge, Entity, Node
from medkg_dagster.stages.knowledge_graph.citations import citations
from medkg_dagster.stages.knowledge_graph.descriptions import Descriptions
from medkg_dagster.stages.knowledge_graph.edges import claim_edge, mention_edges
from medkg_dagster.stages.knowledge_graph.nodes import concept_nodes, document_node, merge_nodes

_TREATMENT = "biolink:Treatment"
_DONE_TO_TREAT = frozenset({"biolink:Activity", "biolink:ClinicalIntervention", "biolink:Procedure"})


class DocumentGraph(Value):
    """Nodes and edges of a document.

    Attributes:
        nodes: What it says about nodes, one for each CURIE, in their order.
        edges: Its edges, one for each id, in their order.
        unfit: Claims that are left out, as the ends cannot be those of the predicate.
    """

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    unfit: tuple[str, ...] = ()


def document_graph(
    name: str,
    document: Document | None,
    entities: Sequence[Entity],
    claims: Sequence[Claim],
    descriptions: Descriptions,
) -> DocumentGraph:
    """Make the nodes and edges of a document.

    Args:
        name: Its id in the pipeline.
        document: The document; None where the pipeline has it not here, and then only claims become edges.
        entities: Its entities.
        claims: Its claims.
        descriptions: What the vocabulary says of concepts.

    Raises:
        DocumentError: A claim is about something that is no entity of the document.
    """
    own = document_node(name, document)
    nodes = {node.id: node for node in merge_nodes((own, *concept_nodes(entities, descriptions)))}
    edges: dict[str, Edge] = {}
    unfit = []
    for claim in claims:
        edge = _named_with(claim_edge(claim, document, own.id), descriptions)
        _check_ends(edge, nodes)
        subject = _as_treatment(edge, nodes)
        if subject is None:
            unfit.append(f"{edge.subject} {edge.predicate} {edge.object}")
            continue
        nodes[subject.id] = subject
        edges[edge.id] = edge
    if document is not None:
        mentioned = mention_edges(document, own.id, entities)
        edges |= {edge.id: _named_with(edge, descriptions) for edge in mentioned}
        for cited, edge in citations(document, own):
            nodes.setdefault(cited.id, cited)
            edges[edge.id] = edge
    synthetic = document is not None and document.synthetic
    return DocumentGraph(
        nodes=tuple(_marked(nodes[curie], synthetic) for curie in sorted(nodes)),
        edges=tuple(_classified(edges[key], nodes) for key in sorted(edges)),
        unfit=tuple(unfit),
    )


def _named_with(edge: Edge, descriptions: Descriptions) -> Edge:
    """Return an edge that says of which vocabulary its ends are, also where nobody said so before."""
    return edge if edge.vocabulary else edge.model_copy(update={"vocabulary": descriptions.version})


def _check_ends(edge: Edge, nodes: Mapping[str, Node]) -> None:
    for end in (edge.subject, edge.object):
        if end not in nodes:
            raise DocumentError(
                f"claim {edge.id} is about {end}, which is no entity of the document; "
                "mend the stage that makes the claims, so that it makes the entities too"
            )


def _as_treatment(edge: Edge, nodes: Mapping[str, Node]) -> Node | None:
    """Return the subject as what the predicate takes; None where it takes nothing of the kind.

    What is done to patients is a treatment where somebody says of it that it treats.
    """
    subject, object_ = nodes[edge.subject], nodes[edge.object]
    if fits(edge.predicate, subject.category, object_.category):
        return subject
    treatment = tuple(dict.fromkeys((*categories(_TREATMENT)[:-1], *subject.category)))
    is_done = not _DONE_TO_TREAT.isdisjoint(subject.category)
    if is_done and fits(edge.predicate, treatment, object_.category):
        return subject.model_copy(update={"category": treatment})
    return None


def _classified(edge: Edge, nodes: Mapping[str, Node]) -> Edge:
    ends = (nodes[edge.subject].category, nodes[edge.object].category)
    return edge.model_copy(update={"category": association(edge.predicate, *ends)})


def _marked(node: Node, synthetic: bool) -> Node:
    return node.model_copy(update={"synthetic": True}) if synthetic else node


def all_edges(graphs: Iterable[DocumentGraph]) -> Iterator[Edge]:
    """Yield the edges of some documents."""
    for graph in graphs:
        yield from graph.edges
