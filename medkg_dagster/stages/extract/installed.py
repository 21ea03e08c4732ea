"""The installed vocabulary as `extract` uses it: what a text names, and what a field's name or CURIE is.

Every kind of thing is looked for, so that a longer name of another kind stands before a shorter one ("MAP
kinase inhibitor" is no protein); only those of `FOUND` become mentions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from medkg_dagster.stages.extract.genes import GeneFinder
from medkg_dagster.stages.extract.mentions import Mention
from medkg_dagster.stages.extract.specific import (
    ORGANISM,
    infects,
    is_doing,
    is_heading,
    is_in_mesh,
    is_named_by_itself,
    is_plain_word,
)
from medkg_dagster.vocabulary.artefact import Meaning, VocabularyArtefact
from medkg_dagster.vocabulary.categories import CHEMICALS, DISEASES, GENE
from medkg_dagster.vocabulary.concepts import Concept
from medkg_dagster.vocabulary.library import VocabularyLibrary
from medkg_dagster.vocabulary.names import american, american_places, fold, same_case
from medkg_dagster.vocabulary.unify import Thing

FOUND = frozenset(
    {
        "biolink:Disease",
        "biolink:PhenotypicFeature",
        "biolink:ChemicalEntity",
        "biolink:Gene",
        "biolink:Protein",
        ORGANISM,
    }
)
"""The categories of what becomes a mention."""

_SHADOWLESS = frozenset({"biolink:ChemicalRole"})
"""Of these a longer name hides no shorter one: dopamine is a chemical in the role "dopamine agonist"."""


_MOST_KINDS, _MOST_KINDS_OF_DISEASE = 150, 5000
"""What has more kinds and is no heading of MeSH, under which articles are sought, is a class of things.

