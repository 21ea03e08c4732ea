"""The documents of an index at one moment, across its segments."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from medkg_dagster.adapters.index.ranges import ranges, starts_of
from medkg_dagster.adapters.index.segment import END_OF_PASSAGE, IS_JOINED, Segment

if TYPE_CHECKING:
    from numpy.typing import NDArray


_MOST_TERMS_KEPT = 1000


@dataclass(frozen=True, slots=True, eq=False)
class Postings:
    """The documents that have a term, in order, and how often each has it."""

    documents: NDArray[np.int64]
    counts: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class OpenSegment:
    """A segment, and which of its documents the index still has.

    Attributes:
        number: Its number in the index.
        segment: What is in it.
        kept: Which documents are still there; None where all are.
        model: Who made its vectors; empty where it has none.
    """

    number: int
    segment: Segment
    kept: NDArray[np.bool_] | None
    model: str


@dataclass(eq=False)
class Snapshot:
    """All segments side by side; a document is known by its number among those of all.

    Attributes:
        segments: The segments.
        documents: How many documents are still there.
        terms: How many terms these have, those of titles weighed.
        ids: What was asked of the ids of documents, by number.
    """

    segments: Sequence[OpenSegment]
    documents: int
    terms: int
    ids: dict[int, str] = field(default_factory=dict)
    _postings: dict[int, Postings] = field(default_factory=dict)

    @cached_property
    def bases(self) -> NDArray[np.int64]:
        """The number of each segment's first document; one more for the end."""
        return starts_of(np.array([each.segment.documents for each in self.segments], np.int64))

    @property
    def size(self) -> int:
        """How many numbers documents have, those that are gone counted too."""
        return int(self.bases[-1])

    def postings(self, term: int) -> Postings:
        """Return the documents that have a term and are still there."""
        if term not in self._postings:
            if len(self._postings) > _MOST_TERMS_KEPT:
                self._postings.clear()
            documents, counts = [np.zeros(0, np.int64)], [np.zeros(0)]
            for base, each in zip(self.bases.tolist(), self.segments, strict=False):
                ordinal = each.segment.ordinal(term)
                if ordinal is None:
                    continue
                places, times = each.segment.postings(ordinal)
                if each.kept is not None:
                    kept = each.kept[places]
                    places, times = places[kept], times[kept]
                documents.append(places + np.int64(base))
                counts.append(times.astype(np.float64))
            self._postings[term] = Postings(np.concatenate(documents), np.concatenate(counts))
        return self._postings[term]

    def phrase_documents(self, terms: Sequence[int], among: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return those of some documents that have terms one behind the other."""
        distinct = tuple(dict.fromkeys(terms))
        passages = self.passages(among, distinct)
        times = passages.phrase_counts([distinct.index(term) for term in terms])
        return np.unique(passages.documents[times > 0])

    def saturation(self, documents: NDArray[np.int64], k1: float, b: float) -> NDArray[np.float64]:
        """Return what BM25 adds to the counts of some documents: more for long ones."""
        return k1 * (1 - b + b * self._lengths[documents] * (self.documents / max(1, self.terms)))

    @cached_property
    def _lengths(self) -> NDArray[np.float64]:
        return np.concatenate(
            [np.zeros(0), *(each.segment.lengths.astype(np.float64) for each in self.segments)]
        )

    def place(self, document: int) -> tuple[int, int]:
        """Return the segment that a document is in, and its place there."""
        which = int(np.searchsorted(self.bases, document, side="right")) - 1
        return which, document - int(self.bases[which])

    def tokens_among(
        self, document: int, passage: int, terms: Iterable[int]
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Return of each token of a passage whether it is of some terms, and whether it is a whole compound.

        Args:
            document: The number of its document.
            passage: Its place in it; 0 is the title.
            terms: The terms.
        """
        which, place = self.place(document)
        segment = self.segments[which].segment
        first, end = segment.passage_starts[int(segment.document_starts[place]) + passage :][:2].tolist()
        tokens = segment.tokens[first : end - 1]
        joined = tokens >= IS_JOINED
        plain = tokens & ~IS_JOINED
        known = [ordinal for term in terms if (ordinal := segment.ordinal(term)) is not None]
        return (plain[:, None] == np.array(known, np.uint32)).any(axis=1), joined

    def passages(self, documents: NDArray[np.int64], terms: Sequence[int]) -> Passages:
        """Return the passages of some documents, of their terms only those that are asked for.

        Args:
            documents: Numbers of documents, in order.
            terms: Terms; each becomes its place in this list.
        """
        which = np.searchsorted(self.bases, documents, side="right") - 1
        parts = []
        for number in np.unique(which).tolist():
            segment = self.segments[number].segment
            chosen = documents[which == number]
            local = chosen - self.bases[number]
            spans = [segment.tokens[first:last] for first, last in segment.token_spans(local)]
            tokens = np.concatenate(spans)
            ends = tokens == END_OF_PASSAGE
            plain = np.where(ends, tokens, tokens & ~IS_JOINED)
            named = np.full(len(tokens), -1, np.int32)
            for place, term in enumerate(terms):
                if (ordinal := segment.ordinal(term)) is not None:
                    np.copyto(named, place, where=plain == ordinal)
            counts = np.diff(segment.document_starts)[local]
            places = ranges(np.zeros(len(local), np.int64), counts)
            joined = (tokens & IS_JOINED).astype(bool)
            parts.append((named, ends, joined, np.repeat(chosen, counts), places))
        named, ends, joined, owners, places = (np.concatenate(column) for column in zip(*parts, strict=True))
        passage_of = np.cumsum(ends) - ends
        return Passages(
            named[~joined], passage_of[~joined], named[joined], passage_of[joined], owners, places
        )


@dataclass(frozen=True, slots=True, eq=False)
class Passages:
    """The passages of some documents, term by term.

    Attributes:
        terms: One after another the place of each term among those that were asked for; -1 for another term,
            and at the end of each passage.
        passage_of: Which of the passages each is in.
        joined: The same of terms of whole compounds.
        joined_passage_of: Which of the passages each of these is in.
        documents: By passage its document.
        places: By passage its place in the document: 0 is the title.
    """

    terms: NDArray[np.int32]
    passage_of: NDArray[np.int64]
    joined: NDArray[np.int32]
    joined_passage_of: NDArray[np.int64]
    documents: NDArray[np.int64]
    places: NDArray[np.int64]

    def counts(self, place: int) -> NDArray[np.int64]:
        """Return how often each passage has a term."""
        found = [self.passage_of[self.terms == place], self.joined_passage_of[self.joined == place]]
        return np.bincount(np.concatenate(found), minlength=len(self.documents))

    def phrase_counts(self, places: Iterable[int]) -> NDArray[np.int64]:
        """Return how often each passage has some terms one behind the other."""
        begins: NDArray[np.bool_] | None = None
        for distance, place in enumerate(places):
            here = self.terms == place
            moved = here if distance == 0 else np.concatenate([here[distance:], np.zeros(distance, bool)])
            begins = moved if begins is None else begins & moved
        assert begins is not None
        return np.bincount(self.passage_of[begins], minlength=len(self.documents))
