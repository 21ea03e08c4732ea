"""What tells whether two concepts of a text are related: how often, where and with which words between them.

The features are binary or between 0 and about 3, by name; one that is missing is 0. `pair_scorer` weighs
them.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from medkg_dagster.stages.extract.passages import Passage

Pair = tuple[str, str]
Features = tuple[Mapping[str, float], ...]
TreeNumbers = Callable[[str], Sequence[str]]
"""Returns where a concept stands in the trees of MeSH; nothing for one that is not there."""

_BESIDE = 4
_DISTANCES = ((0, "0"), (2, "1-2"), (5, "3-5"), (10, "6-10"), (20, "11-20"))
_BRANCHES = (3, 7)
"""How many characters of a tree number tell a branch, as in `C10` and `C10.228`."""


class _Named(dict[str, str]):
    """The names of features that begin alike, each made once: texts tell the same few again and again."""

    def __init__(self, beginning: str) -> None:
        super().__init__()
        self._beginning = beginning

    def __missing__(self, told: str) -> str:
        name = self[told] = f"{self._beginning} {told}"
        return name


_BEFORE, _AFTER = _Named("before"), _Named("after")
_SIDES = (_Named("first"), _Named("second"))
_PLACES = (_Named("first in"), _Named("second in"))
_WAYS = ("there", "back")
_WITHIN = tuple(_Named(f"{way} between") for way in _WAYS)
_FAR = tuple(_Named(way) for way in _WAYS)


def no_trees(_curie: str) -> Sequence[str]:
    """Return where a concept stands in MeSH when nobody knows: nowhere."""
    return ()


@dataclass(slots=True)
class _Concept:
    """What a text has of one concept."""

    places: Sequence[str]
    count: int = 0
    is_broader: bool = False
    passages: list[int] = field(default_factory=list)
    in_title: bool = False
    context: set[str] = field(default_factory=set)


@dataclass(slots=True)
class _Together:
    """What the sentences that name a pair tell."""

    count: int = 0
    features: set[str] = field(default_factory=set)


class PairFeatures:
    """The pairs of concepts of a text, with their features.

    Args:
        passages: The sentences of the text in order.
        trees: Tells where a concept stands in MeSH.
    """

    def __init__(self, passages: Sequence[Passage], trees: TreeNumbers) -> None:
        self._passages = passages
        self._trees = trees
        self._concepts: dict[str, dict[str, _Concept]] = {}
        self._known: dict[tuple[str, str], tuple[tuple[Pair, Features], ...]] = {}

    def of(self, kinds: tuple[str, str]) -> tuple[tuple[Pair, Features], ...]:
        """Return the features of each pair of concepts of two kinds, where the text has both.

        Args:
            kinds: The kind of the first and that of the second; where they are one, each pair comes once.

        Returns:
            Each pair, and its features in parts that pairs share: of all pairs, of the first, of the second,
            and its own.
        """
        if kinds not in self._known:
            self._known[kinds] = tuple(self._pairs(kinds))
        return self._known[kinds]

    def _pairs(self, kinds: tuple[str, str]) -> Iterator[tuple[Pair, Features]]:
        firsts, seconds = (self._of_kind(kind) for kind in kinds)
        if not firsts or not seconds:
            return
        document = _Document(len(self._passages), firsts, seconds, _together(self._passages, kinds))
        for first in firsts:
            for second in seconds:
                if first != second and (kinds[0] != kinds[1] or first < second):
                    yield (first, second), document.features(first, second)

    def _of_kind(self, kind: str) -> dict[str, _Concept]:
        if kind not in self._concepts:
            self._concepts[kind] = _concepts(self._passages, kind, self._trees)
        return self._concepts[kind]


def _concepts(passages: Sequence[Passage], kind: str, trees: TreeNumbers) -> dict[str, _Concept]:
    found: dict[str, _Concept] = {}
    for number, passage in enumerate(passages):
        for slot in passage.slots:
            if slot.kind == kind:
                concept = found.get(slot.curie)
                if concept is None:
                    concept = found[slot.curie] = _Concept(trees(slot.curie))
                concept.count += 1
                concept.passages.append(number)
                concept.in_title |= passage.is_title
                concept.context.update(_context(passage, slot.place))
    for curie, concept in found.items():
        concept.is_broader = any(
            _above(concept.places, other.places) for one, other in found.items() if one != curie
        )
    return found


def _context(passage: Passage, place: int) -> Iterator[str]:
    """Yield what the words beside a mention tell of it."""
    words, classes = passage.words, passage.classes
    before = max(0, place - _BESIDE)
    for told in classes[before:place]:
        for name in told:
            yield _BEFORE[name]
    for told in classes[place + 1 : place + 1 + _BESIDE]:
        for name in told:
            yield _AFTER[name]
    if "induced" in words[place + 1 : place + 3]:
        yield "induces"
    if place:
        if words[place - 1] == "induced":
            yield "is induced"
        if words[place - 1] == "with":
            yield "with"


def _together(passages: Sequence[Passage], kinds: tuple[str, str]) -> dict[Pair, _Together]:
    """Return of each pair that a sentence names what its sentences tell, by the closest two mentions."""
    told: dict[Pair, _Together] = {}
    last = len(passages) - 1
    for number, passage in enumerate(passages):
        closest: dict[Pair, tuple[int, int]] = {}
        ones = [slot for slot in passage.slots if slot.kind == kinds[0]]
        others = [slot for slot in passage.slots if slot.kind == kinds[1]] if ones else []
        for one in ones:
            for other in others:
                pair = (one.curie, other.curie)
                known = closest.get(pair)
                if known is None or abs(one.place - other.place) < abs(known[0] - known[1]):
                    closest[pair] = (one.place, other.place)
        for pair, (place, other_place) in closest.items():
            if pair not in told:
                told[pair] = _Together()
            told[pair].count += 1
            features = told[pair].features
            features.update(_between(passage, place, other_place))
            if passage.is_title:
                features.add("in title")
            if number == last:
                features.add("in last")
    return told


def _between(passage: Passage, one: int, other: int) -> Iterator[str]:
    way = int(one > other)
    start, end = min(one, other), max(one, other)
    gap = passage.words[start + 1 : end]
    length = sum([word is not None and word[0].isalpha() for word in gap])
    yield _WAYS[way]
    yield _FAR[way][next((name for most, name in _DISTANCES if length <= most), "far")]
    yield f"concepts between {min(gap.count(None), 3)}"
    within = _WITHIN[way]
    for name in {name for told in passage.classes[start + 1 : end] if told for name in told}:
        yield within[name]
    beginning = gap[:2]
    if "induced" in beginning:
        yield "induced" if None in gap else "induced near"
    if "associated" in beginning or "related" in beginning:
        yield "compound"


class _Document:
    """What a text as a whole tells of its pairs."""

    def __init__(
        self,
        length: int,
        firsts: Mapping[str, _Concept],
        seconds: Mapping[str, _Concept],
        together: Mapping[Pair, _Together],
    ) -> None:
        self._last = length - 1
        self._sides = (firsts, seconds)
        self._together = together
        self._most = tuple(max(one.count for one in side.values()) for side in self._sides)
        self._counts: tuple[defaultdict[str, list[int]], ...] = (defaultdict(list), defaultdict(list))
        self._induced: set[str] = set()
        for (first, second), told in together.items():
            self._counts[0][first].append(told.count)
            self._counts[1][second].append(told.count)
            if "induced near" in told.features:
                self._induced.add(second)
        self._own = tuple(
            {curie: self._of_concept(number, curie) for curie in side}
            for number, side in enumerate(self._sides)
        )
        self._size = _present(
            {
                "number of firsts": math.log(len(firsts)),
                "number of seconds": math.log(len(seconds)),
                "only first": len(firsts) == 1,
            }
        )

    def _of_concept(self, number: int, curie: str) -> dict[str, float]:
        concept = self._sides[number][curie]
        named, within = _SIDES[number], _PLACES[number]
        features = {named[told]: 1.0 for told in concept.context}
        places = concept.places
        for place in places:
            for length in _BRANCHES:
                features[within[place[:length]]] = 1.0
        features |= {
            named["broader"]: concept.is_broader,
            named["depth"]: min([place.count(".") for place in places], default=2) / 3,
            named["in title"]: concept.in_title,
            named["share"]: concept.count / self._most[number],
            named["count"]: math.log(concept.count),
            named["most"]: concept.count == self._most[number],
            named["early"]: concept.passages[0] <= 1,
            named["late"]: concept.passages[-1] == self._last,
            named["never with"]: curie not in self._counts[number],
        }
        return _present(features)

    def features(self, first: str, second: str) -> Features:
        """Return the features of a pair in parts."""
        own, other = self._own[0][first], self._own[1][second]
        told = self._together.get((first, second))
        own_most, own_title, other_title = (
            "first most" in own,
            "first in title" in own,
            "second in title" in other,
        )
        if told is None:
            features: dict[str, float] = {
                "apart": 1.0,
                f"apart {self._distance(first, second)}": 1.0,
                "only first apart": "only first" in self._size,
                "most apart": own_most,
                "first in title apart": own_title,
                "second in title apart": other_title,
                "second induced by other": second in self._induced,
            }
        else:
            features = dict.fromkeys(told.features, 1.0)
            features |= self._shares(told.count, first, second)
            features["second elsewhere induced"] = (
                second in self._induced and "induced near" not in told.features
            )
        features["both in title"] = own_title and other_title
        features["both most"] = own_most and "second most" in other
        features["first in title most"] = own_title and own_most
        features["first most of lonely second"] = own_most and "second never with" in other
        return self._size, own, other, _present(features)

    def _shares(self, count: int, first: str, second: str) -> dict[str, float]:
        of_first, of_second = self._counts[0][first], self._counts[1][second]
        return {
            "times": math.log1p(count),
            "most of first": count == max(of_first),
            "most of second": count == max(of_second),
            "share of first": count / sum(of_first),
            "share of second": count / sum(of_second),
        }

    def _distance(self, first: str, second: str) -> int:
        ones, others = self._sides[0][first].passages, self._sides[1][second].passages
        return min([4, *[abs(one - other) for one in ones for other in others]])


def _present(features: Mapping[str, float]) -> dict[str, float]:
    return {name: float(value) for name, value in features.items() if value}


def _above(places: Sequence[str], others: Sequence[str]) -> bool:
    return any(other.startswith(f"{place}.") for place in places for other in others)
