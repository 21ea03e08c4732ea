"""A segment: the terms and vectors of some documents in one file that is written once and read as memory.

Where a term stands in which document is kept twice, by term to find documents and by document to look at them
closer: phrases, neighbouring words, the best passage.
"""

from __future__ import annotations

import json
import mmap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from medkg_dagster.adapters.index import analysis
from medkg_dagster.adapters.index.ranges import ranges, starts_of
from medkg_dagster.io.atomic_files import replacing

if TYPE_CHECKING:
    from numpy.typing import NDArray

TITLE_WEIGHT = 2
"""A word of the title counts as so many of the text."""

END_OF_PASSAGE = np.uint32(0x7FFFFFFF)
"""What stands behind the terms of a passage, so that no phrase goes on into the next."""

IS_JOINED = np.uint32(analysis.IS_JOINED)
"""The bit of a compound's own term; those of its parts follow one another without it."""

_ALIGNED = 64
_AT_ONCE = 500
"""So many vectors are in memory at once where segments are written."""


@dataclass(frozen=True, slots=True, eq=False)
class VectorRows:
    """Some rows of vectors, read a portion at a time: all of a segment's are most of what it holds.

    Attributes:
        vectors: Where they are.
        rows: Which of them are meant, in this order.
        forget: Lets go of memory that reading them took.
    """

    vectors: NDArray[np.float32]
    rows: NDArray[np.int64]
    forget: Callable[[], None] = lambda: None

    @classmethod
    def all_of(cls, vectors: NDArray[np.float32]) -> VectorRows:
        """Return all rows of an array."""
        return cls(vectors, np.arange(len(vectors)))

    @property
    def dimension(self) -> int:
        """How long each is; 0 where there are none."""
        return int(self.vectors.shape[1])

    def portions(self) -> Iterator[NDArray[np.float32]]:
        """Yield them in order."""
        for begin in range(0, len(self.rows), _AT_ONCE):
            yield self.vectors[self.rows[begin : begin + _AT_ONCE]]
            self.forget()


@dataclass(frozen=True, slots=True, eq=False)
class DocumentTerms:
    """The terms of some documents, as they are given to a segment.

    Attributes:
        terms: Terms, each once.
        tokens: Those of all passages one after another, as places among the terms, `IS_JOINED` in those of
            compounds.
        passage_sizes: How many each passage has; the first of each document is its title.
        passages: How many passages each document has.
        vectors: One for each passage that is no title, in order; without columns where there are none.
    """

    terms: NDArray[np.uint64]
    tokens: NDArray[np.uint32]
    passage_sizes: NDArray[np.int64]
    passages: NDArray[np.int64]
    vectors: tuple[VectorRows, ...]

    @property
    def dimension(self) -> int:
        """How long each vector is; 0 where there are none."""
        return max((part.dimension for part in self.vectors), default=0)

    @classmethod
    def joined(cls, parts: Sequence[DocumentTerms]) -> DocumentTerms:
        """Return those of several as one."""
        terms = np.unique(np.concatenate([part.terms for part in parts]))
        return cls(
            terms,
            np.concatenate([part.tokens_among(terms) for part in parts]),
            np.concatenate([part.passage_sizes for part in parts]),
            np.concatenate([part.passages for part in parts]),
            tuple(rows for part in parts for rows in part.vectors),
        )

    def tokens_among(self, terms: NDArray[np.uint64]) -> NDArray[np.uint32]:
        """Return the tokens as places among other terms, which are sorted and have all of these."""
        places = np.searchsorted(terms, self.terms).astype(np.uint32)
        moved: NDArray[np.uint32] = places[self.tokens & ~IS_JOINED] | (self.tokens & IS_JOINED)
        return moved

    def compact(self) -> DocumentTerms:
        """Return the same with only those terms that some token is of, sorted."""
        used = np.flatnonzero(np.bincount(self.tokens & ~IS_JOINED, minlength=len(self.terms)))
        order = used[np.argsort(self.terms[used])]
        places = np.zeros(len(self.terms), np.uint32)
        places[order] = np.arange(len(order), dtype=np.uint32)
        tokens = places[self.tokens & ~IS_JOINED] | (self.tokens & IS_JOINED)
        return replace(self, terms=self.terms[order], tokens=tokens)


