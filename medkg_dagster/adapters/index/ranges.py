"""Parts of arrays that lie one behind the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def starts_of(sizes: NDArray[np.integer]) -> NDArray[np.int64]:
    """Return where parts of some sizes begin, one after another, and where the last ends."""
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes, dtype=np.int64)])


def ranges(starts: NDArray[np.integer], sizes: NDArray[np.integer]) -> NDArray[np.int64]:
    """Return the numbers of several ranges, one after another."""
    before = starts_of(sizes)
    return np.arange(before[-1]) + np.repeat(starts - before[:-1], sizes)
