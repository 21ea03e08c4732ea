"""Abbreviations that a document defines itself.

The algorithm is the one described by A. S. Schwartz and M. A. Hearst, "A simple algorithm for identifying
abbreviation definitions in biomedical text" (Pacific Symposium on Biocomputing, 2003): a short form in
brackets, before it a long form of limited length that holds the short form's characters in order, the first
of them at the start of a word.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_BRACKETS = re.compile(r"[(\[]([^()\[\]]{2,60})[)\]]")
_SHORT = re.compile(r"[^\W_][\w\-/.+αβγκ]*(?: [\w\-/.+]+)?")
_MAX_SHORT = 10


@dataclass(frozen=True, slots=True)
class Definition:
    """A short form, and the place of the long form that defines it.

    Attributes:
        short: The short form.
        start: First character of the long form.
        end: One past its last character.
        defined_at: First character of the short form in its brackets.
    """

    short: str
    start: int
    end: int
    defined_at: int


def find_definitions(text: str) -> Iterator[Definition]:
    """Yield the abbreviations that a sentence defines, in order.

    Args:
        text: The sentence.

    Yields:
        The definitions; offsets point into the sentence.
    """
    for match in _BRACKETS.finditer(text):
        short = re.split(r"[,;]", match.group(1), maxsplit=1)[0].strip()
        if not _is_short_form(short):
            continue
        end = len(text[: match.start()].rstrip())
        start = _long_form_start(text, _window_start(text, end, short), end, short)
        if start is not None:
            yield Definition(short, start, end, match.start(1) + match.group(1).index(short))


def _is_short_form(text: str) -> bool:
    return (
        2 <= len(text) <= _MAX_SHORT
        and _SHORT.fullmatch(text) is not None
        and any(character.isupper() for character in text)
    )


def _window_start(text: str, end: int, short: str) -> int:
    """A long form has at most min(|short| + 5, 2 |short|) words."""
    words = min(len(short) + 5, len(short) * 2)
    starts = [match.start() for match in re.finditer(r"\S+", text[:end])]
    return starts[max(0, len(starts) - words)] if starts else end


def _long_form_start(text: str, start: int, end: int, short: str) -> int | None:
    """Match the short form's characters from right to left; return where the long form begins."""
    position = end
    characters = [character for character in short if character.isalnum()]
    for index in range(len(characters) - 1, -1, -1):
        wanted = characters[index].lower()
        position -= 1
        while position >= start and (
            text[position].lower() != wanted or (index == 0 and _in_word(text, position))
        ):
            position -= 1
        if position < start:
            return None
    long = text[position:end]
    if len(long) <= len(short) or short in re.split(r"[\s\-]", long):
        return None
    return position


def _in_word(text: str, position: int) -> bool:
    return position > 0 and text[position - 1].isalnum()
