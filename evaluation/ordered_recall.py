"""How many of the words that a text is to have it holds, in their order."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence

_WORD = re.compile(r"[^\W_]+")


def words(text: str) -> list[str]:
    """Return the words of a text, folded."""
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())


def ordered_recall(expected: Sequence[str], found: Sequence[str]) -> float:
    """Return which share of the expected words stands in the found ones in order.

    It is the length of the longest common subsequence, found as the longest increasing run of positions.
    """
    places: dict[str, list[int]] = defaultdict(list)
    for position, word in enumerate(found):
        places[word].append(position)
    ends: list[int] = []
    for word in expected:
        for position in reversed(places.get(word, ())):
            at = bisect_left(ends, position)
            ends[at : at + 1] = [position]
    return len(ends) / len(expected) if expected else 1.0
