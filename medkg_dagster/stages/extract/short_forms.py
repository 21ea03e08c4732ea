"""What a document's own abbreviations mean from their definition on."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from medkg_dagster.stages.extract.abbreviations import Definition
from medkg_dagster.stages.extract.matching import Mention
from medkg_dagster.stages.extract.terms import Concept, fold

_LONG_WORD = re.compile(r"\w{4,}")


class ShortForms:
    """The abbreviations defined so far in one document.

    A short form whose long form is a known concept means that concept. One whose long form is unknown means
    nothing known, even where the vocabulary has the same letters for something else.
    """

    def __init__(self) -> None:
        self._meanings: dict[str, Concept | None] = {}
        self._pattern: re.Pattern[str] | None = None

    def learn(self, text: str, definitions: Iterable[Definition], mentions: Sequence[Mention]) -> None:
        """Take in the definitions of a sentence.

        Args:
            text: The sentence.
            definitions: The abbreviations it defines.
            mentions: The concepts it names.
        """
        for definition in definitions:
            concept = _grounded(definition, mentions)
            if concept is None and _agrees(text, definition, mentions):
                continue
            self._meanings[definition.short] = concept
            self._pattern = None

    def apply(self, text: str, mentions: Sequence[Mention]) -> tuple[Mention, ...]:
        """Return a sentence's mentions with its short forms read as this document defines them.

        Args:
            text: The sentence.
            mentions: What the vocabulary finds in it.

        Returns:
            The mentions, in order and without overlap.
        """
        if not self._meanings:
            return tuple(mentions)
        kept = [mention for mention in mentions if text[mention.start : mention.end] not in self._meanings]
        taken = [(mention.start, mention.end) for mention in kept]
        for start, end, concept in self._occurrences(text):
            if concept and not any(start < stop and begin < end for begin, stop in taken):
                kept.append(Mention(start, end, concept))
        return tuple(sorted(kept, key=lambda mention: mention.start))

    def _occurrences(self, text: str) -> Iterator[tuple[int, int, Concept | None]]:
        if self._pattern is None:
            longest_first = sorted(self._meanings, key=lambda short: (-len(short), short))
            self._pattern = re.compile(rf"(?<![\w-])({'|'.join(map(re.escape, longest_first))})s?(?!\w)")
        for match in self._pattern.finditer(text):
            yield match.start(), match.end(), self._meanings[match.group(1)]


def _grounded(definition: Definition, mentions: Sequence[Mention]) -> Concept | None:
    for mention in mentions:
        if mention.end == definition.end and mention.start <= definition.start:
            return mention.concept
    return None


def _agrees(text: str, definition: Definition, mentions: Sequence[Mention]) -> bool:
    """Whether the vocabulary's own reading of the short form shares a word with the unknown long form."""
    long = set(_LONG_WORD.findall(fold(text[definition.start : definition.end])))
    for mention in mentions:
        if mention.start == definition.defined_at:
            return any(long & set(_LONG_WORD.findall(fold(name))) for name in mention.concept.names)
    return False
