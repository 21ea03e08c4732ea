"""Finds a vocabulary's names in text, and the abbreviations that a document defines itself.

Abbreviations are found as A. S. Schwartz and M. A. Hearst describe it in "A simple algorithm for identifying
abbreviation definitions in biomedical text" (Pacific Symposium on Biocomputing, 2003): a short form in
brackets, before it a long form of limited length that holds the short form's characters in order, the first
of them at the start of a word.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import ahocorasick_rs

from medkg_dagster.stages.extract.terms import Vocabulary
from medkg_dagster.vocabulary.categories import CHEMICALS, DISEASES
from medkg_dagster.vocabulary.concepts import Concept
from medkg_dagster.vocabulary.names import acronyms, fold, forms, same_case, variants

_WORD = re.compile(r"\w")
_BRACKETS = re.compile(r"[(\[]([^()\[\]]{2,60})[)\]]")
_ASIDE = re.compile(r";|,(?=\s)")
_SHORT = re.compile(r"[^\W_][\w\-/.+αβγκ]*(?: [\w\-/.+]+)?")
_MIN_SHORT, _MAX_SHORT = 2, 10
_MAX_LONG = 1000
_WORD_START = re.compile(r"(?<![\w-])[^\W_]")
_LONG_WORD = re.compile(r"\w{4,}")
_CODE = re.compile(r" ?[(\[]([A-Z]{1,4}[ -]?\d{2,6}(?:-\d{2,4})?[A-Z]?)[,;)\]]")
"""A code of research behind the name of what it stands for: "tacrolimus (FK506)"."""


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
            spelled = acronyms(form)
            for variant in variants(form):
                self._patterns.setdefault(fold(variant), []).append((spelled, concept))

    def find(self, text: str) -> tuple[Mention, ...]:
        """Return the mentions in a text, in order and without overlap.

        Args:
            text: The text; offsets count its Unicode code points.
        """
        return tuple(_leftmost_longest(self._candidates(text)))

    def _candidates(self, text: str) -> Iterator[Mention]:
        folded, spelled = fold(text), same_case(text)
        for number, start, end in self._automaton.find_matches_as_indexes(folded, overlapping=True):
            if not is_bounded(folded, start, end):
                continue
            for spellings, concept in self._patterns[self._names[number]]:
                if all(spelled.startswith(written, start + offset) for offset, written in spellings):
                    yield Mention(start, end, concept)
                    break


def _leftmost_longest(candidates: Iterable[Mention]) -> Iterator[Mention]:
    end = -1
    for mention in sorted(candidates, key=lambda found: (found.start, -found.end)):
        if mention.start >= end:
            yield mention
            end = mention.end


def is_bounded(text: str, start: int, end: int) -> bool:
    """Whether neither end cuts a word in two."""
    before = start > 0 and _WORD.match(text[start]) and _WORD.match(text[start - 1])
    after = end < len(text) and _WORD.match(text[end - 1]) and _WORD.match(text[end])
    return not before and not after


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

    Yields:
        The definitions; offsets point into the sentence.
    """
    for match in _BRACKETS.finditer(text):
        short = _ASIDE.split(match.group(1), maxsplit=1)[0].strip()
        if not _is_short_form(short) or text[match.end() : match.end() + 1].isalnum():
            continue
        end = match.start()
        while end and text[end - 1].isspace():
            end -= 1
        start = _long_form_start(text, _window_start(text, end, short), end, short)
        if start is not None:
            yield Definition(short, start, end, match.start(1) + match.group(1).index(short))


def _is_short_form(text: str) -> bool:
    return (
        _MIN_SHORT <= len(text) <= _MAX_SHORT
        and _SHORT.fullmatch(text) is not None
        and any(character.isupper() for character in text)
    )


def _window_start(text: str, end: int, short: str) -> int:
    """A long form has at most min(|short| + 5, 2 |short|) words."""
    words = min(len(short) + 5, len(short) * 2)
    first = max(0, end - _MAX_LONG)
    starts = [match.start() for match in re.finditer(r"\S+", text[first:end])]
    return first + starts[max(0, len(starts) - words)] if starts else end


