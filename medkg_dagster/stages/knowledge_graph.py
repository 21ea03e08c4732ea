"""The `knowledge-graph` stage: entities and claims become nodes and edges with evidence.

Nodes are the concepts of the entities, and the documents. Edges are the claims, each with its sentence, and
one `biolink:mentions` edge from a document to every concept in it. A mention found in the text points at the
first sentence that has it (the first one without negation, where there is one); one that stands only in a
structured field is the source's own assertion and has no sentence: its supporting text is empty.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from contextlib import closing
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Self

from pydantic import Field, ValidationInfo, model_validator

from medkg_dagster.errors import DocumentError
from medkg_dagster.stage_api import (
    Claim,
    Config,
    Document,
    DocumentGraphStore,
    DocumentPart,
    DocumentValues,
    Edge,
    Entity,
    ExtensionKind,
    GraphReceipt,
    Node,
    StageContext,
    StageRegistration,
    check_extension,
)
from medkg_dagster.stages.store_difference import compare_store, gone_meanwhile, input_hash, portions

if TYPE_CHECKING:
    from medkg_dagster.stages.extract.sentences import SentencesAround

TEXT_SOURCE = "infores:medkg"

_RULES = "1"
"""Raised whenever other nodes and edges are made of the same documents."""

# A category and what the Biolink Model puts above it, the most specific first.
_ANCESTORS = {
    "biolink:Disease": ("biolink:DiseaseOrPhenotypicFeature", "biolink:BiologicalEntity"),
    "biolink:PhenotypicFeature": ("biolink:DiseaseOrPhenotypicFeature", "biolink:BiologicalEntity"),
    "biolink:DiseaseOrPhenotypicFeature": ("biolink:BiologicalEntity",),
    "biolink:Drug": ("biolink:MolecularMixture", "biolink:ChemicalMixture", "biolink:ChemicalEntity"),
    "biolink:SmallMolecule": ("biolink:MolecularEntity", "biolink:ChemicalEntity"),
    "biolink:Protein": ("biolink:Polypeptide", "biolink:BiologicalEntity"),
    "biolink:Gene": ("biolink:BiologicalEntity",),
    "biolink:GeneFamily": ("biolink:BiologicalEntity",),
    "biolink:ClinicalIntervention": ("biolink:ClinicalEntity",),
    "biolink:ClinicalTrial": ("biolink:Study", "biolink:Activity"),
    "biolink:Article": ("biolink:Publication", "biolink:InformationContentEntity"),
    "biolink:Publication": ("biolink:InformationContentEntity",),
}
_DOCUMENT_CATEGORY = {
    "clinicaltrials": "biolink:ClinicalTrial",
    "PMID": "biolink:Article",
    "PMCID": "biolink:Article",
}


class KnowledgeGraphConfig(Config):
    """Which graph store is written, and with which parameters."""

    store: str = Field(
        default="sql", description="The graph store, for example `sql` (SQLite, or any database by URL)."
    )
    params: dict[str, Any] = Field(
        default_factory=dict, description="The store's own parameters; the store checks them."
    )

    @model_validator(mode="after")
    def _check_store(self, info: ValidationInfo) -> Self:
        check_extension(ExtensionKind.GRAPH_STORE, self.store, self.params, info)
        return self


class KnowledgeGraphStage:
    """Writes nodes and edges to a graph store."""

    def __init__(self, config: KnowledgeGraphConfig) -> None:
        self._config = config

    def execute(
        self,
        ctx: StageContext,
        entities: DocumentValues,
        claims: DocumentValues,
        document: DocumentValues | None = None,
    ) -> GraphReceipt:
        """Write what the store does not hold yet; the same batch again changes nothing.

        Documents, where the pipeline has them here, give titles and the sentences of mentions; without them
        only claims become edges.

        Raises:
            StoreError: The store cannot be opened or written.
        """
        extension = ctx.extensions.find(ExtensionKind.GRAPH_STORE, self._config.store)
        store: DocumentGraphStore = extension.open(self._config.params, ctx.home)
        batch = _Batch.of(entities, claims, document)
        with closing(store):
            if extension.keeps_documents:
                receipt = _write_difference(ctx, store, batch)
            else:
                made = _make(ctx, batch, batch.hashes)
                receipt = store.upsert(tuple(made.nodes), made.nodes, made.edges)
        ctx.succeeded += receipt.documents
        ctx.report_progress(receipt.nodes_written, receipt.nodes_written, "nodes")
        ctx.log.info(
            "%s holds %d nodes and %d edges of this batch; %d older edges removed",
            receipt.location,
            receipt.nodes_written,
            receipt.edges_written,
            receipt.edges_removed,
        )
        return receipt


@dataclass(frozen=True, slots=True)
class _Batch:
    """What the graph is made of, by document.

    Attributes:
        documents: The documents, where the pipeline has them.
        entities: Their entities.
        claims: Their claims.
        hashes: Of every document the hash of all that the graph is given of it.
    """

    documents: Mapping[str, DocumentPart]
    entities: Mapping[str, DocumentPart]
    claims: Mapping[str, DocumentPart]
    hashes: Mapping[str, str]

    @classmethod
    def of(cls, entities: DocumentValues, claims: DocumentValues, documents: DocumentValues | None) -> _Batch:
        known = {} if documents is None else documents.by_id()
        found, said = entities.by_id(), claims.by_id()
        names = sorted({*known, *found, *said})
        parts = {name: (known.get(name), found.get(name), said.get(name)) for name in names}
        return cls(known, found, said, {name: input_hash(*parts[name], rules=_RULES) for name in names})


@dataclass(frozen=True, slots=True)
class _Made:
    """What was made of some documents.

    Attributes:
        nodes: By document what it says about nodes.
        edges: Their edges, merged by id.
    """

    nodes: Mapping[str, Sequence[Node]]
    edges: Sequence[Edge]


def _make(ctx: StageContext, batch: _Batch, names: Iterable[str]) -> _Made:
    """Make nodes and edges of some documents, and set those aside whose edges would hang in the air."""
    chosen = list(names)
    documents = {name: batch.documents[name].load()[0] for name in chosen if name in batch.documents}
    entities = [entity for name in chosen if name in batch.entities for entity in batch.entities[name].load()]
    claims = [claim for name in chosen if name in batch.claims for claim in batch.claims[name].load()]
    nodes = {name: merge_nodes((_document_node(name, documents),)) for name in chosen}
    for name, concepts in _concepts(entities).items():
        nodes[name] = merge_nodes((*nodes[name], *concepts))
    edges = merge_edges((*map(_claim_edge, claims), *_mentions(documents, entities)))
    invented = {name for name, item in documents.items() if item.synthetic}
    mark = {"synthetic": True}
    nodes |= {name: tuple(node.model_copy(update=mark) for node in nodes[name]) for name in invented}
    edges = tuple(edge.model_copy(update=mark) if edge.document_id in invented else edge for edge in edges)
    for name, error in _hanging(edges, nodes).items():
        ctx.quarantine(name, error)
        del nodes[name]
    return _Made(nodes, [edge for edge in edges if edge.document_id in nodes])


def _write_difference(ctx: StageContext, store: DocumentGraphStore, batch: _Batch) -> GraphReceipt:
    difference = compare_store(ctx, store.held(), batch.hashes)
    removed: Set[str] = difference.removed
    hanging: set[str] = set()
    stale = 0
    for some in portions(difference.changed):
        made = _make(ctx, batch, some)
        kept = {name: some[name] for name in some if name in made.nodes}
        hanging |= some.keys() - kept.keys()
        receipt = store.apply(kept, removed | (some.keys() - kept.keys()), made.nodes, made.edges)
        stale += receipt.edges_removed
        removed = frozenset()
    gone = gone_meanwhile(ctx, difference.changed)
    receipt = store.apply({}, removed | gone, {}, ())
    current = difference.current - gone - hanging
    nodes, edges = store.size(current)
    return receipt.model_copy(
        update={
            "documents": len(current),
            "nodes_written": nodes,
            "edges_written": edges,
            "edges_removed": stale + receipt.edges_removed,
        }
    )


def merge_nodes(nodes: Iterable[Node]) -> tuple[Node, ...]:
    """Keep one node for each CURIE, sorted, whatever the order they come in.

    Of several it is the one with the most specific category, then the first by category and name.
    """
    best: dict[str, Node] = {}
    for node in nodes:
        known = best.get(node.id)
        if known is None or _preference(node) < _preference(known):
            best[node.id] = node
    return tuple(best[curie] for curie in sorted(best))


def merge_edges(edges: Iterable[Edge]) -> tuple[Edge, ...]:
    """Keep one edge for each id, sorted by id."""
    by_id = {edge.id: edge for edge in edges}
    return tuple(by_id[key] for key in sorted(by_id))


def _preference(node: Node) -> tuple[int, tuple[str, ...], str]:
    return -len(node.category), node.category, node.name


def categories(category: str) -> tuple[str, ...]:
    """Return a Biolink category and those above it, the most specific first."""
    lineage = (category, *_ANCESTORS.get(category, ()), "biolink:NamedThing")
    return tuple(dict.fromkeys(lineage))


def _concepts(entities: Iterable[Entity]) -> dict[str, list[Node]]:
    """Return by document what it says about concepts."""
    said: dict[str, list[Node]] = {}
    for document, curie, name, category in {(e.document_id, e.curie, e.name, e.category) for e in entities}:
        said.setdefault(document, []).append(Node(id=curie, name=name, category=categories(category)))
    return said


def _hanging(edges: Iterable[Edge], nodes: Mapping[str, Sequence[Node]]) -> dict[str, DocumentError]:
    """Return an error for each document with a claim about something that is no entity of it."""
    known = {document: {node.id for node in said} for document, said in nodes.items()}
    return {
        edge.document_id: DocumentError(
            f"claim {edge.id} is about {end}, which is no entity of the document; "
            "mend the stage that makes the claims, so that it makes the entities too"
        )
        for edge in edges
        for end in (edge.object, edge.subject)
        if end not in known[edge.document_id]
    }


def _document_node(name: str, documents: dict[str, Document]) -> Node:
    category = _DOCUMENT_CATEGORY.get(name.split(":", 1)[0], "biolink:Publication")
    title = documents[name].title if name in documents else ""
    return Node(id=name, name=title or name, category=categories(category))


def _claim_edge(claim: Claim) -> Edge:
    shared = claim.model_dump(include=set(Edge.model_fields))
    return Edge(**shared, publications=(claim.document_id,), supporting_text=claim.sentence)


def _mentions(documents: dict[str, Document], entities: Sequence[Entity]) -> Iterator[Edge]:
    from medkg_dagster.stages.extract.sentences import SentencesAround

    by_document: dict[str, dict[str, Entity]] = {}
    for entity in entities:
        if entity.document_id in documents and entity.curie != entity.document_id:
            mentioned = by_document.setdefault(entity.document_id, {})
            known = mentioned.get(entity.curie)
            if known is None or _evidence_rank(entity) < _evidence_rank(known):
                mentioned[entity.curie] = entity
    for name, mentioned in by_document.items():
        sentences = SentencesAround(documents[name])
        for entity in mentioned.values():
            yield _mention_edge(documents[name], entity, sentences)


def _evidence_rank(entity: Entity) -> tuple[bool, bool, int]:
    return entity.start is None, entity.negated, entity.start or 0


def _mention_edge(document: Document, entity: Entity, sentences: SentencesAround) -> Edge:
    start, end = _evidence(entity, sentences)
    asserted = entity.start is None
    predicate = "biolink:mentions"
    key = "\x00".join((document.id, document.content_hash, predicate, entity.curie, str(start), str(end)))
    return Edge(
        id=hashlib.sha256(key.encode()).hexdigest()[:32],
        subject=document.id,
        predicate=predicate,
        object=entity.curie,
        negated=False,
        primary_knowledge_source=document.source if asserted else TEXT_SOURCE,
        knowledge_level="knowledge_assertion" if asserted else "not_provided",
        agent_type="not_provided" if asserted else "text_mining_agent",
        publications=(document.id,),
        supporting_text=document.text[start:end],
        document_id=document.id,
        document_hash=document.content_hash,
        start=start,
        end=end,
    )


def _evidence(entity: Entity, sentences: SentencesAround) -> tuple[int, int]:
    """Return where the sentence of a mention stands; nowhere for a structured field."""
    if entity.start is None or entity.end is None:
        return 0, 0
    place = sentences.find(entity.start, entity.end)
    return (entity.start, entity.end) if place is None else (place.start, place.end)


def register() -> StageRegistration:
    """Register the stage type."""
    return StageRegistration.of(
        "knowledge-graph",
        KnowledgeGraphStage,
        KnowledgeGraphConfig,
        description="Writes nodes and edges with provenance to a graph, every edge with its evidence.",
        state_types={"graph_receipt": GraphReceipt},
        output_counter=attrgetter("nodes_written"),
        dependencies=("extract",),
        optional_dependencies=("parse",),
        kinds=("python", "sqlite"),
        streams_documents=True,
    )
