"""What a query says: words that rank, phrases, words that must not be there, and alternatives."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

MOST_WORDS = 64
"""So many operands of a query are read; the others are left out."""

_LEXEME = re.compile(r'(?P<minus>(?<![^\s(])[-−])?(?:"(?P<phrase>[^"]*)"|(?P<word>[^\s"]+))|"')


@dataclass(frozen=True, slots=True)
class Operand:
    """A word, or a phrase, as it is written.

    Attributes:
        text: The text.
        is_phrase: Whether it is one in double quotes.
    """

    text: str
    is_phrase: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """A query as it is understood.

    Attributes:
        ranking: All that ranks a document, in order: words, phrases, and alternatives.
        required: Groups, of each of which a document has one: phrases, and what OR joins.
        excluded: What no document has.
    """

    ranking: tuple[Operand, ...] = ()
    required: tuple[tuple[Operand, ...], ...] = ()
    excluded: tuple[Operand, ...] = ()


def parse_query(text: str) -> Query:
    """Understand a query; any text is one.

    A phrase stands in double quotes; a quote without another is read as a space. A minus before a word or a
    phrase excludes it, within a word it is a hyphen. `OR`, in capitals and between two operands, makes them
    alternatives.
    """
    ranking: list[Operand] = []
    groups: list[list[Operand]] = []
    excluded: list[Operand] = []
    joins = False
    for is_excluded, operand in _operands(text):
        if operand is None:
            joins = bool(groups)
        elif is_excluded:
            excluded.append(operand)
            joins = False
        else:
            ranking.append(operand)
            if joins:
                groups[-1].append(operand)
            else:
                groups.append([operand])
            joins = False
    required = tuple(tuple(group) for group in groups if len(group) > 1 or group[0].is_phrase)
    return Query(tuple(ranking), required, tuple(excluded))


def _operands(text: str) -> Iterator[tuple[bool, Operand | None]]:
    """Yield the operands, each with whether it is excluded; None for an OR."""
    found = 0
    for match in _LEXEME.finditer(text):
        phrase, word = match["phrase"], match["word"]
        if word == "OR" and not match["minus"]:
            yield False, None
        elif any(map(str.isalnum, phrase or word or "")) and found < MOST_WORDS:
            found += 1
            yield bool(match["minus"]), Operand(phrase or word, phrase is not None)
