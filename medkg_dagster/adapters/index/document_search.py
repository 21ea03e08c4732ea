"""How a request becomes documents: rankings of words and of vectors, fused, and the best passage of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from medkg_dagster.adapters.index.analysis import Analyzer, places_within
from medkg_dagster.adapters.index.query_language import parse_query
from medkg_dagster.adapters.index.ranking import (
    NEIGHBOURS_DEPTH,
    ReadQuery,
    add_neighbours,
    best_passages,
    keep_matching,
    read_query,
    score_documents,
)
from medkg_dagster.adapters.index.rows import searched_text
from medkg_dagster.adapters.index.view import IndexView
from medkg_dagster.domain.chunks import Chunk
from medkg_dagster.domain.search import DocumentHit, IndexedDocument, SearchRequest, SearchResults, Span

if TYPE_CHECKING:
    from numpy.typing import NDArray

# So much of the score of a document are its words, where both rankings are one, and the rest its closeness.
_WORDS_SHARE = 0.5
# So many documents are found by their closeness alone.
_NEAREST = 100


@dataclass(frozen=True, slots=True)
class DocumentSearch:
    """A search at one moment.

    Attributes:
        view: The index at that moment.
        analyzer: What turns text into terms.
    """

    view: IndexView
    analyzer: Analyzer

    def find(self, request: SearchRequest) -> SearchResults:
        """Return what the index has for a request.

        Raises:
            StoreError: The vector has the wrong length.
        """
        terms = self.view.terms
        read = read_query(parse_query(request.text), self.analyzer, terms)
        if not read.terms:
            return SearchResults(unknown=read.unknown)
        kept = keep_matching(terms, read, self.view.passing(request.filters))
        scores = score_documents(read, terms)
        highest = float(scores.max())
        if kept is not None:
            scores[~kept] = 0
        total = int(np.count_nonzero(scores))
        depth = request.offset + request.limit
        ranked = by_words = self._ranked(scores, read, max(depth, NEIGHBOURS_DEPTH))
        by_vector: list[tuple[int, float]] = []
        if request.vector is not None:
            shares, by_vector = self._nearest(request.vector, kept, max(_NEAREST, depth))
            found = scores > 0
            found[[number for number, _ in by_vector]] = True
            fused = _WORDS_SHARE * scores / highest + (1 - _WORDS_SHARE) * shares
            ranked = self._best(np.flatnonzero(found), fused, depth)
        hits = _Hits(self, read, request.vector, _ranks(by_words), _ranks(by_vector))
        return SearchResults(hits.of(ranked[request.offset : depth]), total, read.unknown)

    def _ranked(self, scores: NDArray[np.float64], read: ReadQuery, depth: int) -> list[tuple[int, float]]:
        """Return the best documents by their words, with their scores."""
        best = _highest(np.flatnonzero(scores), scores, depth)
        add_neighbours(scores, read, self.view.terms, best)
        return self._in_order(best, scores[best], depth)

    def _best(
        self, documents: NDArray[np.int64], scores: NDArray[np.float64], depth: int
    ) -> list[tuple[int, float]]:
        """Return the best of some documents, with their scores."""
        best = _highest(documents, scores, depth)
        return self._in_order(best, scores[best], depth)

    def _nearest(
        self, vector: NDArray[np.float32], kept: NDArray[np.bool_] | None, depth: int
    ) -> tuple[NDArray[np.float64], list[tuple[int, float]]]:
        """Return how close each document is, 0 for the mean and 1 for the closest, and the closest ones."""
        documents, closeness = self.view.nearest(vector, kept)
        size = self.view.terms.size
        close = np.zeros(size)
        close[documents] = closeness
        typical = self.view.typical_closeness(vector)
        span = closeness.max() - typical if len(documents) else 0.0
        shares = np.maximum((close - typical) / span, 0) if span > 0 else np.zeros(size)
        # A document of which nothing is known is as far as they are on average.
        shares[close <= 0] = 0
        return shares, self._best(documents, close, depth)

    def _in_order(
        self, documents: NDArray[np.int64], scores: NDArray[np.float64], depth: int
    ) -> list[tuple[int, float]]:
        """Return the best documents by falling score, equal ones in the order of their ids."""
        pairs = zip(documents.tolist(), scores.tolist(), strict=True)
        ordered = sorted(pairs, key=lambda pair: -pair[1])
        least = ordered[depth - 1][1] if len(ordered) > depth else 0.0
        ordered = [pair for pair in ordered if pair[1] >= least]
        times = Counter(score for _, score in ordered)
        ids = self.view.ids(document for document, score in ordered if times[score] > 1)
        return sorted(ordered, key=lambda pair: (-pair[1], ids.get(pair[0], "")))[:depth]


def _highest(documents: NDArray[np.int64], scores: NDArray[np.float64], depth: int) -> NDArray[np.int64]:
    """Return those of some documents with the highest scores; more where the last ones are equal."""
    if len(documents) <= depth:
        return documents
    found = scores[documents]
    chosen: NDArray[np.int64] = documents[found >= np.partition(found, -depth)[-depth]]
    return chosen


def _ranks(ranked: Sequence[tuple[int, float]]) -> dict[int, int]:
    return {document: rank for rank, (document, _) in enumerate(ranked, start=1)}


@dataclass(frozen=True, slots=True)
class _Hits:
    """How documents that were found are shown."""

    search: DocumentSearch
    read: ReadQuery
    vector: NDArray[np.float32] | None
    word_ranks: Mapping[int, int]
    vector_ranks: Mapping[int, int]

    def of(self, ranked: Sequence[tuple[int, float]]) -> tuple[DocumentHit, ...]:
        """Return ranked documents, each with its best passage and where the query's words stand."""
        if not ranked:
            return ()
        view = self.search.view
        best = best_passages(
            self.read, view.terms, np.array(sorted(number for number, _ in ranked), np.int64)
        )
        places = {number: self._place(number, best.get(number)) for number, _ in ranked}
        shown = view.shown(places)
        return tuple(self._hit(number, score, places[number], *shown[number]) for number, score in ranked)

    def _place(self, number: int, best: int | None) -> int:
        """Return the place of the passage that is shown of a document."""
        if best is None and number in self.vector_ranks and self.vector is not None:
            return self.search.view.closest_passage(number, self.vector)
        return best or 0

    def _hit(
        self, number: int, score: float, place: int, document: IndexedDocument, passage: Chunk
    ) -> DocumentHit:
        return DocumentHit(
            document,
            passage,
            score,
            self._marks(number, 0, document.title),
            self._marks(number, 1 + place, passage.text, searched_text(passage)),
            self.word_ranks.get(number),
            self.vector_ranks.get(number),
        )

    def _marks(self, number: int, place: int, text: str, searched: str | None = None) -> tuple[Span, ...]:
        """Return where in a text, with which the text of a passage ends, the query's terms stand."""
        searched = text if searched is None else searched
        among, joined = self.search.view.terms.tokens_among(number, place, self.read.marked)
        before = len(searched) - len(text)
        spans = places_within(searched, among, joined)
        return tuple((start - before, end - before) for start, end in spans if start >= before)
