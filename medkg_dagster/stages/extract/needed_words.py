"""What has to stand in every text that a pattern fits, which is told sooner than the pattern is compiled."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby

Needed = tuple[frozenset[str], ...]
"""Sets of words, of each of which one must stand in the text."""

_SHORTEST = 2
_TOKEN = re.compile(
    r"(?P<group>\(\?P<\w+>|\(\?:|\(\?<?[!=]|\()|(?P<end>\))|(?P<or>\|)|"
    r"(?P<repeat>(?:[*+?]|\{(?=[\d,])\d*,?\d*\})[+?]?)|"
    r"(?P<other>\[\^?\]?(?:\\.|[^\]\\])*\]|\\\w|[.^$])|\\?(?P<letter>.)",
    re.DOTALL,
)
_AT_LEAST_ONE = re.compile(r"\+|\{0*[1-9]")


def needed_words(pattern: str) -> Needed:
    """Return what must stand in whatever a pattern fits.

    Args:
        pattern: A regular expression of letters, classes, groups, alternatives, repetitions and lookarounds:
            without flags, comments, conditions and references.
    """
    return _alternatives(_TOKEN.finditer(pattern))


def _alternatives(tokens: Iterator[re.Match[str]]) -> Needed:
    """Return what is needed up to the end of a group: of several alternatives one of what each needs most."""
    branches: list[list[str | Needed]] = [[]]
    for token in tokens:
        parts = branches[-1]
        match token.lastgroup:
            case "end":
                break
            case "or":
                branches.append([])
            case "group":
                inner = _alternatives(tokens)
                parts.append(() if "!" in token.group() else inner)
            case "repeat":
                repeated = parts.pop()
                # What is repeated stands apart from the letters around it.
                parts += [(), repeated, ()] if _AT_LEAST_ONE.match(token.group()) else [()]
            case "letter":
                parts.append(token["letter"])
            case _:
                parts.append(())
    if len(branches) == 1:
        return _in_order(branches[0])
    most = [max(_in_order(parts), key=_worth, default=frozenset[str]()) for parts in branches]
    return (frozenset[str]().union(*most),) if all(most) else ()


def _in_order(parts: list[str | Needed]) -> Needed:
    needed: list[frozenset[str]] = []
    for are_letters, group in groupby(parts, key=lambda part: isinstance(part, str)):
        if are_letters:
            word = "".join(map(str, group))
            needed += [frozenset([word])] if len(word) >= _SHORTEST else []
        else:
            needed += [words for part in group if not isinstance(part, str) for words in part]
    return tuple(needed)


def _worth(words: frozenset[str]) -> tuple[int, int]:
    return min(map(len, words)), -len(words)