def _long_form_start(text: str, start: int, end: int, short: str) -> int | None:
    """Match the short form's characters from right to left; return where the long form begins."""
    position = end
    characters = [character for character in short if character.isalnum()]
    for index in range(len(characters) - 1, -1, -1):
        wanted = characters[index].lower()
        position -= 1
        while position >= start and (
            text[position].lower() != wanted
            or (index == 0 and text[max(0, position - 1) : position].isalnum())
        ):
            position -= 1
        if position < start:
            return None
    long = text[position:end]
    if len(long) <= len(short) or short in re.split(r"[\s\-]", long):
        return None
    return position


class ShortForms:
    """The abbreviations defined so far in one document.

    A short form whose long form is a known concept means that concept. One whose long form is unknown means
    nothing known, even where the vocabulary has the same letters for something else.
    """

    def __init__(self) -> None:
        self._meanings: dict[str, Concept | None] = {}

    def learn(self, text: str, definitions: Iterable[Definition], mentions: Sequence[Mention]) -> None:
        """Take in what a sentence defines, also codes behind chemicals; the first with a meaning counts."""
        ending = {mention.end: mention for mention in mentions}
        beginning = {mention.start: mention for mention in mentions}
        for mention in mentions:
            code = _CODE.match(text, mention.end) if mention.concept.category in CHEMICALS else None
            if code is not None and code.start(1) not in beginning and len(code[1]) <= _MAX_SHORT:
                self._meanings.setdefault(code[1], mention.concept)
        for definition in definitions:
            long, short = ending.get(definition.end), beginning.get(definition.defined_at)
            if self._meanings.get(definition.short) is not None:
                continue
            if long is not None and (
                long.start <= definition.start
                or (long.concept.category in DISEASES and " of " not in text[definition.start : long.start])
            ):
                # "Acute pneumonitis" is one; "multiplicity of infection" and "aspirin antagonist" are not.
                self._meanings[definition.short] = long.concept
            elif short is None or not _agrees(text, definition, short.concept):
                self._meanings[definition.short] = None

    def defines(self, short: str) -> bool:
        """Say whether the document says what a short form stands for."""
        return short in self._meanings

    def apply(self, text: str, mentions: Sequence[Mention]) -> tuple[Mention, ...]:
        """Return a sentence's mentions in order and without overlap, short forms read as defined so far."""
        if not self._meanings:
            return tuple(mentions)
        kept = [mention for mention in mentions if text[mention.start : mention.end] not in self._meanings]
        begins = [mention.start for mention in kept]
        found = []
        for start, end, concept in self._occurrences(text):
            before = bisect_left(begins, end) - 1
            if concept and (before < 0 or kept[before].end <= start):
                found.append(Mention(start, end, concept))
        return tuple(sorted([*kept, *found], key=lambda mention: mention.start))

    def _occurrences(self, text: str) -> Iterator[tuple[int, int, Concept | None]]:
        """Yield the places of short forms, the longest that fits, without overlap; a plural `s` is part."""
        places: list[tuple[int, int, str]] = []
        for short in self._meanings:
            start = text.find(short)
            while start >= 0:
                if _WORD_START.match(text, start):
                    places.append((start, -len(short), short))
                start = text.find(short, start + 1)
        done = 0
        for start, _, short in sorted(places):
            end = start + len(short)
            end += text.startswith("s", end)
            if start >= done and not _WORD.match(text, end):
                done = end
                yield start, end, self._meanings[short]


def _agrees(text: str, definition: Definition, concept: Concept) -> bool:
    """Whether the vocabulary's own reading of the short form shares a word with the unknown long form."""
    long = set(_LONG_WORD.findall(fold(text[definition.start : definition.end])))
    return any(long & set(_LONG_WORD.findall(fold(name))) for name in concept.names)
