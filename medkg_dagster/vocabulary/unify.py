"""One concept for one thing, whatever it is called where.

Concepts of different sources are joined where a source or a mapping calls them the same, by this rule:

1.  What is said is taken in an order that depends on nothing else: first of concepts with one preferred name,
    then where the preferred name of one is a name of the other, then where they share any name, then where
    they share a word, then the rest; within each what a person curated or both sources say, then what a
    mapping says, then references of one to the other; then by CURIE. At last come those of one kind of which
    nobody says anything, where the preferred name of one is that of the other, or one of its names, and of no
    third one of their sources.
2.  Two concepts are joined unless that would put two concepts of one source into one thing, or things of
    different kinds (a disease and a gene), or they have no word in common and only one refers to the other.
    What is not joined is a `Collision`, kept with the vocabulary.
3.  The thing has the CURIE, the name and the category of the concept whose prefix comes first in
    `PREFERENCE`, and the names of all.

So the result depends on what the sources say and not on the order in which they are read.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from medkg_dagster.vocabulary.categories import categories_by_place
from medkg_dagster.vocabulary.concepts import Concept, Equivalence, prefix_of
from medkg_dagster.vocabulary.derived_names import alike
from medkg_dagster.vocabulary.names import comparable, fold
from medkg_dagster.vocabulary.salts import without_salt

PREFERENCE = ("MONDO", "HP", "DOID", "CHEBI", "HGNC", "NCBIGene", "MESH", "DRUGBANK")
"""Prefixes, the preferred one first; the others follow in the order of the alphabet."""

HEADING = "MESH:D"
"""How the CURIEs of the headings of MeSH begin, under which articles are found."""

ELSEWHERE = frozenset({"EFO", "NCIT", "OMIM", "ORPHANET", "UMLS"})
"""Prefixes of schemes that are equivalents also where no source describes them."""

_KINDS = {
    "biolink:Disease": "disease",
    "biolink:PhenotypicFeature": "disease",
    "biolink:DiseaseOrPhenotypicFeature": "disease",
    "biolink:ChemicalEntity": "chemical",
    "biolink:SmallMolecule": "chemical",
    "biolink:Drug": "chemical",
    "biolink:MolecularMixture": "chemical",
    "biolink:Protein": "chemical",
}
_KIND_OF_ALL = "biolink:NamedThing"

_TWICE = "it would be "
_UNSURE = "they have no word in common, and only one refers to the other"
_ELSE_BY_NAME = "they have no word in common, and each is something else by name"
_ONE_COURSE = "one of them is {}, and no name is common to both"
_REFERENCED, _MAPPED, _CURATED = range(3)
"""How surely two concepts are the same: one refers to the other, a mapping says so, a person or both do."""

_WORD = re.compile(r"[^\W\d_]{4,}")
_COURSE = re.compile(r"\b(?:acute|chronic)\b")


@dataclass(frozen=True, slots=True)
class Thing:
    """What the concepts of several sources are.

    Attributes:
        curie: The preferred CURIE.
        name: Its name there.
        category: Its Biolink category there.
        synonyms: All other names, those that more of the concepts have first, then in the order of the
            concepts' prefixes.
        equivalents: The CURIEs of the other concepts, and of what no source describes but theirs refer to as
            the same, one for one (OMIM, UMLS).
        parents: Preferred CURIEs of what it is a kind of.
        tree_numbers: Its places in the tree of MeSH.
        roles: Preferred CURIEs of what it does or is used for.
        former: CURIEs that its concepts had before.
        close: Preferred CURIEs of what is nearly the same: what a source or a mapping calls the same and was
            not joined, the acid or base of a chemical, and what it is a salt of.
        sources: Names of the sources that know it.
        headed: Folded names that MeSH gives it as a heading; known only while a vocabulary is made.
    """

    curie: str
    name: str
    category: str
    synonyms: tuple[str, ...] = ()
    equivalents: tuple[str, ...] = ()
    parents: tuple[str, ...] = ()
    tree_numbers: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    former: tuple[str, ...] = ()
    close: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    headed: frozenset[str] = field(default=frozenset(), compare=False)


@dataclass(frozen=True, slots=True, order=True)
class Collision:
    """That two concepts are said to be the same, and why they are not joined.

    Attributes:
        one: The CURIE of one.
        other: The CURIE of the other.
        reason: Why.
    """

    one: str
    other: str
    reason: str


def unify(
    sources: Mapping[str, Iterable[Concept | Equivalence]],
) -> tuple[list[Thing], list[Collision]]:
    """Join the concepts of all sources.

    Args:
        sources: By name of the source: what it says.

    Returns:
        The things, in the order of their CURIEs; and what was not joined.
    """
    concepts, said, known_by = _gathered(sources)
    names = {
        curie: tuple(dict.fromkeys(map(comparable, concept.names))) for curie, concept in concepts.items()
    }
    classes = _Classes(concepts)
    collisions = []
    for one, other, distance, surely in _in_order(concepts, names, said):
        reason = _doubt(names[one][0], names[other][0], distance, surely)
        if reason is None and distance == _NOTHING_SHARED and classes.are_several(one, other):
            reason = _ELSE_BY_NAME
        if (reason := reason or classes.join(one, other)) is not None:
            collisions.append(Collision(one, other, reason))
    for one, other in _namesakes(concepts, names):
        classes.join(one, other)
    members = classes.members()
    preferred = {curie: group[0] for group in members for curie in group}
    for group in members:
        for curie in group:
            for former in concepts[curie].former:
                preferred.setdefault(former, group[0])
    close = _close(concepts, collisions)
    elsewhere = _elsewhere(concepts, members, preferred)
    things = [
        _thing([concepts[one] for one in group], preferred, known_by, close, elsewhere[group[0]])
        for group in members
    ]
    return sorted(things, key=lambda thing: thing.curie), sorted(set(collisions))


def _close(concepts: Mapping[str, Concept], collisions: Iterable[Collision]) -> Mapping[str, list[str]]:
    """Return by CURIE what it is nearly the same as.

    A salt that is named after what it is one of, as in `bupropion hydrochloride`, is close to that; a disease
    to the heading that says the same in other words.
    """
    found: dict[str, list[str]] = defaultdict(list)
    for each in collisions:
        if each.reason.startswith(_TWICE):
            found[each.one].append(each.other)
            found[each.other].append(each.one)
    chemicals: dict[str, list[str]] = defaultdict(list)
    for curie, concept in concepts.items():
        if _kind(concept) == "chemical":
            chemicals[fold(concept.name)].append(curie)
        for other in concept.close:
            found[curie].append(other)
    for curie, heading in _alike(concepts):
        found[curie].append(heading)
    for name, salts in chemicals.items():
        for base in chemicals.get(without_salt(name) or "", ()):
            for salt in salts:
                found[salt].append(base)
                found[base].append(salt)
    return found


def _alike(concepts: Mapping[str, Concept]) -> Iterator[tuple[str, str]]:
    """Yield diseases, "colon cancer", each with a heading that says the same, "Colonic Neoplasms"."""
    diseases = [(curie, one) for curie, one in concepts.items() if _kind(one) == "disease"]
    headings = {
        comparable(name): curie
        for curie, one in diseases
        if curie.startswith(HEADING)
        for name in reversed(one.names)
    }
    for curie, one in diseases:
        if not curie.startswith("MESH:"):
            for name in alike(comparable(one.name)):
                if name in headings:
                    yield curie, headings[name]


def _elsewhere(
    concepts: Mapping[str, Concept], members: Iterable[Sequence[str]], preferred: Mapping[str, str]
) -> Mapping[str, list[str]]:
    """Return by preferred CURIE what else a thing is, in schemes that are no source, one for one."""
    referred: dict[str, set[str]] = defaultdict(set)
    of_scheme: dict[tuple[str, str], set[str]] = defaultdict(set)
    for group in members:
        for curie in group:
            for other in concepts[curie].same_as:
                if other not in preferred and prefix_of(other) in ELSEWHERE:
                    referred[other].add(group[0])
                    of_scheme[group[0], prefix_of(other)].add(other)
    found: dict[str, list[str]] = defaultdict(list)
    for (thing, _), others in sorted(of_scheme.items()):
        if len(others) == 1 and len(referred[other := next(iter(others))]) == 1:
            found[thing].append(other)
    return found


def _gathered(
    sources: Mapping[str, Iterable[Concept | Equivalence]],
) -> tuple[dict[str, Concept], dict[tuple[str, str], int], dict[str, list[str]]]:
    """Return concepts by CURIE, what is said to be the same and how surely, and by CURIE the sources."""
    concepts: dict[str, Concept] = {}
    said: dict[tuple[str, str], int] = {}
    known_by: dict[str, list[str]] = defaultdict(list)
    for source in sorted(sources):
        for item in sources[source]:
            if isinstance(item, Equivalence):
                pair = (min(item.one, item.other), max(item.one, item.other))
                said[pair] = _CURATED if item.is_curated or pair in said else _MAPPED
                continue
            known = concepts.get(item.curie)
            concepts[item.curie] = item if known is None else _both(known, item)
            known_by[item.curie].append(source)
            for other in item.same_as:
                pair = (min(item.curie, other), max(item.curie, other))
                said[pair] = _CURATED if pair in said else _REFERENCED
    elsewhere = categories_by_place({curie: concept.parents for curie, concept in concepts.items()})
    for curie, category in elsewhere.items():
        if curie in concepts:
            concepts[curie] = replace(concepts[curie], category=category)
    return concepts, said, known_by


def _both(known: Concept, item: Concept) -> Concept:
    """Return what two sources say of one CURIE; of the names the preferred one is that of the first."""

    def joined(*parts: Iterable[str]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(one for part in parts for one in part))

    return Concept(
        *(known.curie, known.name, known.category if known.category != _KIND_OF_ALL else item.category),
        synonyms=joined(known.synonyms, (name for name in item.names if name != known.name)),
        same_as=joined(known.same_as, item.same_as),
        parents=joined(known.parents, item.parents),
        tree_numbers=joined(known.tree_numbers, item.tree_numbers),
        roles=joined(known.roles, item.roles),
        former=joined(known.former, item.former),
        close=joined(known.close, item.close),
    )


def _in_order(
    concepts: Mapping[str, Concept],
    names: Mapping[str, Sequence[str]],
    said: Mapping[tuple[str, str], int],
) -> Iterator[tuple[str, str, int, int]]:
    """Yield what is said to be the same, of concepts that are known, the surest first.

    Yields:
        Two CURIEs, how unlike their names are, and how surely they are the same.
    """
    former = {
        old: curie for curie, concept in concepts.items() for old in concept.former if old not in concepts
    }
    found = []
    for pair, surely in said.items():
        one, other = (former.get(curie, curie) for curie in pair)
        if one in concepts and other in concepts and one != other:
            found.append((_distance(names[one], names[other]), -surely, one, other))
    for distance, surely, one, other in sorted(set(found)):
        yield one, other, distance, -surely


_WORD_SHARED, _NOTHING_SHARED = 3, 4


def _doubt(one: str, other: str, distance: int, surely: int) -> str | None:
    """Return why two concepts are not joined, by their preferred names and what is said of them."""
    if distance == _NOTHING_SHARED and surely == _REFERENCED:
        return _UNSURE
    courses = set(_COURSE.findall(one)) ^ set(_COURSE.findall(other))
    return _ONE_COURSE.format(min(courses)) if distance >= _WORD_SHARED and courses else None


def _distance(one: Sequence[str], other: Sequence[str]) -> int:
    """Return how unlike the names of two concepts are, of each the preferred one first."""
    if one[0] == other[0]:
        return 0
    if one[0] in other or other[0] in one:
        return 1
    if not set(one).isdisjoint(other):
        return 2
    words, others = (set(_WORD.findall(" ".join(names))) for names in (one, other))
    return _NOTHING_SHARED if words.isdisjoint(others) else _WORD_SHARED


def _namesakes(
    concepts: Mapping[str, Concept], names: Mapping[str, Sequence[str]]
) -> Iterator[tuple[str, str]]:
    """Yield concepts of one kind that one name means, and which no other concept of their sources has.

    First those with one preferred name to the letter, then those with one in any number and spelling, then
    those where it is one of the other's names.
    """
    written: dict[tuple[str, str], list[str]] = defaultdict(list)
    preferred: dict[tuple[str, str], list[str]] = defaultdict(list)
    named: dict[tuple[str, str], list[str]] = defaultdict(list)
    for curie, concept in concepts.items():
        if concept.category != _KIND_OF_ALL:
            kind = _kind(concept)
            written[kind, fold(concept.name)].append(curie)
            for number, name in enumerate(names[curie]):
                (named if number else preferred)[kind, name].append(curie)
    for _, group in (*_shared(written), *_shared(preferred)):
        first, *others = _alone(group) or [""]
        for other in others:
            yield first, other
    for key, group in sorted(one for one in preferred.items() if len(one[1]) > 1 or one[0] in named):
        alone = _alone([*group, *named.get(key, ())])
        for one in alone:
            if one in group:
                for other in alone:
                    if other != one:
                        yield one, other


def _shared(groups: Mapping[tuple[str, str], list[str]]) -> list[tuple[tuple[str, str], list[str]]]:
    return sorted(item for item in groups.items() if len(item[1]) > 1)


def _alone(group: Sequence[str]) -> list[str]:
    """Return the CURIEs that are the only ones of their prefix, the preferred one first."""
    of_prefix = Counter(map(prefix_of, group))
    return sorted((one for one in group if of_prefix[prefix_of(one)] == 1), key=preference)


class _Classes:
    """Concepts joined to things, which know the sources and the kinds of all their concepts."""

    def __init__(self, concepts: Mapping[str, Concept]) -> None:
        self._concepts = concepts
        self._parents: dict[str, str] = {}
        self._of_prefix: dict[str, dict[str, str]] = {}

    def join(self, one: str, other: str) -> str | None:
        """Make one thing of those of two concepts; return why not, where that cannot be."""
        here, there = self._root(one), self._root(other)
        if here == there:
            return None
        mine, theirs = self._prefixes(here), self._prefixes(there)
        if shared := sorted(mine.keys() & theirs.keys()):
            prefix = shared[0]
            return f"{_TWICE}{mine[prefix]} as well as {theirs[prefix]}"
        kinds = {_kind(self._concepts[curie]) for curie in (*mine.values(), *theirs.values())} - {
            _KIND_OF_ALL
        }
        if len(kinds) > 1:
            return f"one is a {' and the other a '.join(sorted(kinds))}"
        self._parents[there] = here
        self._of_prefix[here] = {**mine, **theirs}
        return None

    def are_several(self, one: str, other: str) -> bool:
        """Say whether each of two concepts is joined to others, and they are not joined to each other."""
        here, there = self._root(one), self._root(other)
        return here != there and here in self._of_prefix and there in self._of_prefix

    def members(self) -> list[list[str]]:
        """Return the CURIEs of each thing, the preferred one first."""
        found: dict[str, list[str]] = defaultdict(list)
        for curie in self._concepts:
            found[self._root(curie)].append(curie)
        return [sorted(group, key=preference) for group in found.values()]

    def _prefixes(self, root: str) -> dict[str, str]:
        return self._of_prefix.get(root) or {prefix_of(root): root}

    def _root(self, curie: str) -> str:
        while (parent := self._parents.get(curie)) is not None:
            self._parents[curie] = self._parents.get(parent, parent)
            curie = parent
        return curie


def _kind(concept: Concept) -> str:
    return _KINDS.get(concept.category, concept.category)


def preference(curie: str) -> tuple[int, str, str]:
    """Return what orders CURIEs, the preferred one first."""
    prefix = prefix_of(curie)
    rank = PREFERENCE.index(prefix) if prefix in PREFERENCE else len(PREFERENCE)
    return rank, prefix, curie


def _thing(
    group: Sequence[Concept],
    preferred: Mapping[str, str],
    known_by: Mapping[str, Sequence[str]],
    close: Mapping[str, Sequence[str]],
    elsewhere: Sequence[str],
) -> Thing:
    first = group[0]
    if len(group) == 1:
        names = [name for name in dict.fromkeys(first.names) if name != first.name]
    else:
        names = list(dict.fromkeys(name for concept in group for name in concept.names if name != first.name))
        said = Counter(folded for concept in group for folded in dict.fromkeys(map(fold, concept.names)))
        names.sort(key=lambda name: -said[fold(name)])
    categories = [concept.category for concept in group if concept.category != _KIND_OF_ALL]
    # ChEBI knows proteins as chemicals; MeSH tells them apart.
    categories.sort(key=lambda category: category != "biolink:Protein")

    def of_all(groups: Iterable[Sequence[str]]) -> tuple[str, ...]:
        curies = [curie for group in groups for curie in group]
        if not curies:
            return ()
        found = dict.fromkeys([preferred[curie] for curie in curies if curie in preferred])
        return tuple([one for one in found if one != first.curie])

    return Thing(
        *(first.curie, first.name, categories[0] if categories else _KIND_OF_ALL),
        synonyms=tuple(names),
        equivalents=(*(concept.curie for concept in group[1:]), *elsewhere),
        parents=of_all([concept.parents for concept in group]),
        tree_numbers=tuple(dict.fromkeys(number for one in group for number in one.tree_numbers)),
        roles=of_all([concept.roles for concept in group]),
        former=tuple(dict.fromkeys(old for concept in group for old in concept.former)),
        close=of_all([close.get(concept.curie, ()) for concept in group]),
        sources=tuple(sorted({name for concept in group for name in known_by[concept.curie]})),
        headed=frozenset(fold(name) for one in group if one.curie.startswith(HEADING) for name in one.names),
    )
