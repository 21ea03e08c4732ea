"""Diseases that share a word: "breast and ovarian cancer" names two, and both are all of it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from medkg_dagster.stages.extract.mentions import Mention
from medkg_dagster.stages.extract.terms import KnownConcepts
from medkg_dagster.vocabulary.categories import DISEASES
from medkg_dagster.vocabulary.names import singular

_LAST = re.compile(r"([^\W\d_][\w-]*),? (?:and|or|and/or) $")
_BEFORE = re.compile(r"([^\W\d_][\w-]*), $")
_MOST = 60
"""So many characters before a mention are looked at for each word of a list."""


@dataclass(frozen=True, slots=True)
class Part:
    """A mention, and how far the words reach that it shares with others.

    Attributes:
        mention: The concept, with the place of what is its own.
        start: Where all of them begin.
        end: Where all of them end.
    """

    mention: Mention
    start: int
    end: int


def parts(text: str, mentions: Sequence[Mention], known: KnownConcepts) -> Iterator[Part]:
    """Yield the mentions of a sentence in order, with those that share the last word of another one.

    Args:
        text: The sentence.
        mentions: Its mentions, in order and without overlap.
        known: What has which name.
    """
    done = 0
    for mention in mentions:
        shared = [*reversed(list(_sharing(text, done, mention, known))), mention]
        start = shared[0].start
        yield from (Part(one, start, mention.end) for one in shared)
        done = mention.end


def _sharing(text: str, least: int, mention: Mention, known: KnownConcepts) -> Iterator[Mention]:
    """Yield what stands before a mention and shares its last words, the nearest first."""
    words = text[mention.start : mention.end].split(" ")
    if mention.concept.category not in DISEASES or len(words) == 1:
        return
    pattern, end = _LAST, mention.start
    while found := pattern.search(text, max(least, end - _MOST), end):
        names = (f"{found[1]} {' '.join(words[number:])}" for number in range(1, len(words)))
        concepts = (known.by_name(name) or known.by_name(singular(name) or name) for name in names)
        concept = next((one for one in concepts if one and one.category in DISEASES), None)
        if concept is None or concept.curie == mention.concept.curie:
            return
        yield Mention(found.start(1), found.end(1), concept)
        pattern, end = _BEFORE, found.start(1)
