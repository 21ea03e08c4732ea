"""How text becomes terms: words without case, accents and endings, and compounds however they are written."""

from __future__ import annotations

import itertools
import re
import sqlite3
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from medkg_dagster.adapters.index.ranges import ranges, starts_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from medkg_dagster.domain.search import Span

IS_JOINED = 0x80000000
"""The bit of a token that stands for a compound as a whole, beside the tokens of its parts."""

_COMPOUND = re.compile(r"[^\W_]+(?:[-'’./+‐‑][^\W_]+)*")
_PART = re.compile(r"[^\W_]+")
# Shorter parts of a compound (the 1 of PD-1) say nothing alone.
_SHORTEST_TELLING = 3
_MOST_PARTS_JOINED = 3
_MOST_PIECES_KEPT = 100_000
_GREEK = {
    ord(letter): unicodedata.name(letter).rsplit(" ", maxsplit=1)[1].lower()
    for letter in "αβγδεζηθικλμνξοπρστυφχψω"
}


@dataclass(frozen=True, slots=True)
class Word:
    """A word or compound as it is written.

    Attributes:
        parts: The terms of its parts, in order; one for a simple word.
        joined: Terms of the whole, and of the whole without its first part: `PD-1` is also written `PD1`.
        telling: Terms of the parts that say something alone.
    """

    parts: tuple[int, ...]
    joined: tuple[int, ...] = ()
    telling: tuple[int, ...] = ()


