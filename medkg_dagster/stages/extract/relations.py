"""What words between two mentions say about them.

Patterns are tried in order; the whole text between the two mentions must fit one: the rest of the first noun
phrase, the words that relate, and the beginning of the second (`phrases`). A predicate never says more than
the words do: who reports that a medicine "was used for" a disease does not say that it helps.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from functools import cache, lru_cache

from medkg_dagster.stages.extract.condition_relations import CONDITION_RELATIONS
from medkg_dagster.stages.extract.conversion_relations import CONVERSIONS
from medkg_dagster.stages.extract.correlation_relations import CORRELATIONS
from medkg_dagster.stages.extract.course_relations import COURSE_RELATIONS
from medkg_dagster.stages.extract.effect_relations import EFFECT_RELATIONS
from medkg_dagster.stages.extract.gene_relations import GENE_RELATIONS
from medkg_dagster.stages.extract.harm_relations import HARM_RELATIONS
from medkg_dagster.stages.extract.interaction_relations import INTERACTION_RELATIONS
from medkg_dagster.stages.extract.organism_relations import ORGANISM_RELATIONS
from medkg_dagster.stages.extract.relation_types import Relation, Role
from medkg_dagster.stages.extract.treatment_relations import TREATMENT_RELATIONS

_GRAMMARS = (
    CORRELATIONS,
    HARM_RELATIONS,
    TREATMENT_RELATIONS,
    COURSE_RELATIONS,
    CONDITION_RELATIONS,
    GENE_RELATIONS,
    EFFECT_RELATIONS,
    INTERACTION_RELATIONS,
    CONVERSIONS,
    ORGANISM_RELATIONS,
)
RELATIONS: Mapping[tuple[Role, Role], tuple[Relation, ...]] = {
    (left, right): tuple(one for grammar in _GRAMMARS for one in grammar.get((left, right), ()))
    for left in Role
    for right in Role
}

_MOST_REMEMBERED = 1 << 14
"""So many texts between two mentions are remembered: a few ("and", "in") stand between most of them."""

_ASPECTS = {
    "expression": "expression",
    "mrna": "expression",
    "transcription": "expression",
    "upregulation": "expression",
    "level": "abundance",
    "concentration": "abundance",
    "production": "synthesis",
    "synthesis": "synthesis",
    "release": "secretion",
    "secretion": "secretion",
    "translocation": "localization",
    "binding": "molecular_interaction",
    "activity": "activity",
    "activities": "activity",
    "activation": "activity",
    "phosphorylation": "activity",
    "function": "activity",
    "signaling": "activity",
    "signalling": "activity",
}


def aspect_of(word: str | None) -> str:
    """Return what of a gene a word names, as the Biolink Model calls it; without one, both that it may be."""
    return _ASPECTS.get(word or "", _ASPECTS.get((word or "").removesuffix("s"), "activity_or_abundance"))


INTERACTION = re.compile(
    r"\b(?:interactions?|synergism|synergy|antagonism|binding|complex(?:es)?) (?:between|of) $"
)


def relation_between(
    left: Role,
    words: str,
    right: Role,
    *,
    before: str = "",
    after: str = "",
    first_named: str = "",
    named: str = "",
) -> tuple[Relation, re.Match[str]] | None:
    """Return what the words between two mentions state, if anything, and how they fit.

    Args:
        left: What the first is.
        words: What stands between them, as `phrases.plain` writes it.
        right: What the second is.
        before: What stands before the first, in lower case.
        after: What stands after the second, in lower case.
        first_named: How the first is written, in lower case.
        named: How the second is written, in lower case.
    """
    for relation in _possible(left, right, words):
        fits = relation.fits(words, before=before, after=after, first_named=first_named, named=named)
        if fits is not None:
            return relation, fits
    return None


@lru_cache(maxsize=_MOST_REMEMBERED)
def _possible(left: Role, right: Role, words: str) -> tuple[Relation, ...]:
    """Return the relations that words between two mentions may state, in order."""
    relations = RELATIONS[left, right]
    always, needing = _needing(left, right)
    possible = always
    for word, those in needing.items():
        if word in words:
            possible |= those
    return tuple(one for number, one in enumerate(relations) if possible >> number & 1 and one.may_fit(words))


@cache
def _needing(left: Role, right: Role) -> tuple[int, Mapping[str, int]]:
    """Return which relations need no word, and which need one or another of the same by each word.

    A number stands for a set of relations: its bit `i` for the relation `i`.
    """
    always, needing = 0, Counter[str]()
    for number, one in enumerate(RELATIONS[left, right]):
        needed = one.needed
        always |= 0 if needed else 1 << number
        for word in needed:
            needing[word] |= 1 << number
    return always, needing
