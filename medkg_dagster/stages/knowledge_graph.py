"""The `knowledge-graph` stage: concepts, documents and claims become nodes and edges with evidence."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from contextlib import closing
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from medkg_dagster.errors import ConfigError
from medkg_dagster.stage_api import (
    Claim,
    Document,
    Edge,
    Entity,
    ExtensionKind,
    GraphReceipt,
    GraphStore,
    Node,
    StageContext,
    StageDefinitionView,
    StageMetadata,
    StageRegistration,
    find_extension,
    write_key,
)

MENTIONS = "biolink:mentions"
TEXT_MINING_SOURCE = "infores:medkg-dagster"
PUBLICATION = ("biolink:Publication", "biolink:InformationContentEntity")
STUDY = ("biolink:ClinicalTrial", "biolink:InformationContentEntity")


class KnowledgeGraphConfig(BaseModel):
    """Which graph store is written, and what becomes an edge."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    store: str = Field(default="sql", description="The graph store, for example `sql`.")
    params: dict[str, Any] = Field(
        default_factory=dict, description="The store's own parameters; the store checks them."
    )
    mentions: bool = Field(
        default=True, description="Whether a document gets an edge to each concept it mentions."
    )

    @model_validator(mode="after")
    def _check_store(self) -> Self:
        """Let an unknown store or parameter be an error of the YAML file, not of a run."""
        try:
            find_extension(ExtensionKind.GRAPH_STORE, self.store).validate(self.params)
        except ConfigError as error:
            raise ValueError(str(error)) from error
        return self


class KnowledgeGraphStage:
    """Writes nodes and edges to a graph store.

    Args:
        config: Which store, and what becomes an edge.
    """

    def __init__(self, config: KnowledgeGraphConfig) -> None:
        self._config = config

    def execute(
        self,
        ctx: StageContext,
        *,
        entities: tuple[Entity, ...],
        claims: tuple[Claim, ...],
        document: tuple[Document, ...] = (),
    ) -> GraphReceipt:
        """Write the batch in one transaction.

        Args:
            ctx: The surroundings of this run.
            entities: Mentions; each concept becomes a node.
            claims: Each becomes an edge with its sentence.
            document: The documents of the batch; each becomes a node.

        Returns:
            What was written and where.

        Raises:
            StoreError: The store refused.
        """
        edges = [claim_edge(claim) for claim in claims]
        if self._config.mentions:
            edges += mention_edges(entities, document)
        nodes = graph_nodes(entities, document)
        known = {node.id for node in nodes}
        documents = {item.id for item in document} | {item.document_id for item in (*entities, *claims)}
        connected = [edge for edge in edges if edge.subject in known and edge.object in known]
        if len(connected) < len(edges):
            ctx.log.warning("left out %d edges whose nodes are unknown", len(edges) - len(connected))
        store: GraphStore = find_extension(ExtensionKind.GRAPH_STORE, self._config.store).open(
            dict(self._config.params), ctx.home
        )
        with closing(store):
            receipt = store.upsert(sorted(documents), nodes, connected)
        ctx.succeeded += len(documents)
        ctx.log.info("%s holds %d nodes of this batch", receipt.location, receipt.nodes_written)
        return receipt


def graph_nodes(entities: Iterable[Entity], documents: Iterable[Document]) -> list[Node]:
    """Return one node per concept and document, sorted by id.

    Where mentions of a concept disagree, the name and category given most often win, the alphabet
    deciding between equals, so that the order of mentions never matters.

    Args:
        entities: Mentions.
        documents: Documents.
    """
    votes: dict[str, dict[tuple[str, str], int]] = {}
    for entity in entities:
        given = votes.setdefault(entity.curie, {})
        given[(entity.name, entity.category)] = given.get((entity.name, entity.category), 0) + 1
    nodes = [
        Node(id=curie, name=_winner(given, 0), category=_categories(given)) for curie, given in votes.items()
    ]
    for document in documents:
        category = STUDY if document.source == "infores:clinicaltrials" else PUBLICATION
        nodes.append(Node(id=document.id, name=document.title, category=category))
    return sorted(nodes, key=lambda node: node.id)


