"""What a document cites: an edge to each work of its list of references that has an identifier."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from medkg_dagster.domain.biolink import CITES, MENTIONS, work_curies
from medkg_dagster.stage_api import Document, Edge, Node, Reference
from medkg_dagster.stages.knowledge_graph.edges import STRUCTURED, edge_id, origin
from medkg_dagster.stages.knowledge_graph.nodes import publication_categories


def citations(document: Document, own: Node) -> Iterator[tuple[Node, Edge]]:
    """Yield each work that a document cites, and the edge to it, with the entry as printed.

    Who wrote a registry's references, its registrants or a machine, is not said.

    Args:
        document: The document.
        own: Its node.
    """
    done = {own.id, *own.equivalents}
    by_authors = "biolink:Publication" in own.category
    for reference in document.references:
        curies = work_curies(reference.identifiers)
        if not curies or not done.isdisjoint(curies):
            continue
        done.update(curies)
        yield (
            _cited(curies, reference),
            Edge(
                id=edge_id(document, CITES, curies[0], 0, 0),
                subject=own.id,
                predicate=MENTIONS,
                object=curies[0],
                negated=False,
                primary_knowledge_source=document.source,
                knowledge_level="knowledge_assertion",
                agent_type="manual_agent" if by_authors else "not_provided",
                publications=(own.id,),
                supporting_text=reference.text,
                document_id=document.id,
                document_hash=document.content_hash,
                start=0,
                end=0,
                original_predicate=CITES,
                method="reference",
                extractor=STRUCTURED,
                **origin(document),
            ),
        )


def _cited(curies: Sequence[str], reference: Reference) -> Node:
    return Node(
        id=curies[0],
        name=reference.title or reference.text or curies[0],
        category=publication_categories(curies),
        equivalents=tuple(curies[1:]),
    )
