"""Several segments as one: whatever their size, a portion of them is in memory at a time."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from medkg_dagster.adapters.index.ranges import ranges, starts_of
from medkg_dagster.adapters.index.segment import END_OF_PASSAGE, IS_JOINED, Segment
from medkg_dagster.adapters.index.segment_file import SegmentFile, Sizes
from medkg_dagster.adapters.index.vector_codes import VectorCodes, VectorRows

if TYPE_CHECKING:
    from numpy.typing import NDArray

_AT_ONCE = 200_000
"""So many tokens or postings are in memory at once."""

_VECTORS_AT_ONCE = 2_000


class Part:
    """A segment that becomes part of another one, and those of its documents that do.

    Attributes:
        segment: The segment.
        documents: The places of these documents, in order.
    """

    def __init__(self, segment: Segment, documents: NDArray[np.int64]) -> None:
        self.segment = segment
        self.documents = documents
        self._has_all = len(documents) == segment.documents
        self._moved = np.full(segment.documents, -1, np.int64)
        live = np.diff(segment.starts) if self._has_all else self._live_postings()
        self._kept_terms = np.flatnonzero(live)
        self._live = live[self._kept_terms]
        self.passages = np.diff(segment.document_starts)[documents]

    @property
    def terms(self) -> NDArray[np.uint64]:
        """The terms that these documents have."""
        return self.segment.terms[self._kept_terms]

    @property
    def postings(self) -> NDArray[np.int64]:
        """How many of these documents have each of the terms."""
        return self._live

    @property
    def passage_sizes(self) -> NDArray[np.int64]:
        """How many tokens each passage of these documents has, its end counted."""
        chosen = ranges(self.segment.document_starts[self.documents], self.passages)
        return np.diff(self.segment.passage_starts)[chosen]

    def join(self, ordinals: NDArray[np.int64], base: int) -> None:
        """Take a place in another segment.

        Args:
            ordinals: The places of the terms there.
            base: The place of the first document there.
        """
        self._ordinals = ordinals
        self._moved[self.documents] = np.arange(base, base + len(self.documents))

    def postings_of(
        self, first: int, behind: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.uint16]]:
        """Return the postings of a range of terms of the other segment.

        Returns:
            The terms, how many postings each has, and of these one after another the documents, as the other
            segment knows both, and the counts.
        """
        some = slice(*np.searchsorted(self._ordinals, (first, behind)).tolist())
        old = self._kept_terms[some]
        if not len(old):
            return old, old, old, np.zeros(0, np.uint16)
        chosen = slice(self.segment.starts[old[0]], self.segment.starts[old[-1] + 1])
        places, counts = self._moved[self.segment.places[chosen]], self.segment.counts[chosen]
        if not self._has_all:
            is_kept = places >= 0
            places, counts = places[is_kept], counts[is_kept]
        return self._ordinals[some], self._live[some], places, counts

    def tokens(self) -> Iterator[NDArray[np.uint32]]:
        """Yield the tokens of the documents in portions, as the other segment knows their terms."""
        renamed = np.zeros(len(self.segment.terms), np.uint32)
        renamed[self._kept_terms] = self._ordinals
        begins, ends = (
            self.segment.passage_starts[self.segment.document_starts[self.documents + behind]]
            for behind in (0, 1)
        )
        before = starts_of(ends - begins)
        for first, behind in _portions(before, _AT_ONCE):
            tokens = self.segment.tokens[ranges(begins[first:behind], (ends - begins)[first:behind])]
            is_end = tokens == END_OF_PASSAGE
            plain = renamed[np.where(is_end, 0, tokens & ~IS_JOINED)] | (tokens & IS_JOINED)
            yield np.where(is_end, END_OF_PASSAGE, plain)
            self.segment.forget()

    def vectors(self) -> Iterator[tuple[VectorCodes, NDArray[np.uint64]]]:
        """Yield the vectors of the documents in portions, with their signs."""
        if self.segment.dimension:
            rows = ranges(self.segment.vector_starts[self.documents], self.passages - 1)
            for begin in range(0, len(rows), _VECTORS_AT_ONCE):
                some = rows[begin : begin + _VECTORS_AT_ONCE]
                yield self.segment.vectors.of_rows(some), self.segment.signs[:, some]
                self.segment.forget()

    def _live_postings(self) -> NDArray[np.int64]:
        """Return how many of the documents have each term of the segment."""
        is_kept = np.zeros(self.segment.documents, bool)
        is_kept[self.documents] = True
        starts = self.segment.starts
        live = np.zeros(len(starts) - 1, np.int64)
        for first, behind in _portions(starts, _AT_ONCE):
            kept = is_kept[self.segment.places[starts[first] : starts[behind]]]
            live[first:behind] = np.add.reduceat(kept, starts[first:behind] - starts[first], dtype=np.int64)
            self.segment.forget()
        return live


def merge_segments(file: Path, parts: Sequence[Part], vectors: Sequence[VectorRows] | None = None) -> None:
    """Write a segment of the documents of others, whole or not at all.

    Args:
        file: The segment.
        parts: The others.
        vectors: The vectors of the documents, in order, instead of those that the others have.

    Raises:
        OSError: It cannot be written.
    """
    terms = np.unique(np.concatenate([part.terms for part in parts]))
    having = np.zeros(len(terms), np.int64)
    bases = starts_of(np.array([len(part.documents) for part in parts]))
    for part, base in zip(parts, bases.tolist(), strict=False):
        ordinals = np.searchsorted(terms, part.terms)
        part.join(ordinals, base)
        having[ordinals] += part.postings
    starts = starts_of(having)
    passage_sizes = np.concatenate([part.passage_sizes for part in parts])
    passages = np.concatenate([part.passages for part in parts])
    dimension = max(
        each.dimension for each in ([part.segment for part in parts] if vectors is None else vectors)
    )
    sizes = Sizes(
        len(terms),
        int(starts[-1]),
        int(passage_sizes.sum()),
        len(passage_sizes),
        len(passages),
        len(passage_sizes) - len(passages) if dimension else 0,
        dimension,
    )
    with SegmentFile.writing(file, sizes) as merged:
        merged.put("terms", terms)
        merged.put("starts", starts)
        merged.put("lengths", np.concatenate([part.segment.lengths[part.documents] for part in parts]))
        merged.put("passage_starts", starts_of(passage_sizes))
        merged.put("document_starts", starts_of(passages))
        _merge_postings(merged, parts, starts)
        _append_tokens(merged, parts)
        given = [part.vectors() for part in parts] if vectors is None else map(VectorRows.portions, vectors)
        _append_vectors(merged, itertools.chain.from_iterable(given))


def _merge_postings(merged: SegmentFile, parts: Sequence[Part], starts: NDArray[np.int64]) -> None:
    """Write the postings of each term, those of the first part first."""
    for first, behind in _portions(starts, _AT_ONCE):
        begins = starts[first:behind] - starts[first]
        number = int(starts[behind] - starts[first])
        places, counts = np.zeros(number, np.uint32), np.zeros(number, np.uint16)
        for part in parts:
            ordinals, having, documents, times = part.postings_of(first, behind)
            chosen = ranges(begins[ordinals - first], having)
            places[chosen], counts[chosen] = documents, times
            begins[ordinals - first] += having
            part.segment.forget()
        merged.put("places", places, int(starts[first]))
        merged.put("counts", counts, int(starts[first]))


def _append_tokens(merged: SegmentFile, parts: Sequence[Part]) -> None:
    at = 0
    for part in parts:
        for tokens in part.tokens():
            merged.put("tokens", tokens, at)
            at += len(tokens)


def _append_vectors(merged: SegmentFile, portions: Iterable[tuple[VectorCodes, NDArray[np.uint64]]]) -> None:
    at = 0
    for codes, signs in portions:
        merged.put_vectors(codes, signs, at)
        at += len(codes)


def _portions(starts: NDArray[np.int64], size: int) -> Iterator[tuple[int, int]]:
    """Yield ranges of what begins somewhere: of about a size, and of one at least."""
    first, number = 0, len(starts) - 1
    while first < number:
        fitting = int(np.searchsorted(starts, starts[first] + size, side="right")) - 1
        behind = max(first + 1, min(fitting, number))
        yield first, behind
        first = behind
