"""The work of the `knowledge-graph` stage."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from contextlib import closing
from dataclasses import dataclass

from medkg_dagster.errors import DocumentError, counted
from medkg_dagster.stage_api import (
    DocumentGraphStore,
    DocumentPart,
    DocumentValues,
    ExtensionKind,
    GraphReceipt,
    StageContext,
)
from medkg_dagster.stages.knowledge_graph import KnowledgeGraphConfig
from medkg_dagster.stages.knowledge_graph.descriptions import Descriptions, descriptions
from medkg_dagster.stages.knowledge_graph.document_graph import DocumentGraph, all_edges, document_graph
from medkg_dagster.stages.store_difference import compare_store, gone_meanwhile, input_hash, portions

_RULES = "7"
"""Raised whenever other nodes and edges are made of the same documents."""

_SHOWN = 3


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

        Documents, where the pipeline has them here, give titles, references and the sentences of mentions;
        without them only claims become edges.

        Raises:
            ConfigError: The vocabulary cannot be used.
            StoreError: The store cannot be opened or written.
        """
        extension = ctx.extensions.find(ExtensionKind.GRAPH_STORE, self._config.store)
        store: DocumentGraphStore = extension.open(self._config.params, ctx.home)
        with closing(store), descriptions(ctx.home, self._config.vocabulary) as described:
            batch = _Batch.of(entities, claims, document, described)
            if extension.keeps_documents:
                receipt = _write_difference(ctx, store, batch)
            else:
                made = _Making(ctx, batch).make(batch.hashes)
                nodes = {name: graph.nodes for name, graph in made.items()}
                receipt = store.upsert(tuple(made), nodes, tuple(all_edges(made.values())))
        ctx.succeeded += receipt.documents
        ctx.report_progress(receipt.nodes_written, receipt.nodes_written, "nodes")
        ctx.log.info(
            "%s holds %s and %s of this batch; %s removed",
            receipt.location,
            counted(receipt.nodes_written, "node"),
            counted(receipt.edges_written, "edge"),
            counted(receipt.edges_removed, "older edge"),
        )
        return receipt


@dataclass(frozen=True, slots=True)
class _Batch:
    """What the graph is made of, by document.

    Attributes:
        documents: The documents, where the pipeline has them.
        entities: Their entities.
        claims: Their claims.
        descriptions: What the vocabulary says of concepts.
        hashes: Of every document the hash of all that the graph is given of it.
    """

    documents: Mapping[str, DocumentPart]
    entities: Mapping[str, DocumentPart]
    claims: Mapping[str, DocumentPart]
    descriptions: Descriptions
    hashes: Mapping[str, str]

    @classmethod
    def of(
        cls,
        entities: DocumentValues,
        claims: DocumentValues,
        documents: DocumentValues | None,
        described: Descriptions,
    ) -> _Batch:
        known = {} if documents is None else documents.by_id()
        found, said = entities.by_id(), claims.by_id()
        rules = f"{_RULES}:{described.version}"
        hashes = {
            name: input_hash(known.get(name), found.get(name), said.get(name), rules=rules)
            for name in sorted({*known, *found, *said})
        }
        return cls(known, found, said, described, hashes)


class _Making:
    """Makes nodes and edges, some documents at a time, and counts what is left out.

    Args:
        ctx: The stage's surroundings.
        batch: What is given.
    """

    def __init__(self, ctx: StageContext, batch: _Batch) -> None:
        self._ctx = ctx
        self._batch = batch
        self._unfit: list[str] = []

    def make(self, names: Iterable[str]) -> dict[str, DocumentGraph]:
        """Return by document what is made of it; one whose edges would hang in the air is set aside."""
        made = {}
        for name in names:
            try:
                made[name] = self._graph(name)
            except DocumentError as error:
                self._ctx.quarantine(name, error)
            else:
                self._unfit += made[name].unfit
        self._ctx.describe("claims_against_the_model", len(self._unfit))
        return made

    def report(self) -> None:
        """Say what was left out."""
        if self._unfit:
            self._ctx.log.warning(
                "%s left out, as the Biolink Model does not have the predicate between such things: %s",
                *(counted(len(self._unfit), "claim is", "claims are"), "; ".join(self._unfit[:_SHOWN])),
            )

    def _graph(self, name: str) -> DocumentGraph:
        batch = self._batch
        document, entities, claims = (
            group[name].load() if name in group else ()
            for group in (batch.documents, batch.entities, batch.claims)
        )
        return document_graph(name, document[0] if document else None, entities, claims, batch.descriptions)


def _write_difference(ctx: StageContext, store: DocumentGraphStore, batch: _Batch) -> GraphReceipt:
    difference = compare_store(ctx, store.held(), batch.hashes)
    making = _Making(ctx, batch)
    removed: Set[str] = difference.removed
    hanging: set[str] = set()
    stale = 0
    for some in portions(difference.changed):
        made = making.make(some)
        kept = {name: some[name] for name in some if name in made}
        hanging |= some.keys() - kept.keys()
        nodes = {name: graph.nodes for name, graph in made.items()}
        edges = tuple(all_edges(made.values()))
        receipt = store.apply(kept, removed | (some.keys() - kept.keys()), nodes, edges)
        stale += receipt.edges_removed
        removed = frozenset()
    making.report()
    gone = gone_meanwhile(ctx, difference.changed)
    receipt = store.apply({}, removed | gone, {}, ())
    current = difference.current - gone - hanging
    written, connected = store.size(current)
    return receipt.model_copy(
        update={
            "documents": len(current),
            "nodes_written": written,
            "edges_written": connected,
            "edges_removed": stale + receipt.edges_removed,
        }
    )