class Analyzer:
    """Turns text into terms, each a number of 64 bits; what a word becomes is remembered.

    The endings are cut and the accents removed by SQLite's own tokenizer (`porter`, `unicode61`).
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._stems: sqlite3.Connection | None = None
        self._forget()

    def close(self) -> None:
        """Release what cuts the endings."""
        if self._stems is not None:
            self._stems.close()
            self._stems = None

    def encode(
        self, texts: Iterable[str]
    ) -> tuple[NDArray[np.uint64], NDArray[np.uint32], NDArray[np.int64]]:
        """Return terms, the tokens of all texts, as places among the terms, and how many each text has."""
        with self._lock:
            if len(self._pieces) > _MOST_PIECES_KEPT:
                self._forget()
            known = self._pieces
            numbers = [
                np.fromiter(map(known.__getitem__, pieces), np.uint32, len(pieces))
                for pieces in map(str.split, texts)
            ]
            self._learn()
            chosen = np.concatenate([np.zeros(0, np.uint32), *numbers])
            per_piece = self._token_sizes[chosen]
            ends = starts_of(per_piece)[np.cumsum([0, *map(len, numbers)])]
            tokens = self._tokens[ranges(self._token_starts[chosen], per_piece)]
            return self._known, tokens, np.diff(ends)

    def words(self, text: str) -> list[tuple[str, Word]]:
        """Return the words of a text as they are written, each with its terms."""
        written = _COMPOUND.findall(unicodedata.normalize("NFC", text))
        with self._lock:
            formed = {word: _forms(word) for word in written}
            self._stem(form for forms in formed.values() for form in itertools.chain(*forms))
            return [(word, self._word(word, *formed[word])) for word in written]

    def _word(self, written: str, parts: Sequence[str], joined: Sequence[str]) -> Word:
        terms = tuple(self._terms[self._places[form]] for form in parts)
        whole = tuple(self._terms[self._places[form]] for form in joined)
        pieces = _PART.findall(written)
        telling = (term for term, piece in zip(terms, pieces, strict=True) if len(piece) >= _SHORTEST_TELLING)
        return Word(terms, whole, tuple(telling))

    def _forget(self) -> None:
        self._pieces = _Numbers()
        self._token_starts = np.zeros(0, np.int64)
        self._token_sizes = np.zeros(0, np.int64)
        self._tokens = np.zeros(0, np.uint32)
        self._places: dict[str, int] = {}
        self._place_of_stem: dict[str, int] = {}
        self._terms: list[int] = []
        self._known = np.zeros(0, np.uint64)

    def _learn(self) -> None:
        """Find the tokens of what was numbered and is not known yet."""
        if len(self._pieces) == len(self._token_sizes):
            return
        forms: list[str] = []
        marks: list[int] = []
        starts: list[int] = []
        for piece in itertools.islice(self._pieces, len(self._token_sizes), None):
            starts.append(len(forms))
            for word in (piece,) if piece.isalnum() else _COMPOUND.findall(piece):
                parts, joined = _forms(word)
                forms += parts
                forms += joined
                marks += [0] * len(parts) + [IS_JOINED] * len(joined)
        self._stem(forms)
        tokens = np.fromiter(map(self._places.__getitem__, forms), np.uint32, len(forms))
        begins = np.array([*starts, len(forms)], np.int64)
        self._token_starts = np.concatenate([self._token_starts, begins[:-1] + len(self._tokens)])
        self._token_sizes = np.concatenate([self._token_sizes, np.diff(begins)])
        self._tokens = np.concatenate([self._tokens, tokens | np.array(marks, np.uint32)])

    def _stem(self, forms: Iterable[str]) -> None:
        """Find the terms of what words are made of."""
        new = [form for form in dict.fromkeys(forms) if form not in self._places]
        if not new:
            return
        if self._stems is None:
            self._stems = _stemmer()
        # The tokenizer makes one token of letters and digits; of other signs it may make none, or several.
        simple = [form for form in new if form.isascii() and form.isalnum()]
        others = [form for form in new if not (form.isascii() and form.isalnum())]
        stems = dict.fromkeys(new, "")
        self._stems.execute("BEGIN")
        rows = enumerate((" ".join(simple), *others))
        self._stems.executemany("INSERT INTO words (rowid, word) VALUES (?, ?)", rows)
        for place, stem in self._stems.execute("SELECT offset, term FROM stems WHERE doc = 0"):
            stems[simple[place]] = stem
        if others:
            several = self._stems.execute("SELECT doc, term FROM stems WHERE doc > 0 ORDER BY doc, offset")
            for row, stem in several:
                stems[others[row - 1]] += stem
        self._stems.execute("INSERT INTO words (words) VALUES ('delete-all')")
        self._stems.execute("COMMIT")
        before = len(self._terms)
        for form, stem in stems.items():
            place = self._places[form] = self._place_of_stem.setdefault(stem or form, len(self._terms))
            if place == len(self._terms):
                self._terms.append(_number(stem or form))
        added = np.array(self._terms[before:], np.uint64)
        self._known = np.concatenate([self._known, added])


class _Numbers(dict[str, int]):
    """Numbers what it is asked for, in the order of the first questions."""

    def __missing__(self, piece: str) -> int:
        self[piece] = number = len(self)
        return number


def places_within(text: str, tokens: NDArray[np.bool_], joined: NDArray[np.bool_]) -> list[Span]:
    """Return where some tokens of a text stand; of a compound its parts, or the whole.

    Args:
        text: The text.
        tokens: Of each of its tokens, in order, whether it is one of them.
        joined: Of each whether it stands for a compound as a whole; it stands behind those of its parts.
    """
    wanted = np.flatnonzero(tokens)
    if not len(wanted):
        return []
    part_of = np.cumsum(~joined)[wanted] - 1 if joined.any() else wanted
    parts = [part.span() for part in itertools.islice(_PART.finditer(text), int(part_of[-1]) + 1)]
    is_whole = joined[wanted]
    wholes: set[Span] = set()
    if is_whole.any():
        compounds = [compound.span() for compound in _COMPOUND.finditer(text)]
        starts = (parts[part][0] for part in part_of[is_whole].tolist())
        wholes = {compounds[bisect_right(compounds, (start, len(text))) - 1] for start in starts}
    single = (parts[part] for part in part_of[~is_whole].tolist())
    apart = {
        (start, end) for start, end in single if not any(first <= start < last for first, last in wholes)
    }
    return sorted(wholes | apart)


def _stemmer() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
    connection.execute(
        "CREATE VIRTUAL TABLE words USING fts5 "
        "(word, content='', tokenize='porter unicode61 remove_diacritics 2')"
    )
    connection.execute("CREATE VIRTUAL TABLE stems USING fts5vocab (words, instance)")
    return connection


def _fold(word: str) -> str:
    if word.isascii():
        return word.lower()
    return unicodedata.normalize("NFKC", word).casefold().translate(_GREEK)


def _forms(word: str) -> tuple[list[str], list[str]]:
    """Return what the parts of a word are searched as, and of a compound how it may be written in one."""
    if word.isalnum():
        return [_fold(word)], []
    parts = [_fold(part) for part in _PART.findall(word)]
    return parts, _joined(word, parts)


def _joined(word: str, parts: Sequence[str]) -> list[str]:
    """Return how a compound may be written in one."""
    if len(parts) > _MOST_PARTS_JOINED:
        return []
    if all(part.isdigit() for part in parts):  # a number, or a date
        return [".".join(parts)]
    return [] if "/" in word else ["".join(parts[first:]) for first in range(len(parts) - 1)]


def _number(term: str) -> int:
    return int.from_bytes(blake2b(term.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")
