"""Exact nearest neighbours by brute force over stored vectors."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    from numpy.typing import NDArray

_BLOCK = 4096


def nearest(rows: Iterable[tuple[int, bytes]], vector: NDArray[np.float32], limit: int) -> list[int]:
    """Return the rows closest to a vector, block by block, so that memory does not grow with the index.

    Args:
        rows: Number and float32 (little-endian) bytes of each stored vector, of unit length.
        vector: The query's vector.
        limit: How many to return at most.

    Returns:
        Row numbers by falling cosine, equal ones by number; rows with a cosine of 0 or less are left out.
    """
    import numpy as np

    best_numbers = np.zeros(0, dtype=np.int64)
    best_scores = np.zeros(0, dtype=np.float32)
    iterator = iter(rows)
    while block := list(islice(iterator, _BLOCK)):
        matrix = np.frombuffer(b"".join(blob for _, blob in block), dtype="<f4").reshape(len(block), -1)
        scores = np.concatenate([best_scores, matrix @ vector])
        numbers = np.concatenate([best_numbers, np.array([number for number, _ in block], dtype=np.int64)])
        order = np.lexsort((numbers, -scores))[:limit]
        order = order[scores[order] > 0]
        best_numbers, best_scores = numbers[order], scores[order]
    return [int(number) for number in best_numbers]