def claim_edge(claim: Claim) -> Edge:
    """Return the edge of a claim; its evidence is the claim's sentence."""
    return Edge(
        id=claim.id,
        subject=claim.subject,
        predicate=claim.predicate,
        object=claim.object,
        negated=claim.negated,
        primary_knowledge_source=claim.primary_knowledge_source,
        knowledge_level=claim.knowledge_level,
        agent_type=claim.agent_type,
        publications=(claim.document_id,),
        supporting_text=claim.sentence,
        document_id=claim.document_id,
        document_hash=claim.document_hash,
        start=claim.start,
        end=claim.end,
    )


def mention_edges(entities: Iterable[Entity], documents: Iterable[Document]) -> list[Edge]:
    """Return one edge per document and concept; its evidence is the first mention in the text.

    Args:
        entities: Mentions.
        documents: The documents they are in; mentions of other documents are passed over.
    """
    by_id = {document.id: document for document in documents}
    first: dict[tuple[str, str], Entity] = {}
    for entity in sorted(entities, key=_reading_order):
        if entity.document_id in by_id:
            first.setdefault((entity.document_id, entity.curie), entity)
    return [_mention_edge(entity, by_id[entity.document_id]) for entity in first.values()]


def _reading_order(entity: Entity) -> tuple[bool, int, str]:
    return (entity.start is None, entity.start or 0, entity.surface)


def _mention_edge(entity: Entity, document: Document) -> Edge:
    start = document.text.find(entity.surface) if entity.start is None else entity.start
    # A structured field may hold what the text does not; then the evidence is the field itself.
    start, end = (start, start + len(entity.surface)) if start >= 0 else (0, 0)
    mined = entity.method == "dictionary"
    key = "\x00".join((document.id, document.content_hash, MENTIONS, entity.curie))
    return Edge(
        id=hashlib.sha256(key.encode()).hexdigest()[:32],
        subject=document.id,
        predicate=MENTIONS,
        object=entity.curie,
        negated=False,
        primary_knowledge_source=TEXT_MINING_SOURCE if mined else document.source,
        knowledge_level="not_provided" if mined else "knowledge_assertion",
        agent_type="text_mining_agent" if mined else "manual_agent",
        publications=(document.id,),
        supporting_text=entity.surface,
        document_id=document.id,
        document_hash=document.content_hash,
        start=start,
        end=end,
    )


def _winner(given: Mapping[tuple[str, str], int], position: int) -> str:
    totals: dict[str, int] = {}
    for pair, count in given.items():
        totals[pair[position]] = totals.get(pair[position], 0) + count
    return min(totals, key=lambda value: (-totals[value], value))


def _categories(given: Mapping[tuple[str, str], int]) -> tuple[str, ...]:
    first = _winner(given, 1)
    return (first, *sorted({category for _, category in given} - {first}))


def build(definition: StageDefinitionView) -> KnowledgeGraphStage:
    """Build the stage from its definition."""
    return KnowledgeGraphStage(KnowledgeGraphConfig.model_validate(definition.config))


def _count(receipt: GraphReceipt) -> int:
    return receipt.nodes_written


def register() -> StageRegistration:
    """Return the registration of the stage type `knowledge-graph`."""
    return StageRegistration(
        metadata=StageMetadata(
            stage_type="knowledge-graph",
            state_key="graph_receipt",
            output_handler=write_key("graph_receipt"),
            output_counter=_count,
            description="Writes concepts, documents and claims as a graph whose every edge names its evidence.",
            dependencies=("extract",),
            optional_dependencies=("parse",),
            config_model=KnowledgeGraphConfig,
            state_types={"graph_receipt": GraphReceipt},
            kinds=("python", "sql"),
        ),
        builder=build,
    )
