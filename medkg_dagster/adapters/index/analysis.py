"""How text becomes terms: words without case, accents and endings, and compounds however they are written."""

from __future__ import annotations

import re
import sqlite3
import unicodedata
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from hashlib import blake2b
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

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
_MOST_WORDS_KEPT = 500_000
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

    def encode(self, texts: Sequence[str]) -> tuple[NDArray[np.uint64], list[NDArray[np.uint32]]]:
        """Return terms, and of each text its tokens, which are places among these terms."""
        written = [_COMPOUND.findall(text) for text in texts]
        with self._lock:
            self._learn({word for words in written for word in words})
            known = self._tokens
            flat = [[token for word in words for token in known[word]] for words in written]
            return np.array(self._terms, np.uint64), [np.array(tokens, np.uint32) for tokens in flat]

    def words(self, text: str) -> list[tuple[str, Word]]:
        """Return the words of a text as they are written, each with its terms."""
        written = _COMPOUND.findall(unicodedata.normalize("NFC", text))
        with self._lock:
            self._learn({*written})
            return [(word, self._word(word)) for word in written]

    def marker(self, wanted: Set[int]) -> Marker:
        """Return what finds some terms in texts."""
        return Marker(self, wanted)

    def having(self, written: Set[str], wanted: Set[int]) -> dict[str, Word]:
        """Return those of some words that have one of some terms."""
        with self._lock:
            self._learn(written)
            known = self._tokens
            chosen = {self._places[term] for term in wanted if term in self._places}
            chosen |= {token | IS_JOINED for token in chosen}
            return {word: self._word(word) for word in written if not chosen.isdisjoint(known[word])}

    def _word(self, written: str) -> Word:
        tokens = self._tokens[written]
        parts = tuple(self._terms[token] for token in tokens if token < IS_JOINED)
        joined = tuple(self._terms[token - IS_JOINED] for token in tokens if token >= IS_JOINED)
        pieces = _PART.findall(written)
        telling = (term for term, piece in zip(parts, pieces, strict=True) if len(piece) >= _SHORTEST_TELLING)
        return Word(parts, joined, tuple(telling))

    def _forget(self) -> None:
        self._tokens: dict[str, tuple[int, ...]] = {}
        self._forms: dict[str, int] = {}
        self._places: dict[int, int] = {}
        self._terms: list[int] = []

    def _learn(self, written: Set[str]) -> None:
        """Find the tokens of what is not known yet."""
        new = [word for word in written if word not in self._tokens]
        if not new:
            return
        if len(self._tokens) > _MOST_WORDS_KEPT:
            self._forget()
            new = [*written]
        folded: dict[str, list[str]] = {}
        joined: dict[str, list[str]] = {}
        for word in new:
            if word.isalnum():
                folded[word] = [_fold(word)]
                continue
            folded[word] = [_fold(part) for part in _PART.findall(word)]
            joined[word] = _joined(word, folded[word])
        self._stem({form for forms in folded.values() for form in forms})
        self._stem({form for forms in joined.values() for form in forms})
        places = self._forms
        for word, forms in folded.items():
            whole = (places[form] | IS_JOINED for form in joined.get(word, ()))
            self._tokens[word] = (*[places[form] for form in forms], *whole)

    def _stem(self, forms: Iterable[str]) -> None:
        new = sorted(form for form in forms if form not in self._forms)
        if not new:
            return
        if self._stems is None:
            self._stems = _stemmer()
        stems = [""] * len(new)
        self._stems.execute("BEGIN")
        self._stems.executemany("INSERT INTO words (rowid, word) VALUES (?, ?)", enumerate(new))
        for number, stem in self._stems.execute("SELECT doc, term FROM stems ORDER BY doc, offset"):
            stems[number] += stem
        self._stems.execute("INSERT INTO words (words) VALUES ('delete-all')")
        self._stems.execute("COMMIT")
        for form, stem in zip(new, stems, strict=True):
            term = _number(stem or form)
            if term not in self._places:
                self._places[term] = len(self._terms)
                self._terms.append(term)
            self._forms[form] = self._places[term]


class Marker:
    """Finds where some terms stand; what it has seen of words is kept for the next text."""

    def __init__(self, analyzer: Analyzer, wanted: Set[int]) -> None:
        self._analyzer = analyzer
        self._wanted = wanted
        self._seen: set[str] = set()
        self._within: dict[str, tuple[Span, ...]] = {}

    def marks(self, text: str) -> tuple[Span, ...]:
        """Return where in a text one of the terms stands; of a compound its parts, or the whole."""
        new = {*_COMPOUND.findall(text)} - self._seen
        self._seen |= new
        for written, word in self._analyzer.having(new, self._wanted).items():
            self._within[written] = self._places(written, word)
        within = self._within
        return tuple(
            (match.start() + start, match.start() + end)
            for match in _COMPOUND.finditer(text)
            if match.group() in within
            for start, end in within[match.group()]
        )

    def _places(self, written: str, word: Word) -> tuple[Span, ...]:
        if not self._wanted.isdisjoint(word.joined):
            return ((0, len(written)),)
        parts = zip(_PART.finditer(written), word.parts, strict=True)
        return tuple(part.span() for part, term in parts if term in self._wanted)


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


def _joined(word: str, parts: Sequence[str]) -> list[str]:
    """Return how a compound may be written in one."""
    if len(parts) > _MOST_PARTS_JOINED:
        return []
    if all(part.isdigit() for part in parts):  # a number, or a date
        return [".".join(parts)]
    return [] if "/" in word else ["".join(parts[first:]) for first in range(len(parts) - 1)]


def _number(term: str) -> int:
    return int.from_bytes(blake2b(term.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")
