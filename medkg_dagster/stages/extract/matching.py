"""Finds a vocabulary's names in text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import ahocorasick_rs

from medkg_dagster.stages.extract.terms import Concept, Vocabulary, fold, forms, same_case

_INNER_CAPITAL = re.compile(r"[^\W\d_][-/]?\w*[A-ZΑ-Ω]|[A-ZΑ-Ω][-/]?\d|\d[-/]?[A-ZΑ-Ω]")
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

    A name with a capital or digit inside a word (`PD-1`, `irAE`) is matched as written, any other in any
    case. Names begin and end at word boundaries.

    Args:
        vocabulary: The concepts.
        min_term_length: Shorter names are not looked for.
    """

    def __init__(self, vocabulary: Vocabulary, min_term_length: int = 3) -> None:
        # Folded name -> the concepts it can mean, with the spelling it must have (None: any).
        self._patterns: dict[str, list[tuple[str | None, Concept]]] = {}
        preferred = [(concept, concept.name) for concept in vocabulary.concepts]
        others = [(concept, name) for concept in vocabulary.concepts for name in concept.synonyms]
        for concept, name in preferred + others:
            if len(name) >= min_term_length:
                self._add(concept, name)
        self._names = list(self._patterns)
        self._automaton = ahocorasick_rs.AhoCorasick(
            self._names, matchkind=ahocorasick_rs.MatchKind.Standard
        )

    def _add(self, concept: Concept, name: str) -> None:
        exact = bool(_INNER_CAPITAL.search(name))
        for form in forms(name):
            for variant in _variants(form, exact):
                spelling = same_case(variant) if exact else None
                self._patterns.setdefault(fold(variant), []).append((spelling, concept))

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
            surface = spelled[start:end]
            for spelling, concept in self._patterns[self._names[number]]:
                if spelling is None or spelling == surface:
                    yield Mention(start, end, concept)
                    break


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


def _variants(name: str, exact: bool) -> Iterator[str]:
    """Yield a name and its regular plural."""
    yield name
    if exact:
        if name[-1].isalnum():
            yield f"{name}s"
        return
    last = name.rsplit(" ", 1)[-1]
    if len(last) < _PLURAL_STEM or not last.isalpha() or not last.isascii():
        return
    lower = name.lower()
    if lower.endswith("sis"):
        yield f"{name[:-2]}es"
    elif lower.endswith(("opathy", "oma", "itis", "y")) and lower[-2:] not in {"ay", "ey", "oy"}:
        yield f"{name[:-1]}ies" if lower.endswith("y") else f"{name}s"
    elif not lower.endswith(("s", "x", "z")):
        yield f"{name}s"
