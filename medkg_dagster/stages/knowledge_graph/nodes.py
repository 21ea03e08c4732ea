"""Nodes: documents, the works they cite, and concepts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from medkg_dagster.domain.biolink import NAMED_THING, categories, document_curies, node_categories
from medkg_dagster.stage_api import Document, Entity, Node
from medkg_dagster.vocabulary.mesh_descriptors import descriptor_category

if TYPE_CHECKING:
    from medkg_dagster.stages.knowledge_graph.descriptions import Descriptions

_TRIAL = "INTERVENTIONAL"


def document_node(name: str, document: Document | None) -> Node:
    """Return the node of a document.

    Args:
        name: Its id in the pipeline.
        document: The document; None where the pipeline has it not here.
    """
    curie, *others = document_curies(name, document.identifiers if document else {})
    if curie.startswith("CLINICALTRIALS:"):
        is_trial = document is not None and document.study_type == _TRIAL
        kinds = categories("biolink:ClinicalTrial" if is_trial else "biolink:Study")
    else:
        kinds = publication_categories((curie, *others))
    return Node(
        id=curie,
        name=(document.title if document else "") or curie,
        category=kinds,
        synthetic=document is not None and document.synthetic,
        equivalents=tuple(others),
        sources=(document.source,) if document else (),
        licence=document.licence if document else None,
        document_id=name,
    )


def publication_categories(curies: Sequence[str]) -> tuple[str, ...]:
    """Return the categories of a work.

    The model wants of an article what it is published in, which is not known here. It has no prefix for a
    text without an identifier: that is a thing, and no more can be said.
    """
    is_known = any(curie.startswith(("PMID:", "PMC:", "doi:")) for curie in curies)
    return categories("biolink:Publication" if is_known else NAMED_THING)


def concept_nodes(entities: Iterable[Entity], descriptions: Descriptions) -> list[Node]:
    """Return what a document says about the concepts in it."""
    said = {(entity.curie, entity.name, entity.category) for entity in entities}
    nodes = []
    for curie, name, category in sorted(said):
        known = descriptions.of(curie)
        nodes.append(
            Node(
                id=curie,
                name=name,
                category=node_categories(curie, _exact(curie, category)),
                synonyms=tuple(dict.fromkeys(other for other in known.synonyms if other != name)),
                equivalents=known.equivalents,
                sources=known.sources,
            )
        )
    return nodes


def _exact(curie: str, category: str) -> str:
    """Return what MeSH's tree says a descriptor is, where that is more exact than what is said of it."""
    found = descriptor_category(curie)
    return found if found is not None and category in categories(found) else category


def merge_nodes(nodes: Iterable[Node]) -> tuple[Node, ...]:
    """Keep one node for each CURIE, sorted, whatever the order they come in; of several the first by rank."""
    best: dict[str, Node] = {}
    for node in nodes:
        known = best.get(node.id)
        if known is None or node.rank < known.rank:
            best[node.id] = node
    return tuple(best[curie] for curie in sorted(best))
