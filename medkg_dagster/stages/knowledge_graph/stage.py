"""The work of the `knowledge-graph` stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Self

from medkg_dagster.errors import counted
from medkg_dagster.stage_api import (
    DocumentGraphStore,
    DocumentPart,
    DocumentValues,
    ExtensionKind,
    GraphReceipt,
    StageContext,
)
from medkg_dagster.stage_api._default_stores import chosen_store
from medkg_dagster.stage_api._documents import EmptyPart
from medkg_dagster.stage_api._preparation import prepare_documents
from medkg_dagster.stages.knowledge_graph import KnowledgeGraphConfig
from medkg_dagster.stages.knowledge_graph.descriptions import Descriptions, descriptions
from medkg_dagster.stages.knowledge_graph.document_graph import DocumentGraph, all_edges, document_graph
from medkg_dagster.stages.knowledge_graph.preparation import preparation
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
        name, params = chosen_store(ExtensionKind.GRAPH_STORE, self._config.store, self._config.params)
        extension = ctx.extensions.find(ExtensionKind.GRAPH_STORE, name)
        store: DocumentGraphStore = extension.open(params, ctx.home)
        with closing(store), descriptions(ctx.home, self._config.vocabulary) as described:
            batch = _Batch.of(entities, claims, document, described)
            if extension.keeps_documents:
                receipt = _write_difference(ctx, store, batch, self._config.vocabulary)
            else:
                with _Making(ctx, batch, self._config.vocabulary, list(batch.hashes)) as making:
                    made = making.take(len(batch.hashes))
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

    def parts(self, name: str) -> dict[str, DocumentPart | None]:
        """Return the parts of a document, as the stage's inputs are named."""
        nothing = EmptyPart()
        return {
            "entities": self.entities.get(name, nothing),
            "claims": self.claims.get(name, nothing),
            "document": self.documents.get(name),
        }


class _Making:
    """Makes nodes and edges of some documents, in order, and counts what is left out.

    Args:
        ctx: The stage's surroundings.
        batch: What is given.
        vocabulary: The vocabulary that is named; None for the one that was installed.
        names: The documents.
    """

    def __init__(
        self, ctx: StageContext, batch: _Batch, vocabulary: Path | None, names: Sequence[str]
    ) -> None:
        self._ctx = ctx
        self._batch = batch
        self._unfit: list[str] = []
        how = preparation(vocabulary, batch.descriptions)
        self._prepared = prepare_documents(ctx, how, names, batch.parts)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._prepared.close()

    def take(self, number: int) -> dict[str, DocumentGraph]:
        """Return what is made of the next documents; one whose edges would hang in the air is set aside."""
        made = {}
        for name, graphs in islice(self._prepared, number):
            if graphs is not None:
                described = self._batch.descriptions
                made[name] = graphs[0] if graphs else document_graph(name, None, (), (), described)
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


def _write_difference(
    ctx: StageContext, store: DocumentGraphStore, batch: _Batch, vocabulary: Path | None
) -> GraphReceipt:
    difference = compare_store(ctx, store.held(), batch.hashes)
    removed: Set[str] = difference.removed
    hanging: set[str] = set()
    stale = 0
    with _Making(ctx, batch, vocabulary, list(difference.changed)) as making:
        for some in portions(difference.changed):
            made = making.take(len(some))
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
