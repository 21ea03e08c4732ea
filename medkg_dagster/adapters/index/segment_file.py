"""Writing segments: of documents, and of what other segments have of theirs."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from medkg_dagster.adapters.index.ranges import ranges, starts_of
from medkg_dagster.adapters.index.segment import END_OF_PASSAGE, HEAD_SIZE, IS_JOINED, TITLE_WEIGHT
from medkg_dagster.adapters.index.vector_codes import VectorCodes, planes_of
from medkg_dagster.io.atomic_files import replacing

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ALIGNED = 64


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is in a segment.

    Attributes:
        terms: Terms.
        postings: Pairs of a term and a document.
        tokens: Tokens and ends of passages.
        passages: Passages, titles counted.
        documents: Documents.
        vectors: Vectors.
        dimension: How long each is.
    """

    terms: int
    postings: int
    tokens: int
    passages: int
    documents: int
    vectors: int
    dimension: int

    def shapes(self) -> Mapping[str, tuple[str, tuple[int, ...]]]:
        """Return the type and the shape of each array."""
        return {
            "terms": ("<u8", (self.terms,)),
            "starts": ("<i8", (self.terms + 1,)),
            "places": ("<u4", (self.postings,)),
            "counts": ("<u2", (self.postings,)),
            "lengths": ("<u4", (self.documents,)),
            "tokens": ("<u4", (self.tokens,)),
            "passage_starts": ("<i8", (self.passages + 1,)),
            "document_starts": ("<i8", (self.documents + 1,)),
            "codes": ("<i1", (self.vectors, self.dimension)),
            "scales": ("<f4", (self.vectors,)),
            "signs": ("<u8", (planes_of(self.dimension), self.vectors)),
        }


class SegmentFile:
    """A segment while it is written, array by array and portion by portion."""

    def __init__(self, stream: BinaryIO, sizes: Sizes) -> None:
        self._stream = stream
        self._sizes = sizes
        self._layout: dict[str, tuple[str, tuple[int, ...], int]] = {}
        begin = HEAD_SIZE
        for name, (dtype, shape) in sizes.shapes().items():
            self._layout[name] = (dtype, shape, begin)
            size = int(np.prod(shape)) * np.dtype(dtype).itemsize
            begin += -(-size // _ALIGNED) * _ALIGNED
        table = json.dumps(self._layout).encode()
        stream.write((len(table).to_bytes(8, "little") + table).ljust(HEAD_SIZE, b" "))
        stream.truncate(begin + _ALIGNED)

    @classmethod
    @contextlib.contextmanager
    def writing(cls, file: Path, sizes: Sizes) -> Iterator[SegmentFile]:
        """Write a segment, whole or not at all.

        Raises:
            OSError: It cannot be written.
        """
        with replacing(file) as stream:
            yield cls(stream, sizes)

    def put(self, name: str, array: NDArray[Any], at: int = 0) -> None:
        """Write a portion of an array.

        Args:
            name: Which array.
            array: The portion.
            at: Which row is its first.
        """
        dtype, shape, begin = self._layout[name]
        self._write(begin + at * int(np.prod(shape[1:])) * np.dtype(dtype).itemsize, array, dtype)

    def put_vectors(self, vectors: VectorCodes, signs: NDArray[np.uint64], at: int = 0) -> None:
        """Write some vectors, and their signs.

        Args:
            vectors: The vectors.
            signs: Their signs.
            at: Which of the segment's vectors is the first of them.
        """
        self.put("codes", vectors.codes, at)
        self.put("scales", vectors.scales, at)
        dtype, _, begin = self._layout["signs"]
        for number, plane in enumerate(signs):
            first = number * self._sizes.vectors + at
            self._write(begin + first * np.dtype(dtype).itemsize, plane, dtype)

    def _write(self, begin: int, array: NDArray[Any], dtype: str) -> None:
        self._stream.seek(begin)
        self._stream.write(np.ascontiguousarray(array, dtype).data)


@dataclass(frozen=True, slots=True, eq=False)
class DocumentTerms:
    """The terms of some documents, as they are given to a segment.

    Attributes:
        terms: Terms, each once.
        tokens: Those of all passages one after another, as places among the terms, `IS_JOINED` in those of
            compounds.
        passage_sizes: How many each passage has; the first of each document is its title.
        passages: How many passages each document has.
        vectors: One for each passage that is no title, in order; without rows where there are none.
    """

    terms: NDArray[np.uint64]
    tokens: NDArray[np.uint32]
    passage_sizes: NDArray[np.int64]
    passages: NDArray[np.int64]
    vectors: NDArray[np.float32]

    def compact(self) -> DocumentTerms:
        """Return the same with only those terms that some token is of, sorted."""
        used = np.flatnonzero(np.bincount(self.tokens & ~IS_JOINED, minlength=len(self.terms)))
        order = used[np.argsort(self.terms[used])]
        places = np.zeros(len(self.terms), np.uint32)
        places[order] = np.arange(len(order), dtype=np.uint32)
        tokens = places[self.tokens & ~IS_JOINED] | (self.tokens & IS_JOINED)
        return replace(self, terms=self.terms[order], tokens=tokens)


def write_segment(file: Path, given: DocumentTerms) -> None:
    """Write a segment of documents, whole or not at all.

    Raises:
        OSError: It cannot be written.
    """
    given = given.compact()
    document_starts = starts_of(given.passages)
    weights = np.ones(len(given.passage_sizes), np.uint8)
    weights[document_starts[:-1]] = TITLE_WEIGHT
    of_term, places, counts = _postings(given, weights)
    passage_starts = starts_of(given.passage_sizes + 1)
    tokens = np.full(passage_starts[-1], END_OF_PASSAGE, np.uint32)
    tokens[ranges(passage_starts[:-1], given.passage_sizes)] = given.tokens
    vectors = VectorCodes.of(given.vectors)
    sizes = Sizes(
        len(given.terms),
        len(places),
        len(tokens),
        len(given.passage_sizes),
        len(given.passages),
        *given.vectors.shape,
    )
    with SegmentFile.writing(file, sizes) as segment:
        segment.put("terms", given.terms)
        segment.put("starts", np.searchsorted(of_term, np.arange(len(given.terms) + 1)))
        segment.put("places", places)
        segment.put("counts", counts)
        segment.put("lengths", np.add.reduceat(given.passage_sizes * weights, document_starts[:-1]))
        segment.put("tokens", tokens)
        segment.put("passage_starts", passage_starts)
        segment.put("document_starts", document_starts)
        segment.put_vectors(vectors, vectors.signs())


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
    # One number for all three, as short as it can be: numbers alone are sorted several times faster than with
    # their places. It is made and sorted in place.
    most = len(given.terms) * documents * (TITLE_WEIGHT + 1)
    keys: NDArray[Any] = (given.tokens & ~IS_JOINED).astype(np.uint32 if most < 1 << 32 else np.int64)
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