class Segment:
    """A segment as it is read.

    Attributes:
        documents: How many documents it has.
        lengths: How many terms each document has, those of its title weighed.
        passage_starts: Where in `tokens` each passage begins; one more for the end.
        document_starts: Which passage of the segment is the title of each document; one more for the end.
        tokens: By passage its terms as their places among the segment's, `IS_JOINED` and `END_OF_PASSAGE`.
        vectors: One for each passage that is no title.
    """

    def __init__(self, file: Path) -> None:
        with file.open("rb") as stream:
            self._map = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        content = memoryview(self._map)
        size = int.from_bytes(content[:8], "little")
        layout = json.loads(bytes(content[8 : 8 + size]))
        arrays = {
            name: np.frombuffer(content, dtype, int(np.prod(shape)), begin).reshape(shape)
            for name, (dtype, shape, begin) in layout.items()
        }
        self._terms: NDArray[np.uint64] = arrays["terms"]
        self._starts: NDArray[np.int64] = arrays["starts"]
        self._places: NDArray[np.uint32] = arrays["places"]
        self._counts: NDArray[np.uint16] = arrays["counts"]
        self.lengths: NDArray[np.uint32] = arrays["lengths"]
        self.tokens: NDArray[np.uint32] = arrays["tokens"]
        self.passage_starts: NDArray[np.int64] = arrays["passage_starts"]
        self.document_starts: NDArray[np.int64] = arrays["document_starts"]
        self.vectors: NDArray[np.float32] = arrays["vectors"]
        self.documents = len(self.lengths)

    def ordinal(self, term: int) -> int | None:
        """Return the place of a term among the segment's; None where it is in none of its documents."""
        place = int(self._terms.searchsorted(np.uint64(term)))
        return place if place < len(self._terms) and int(self._terms[place]) == term else None

    def postings(self, ordinal: int) -> tuple[NDArray[np.uint32], NDArray[np.uint16]]:
        """Return the documents that have a term, in order, and how often each has it."""
        chosen = slice(self._starts[ordinal], self._starts[ordinal + 1])
        return self._places[chosen], self._counts[chosen]

    def token_spans(self, documents: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
        """Yield where in `tokens` those of some documents begin and end."""
        first = self.passage_starts[self.document_starts[documents]]
        last = self.passage_starts[self.document_starts[documents + 1]]
        return zip(first.tolist(), last.tolist(), strict=True)

    def terms_of(self, documents: NDArray[np.int64]) -> DocumentTerms:
        """Return the terms of some of its documents, as they were given to it."""
        passages = np.diff(self.document_starts)[documents]
        chosen = ranges(self.document_starts[documents], passages)
        tokens = self.tokens[ranges(self.passage_starts[chosen], np.diff(self.passage_starts)[chosen])]
        tokens = tokens[tokens != END_OF_PASSAGE]
        rows = ranges(self.document_starts[documents] - documents, passages - 1)
        vectors = VectorRows(self.vectors, rows if self.vectors.shape[1] else rows[:0], self._forget)
        sizes = np.diff(self.passage_starts)[chosen] - 1
        return DocumentTerms(self._terms, tokens, sizes, passages, (vectors,))

    def vectors_of(self, document: int) -> NDArray[np.float32]:
        """Return the vectors of one of its documents."""
        first, last = (self.document_starts[document : document + 2] - (document, document + 1)).tolist()
        return self.vectors[first:last] if self.vectors.shape[1] else np.zeros((last - first, 0), np.float32)

    def _forget(self) -> None:
        """Let go of what was read of the file: it is read again where it is wanted again."""
        if hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED)


def write_segment(file: Path, given: DocumentTerms) -> None:
    """Write a segment, whole or not at all.

    Raises:
        OSError: It cannot be written.
    """
    given = given.compact()
    document_starts = starts_of(given.passages)
    weights = np.ones(len(given.passage_sizes), np.uint8)
    weights[document_starts[:-1]] = TITLE_WEIGHT
    lengths = np.add.reduceat(given.passage_sizes * weights, document_starts[:-1]).astype(np.uint32)
    of_term, places, counts = _postings(given, weights)
    passage_starts = starts_of(given.passage_sizes + 1)
    tokens = np.full(passage_starts[-1], END_OF_PASSAGE, np.uint32)
    tokens[ranges(passage_starts[:-1], given.passage_sizes)] = given.tokens
    _write(
        file,
        {
            "terms": given.terms,
            "starts": np.searchsorted(of_term, np.arange(len(given.terms) + 1)).astype(np.int64),
            "places": places.astype(np.uint32),
            "counts": counts.astype(np.uint16),
            "lengths": lengths,
            "tokens": tokens,
            "passage_starts": passage_starts,
            "document_starts": document_starts,
        },
        given,
    )


def _postings(
    given: DocumentTerms, weights: NDArray[np.uint8]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return each term with each of its documents, in order, and what its tokens there weigh.

    Args:
        given: The documents.
        weights: What a token of each passage weighs.
    """
    if not len(given.tokens):
        return (np.zeros(0, np.int64),) * 3
    documents = len(given.passages)
    # One number for all three: numbers alone are sorted several times faster than with their places. It is
    # made and sorted in place, since there are millions.
    keys = (given.tokens & ~IS_JOINED).astype(np.int64)
    keys *= documents
    of_passages = np.repeat(np.arange(documents, dtype=np.uint32), given.passages)
    keys += np.repeat(of_passages, given.passage_sizes)
    keys *= TITLE_WEIGHT + 1
    keys += np.repeat(weights, given.passage_sizes)
    keys.sort()
    weighed = (keys % (TITLE_WEIGHT + 1)).astype(np.uint8)
    keys //= TITLE_WEIGHT + 1
    firsts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
    of_term, places = np.divmod(keys[firsts], documents)
    counts = np.minimum(np.add.reduceat(weighed, firsts, dtype=np.int64), np.iinfo(np.uint16).max)
    return of_term, places, counts


def _write(file: Path, arrays: dict[str, NDArray[np.generic]], given: DocumentTerms) -> None:
    """Write arrays, then the vectors of documents, behind a table of what they are and where each begins."""
    begin = 4096
    layout = {}
    for name, array in arrays.items():
        layout[name] = (array.dtype.newbyteorder("<").str, array.shape, begin)
        begin += -(-array.nbytes // _ALIGNED) * _ALIGNED
    rows = sum(len(part.rows) for part in given.vectors)
    layout["vectors"] = ("<f4", (rows, given.dimension), begin)
    table = json.dumps(layout).encode()
    with replacing(file) as stream:
        stream.write((len(table).to_bytes(8, "little") + table).ljust(4096, b" "))
        for array in arrays.values():
            stream.write(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes())
            stream.write(bytes(-array.nbytes % _ALIGNED))
        for part in given.vectors:
            for portion in part.portions():
                stream.write(np.ascontiguousarray(portion, "<f4").tobytes())
        stream.write(bytes(_ALIGNED))
