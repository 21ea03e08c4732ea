"""Finds the names of a vocabulary that begin at a place of a text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from medkg_dagster.vocabulary.symbols import KeyedText
from medkg_dagster.vocabulary.written_names import LONGEST, SYMBOL

if TYPE_CHECKING:
    import marisa_trie

_MOST_REMEMBERED = 1 << 15
"""So many words, and so many two in a row, are remembered, with whether a name begins with them.

A trie takes ten times as long to tell.
"""


class NameSearch:
    """The names of a vocabulary by how texts begin.

    Names come as the trie has them. It is asked for the number of one only where that is wanted, as few are
    of those that some text begins with.

    Args:
        names: All names with their numbers, those of genes once more by their keys.
    """

    def __init__(self, names: marisa_trie.Trie) -> None:
        self._names = names
        # By a word and the character behind it: the name that the word is, and whether longer ones begin so.
        self._words: dict[str, tuple[Sequence[str], bool]] = {}
        # By a word of a key: the name that it is, and by the word behind it whether longer ones begin so.
        self._keys: dict[str, tuple[Sequence[str], dict[str, bool]] | None] = {}
        self._in_a_row = 0

    def prefixes(self, folded: str, start: int, word_end: int) -> Sequence[str]:
        """Return the names that some text begins with, the shortest first.

        Those that end within its first word may be among them, where a longer one begins with this word.

        Args:
            folded: Text as `names.fold` returns it, in American spelling.
            start: Where the names are to begin.
            word_end: Where the first word ends.
        """
        beginning = folded[start : word_end + 1]
        known = self._words.get(beginning)
        if known is None:
            known = self._read_word(beginning, folded[start:word_end])
        if not known[1]:
            return known[0]
        found: list[str] = self._names.prefixes(folded[start : start + LONGEST + 1])
        return found

    def symbols(self, text: KeyedText, word: int) -> Sequence[str]:
        """Return the keys of names of genes that some text begins with, the shortest first.

        Args:
            text: The text as symbols are compared in it.
            word: By its number the word that the names are to begin with.

        Returns:
            Keys behind their mark, so that one of so many characters ends one before that many in the text.
        """
        place, _, first = text.begins[word]
        known = self._keys[first] if first in self._keys else self._read_key(first)
        if known is None:
            return ()
        alone, longer = known
        if word + 1 == len(text.begins) or text.begins[word + 1][0] != place + len(first):
            return alone
        second = text.begins[word + 1][2]
        goes_on = longer.get(second)
        if goes_on is None:
            goes_on = longer[second] = self._begins(f"{SYMBOL}{first}{second}")
            self._in_a_row += 1
            if self._in_a_row >= _MOST_REMEMBERED:
                self._keys.clear()
                self._in_a_row = 0
        if not goes_on:
            return alone
        found: list[str] = self._names.prefixes(SYMBOL + text.key[place : place + LONGEST])
        return found

    def number(self, name: str) -> int:
        """Return the number of a name that was found."""
        found: int = self._names.key_id(name)
        return found

    def _read_word(self, beginning: str, word: str) -> tuple[Sequence[str], bool]:
        if len(self._words) >= _MOST_REMEMBERED:
            self._words.clear()
        goes_on = beginning != word and self._begins(beginning)
        found = self._itself(word), goes_on
        self._words[beginning] = found
        return found

    def _read_key(self, word: str) -> tuple[Sequence[str], dict[str, bool]] | None:
        if len(self._keys) >= _MOST_REMEMBERED:
            self._keys.clear()
        key = SYMBOL + word
        found: tuple[Sequence[str], dict[str, bool]] | None = None
        if self._begins(key):
            found = self._itself(key), {}
        self._keys[word] = found
        return found

    def _itself(self, name: str) -> Sequence[str]:
        return (name,) if name in self._names else ()

    def _begins(self, beginning: str) -> bool:
        return next(iter(self._names.iterkeys(beginning)), None) is not None
