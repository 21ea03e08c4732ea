"""Pieces of documents, the unit of search, with their vectors, and what storing them gave."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from medkg_dagster.domain import OwnValue
from medkg_dagster.errors import StoreError, counted

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Chunk(OwnValue):
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
        synthetic: Whether its document is invented.
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
    synthetic: bool = False


def embedded_text(chunk: Chunk) -> str:
    """Return what is embedded of a chunk: its titles and text on lines of their own, none empty or twice."""
    parts = dict.fromkeys((chunk.title, chunk.section, chunk.text))
    return "\n".join(part for part in parts if part)


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
        vectors: float32 of shape (chunks, dimension), each row of Euclidean length 1 or 0; without
            columns where the embedder makes none.
        model: What made them, so that vectors of different models are never compared.
        lexical: True where closeness means shared words, not shared meaning.
    """

    chunk_ids: tuple[str, ...]
    vectors: NDArray[np.float32]
    model: str
    lexical: bool

    def __len__(self) -> int:
        return len(self.chunk_ids)

    @property
    def vector_count(self) -> int:
        """How many vectors there are: one for each chunk, or none."""
        return len(self.vectors) if self.vectors.shape[1] else 0

    def by_chunk(self, chunks: Sequence[Chunk]) -> dict[str, NDArray[np.float32]]:
        """Return the vector of each of the chunks, which are all that the batch is of.

        Raises:
            StoreError: Chunks and vectors do not fit together.
        """
        self.check({chunk.id for chunk in chunks})
        return dict(zip(self.chunk_ids, self.vectors, strict=True))

    def check(self, wanted: Set[str]) -> None:
        """See that there is one vector for each of the chunks, and no other.

        Raises:
            StoreError: Chunks and vectors do not fit together.
        """
        rows = len(self.vectors)
        if rows != len(self.chunk_ids):
            raise StoreError(
                f"{counted(rows, 'vector')} for {counted(len(self.chunk_ids), 'chunk id')}; run the embed "
                "stage again"
            )
        present = set(self.chunk_ids)
        if wanted != present:
            named = ", ".join(sorted(wanted ^ present)[:3])
            raise StoreError(
                f"chunks and vectors do not fit together: no vector for "
                f"{counted(len(wanted - present), 'chunk')} and no chunk for "
                f"{counted(len(present - wanted), 'vector')} (first: {named}); run the embed stage again"
            )

    def of_rows(self, rows: Sequence[int]) -> EmbeddingBatch:
        """Return some of the rows as a batch."""
        ids = tuple(self.chunk_ids[row] for row in rows)
        return EmbeddingBatch(ids, self.vectors[list(rows)], self.model, self.lexical)

    def header(self) -> dict[str, Any]:
        """Return what is to be known of the batch without its vectors."""
        return {"items": len(self), "model": self.model}

    @classmethod
    def joined(cls, parts: Sequence[EmbeddingBatch]) -> EmbeddingBatch:
        """Return one batch of those of several documents, in their order.

        Raises:
            StoreError: They are of several models.
        """
        import numpy as np

        models = {(part.model, part.lexical) for part in parts}
        if len(models) > 1:
            named = " and ".join(sorted(model for model, _ in models))
            raise StoreError(f"vectors of several models are no batch: {named}; run the embed stage again")
        model, lexical = next(iter(models), ("", False))
        ids = tuple(chunk for part in parts for chunk in part.chunk_ids)
        vectors = [part.vectors for part in parts if len(part)]
        return cls(ids, np.concatenate(vectors) if vectors else np.zeros((0, 0), np.float32), model, lexical)

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
            chunk_ids=tuple(arrays["chunk_ids"].tolist()),
            vectors=arrays["vectors"],
            model=str(arrays["model"]),
            lexical=bool(arrays["lexical"]),
        )


class IndexReceipt(OwnValue):
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


def index_hashes(
    documents: Iterable[str], chunks: Sequence[Chunk], embeddings: EmbeddingBatch
) -> dict[str, str]:
    """Return for each document the hash of all that an index is given of it.

    Args:
        documents: The documents' CURIEs, also of those without chunks.
        chunks: All chunks of these documents.
        embeddings: One vector for each of them.

    Raises:
        StoreError: Chunks and vectors do not fit together.
    """
    vectors = embeddings.by_chunk(chunks)
    hashes = {name: hashlib.sha256(embeddings.model.encode()) for name in documents}
    for chunk in sorted(chunks, key=lambda chunk: chunk.id):
        digest = hashes[chunk.document_id]
        digest.update(repr(tuple(chunk.model_dump().values())).encode("utf-8", "backslashreplace"))
        digest.update(vectors[chunk.id].astype("<f4").tobytes())
    return {document: digest.hexdigest() for document, digest in hashes.items()}
