"""How a request becomes documents: rankings of words and of vectors, fused, and the best passage of each."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

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
from medkg_dagster.adapters.index.snapshot import Snapshot
from medkg_dagster.adapters.index.vectors import closest_passage, nearest_documents, typical_closeness
from medkg_dagster.domain.chunks import Chunk
from medkg_dagster.domain.search import (
    DocumentHit,
    IndexedDocument,
    SearchFilters,
    SearchRequest,
    SearchResults,
    Span,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

# So much of the score of a document are its words, where both rankings are one, and the rest its closeness.
_WORDS_SHARE = 0.5
# So many documents are found by their closeness alone.
_NEAREST = 100

_ANY_OF = "IN (SELECT value FROM json_each(?))"
_ANY_ID = f"id {_ANY_OF}"

# In the order of the fields of `Chunk`.
COLUMNS = "id, document_id, document_hash, title, section, ordinal, start_offset, end_offset, text, synthetic"
# In the order of the fields of `IndexedDocument`.
DOCUMENT_COLUMNS = "id, title, source, date, url, language, phases, synthetic"


def document_row(document: IndexedDocument) -> tuple[Any, ...]:
    """Return what is stored of a document."""
    values = document.model_dump()
    return tuple((values | {"phases": " ".join(document.phases)}).values())


def document_of(row: Sequence[Any]) -> IndexedDocument:
    """Return a document from what is stored of it."""
    values = dict(zip(IndexedDocument.model_fields, row, strict=True))
    return IndexedDocument.model_validate(values | {"phases": tuple(values["phases"].split())})


def searched_text(chunk: Chunk) -> str:
    """Return what of a chunk is searched: its text, behind the heading of its section."""
    return f"{chunk.section}\n{chunk.text}"


def chunk_of(row: Sequence[Any]) -> Chunk:
    """Return a chunk from its columns."""
    return Chunk.model_validate(dict(zip(Chunk.model_fields, row, strict=True)))


@dataclass(frozen=True, slots=True)
class DocumentSearch:
    """A search at one moment.

    Attributes:
        connection: A transaction that reads the index.
        snapshot: What is in its segments at that moment.
        analyzer: What turns text into terms.
    """

    connection: sqlite3.Connection
    snapshot: Snapshot
    analyzer: Analyzer

    def find(self, request: SearchRequest) -> SearchResults:
        """Return what the index has for a request.

        Raises:
            StoreError: The vector has the wrong length.
        """
        read = read_query(parse_query(request.text), self.analyzer, self.snapshot)
        if not read.terms:
            return SearchResults(unknown=read.unknown)
        kept = keep_matching(self.snapshot, read, self._passing(request.filters))
        scores = score_documents(read, self.snapshot)
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
        add_neighbours(scores, read, self.snapshot, best)
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
        documents, closeness = nearest_documents(self.snapshot, vector, kept, self.snapshot.size)
        close = np.zeros(self.snapshot.size)
        close[documents] = closeness
        typical = typical_closeness(self.snapshot, vector)
        span = closeness.max() - typical if len(documents) else 0.0
        shares = np.maximum((close - typical) / span, 0) if span > 0 else np.zeros(self.snapshot.size)
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
        ids = {document: self._id(document) for document, score in ordered if times[score] > 1}
        return sorted(ordered, key=lambda pair: (-pair[1], ids.get(pair[0], "")))[:depth]

    def _id(self, number: int) -> str:
        known = self.snapshot.ids
        if number not in known:
            which, place = self.snapshot.place(number)
            (known[number],) = self.connection.execute(
                "SELECT id FROM documents WHERE segment = ? AND place = ?",
                (self.snapshot.segments[which].number, place),
            ).fetchone()
        return known[number]

    def document(self, number: int) -> IndexedDocument:
        """Return a document by its number."""
        which, place = self.snapshot.place(number)
        row = self.connection.execute(
            f"SELECT {DOCUMENT_COLUMNS} FROM documents WHERE segment = ? AND place = ?",  # noqa: S608 - a constant
            (self.snapshot.segments[which].number, place),
        ).fetchone()
        return document_of(row)

    def passage(self, document: IndexedDocument, place: int) -> Chunk:
        """Return a passage of a document by its place."""
        row = self.connection.execute(
            f"SELECT {COLUMNS} FROM chunks WHERE document_id = ? "  # noqa: S608 - a constant
            "ORDER BY ordinal, id LIMIT 1 OFFSET ?",
            (document.id, place),
        ).fetchone()
        return chunk_of(row)

    def _passing(self, filters: SearchFilters) -> NDArray[np.bool_] | None:
        """Return which documents pass the filters; None where all do."""
        gone = self._numbers(_ANY_ID, [json.dumps(sorted(filters.without))]) if filters.without else []
        wanted = filters.model_copy(update={"without": frozenset()})
        if wanted.is_empty and not gone:
            return None
        passing = np.full(self.snapshot.size, wanted.is_empty)
        if not wanted.is_empty:
            passing[self._numbers(*_condition(wanted))] = True
        passing[gone] = False
        return passing

    def _numbers(self, condition: str, values: Sequence[Any]) -> list[int]:
        """Return the numbers of the documents for which a condition holds."""
        bases = {
            each.number: base
            for each, base in zip(self.snapshot.segments, self.snapshot.bases.tolist(), strict=False)
        }
        rows = self.connection.execute(
            f"SELECT segment, place FROM documents WHERE segment IS NOT NULL AND {condition}",  # noqa: S608 - made of constants
            values,
        )
        return [bases[segment] + place for segment, place in rows]


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
        snapshot = self.search.snapshot
        best = best_passages(self.read, snapshot, np.array(sorted(number for number, _ in ranked), np.int64))
        return tuple(self._hit(number, score, best.get(number)) for number, score in ranked)

    def _hit(self, number: int, score: float, place: int | None) -> DocumentHit:
        document = self.search.document(number)
        if place is None and number in self.vector_ranks and self.vector is not None:
            place = closest_passage(self.search.snapshot, number, self.vector)
        passage = self.search.passage(document, place or 0)
        return DocumentHit(
            document,
            passage,
            score,
            self._marks(number, 0, document.title),
            self._marks(number, 1 + (place or 0), passage.text, searched_text(passage)),
            self.word_ranks.get(number),
            self.vector_ranks.get(number),
        )

    def _marks(self, number: int, place: int, text: str, searched: str | None = None) -> tuple[Span, ...]:
        """Return where in a text, with which the text of a passage ends, the query's terms stand."""
        searched = text if searched is None else searched
        among, joined = self.search.snapshot.tokens_among(number, place, self.read.marked)
        before = len(searched) - len(text)
        spans = places_within(searched, among, joined)
        return tuple((start - before, end - before) for start, end in spans if start >= before)


def _condition(filters: SearchFilters) -> tuple[str, list[Any]]:
    """Return filters as SQL, and the values in it."""
    year = "CAST(substr(date, 1, 4) AS INTEGER)"
    phase = "EXISTS (SELECT 1 FROM json_each(?) WHERE instr(' ' || phases || ' ', ' ' || value || ' '))"
    chosen: Iterable[tuple[str, Any, Any]] = (
        (f"source {_ANY_OF}", filters.sources or None, json.dumps(sorted(filters.sources))),
        (f"language {_ANY_OF}", filters.languages or None, json.dumps(sorted(filters.languages))),
        (phase, filters.phases or None, json.dumps(sorted(filters.phases))),
        (f"{year} >= ?", filters.since, filters.since),
        (f"{year} <= ?", filters.until, filters.until),
        ("synthetic = ?", filters.synthetic, filters.synthetic),
        (_ANY_ID, filters.documents, json.dumps(sorted(filters.documents or ()))),
    )
    used = [(condition, value) for condition, wanted, value in chosen if wanted is not None]
    if filters.since is not None or filters.until is not None:
        used.append(("date GLOB ?", "[0-9][0-9][0-9][0-9]*"))
    return " AND ".join(condition for condition, _ in used), [value for _, value in used]
