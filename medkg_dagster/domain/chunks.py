"""Pieces of documents, the unit of search, with their vectors, and what storing them gave."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from medkg_dagster.domain import Value

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Chunk(Value):
    """A piece of one section, `document.text[start:end] == text`.

    Attributes:
        id: See `chunk_id`.
        document_id: The document's CURIE.
        document_hash: The content hash of the document the offsets are valid for.
        title: The document's title, for display.
        section: The title of the section; empty where it has none.
        ordinal: Position among the document's chunks, from 0.
        start: First character, an offset into the document's text.
        end: One past the last character.
        text: The text.
    """

    id: str
    document_id: str
    document_hash: str
    title: str
    section: str
    ordinal: int
    start: int
    end: int
    text: str


def chunk_id(document_id: str, document_hash: str, start: int, end: int) -> str:
    """Return the stable id of a chunk: the same content cut at the same place has the same id.

    Args:
        document_id: The document's CURIE.
        document_hash: The document's content hash.
        start: First character.
        end: One past the last character.

    Returns:
        32 hexadecimal digits.
    """
    return hashlib.sha256(f"{document_id}\x00{document_hash}\x00{start}\x00{end}".encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True, eq=False)
class EmbeddingBatch:
    """The vectors of a batch of chunks.

    Attributes:
        chunk_ids: The chunks' ids, row by row.
        vectors: float32 of shape (chunks, dimension), each row of Euclidean length 1 or 0.
        model: What made them, so that vectors of different models are never compared.
        lexical: True where closeness means shared words, not shared meaning.
    """

    chunk_ids: tuple[str, ...]
    vectors: NDArray[np.float32]
    model: str
    lexical: bool

    def __len__(self) -> int:
        return len(self.chunk_ids)

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return plain NumPy arrays (no object dtype) that `from_arrays` turns back into an equal batch."""
        import numpy as np

        return {
            "chunk_ids": np.array(self.chunk_ids, dtype=np.str_),
            "vectors": np.asarray(self.vectors, dtype=np.float32),
            "model": np.array(self.model, dtype=np.str_),
            "lexical": np.array(self.lexical, dtype=np.bool_),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> EmbeddingBatch:
        """Build a batch from what `to_arrays` returned."""
        return cls(
            chunk_ids=tuple(str(chunk) for chunk in arrays["chunk_ids"]),
            vectors=arrays["vectors"],
            model=str(arrays["model"]),
            lexical=bool(arrays["lexical"]),
        )


class IndexReceipt(Value):
    """What was written to the index.

    Attributes:
        store: The index store's name.
        location: Where it is.
        documents: Documents the batch covered.
        chunks_indexed: Chunks of the batch that are in the index now, new or unchanged.
        chunks_removed: Chunks of earlier versions of these documents that were removed.
        embedding_model: The model whose vectors are stored with the text.
    """

    store: str
    location: str
    documents: int
    chunks_indexed: int
    chunks_removed: int
    embedding_model: str
