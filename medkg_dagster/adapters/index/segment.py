"""A segment: the terms and vectors of some documents in one file that is written once and read as memory.

Where a term stands in which document is kept twice, by term to find documents and by document to look at them
closer: phrases, neighbouring words, the best passage.
"""

from __future__ import annotations

import json
import mmap
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from medkg_dagster.adapters.index import analysis
from medkg_dagster.adapters.index.vector_codes import VectorCodes

if TYPE_CHECKING:
    from numpy.typing import NDArray

TITLE_WEIGHT = 2
"""A word of the title counts as so many of the text."""

END_OF_PASSAGE = np.uint32(0x7FFFFFFF)
"""What stands behind the terms of a passage, so that no phrase goes on into the next."""

IS_JOINED = np.uint32(analysis.IS_JOINED)
"""The bit of a compound's own term; those of its parts follow one another without it."""

HEAD_SIZE = 4096
"""So many bytes of the file say what is in it; the arrays begin behind them."""

_MOST_ORDINALS_KEPT = 10_000


class Segment:
    """A segment as it is read.

    Attributes:
        documents: How many documents it has.
        terms: Its terms, sorted.
        starts: Where the postings of each term begin; one more for the end.
        places: The documents of each term, in order.
        counts: How often each of these has the term.
        lengths: How many terms each document has, those of its title weighed.
        passage_starts: Where in `tokens` each passage begins; one more for the end.
        document_starts: Which passage of the segment is the title of each document; one more for the end.
        tokens: By passage its terms as their places among the segment's, `IS_JOINED` and `END_OF_PASSAGE`.
        vectors: One for each passage that is no title; none where nothing was embedded.
        signs: The signs of these.
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
        self.terms: NDArray[np.uint64] = arrays["terms"]
        self.starts: NDArray[np.int64] = arrays["starts"]
        self.places: NDArray[np.uint32] = arrays["places"]
        self.counts: NDArray[np.uint16] = arrays["counts"]
        self.lengths: NDArray[np.uint32] = arrays["lengths"]
        self.tokens: NDArray[np.uint32] = arrays["tokens"]
        self.passage_starts: NDArray[np.int64] = arrays["passage_starts"]
        self.document_starts: NDArray[np.int64] = arrays["document_starts"]
        self.vectors = VectorCodes(arrays["codes"], arrays["scales"])
        self.signs: NDArray[np.uint64] = arrays["signs"]
        self.documents = len(self.lengths)
        self._ordinals: dict[int, int | None] = {}

    @property
    def dimension(self) -> int:
        """How long each vector is; 0 where there are none."""
        return int(self.vectors.codes.shape[1])

    @cached_property
    def vector_starts(self) -> NDArray[np.int64]:
        """Which of the vectors is the first of each document; one more for the end."""
        return self.document_starts - np.arange(self.documents + 1)

    def ordinal(self, term: int) -> int | None:
        """Return the place of a term among the segment's; None where it is in none of its documents."""
        if term not in self._ordinals:
            if len(self._ordinals) > _MOST_ORDINALS_KEPT:
                self._ordinals.clear()
            place = int(self.terms.searchsorted(np.uint64(term)))
            is_there = place < len(self.terms) and int(self.terms[place]) == term
            self._ordinals[term] = place if is_there else None
        return self._ordinals[term]

    def postings(self, ordinal: int) -> tuple[NDArray[np.uint32], NDArray[np.uint16]]:
        """Return the documents that have a term, in order, and how often each has it."""
        chosen = slice(self.starts[ordinal], self.starts[ordinal + 1])
        return self.places[chosen], self.counts[chosen]

    def token_spans(self, documents: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
        """Yield where in `tokens` those of some documents begin and end."""
        first = self.passage_starts[self.document_starts[documents]]
        last = self.passage_starts[self.document_starts[documents + 1]]
        return zip(first.tolist(), last.tolist(), strict=True)

    def vectors_of(self, document: int) -> VectorCodes:
        """Return the vectors of one of its documents."""
        first, last = self.vector_starts[document : document + 2].tolist()
        return self.vectors.of_rows(slice(first, last))

    def forget(self) -> None:
        """Let go of what was read of the file: it is read again where it is wanted again."""
        if hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED)
