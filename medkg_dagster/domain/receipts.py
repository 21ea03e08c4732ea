"""What the writing stages hand back."""

from __future__ import annotations

from medkg_dagster.domain.value import Value


class IndexReceipt(Value):
    """What was written to the index.

    Attributes:
        store: The index store's name.
        location: Where it is.
        documents: Documents the batch covered.
        chunks_indexed: Chunks of the batch that are in the index now, new or unchanged.
        chunks_removed: Chunks of earlier versions of these documents that were removed.
        embedding_model: The model whose vectors stand beside the text.
    """

    store: str
    location: str
    documents: int
    chunks_indexed: int
    chunks_removed: int
    embedding_model: str


class GraphReceipt(Value):
    """What was written to the graph.

    Attributes:
        store: The graph store's name.
        location: Where it is.
        documents: Documents the batch covered.
        nodes_written: Nodes of the batch that are in the graph now, new or unchanged.
        edges_written: Edges of the batch that are in the graph now, new or unchanged.
        edges_removed: Edges that earlier versions of these documents supported and these do not.
    """

    store: str
    location: str
    documents: int
    nodes_written: int
    edges_written: int
    edges_removed: int
