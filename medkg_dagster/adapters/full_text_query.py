"""Turns whatever a person types into an FTS5 query that is always valid."""

from __future__ import annotations

import re

MAX_TERMS = 64

_TERM = re.compile(r"[^\W_]+(?:[-'’./+][^\W_]+)*")
_LETTERS_AND_DIGITS = re.compile(r"(?<=[^\W\d_])(?=\d)|(?<=\d)(?=[^\W\d_])")
_PART_ENDS = re.compile(r"[-'’./+]")

# Words that say nothing about a subject; they are searched for only where a query has no others.
_FUNCTION_WORDS = frozenset(
    "a an and are as at be been but by can did do does for from had has have he her his how if in into is it "
    "its may more most no nor not of on or our she should so such than that the their them then there these "
    "they this those to was we were what when where which while who will with would you".split()
)


def full_text_query(text: str) -> str | None:
    """Return an FTS5 expression that finds chunks with any of a text's terms.

    Every term is quoted, so no character of the text is an operator. A compound such as `PD-1` is a phrase,
    and is also found written `PD1`; `PD1` is also found written `PD-1`.

    Args:
        text: Any text.

    Returns:
        The expression; None for a text without letters and digits.
    """
    # Casefolding before removing duplicates; FTS5 itself ignores case.
    terms = list(dict.fromkeys(term.casefold() for term in _TERM.findall(text)))
    telling = [term for term in terms if term not in _FUNCTION_WORDS] or terms
    spellings = dict.fromkeys(spelling for term in telling[:MAX_TERMS] for spelling in _spellings(term))
    return " OR ".join(f'"{spelling}"' for spelling in spellings) or None


def _spellings(term: str) -> list[str]:
    """Return the ways a term may be written; FTS5 reads every separator like a space, so one stands for all."""
    parts = [part for piece in _PART_ENDS.split(term) for part in _LETTERS_AND_DIGITS.split(piece) if part]
    if len(parts) == 1:
        return [term]
    return list(dict.fromkeys((" ".join(_PART_ENDS.split(term)), _PART_ENDS.sub("", term), " ".join(parts))))
