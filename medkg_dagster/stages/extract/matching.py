"""Finds a vocabulary's names in text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import ahocorasick_rs

from medkg_dagster.stages.extract.terms import Concept, Vocabulary, fold, forms, same_case

_TOKEN = re.compile(r"[^\s\-/]+")
_ACRONYM = re.compile(r".+[A-ZΑ-Ω]|[A-ZΑ-Ω].*\d")
_WORD = re.compile(r"\w")
_PLURAL_STEM = 4


@dataclass(frozen=True, slots=True)
class Mention:
    """A concept's name at a place of a text.

    Attributes:
        start: First character.
        end: One past the last character.
        concept: The concept.
    """

    start: int
    end: int
    concept: Concept


class Matcher:
    """Finds every name of a vocabulary, the longest one where several begin or overlap.

    A word with a capital or digit inside (`PD-1`, `irAE`) is matched as written, any other in any case.
    Names begin and end at word boundaries.

    Args:
        vocabulary: The concepts.
        min_term_length: Shorter names are not looked for.
    """

    def __init__(self, vocabulary: Vocabulary, min_term_length: int = 3) -> None:
        # Folded name -> the concepts it can mean, with the acronyms in it that must be written so.
        self._patterns: dict[str, list[tuple[tuple[tuple[int, str], ...], Concept]]] = {}
        preferred = [(concept, concept.name) for concept in vocabulary.concepts]
        others = [(concept, name) for concept in vocabulary.concepts for name in concept.synonyms]
        for concept, name in preferred + others:
            if len(name) >= min_term_length:
                self._add(concept, name)
        self._names = list(self._patterns)
        self._automaton = ahocorasick_rs.AhoCorasick(self._names, matchkind=ahocorasick_rs.MatchKind.Standard)

    def _add(self, concept: Concept, name: str) -> None:
        for form in forms(name):
            acronyms = _acronyms(form)
            for variant in _variants(form, ends_with_acronym=_ends_with(form, acronyms)):
                self._patterns.setdefault(fold(variant), []).append((acronyms, concept))

    def find(self, text: str) -> tuple[Mention, ...]:
        """Return the mentions in a text, in order and without overlap.

        Args:
            text: The text; offsets count its Unicode code points.

        Returns:
            The mentions.
        """
        return tuple(_leftmost_longest(self._candidates(text)))

    def _candidates(self, text: str) -> Iterator[Mention]:
        folded, spelled = fold(text), same_case(text)
        for number, start, end in self._automaton.find_matches_as_indexes(folded, overlapping=True):
            if not _is_bounded(folded, start, end):
                continue
            for acronyms, concept in self._patterns[self._names[number]]:
                if all(spelled.startswith(written, start + offset) for offset, written in acronyms):
                    yield Mention(start, end, concept)
                    break


def _acronyms(name: str) -> tuple[tuple[int, str], ...]:
    """Return the words with a capital or digit inside, each with its place in the name."""
    written = same_case(name)
    return tuple(
        (match.start(), match.group()) for match in _TOKEN.finditer(written) if _ACRONYM.match(match.group())
    )


def _ends_with(name: str, acronyms: tuple[tuple[int, str], ...]) -> bool:
    return bool(acronyms) and acronyms[-1][0] + len(acronyms[-1][1]) == len(name)


def _leftmost_longest(candidates: Iterable[Mention]) -> Iterator[Mention]:
    end = -1
    for mention in sorted(candidates, key=lambda found: (found.start, -found.end)):
        if mention.start >= end:
            yield mention
            end = mention.end


def _is_bounded(text: str, start: int, end: int) -> bool:
    """Whether neither end cuts a word in two."""
    before = start > 0 and _WORD.match(text[start]) and _WORD.match(text[start - 1])
    after = end < len(text) and _WORD.match(text[end - 1]) and _WORD.match(text[end])
    return not before and not after


def _variants(name: str, *, ends_with_acronym: bool) -> Iterator[str]:
    """Yield a name and its regular plural."""
    yield name
    lower = name.lower()
    last = _TOKEN.findall(lower)[-1:]
    if ends_with_acronym:
        yield f"{name}s"
    elif not last or len(last[0]) < _PLURAL_STEM or not last[0].isalpha() or not last[0].isascii():
        return
    elif lower.endswith("sis"):
        yield f"{name[:-2]}es"
    elif lower.endswith("y") and lower[-2] not in "aeou":
        yield f"{name[:-1]}ies"
    elif not lower.endswith(("s", "x", "z")):
        yield f"{name}s"
