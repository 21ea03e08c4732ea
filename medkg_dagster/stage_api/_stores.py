"""Index and graph stores behind protocols, and what they find."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from medkg_dagster.domain.chunks import Chunk, EmbeddingBatch, IndexReceipt
from medkg_dagster.domain.knowledge import Edge, GraphReceipt, Node
from medkg_dagster.domain.search import IndexedDocument, SearchRequest, SearchResults


class IndexStore(Protocol):
    """Keeps chunks and their vectors searchable."""

    def upsert(self, chunks: Sequence[Chunk], embeddings: EmbeddingBatch) -> IndexReceipt:
        """Write chunks in one transaction; chunks of other versions of the same documents are removed.

        Writing the same chunks again changes nothing.
        """

    def search(self, request: SearchRequest) -> SearchResults:
        """Return the best documents for a request, each once; any text is a valid query."""

    def embedding_model(self) -> str | None:
        """The model whose vectors are stored; None for an empty index."""

    def close(self) -> None:
        """Release files and connections."""


class DocumentIndexStore(IndexStore, Protocol):
    """An index store that knows its documents: of an extension that says `keeps_documents`."""

    def held(self) -> Mapping[str, str]:
        """Return its documents, also those without chunks, each with the hash it was written with."""

    def apply(
        self,
        changed: Mapping[str, str],
        removed: Collection[str],
        chunks: Sequence[Chunk],
        embeddings: EmbeddingBatch,
        documents: Sequence[IndexedDocument] = (),
    ) -> IndexReceipt:
        """Write some documents and take others out; each changes whole or not at all.

        Args:
            changed: The documents to write, also those without chunks, each with the hash of its input.
            removed: The documents to take out, known or not.
            chunks: All chunks of the changed documents.
            embeddings: One vector for each of them.
            documents: What else is known of the changed documents, to be shown and filtered by.
        """


@dataclass(frozen=True, slots=True)
class Neighbour:
    """One edge seen from a node.

    Attributes:
        edge: The edge with its evidence.
        node: The node at the other end.
        outgoing: Whether the node that was asked for is the edge's subject.
    """

    edge: Edge
    node: Node
    outgoing: bool


class GraphStore(Protocol):
    """Keeps nodes and edges."""

    def upsert(
        self, documents: Sequence[str], nodes: Mapping[str, Sequence[Node]], edges: Sequence[Edge]
    ) -> GraphReceipt:
        """Write nodes and edges in one transaction; older edges of the given documents are removed.

        The graph depends on the latest version of each document only: not on the order of batches, nor on
        what was said before.

        Args:
            documents: CURIEs of every document of the batch, also those without edges.
            nodes: By document what it says about nodes: about itself and about both ends of its edges.
            edges: Edges, merged by id.
        """

    def find(self, name: str) -> tuple[Node, ...]:
        """Return the nodes with this CURIE or name (case-insensitive), best first."""

    def neighbours(self, curie: str, limit: int) -> tuple[Neighbour, ...]:
        """Return the edges of a node with the nodes at their other ends."""

    def export_kgx(self, folder: Path) -> tuple[Path, ...]:
        """Write `nodes.jsonl`, `edges.jsonl` and what else it has in the KGX format, each atomically."""

    def close(self) -> None:
        """Release files and connections."""


class DocumentGraphStore(GraphStore, Protocol):
    """A graph store that knows its documents: of an extension that says `keeps_documents`."""

    def held(self) -> Mapping[str, str]:
        """Return its documents, also those without edges, each with the hash it was written with."""

    def apply(
        self,
        changed: Mapping[str, str],
        removed: Collection[str],
        nodes: Mapping[str, Sequence[Node]],
        edges: Sequence[Edge],
    ) -> GraphReceipt:
        """Write some documents and take others out; each changes whole or not at all.

        Args:
            changed: The documents to write, also those without edges, each with the hash of its input.
            removed: The documents to take out, known or not.
            nodes: What each changed document says about nodes, as for `upsert`.
            edges: The edges of the changed documents, merged by id.
        """

    def size(self, documents: Collection[str]) -> tuple[int, int]:
        """Return how many nodes and edges of some documents it holds."""
