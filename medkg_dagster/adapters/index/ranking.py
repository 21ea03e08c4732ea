"""How a query finds rows: an FTS5 expression that is always valid, and the nearest neighbours of a vector."""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING

from medkg_dagster.adapters.embedders.hashing import FUNCTION_WORDS

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    from numpy.typing import NDArray

MAX_TERMS = 64
# Shorter parts of a compound (the 1 of PD-1) say nothing alone.
_SHORTEST_PART = 3
_TERM = re.compile(r"[^\W_]+(?:[-'’./+][^\W_]+)*")
_LETTERS_AND_DIGITS = re.compile(r"(?<=[^\W\d_])(?=\d)|(?<=\d)(?=[^\W\d_])")
_PART_ENDS = re.compile(r"[-'’./+]")
_BLOCK = 4096


def full_text_query(text: str) -> str | None:
    """Return an FTS5 expression that finds chunks with any of a text's terms.

    Every term is quoted, so no character of the text is an operator. A compound such as `PD-1` is a phrase,
    and is also found written `PD1`; `PD1` is also found written `PD-1`. The longer parts of a compound are
    searched for on their own as well: they add to the rank.

    Returns:
        The expression; None for a text without letters and digits.
    """
    # Casefolding before removing duplicates; FTS5 itself ignores case.
    terms = list(dict.fromkeys(term.casefold() for term in _TERM.findall(text)))
    # Function words are searched for only where a query has no others.
    telling = [term for term in terms if term not in FUNCTION_WORDS] or terms
    spellings = dict.fromkeys(spelling for term in telling[:MAX_TERMS] for spelling in _spellings(term))
    return " OR ".join(f'"{spelling}"' for spelling in spellings) or None


def _spellings(term: str) -> list[str]:
    """Return the ways a term may be written, and its parts; FTS5 reads every separator like a space."""
    pieces = _PART_ENDS.split(term)
    parts = [part for piece in pieces for part in _LETTERS_AND_DIGITS.split(piece)]
    if len(parts) == 1:
        return [term]
    without_prefix = pieces[1:] if len(pieces) > 2 else []  # anti-PD-1: PD-1
    words = [piece for piece in pieces if len(piece) >= _SHORTEST_PART]
    ways = (" ".join(pieces), "".join(pieces), " ".join(parts), " ".join(without_prefix), *words)
    return [way for way in dict.fromkeys(ways) if way]


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
