"""Species by their abbreviated names: "M. tuberculosis" where a document names Mycobacterium tuberculosis.

The genus is spelled out once in nearly every document; where it is not, the letter may stand for several.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from medkg_dagster.stages.extract.mentions import Mention
from medkg_dagster.stages.extract.specific import ORGANISM
from medkg_dagster.vocabulary.concepts import Concept

_SPECIES = re.compile(r"([A-Z])[a-z]+ ([a-z]{3,})")
_ABBREVIATED = re.compile(r"\b([A-Z])\. ?([a-z]{3,})\b")


def with_species(texts: Sequence[str], found: Sequence[tuple[Mention, ...]]) -> list[tuple[Mention, ...]]:
    """Return the mentions of a document's sentences with those of species by abbreviated names among them.

    Args:
        texts: The sentences.
        found: The mentions in each, in order; what an abbreviated name covers is nothing else.
    """
    named: dict[tuple[str, str], Concept] = {}
    for text, mentions in zip(texts, found, strict=True):
        for one in mentions:
            if one.concept.category == ORGANISM and (name := _SPECIES.match(text, one.start, one.end)):
                named.setdefault((name[1], name[2]), one.concept)
    if not named:
        return list(found)
    return [_read(text, mentions, named) for text, mentions in zip(texts, found, strict=True)]


def _read(
    text: str, mentions: tuple[Mention, ...], named: Mapping[tuple[str, str], Concept]
) -> tuple[Mention, ...]:
    new = tuple(_species(text, named))
    kept = (one for one in mentions if all(one.end <= it.start or it.end <= one.start for it in new))
    return tuple(sorted((*kept, *new), key=lambda one: one.start)) if new else mentions


def _species(text: str, named: Mapping[tuple[str, str], Concept]) -> Iterator[Mention]:
    for name in _ABBREVIATED.finditer(text):
        if concept := named.get((name[1], name[2])):
            yield Mention(name.start(), name.end(), concept)
