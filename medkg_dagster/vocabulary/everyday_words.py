"""Single words that ontologies list as another name of a disease, and that by their form say something else.

In text "sterile" is an instrument before it is infertility, "oncology" a department, and "mono" the beginning
of a word. What MeSH itself calls one of its headings is its name whatever its form; so is what a vocabulary
of someone's own lists.
"""

from __future__ import annotations

import re
from collections.abc import Set as AbstractSet

from medkg_dagster.vocabulary.names import fold
from medkg_dagster.vocabulary.unify import Thing

ONTOLOGIES = ("DOID:", "HP:", "MONDO:")
"""How the CURIEs of diseases begin that ontologies list."""

_PUBLISHED = (*ONTOLOGIES, "MESH:")
_ADJECTIVE = re.compile(r"(?:(?<!w)al|[^aeiou]ic|ous|ile|ed|ive|ary)$")
_SCIENCE = "logy"
_JOINING = "o"
"""As the stems end that compounds are made of."""
_STEM = 4


def is_everyday_word(synonym: str, thing: Thing) -> bool:
    """Say whether another name of a disease is a word that says something else by its form.

    Such are the names of sciences, stems of compounds, and adjectives, unless it is the adjective of the
    disease ("infertile"); what a name only begins with ("infectious" disease) says nothing by itself.

    Args:
        synonym: The name, none that grammar made of another one.
        thing: The disease.
    """
    word = fold(synonym)
    if not (word.isalpha() and thing.curie.startswith(ONTOLOGIES)) or word in thing.headed:
        return False
    if word.endswith(_SCIENCE):
        return True
    words = fold(thing.name).split()
    if word.endswith(_JOINING):
        others = (each for name in (thing.name, *thing.synonyms) for each in fold(name).split())
        return any(other.startswith(word) and other != word for other in others)
    if _ADJECTIVE.search(word) is None or word == words[-1]:
        return False
    return word in words or not any(other.startswith(word[:_STEM]) for other in words)


def is_singular_of_none(singular: str, name: str, thing: Thing, words: AbstractSet[str]) -> bool:
    """Say whether the singular that grammar makes of a single word is none that anybody writes.

    "Hives" and "caries" are names of one thing, which has no singular. What is in a vocabulary of someone's
    own may be named in no other one.

    Args:
        singular: What grammar makes.
        name: What it makes it of.
        thing: The disease.
        words: All words in names of diseases, folded.
    """
    return (
        len(singular) < len(name)
        and singular.isalpha()
        and thing.curie.startswith(_PUBLISHED)
        and fold(singular) not in words
    )
