"""What an index is given of documents."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from medkg_dagster.adapters.index.rows import searched_text
from medkg_dagster.errors import StoreError
from medkg_dagster.stage_api import Chunk, IndexedDocument

if TYPE_CHECKING:
    from numpy.typing import NDArray

# So many characters are read at once, so that their terms take some tens of megabytes at most.
_TEXT_AT_ONCE = 2_000_000


@dataclass(frozen=True, slots=True)
class GivenDocument:
    """A document as the index is given it."""

    document: IndexedDocument
    chunks: tuple[Chunk, ...]

    @property
    def texts(self) -> list[str]:
        """What is searched: the title, then each chunk with the heading of its section."""
        return [self.document.title, *map(searched_text, self.chunks)]


def portions(given: Iterable[GivenDocument]) -> Iterator[list[GivenDocument]]:
    """Yield documents by some: each time about as much text, whatever single documents have."""
    some: list[GivenDocument] = []
    size = 0
    for one in given:
        some.append(one)
        size += sum(map(len, one.texts))
        if size >= _TEXT_AT_ONCE:
            yield some
            some, size = [], 0
    if some:
        yield some


def vectors_of(chunks: Sequence[Chunk], vectors: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float32]:
    """Return the vectors of chunks; no rows where vectors have no length."""
    found = np.array([vectors[chunk.id] for chunk in chunks], np.float32)
    return found if found.size else np.zeros((0, 0), np.float32)


def given_documents(
    names: Iterable[str], chunks: Iterable[Chunk], documents: Iterable[IndexedDocument]
) -> dict[str, GivenDocument]:
    """Return by name what is given of each document: its chunks in order, and what is known of it besides.

    Raises:
        StoreError: There is a chunk of none of these documents.
    """
    by_document: dict[str, list[Chunk]] = {name: [] for name in names}
    strange: set[str] = set()
    for chunk in chunks:
        if chunk.document_id in by_document:
            by_document[chunk.document_id].append(chunk)
        else:
            strange.add(chunk.document_id)
    if strange:
        raise StoreError(f"chunks of {min(strange)}, which is not among the changed documents")
    known = {document.id: document for document in documents}
    return {
        name: GivenDocument(
            known.get(name) or _said(name, of), tuple(sorted(of, key=lambda chunk: (chunk.ordinal, chunk.id)))
        )
        for name, of in by_document.items()
    }


def _said(name: str, chunks: Sequence[Chunk]) -> IndexedDocument:
    """Return what the chunks of a document say of it."""
    if not chunks:
        return IndexedDocument(id=name)
    return IndexedDocument(id=name, title=chunks[0].title, synthetic=chunks[0].synthetic)
