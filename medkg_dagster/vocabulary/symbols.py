"""How the symbols and names of genes are compared: without separators, Greek letters as Latin ones.

"TNF-α", "TNF alpha" and "TNFA" are one symbol, "interleukin-6" and "interleukin 6" one name.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

_WORD = re.compile(r"[^\W_]+")
_WORD_AND_REST = re.compile(r"([^\W_]+)([\W_]*)")
_JOINING = frozenset(" -/.‐‑–−\n")
"""What may stand between the words of a name; whatever else is there ends it."""
_BREAK = "\x00"

_GREEK = {
    "alpha": "a",
    "beta": "b",
    "gamma": "g",
    "delta": "d",
    "epsilon": "e",
    "zeta": "z",
    "theta": "t",
    "kappa": "k",
    "lambda": "l",
    "sigma": "s",
    "omega": "w",
    "α": "a",
    "β": "b",
    "γ": "g",
    "δ": "d",
    "ε": "e",
    "ζ": "z",
    "θ": "t",
    "κ": "k",
    "λ": "l",
    "μ": "m",
    "µ": "m",
    "σ": "s",
    "ω": "w",
}
_IS_GREEK = re.compile("|".join(_GREEK))


@dataclass(frozen=True, slots=True)
class KeyedText:
    """A text as symbols are compared in it.

    Attributes:
        key: Its words behind each other; a zero character where no name goes on.
        begins: Of each word its place in the key, and in the text, and how it is compared.
        ends: By place in the key where a word ends in the text.
    """

    key: str
    begins: Sequence[tuple[int, int, str]]
    ends: dict[int, int]


def keyed(text: str) -> KeyedText:
    """Return a text as symbols are compared in it."""
    parts: list[str] = []
    begins: list[tuple[int, int, str]] = []
    ends: dict[int, int] = {}
    place = 0
    first = _WORD.search(text)
    start = first.start() if first else 0
    for word, behind in _WORD_AND_REST.findall(text, start):
        part = _latin(word)
        parts.append(part)
        begins.append((place, start, part))
        place += len(part)
        start += len(word)
        ends[place] = start
        if behind not in _JOINING:
            parts.append(_BREAK)
            place += 1
        start += len(behind)
    if parts and parts[-1] is _BREAK:
        parts.pop()
    return KeyedText("".join(parts), begins, ends)


def key_of(name: str) -> str:
    """Return a name as it is compared; empty where it has other characters than letters and digits in it."""
    found = keyed(name).key
    return "" if _BREAK in found else found


@lru_cache(maxsize=1 << 16)
def gaps(name: str) -> frozenset[tuple[int, str]]:
    """Return what stands in a name where it and a text must agree, each with its place in the key.

    That are full stops and strokes, and spaces between two letters that are no Greek ones: "in SC" is not
    INSC, "proteins" is not protein S, and "1.4-3.3" and "G/C" are neither 14-3-3 nor GC.
    """
    found: set[tuple[int, str]] = set()
    place = done = 0
    for word in _WORD.finditer(name):
        between = name[done : word.start()].replace("\n", " ")
        is_lettered = place and name[done - 1].isalpha() and word.group()[0].isalpha()
        if between in {".", "/"} or (
            between == " " and is_lettered and not _IS_GREEK.match(word.group().lower())
        ):
            found.add((place, between))
        place += len(_latin(word.group()))
        done = word.end()
    return frozenset(found)


@lru_cache(maxsize=1 << 16)
def _latin(word: str) -> str:
    lower = word.lower()
    return _IS_GREEK.sub(lambda letter: _GREEK[letter.group()], lower)
