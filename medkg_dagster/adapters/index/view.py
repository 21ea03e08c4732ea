"""An index at one moment, as a search asks it, whatever store keeps it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from medkg_dagster.domain.chunks import Chunk
from medkg_dagster.domain.search import IndexedDocument, SearchFilters

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from medkg_dagster.adapters.index.snapshot import Passages, Postings


class TermView(Protocol):
    """Which terms stand where; a document is known by a number, and a passage of it by its place.

    The place 0 is the title.
    """

    @property
    def documents(self) -> int:
        """How many documents there are."""

    @property
    def size(self) -> int:
        """One more than the highest number of a document; some numbers may be of none."""

    def postings(self, term: int) -> Postings:
        """Return the documents that have a term, in order."""

    def phrase_documents(self, terms: Sequence[int], among: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return those of some documents that have terms one behind the other."""

    def saturation(self, documents: NDArray[np.int64], k1: float, b: float) -> NDArray[np.float64]:
        """Return what BM25 adds to the counts of some documents: more for long ones."""

    def passages(self, documents: NDArray[np.int64], terms: Sequence[int]) -> Passages:
        """Return the passages of some documents, which are in order, as far as they have some terms."""

    def tokens_among(
        self, document: int, passage: int, terms: Iterable[int]
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Return of each token of a passage whether it is of some terms, and whether of a whole compound."""


class IndexView(Protocol):
    """All that a search asks of an index at one moment."""

    @property
    def terms(self) -> TermView:
        """Which terms stand where."""

    def passing(self, filters: SearchFilters) -> NDArray[np.bool_] | None:
        """Return which documents pass filters; None where all do."""

    def ids(self, documents: Iterable[int]) -> Mapping[int, str]:
        """Return the ids of documents by their numbers."""

    def shown(self, places: Mapping[int, int]) -> Mapping[int, tuple[IndexedDocument, Chunk]]:
        """Return documents by their numbers, each with a passage; of these and titles tokens are asked for.

        Args:
            places: By document the place of its passage among those that are no titles.
        """

    def nearest(
        self, vector: NDArray[np.float32], kept: NDArray[np.bool_] | None
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return documents that are close to a vector, and the cosine of the closest passage of each.

        Args:
            vector: The vector.
            kept: Which documents are looked at; None for all.

        Raises:
            StoreError: The vector has the wrong length.
        """

    def typical_closeness(self, vector: NDArray[np.float32]) -> float:
        """Return how close passages are to a vector on average, whatever a filter lets pass."""

    def closest_passage(self, document: int, vector: NDArray[np.float32]) -> int:
        """Return the place of the passage of a document that is closest to a vector."""
