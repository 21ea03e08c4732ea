"""Vectors as the index keeps them: a byte for each number, a scale for each vector, and its signs as bits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LARGEST_CODE = 127
_SIGNS_AT_ONCE = 16_384
_CODES_AT_ONCE = 2_048


@dataclass(frozen=True, slots=True, eq=False)
class VectorCodes:
    """Some vectors.

    Attributes:
        codes: int8 of shape (vectors, dimension).
        scales: What the codes of each vector are multiplied by.
    """

    codes: NDArray[np.int8]
    scales: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.codes)

    @classmethod
    def of(cls, vectors: NDArray[np.float32]) -> VectorCodes:
        """Return vectors as the index keeps them."""
        scales = (np.abs(vectors).max(axis=1, initial=0) / _LARGEST_CODE).astype(np.float32)
        codes = np.rint(vectors / np.where(scales > 0, scales, 1)[:, None])
        return cls(codes.astype(np.int8), scales)

    def is_same(self, other: VectorCodes) -> bool:
        """Say whether these are the other ones."""
        return np.array_equal(self.codes, other.codes) and np.array_equal(self.scales, other.scales)

    def of_rows(self, rows: NDArray[np.int64] | slice) -> VectorCodes:
        """Return some of them."""
        return VectorCodes(self.codes[rows], self.scales[rows])

    def products(self, vector: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the product of each with a vector."""
        found = np.zeros(len(self), np.float32)
        for begin in range(0, len(self), _CODES_AT_ONCE):
            some = slice(begin, begin + _CODES_AT_ONCE)
            # Not `@`: it would wake the threads of BLAS, which takes several times as long as the work.
            found[some] = np.vecdot(self.codes[some].astype(np.float32), vector) * self.scales[some]
        return found

    def signs(self) -> NDArray[np.uint64]:
        """Return which of their numbers are positive: 64 in one, a row for each 64 dimensions."""
        bits = np.packbits(self.codes > 0, axis=1)
        padded = np.zeros((len(bits), 8 * planes_of(self.codes.shape[1])), np.uint8)
        padded[:, : bits.shape[1]] = bits
        return np.ascontiguousarray(padded.view("<u8").T)


@dataclass(frozen=True, slots=True, eq=False)
class VectorRows:
    """Some rows of vectors, which are made what the index keeps a portion at a time.

    Attributes:
        vectors: Where they are.
        rows: Which of them are meant, in this order.
    """

    vectors: NDArray[np.float32]
    rows: NDArray[np.int64]

    @classmethod
    def all_of(cls, vectors: NDArray[np.float32]) -> VectorRows:
        """Return all rows of an array."""
        return cls(vectors, np.arange(len(vectors)))

    @property
    def dimension(self) -> int:
        """How long each is; 0 where there are none."""
        return int(self.vectors.shape[1])

    def portions(self) -> Iterator[tuple[VectorCodes, NDArray[np.uint64]]]:
        """Yield them in order with their signs."""
        for begin in range(0, len(self.rows), _CODES_AT_ONCE):
            some = VectorCodes.of(self.vectors[self.rows[begin : begin + _CODES_AT_ONCE]])
            yield some, some.signs()


def planes_of(dimension: int) -> int:
    """Return how many numbers of 64 bits hold the signs of a vector."""
    return -(-dimension // 64)


def unlike_signs(signs: NDArray[np.uint64], vector: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Return how many signs of each vector are other ones than those of a vector.

    Args:
        signs: The signs of vectors, as `VectorCodes.signs` returns them.
        vector: The vector.
    """
    own = VectorCodes.of(vector[None, :]).signs()[:, 0]
    counts = np.zeros(signs.shape[1], np.uint16)
    for begin in range(0, len(counts), _SIGNS_AT_ONCE):
        some = slice(begin, begin + _SIGNS_AT_ONCE)
        for plane, bits in zip(signs, own, strict=True):
            counts[some] += np.bitwise_count(plane[some] ^ bits)
    return counts