Of diseases there are names for wide classes that say what somebody has: cancer, a neuropathy, focal seizures.
"""

_LEAST_STEPS = 4
"""So far below the root of ChEBI are classes and radicals, unless MeSH knows them."""

_BEHAVIOR = "HP:0000708"
"""Atypical behavior: what somebody does, which in text others do as well."""

_NO_METALS = ("lead", "gold")
_IS_NO_METAL = re.compile(r"leads?(?: \w+ly)? to\b|leads\b|gold standard")
"""That something leads to something, what has a plural, and what others are measured by."""

_OF_WHAT_PASSES = re.compile(r"(?:receptor|channel|transporter)s?$")
"""How proteins are called after what they bind or let pass."""

_MOST_REMEMBERED = 1 << 14
_LONGEST = 1 << 30

_WORDS = re.compile(r"(?<!\w)[^\W_]\w*")

_Reading = tuple[int | None, Concept | None, bool]
"""A thing by its number, its concept, and whether that becomes a mention."""


class InstalledVocabulary:
    """The vocabulary of a home, by identifier and by name.

    Args:
        artefact: The vocabulary.
    """

    def __init__(self, artefact: VocabularyArtefact) -> None:
        self._artefact = artefact
        self._known: dict[int, Concept] = {}
        self._specific: dict[int, bool] = {}
        self._places: dict[str, tuple[str, ...]] = {}

    @property
    def version(self) -> str:
        """The hash of its content."""
        return self._artefact.version

    @property
    def concepts(self) -> int:
        """How many concepts it has."""
        return int(self._artefact.about["things"])

    @property
    def names(self) -> int:
        """How many names it has, plurals among them."""
        return int(self._artefact.about["names"])

    def by_curie(self, curie: str) -> Concept | None:
        """Return the concept with this identifier, an equivalent or a former one."""
        number = self._artefact.number_of(curie)
        return None if number is None else self.concept(number)

    def by_name(self, name: str) -> Concept | None:
        """Return the likeliest concept with this name, in any case, inverted or not."""
        return next((self.concept(number) for number in self._artefact.find(name)), None)

    def concept(self, number: int) -> Concept:
        """Return a concept by its number."""
        found = self._known.get(number)
        if found is None:
            thing = self._artefact.thing(number)
            found = Concept(thing.curie, thing.name, thing.category, thing.synonyms)
            self._known[number] = found
        return found

    def tree_numbers(self, curie: str) -> tuple[str, ...]:
        """Return where a concept stands in the trees of MeSH."""
        found = self._places.get(curie)
        if found is None:
            number = self._artefact.number_of(curie)
            found = () if number is None else tuple(self._artefact.thing(number).tree_numbers)
            self._places[curie] = found
        return found

    def is_specific(self, number: int) -> bool:
        """Say whether a thing is specific enough, and of such a kind, that a document can be about it."""
        found = self._specific.get(number)
        if found is None:
            thing = self._artefact.thing(number)
            is_worth_it = infects(thing) if thing.category == ORGANISM else is_named_by_itself(thing)
            found = self._specific[number] = is_worth_it and (is_heading(thing) or not self._is_class(number))
        return found

    def _is_class(self, number: int) -> bool:
        """Say whether a thing has very many kinds, or stands close below the root of ChEBI ("cluster")."""
        level = [self._artefact.thing(number)]
        most = _MOST_KINDS_OF_DISEASE if level[0].category in DISEASES else _MOST_KINDS
        if self._artefact.has_descendants(number, most):
            return True
        if not level[0].curie.startswith("CHEBI:") or is_in_mesh(level[0]):
            return False
        for _ in range(_LEAST_STEPS):
            if not all(thing.parents for thing in level):
                return True
            level = [self._artefact.of(parent) for thing in level for parent in thing.parents]
        return False

    def is_name(self, meaning: Meaning, name: str) -> bool:
        """Say whether a name is one by which a thing is called in text, see `specific.is_plain_word`."""
        if meaning.acronyms or not name.isalpha():
            return True
        thing = self._artefact.thing(meaning.thing)
        if meaning.name:
            return not is_plain_word(thing, name)
        return not (is_doing(thing, name) and self._is_behavior(thing))

    def _is_behavior(self, thing: Thing) -> bool:
        """Say whether a thing is a kind of what HPO calls atypical behavior."""
        return _BEHAVIOR in (thing.curie, *thing.equivalents) or any(
            self._is_behavior(self._artefact.of(one)) for one in thing.parents
        )

    def matcher(self, min_term_length: int) -> InstalledMatcher:
        """Return what finds its names in text.

        Args:
            min_term_length: Shorter names are not looked for.
        """
        return InstalledMatcher(self, self._artefact, min_term_length)

    def gene_finder(self, min_term_length: int) -> GeneFinder:
        """Return what finds genes in whole documents.

        Args:
            min_term_length: Shorter names are not looked for.
        """
        return GeneFinder(self._artefact, min_term_length)


class InstalledMatcher:
    """Finds the names of the installed vocabulary, the longest one where several begin; see `Matcher`.

    Args:
        vocabulary: The concepts.
        artefact: The names.
        min_term_length: Shorter names are not looked for.
    """

    def __init__(
        self, vocabulary: InstalledVocabulary, artefact: VocabularyArtefact, min_term_length: int
    ) -> None:
        self._vocabulary = vocabulary
        self._artefact = artefact
        self._min_length = min_term_length
        self._readings: dict[str, _Reading] = {}
        self._within: dict[str, tuple[Mention, ...]] = {}

    def find(self, text: str) -> tuple[Mention, ...]:
        """Return the mentions in a text, in order and without overlap; offsets count code points."""
        folded, spelled = fold(text), same_case(text)
        if (in_american := american(folded)) == folded:
            return tuple(self._mentions(folded, spelled))
        places = american_places(folded)
        written = "".join(spelled[place] for place in places[:-1])
        return tuple(
            replace(found, start=places[found.start], end=places[found.end])
            for found in self._mentions(in_american, written)
        )

    def chemicals_within(self, name: str) -> tuple[Mention, ...]:
        """Return the chemicals that the name of a gene or protein names, as "NMDA receptor" does.

        That is one with which it begins; in the name of a receptor, channel or transporter any one.
        """
        found = self._within.get(name)
        if found is None:
            if len(self._within) >= _MOST_REMEMBERED:
                self._within.clear()
            folded = fold(name)
            is_of_any = _OF_WHAT_PASSES.search(folded) is not None
            found = self._within[name] = tuple(
                one
                for one in self._mentions(folded, same_case(name), longest=len(name) - 1)
                if one.concept.category in CHEMICALS and (is_of_any or not one.start)
            )
        return found

    def _mentions(self, folded: str, spelled: str, longest: int = _LONGEST) -> Iterator[Mention]:
        done = 0
        prefixes = self._artefact.search.prefixes
        for start, word_end in [match.span() for match in _WORDS.finditer(folded)]:
            if start < done:
                continue
            found = prefixes(folded, start, word_end)
            if not found or (folded.startswith(_NO_METALS, start) and _IS_NO_METAL.match(folded, start)):
                continue
            least = max(self._min_length, word_end - start)
            for name in reversed(found):
                length = len(name)
                if length < least:
                    break
                end = start + length
                if length > longest or _is_cut(folded, word_end, end):
                    continue
                number, concept, is_mention = self._read(name, spelled, start, end)
                if number is None or concept is None or concept.category in _SHADOWLESS:
                    continue
                if concept.category not in FOUND and folded[start - 1 : start] == "-":
                    continue
                done = end
                if is_mention:
                    yield Mention(start, end, concept)
                break

    def _read(self, name: str, spelled: str, start: int, end: int) -> _Reading:
        """Return what a name means where it stands; what it means everywhere is remembered."""
        known = self._readings.get(name)
        if known is not None:
            return known
        meanings = self._artefact.meanings(self._artefact.search.number(name))
        number = self._meant(meanings, spelled, start, end)
        found: _Reading = None, None, False
        if number is not None:
            concept = self._vocabulary.concept(number)
            found = number, concept, concept.category in FOUND and self._vocabulary.is_specific(number)
        if not any(meaning.acronyms for meaning in meanings):
            if len(self._readings) >= _MOST_REMEMBERED:
                self._readings.clear()
            self._readings[name] = found
        return found

    def _meant(self, meanings: Sequence[Meaning], spelled: str, start: int, end: int) -> int | None:
        """Return the number of the likeliest thing that is written so, of diseases a specific one.

        Genes are found by `GeneFinder`.
        """
        every = [
            meaning.thing
            for meaning in meanings
            if all(spelled.startswith(written, start + place) for place, written in meaning.acronyms)
            and self._vocabulary.is_name(meaning, spelled[start:end])
        ]
        written_so = [one for one in every if self._vocabulary.concept(one).category != GENE]
        if not written_so:
            return None
        first = written_so[0]
        if first != every[0] and self._vocabulary.concept(first).category in CHEMICALS:
            # What a gene makes, which ChEBI has among its chemicals.
            return None
        is_organism = self._vocabulary.concept(first).category == ORGANISM
        if len(written_so) > 1 and not is_organism and not self._vocabulary.is_specific(first):
            diseases = (one for one in written_so if self._vocabulary.concept(one).category in DISEASES)
            return next(filter(self._vocabulary.is_specific, diseases), first)
        return first


def _is_cut(folded: str, word_end: int, end: int) -> bool:
    """Say whether a name that ends somewhere behind its first word ends within another word."""
    if end == word_end or end == len(folded):
        return False
    last, following = folded[end - 1], folded[end]
    return (last.isalnum() or last == "_") and (following.isalnum() or following == "_")


def installed(home: Path, version: str | None = None) -> InstalledVocabulary | None:
    """Return the vocabulary that is in use in a home; None where none was installed.

    Args:
        home: The folder for all data.
        version: Another version than the one that is in use now.

    Raises:
        VocabularyError: It cannot be opened.
    """
    version = version or VocabularyLibrary(home).current_version()
    return None if version is None else _opened(home, version)


@lru_cache(maxsize=2)
def _opened(home: Path, version: str) -> InstalledVocabulary:
    return InstalledVocabulary(VocabularyLibrary(home).opened(version))
