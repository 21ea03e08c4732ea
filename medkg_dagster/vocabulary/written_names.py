"""How things can be written in text: by the names that sources give them, and by those that grammar makes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet

from medkg_dagster.vocabulary.categories import DISEASES, GENE
from medkg_dagster.vocabulary.derived_names import (
    adjectives,
    alike,
    infected,
    is_initials,
    of_organs,
    other_noun,
)
from medkg_dagster.vocabulary.everyday_words import is_everyday_word, is_singular_of_none
from medkg_dagster.vocabulary.names import american, comparable, fold, forms, variants
from medkg_dagster.vocabulary.symbols import key_of
from medkg_dagster.vocabulary.unify import HEADING, Thing

SYMBOL = "\x01"
"""Stands before the key of a gene's name, and in no text before a name."""

LONGEST = 120
"""Longer names, nearly all of them chemical formulas, are not looked for in text."""

_ABBREVIATION = 3
_INITIALS = 6
_PROCESSES = "C23.550"
"""The branch of MeSH for pathologic processes."""

_BRANCHES_OF_DISEASES = ("C", "F03")

_OBSCURE = 4
"""How much less likely a meaning is that MeSH has no heading for."""

_DERIVED = 5
"""How likely the meaning of a name is that grammar makes."""


def written_names(things: Sequence[Thing]) -> Iterator[tuple[str, int, int, int]]:
    """Yield folded names with what each can mean: how likely (less is likelier), the thing, which name."""
    ailing = of_organs()
    diseases = {fold(name) for thing in things if thing.category in DISEASES for name in _names(thing)}
    words = {word for name in diseases for word in name.split()}
    for number, thing in enumerate(things):
        is_disease = thing.category in DISEASES
        # The adjectives of processes ("metastatic", "necrotic") say how something is, not what ails somebody.
        has_adjective = is_disease and not any(one.startswith(_PROCESSES) for one in thing.tree_numbers)
        is_known = any(map(_is_heading, (thing.curie, *thing.equivalents)))
        if is_disease and is_known:
            yield from ((derived, _DERIVED, number, 0) for derived in _derived(thing, ailing))
        # What MeSH has a heading for, under which articles are found, is what its names mean in articles; of
        # diseases what it has among diseases: "depression" is one before it is how somebody behaves.
        obscurity = 0 if is_known and (not is_disease or _is_among_diseases(thing)) else _OBSCURE
        for which, name in enumerate((thing.name, *thing.synonyms)):
            if len(name) > LONGEST or "\x00" in name or (which and _is_no_name(name, thing.name)):
                continue
            if is_disease and (_is_list(name, diseases) or (which and is_everyday_word(name, thing))):
                continue
            # What MeSH calls a heading means that one before others that are called so elsewhere.
            likely = obscurity + (0 if not which else 1 if fold(name) in thing.headed else 2)
            if has_adjective:
                for formed in adjectives(name):
                    yield american(fold(formed)), _DERIVED + likely, number, 0
            if is_disease and is_known:
                for formed in infected(forms(name)[-1]):
                    yield american(fold(formed)), _DERIVED, number, which
            for variant, is_formed in _variants(name, thing, words if is_disease else None):
                yield american(fold(variant)), likely + is_formed, number, which
            if thing.category == GENE and (key := key_of(name)):
                yield SYMBOL + key, 2 * (which > 0), number, which


def _derived(thing: Thing, ailing: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Yield what else a heading for a disease is called, by grammar."""
    for name in map(fold, _names(thing)):
        yield from ailing.get(name, ())
        formed = dict.fromkeys(alike(comparable(name)))
        if noun := other_noun(forms(name)[-1]):
            formed[noun] = None
        for one in formed:
            yield from (american(variant) for variant in variants(one))
            yield from adjectives(one)


def _spellings(name: str) -> Iterator[str]:
    """Yield a name in natural order too, and without the hyphen of "non-small cell"."""
    for form in forms(name):
        yield form
        if "on-" in form and "non-" in (folded := fold(form)):
            yield folded.replace("non-", "non")


def _variants(name: str, thing: Thing, words: AbstractSet[str] | None) -> Iterator[tuple[str, bool]]:
    """Yield a name in all its spellings, singular and plural, and whether grammar forms its number.

    Args:
        name: The name.
        thing: What it is a name of.
        words: All words in names of diseases where it is one of a disease.
    """
    for form in _spellings(name):
        for rank, variant in enumerate(variants(form)):
            if not (rank and words is not None and is_singular_of_none(variant, form, thing, words)):
                yield variant, rank > 0


def _names(thing: Thing) -> tuple[str, ...]:
    return (thing.name, *thing.synonyms)


def _is_list(name: str, diseases: AbstractSet[str]) -> bool:
    """Say whether a name is of two diseases ("nausea and vomiting"), each of which has a name of its own."""
    one, _, other = fold(name).partition(" and ")
    return bool(other) and one in diseases and other in diseases


def _is_heading(curie: str) -> bool:
    return curie.startswith(HEADING)


def _is_among_diseases(thing: Thing) -> bool:
    return not thing.tree_numbers or any(one.startswith(_BRANCHES_OF_DISEASES) for one in thing.tree_numbers)


def _is_no_name(synonym: str, name: str) -> bool:
    """Say whether a synonym is an abbreviation in lower case, as MONDO has them: any word would be one.

    So is "the syndrome", of which one is called THE syndrome.
    """
    if synonym.startswith("the "):
        return True
    if len(synonym) > _INITIALS or not (synonym.isalpha() and synonym.islower()):
        return False
    return len(synonym) <= _ABBREVIATION or is_initials(synonym, name)
