"""Turns whatever a person types into an FTS5 query that is always valid."""

from __future__ import annotations

import re

from medkg_dagster.adapters.function_words import FUNCTION_WORDS

MAX_TERMS = 64

# Shorter parts of a compound (the 1 of PD-1) say nothing alone.
_SHORTEST_PART = 3

_TERM = re.compile(r"[^\W_]+(?:[-'’./+][^\W_]+)*")
_LETTERS_AND_DIGITS = re.compile(r"(?<=[^\W\d_])(?=\d)|(?<=\d)(?=[^\W\d_])")
_PART_ENDS = re.compile(r"[-'’./+]")


def full_text_query(text: str) -> str | None:
    """Return an FTS5 expression that finds chunks with any of a text's terms.

    Every term is quoted, so no character of the text is an operator. A compound such as `PD-1` is a phrase,
    and is also found written `PD1`; `PD1` is also found written `PD-1`. The longer parts of a compound are
    searched for on their own as well: they add to the rank.

    Args:
        text: Any text.

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
