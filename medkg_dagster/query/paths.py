"""How two nodes are connected: the shortest ways, found from both ends within bounds of work."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice, pairwise
from typing import TYPE_CHECKING

from medkg_dagster.domain.graph_selection import EdgeSelection, Polarity
from medkg_dagster.errors import QueryError, counted
from medkg_dagster.query.answers import Path, PathAnswer, PathStep
from medkg_dagster.query.claims import selection_of
from medkg_dagster.query.described import EdgeDescriber, concept, edges_of
from medkg_dagster.query.entities import the_entity
from medkg_dagster.query.selection import ClaimFilter, check_limit

if TYPE_CHECKING:
    from medkg_dagster.query.opened import OpenedStores
    from medkg_dagster.query.readable import GraphReader

LONGEST = 5
MOST_PATHS = 50
MOST_EVIDENCE = 10
_MOST_NODES = 20_000
"""So many nodes are looked at from either end."""
_MOST_PAIRS = 50_000
"""So many edges are followed at once."""
_MOST_WAYS = 2_000
"""Of so many shortest ways those with the most evidence are told."""
_MOST_STATEMENTS = 5
"""So many statements of a step are told."""


def find_paths(
    stores: OpenedStores,
    ends: tuple[str, str],
    which: ClaimFilter,
    *,
    max_length: int,
    limit: int,
    evidence: int,
) -> PathAnswer:
    """Return how two nodes are connected; see `Stores.paths`."""
    check_limit("max_length", max_length, LONGEST)
    check_limit("limit", limit, MOST_PATHS)
    check_limit("evidence", evidence, MOST_EVIDENCE)
    one, other = (the_entity(stores, name) for name in ends)
    if one.id == other.id:
        raise QueryError(f"{ends[0][:80]!r} and {ends[1][:80]!r} are the same node {one.id}; name two")
    with stores.graph() as (graph, hidden):
        selected = selection_of(stores, which, hidden)
        if selected.polarity is None:  # what is denied connects nothing
            selected = replace(selected, polarity=Polarity.AFFIRMED)
        search = _Search(graph, selected, one.id, other.id)
        ways = search.ways(max_length, limit)
        steps = {pair for way in ways for pair in pairwise(way)}
        told = _tell(graph, stores, selected, steps, evidence)
        nodes = {curie: concept(node) for curie, node in graph.nodes({c for w in ways for c in w}).items()}
    paths = tuple(
        Path(
            steps=tuple(
                PathStep(start=nodes[a], end=nodes[b], statements=told[a, b]) for a, b in pairwise(way)
            )
        )
        for way in ways
    )
    return PathAnswer(start=one, end=other, paths=paths, max_length=max_length, cut=tuple(search.cut))


def _tell(
    graph: GraphReader,
    stores: OpenedStores,
    selected: EdgeSelection,
    steps: set[tuple[str, str]],
    evidence: int,
) -> Mapping[tuple[str, str], tuple[object, ...]]:
    """Return what connects the ends of each step."""
    groups = {
        pair: graph.groups(replace(selected, between=pair), _MOST_STATEMENTS, evidence)[0]
        for pair in sorted(steps)
    }
    describe = EdgeDescriber(graph, stores, edges_of(group for some in groups.values() for group in some))
    return {pair: tuple(map(describe.statement, some)) for pair, some in groups.items()}


@dataclass
class _Side:
    """What has been reached from one end.

    Attributes:
        reached: Each node with its distance.
        before: Each node with those that lead to it, one step nearer to the end.
        frontier: What was reached last.
        edges: How many edges each step has.
    """

    reached: dict[str, int]
    frontier: list[str]
    before: dict[str, list[str]] = field(default_factory=dict)
    edges: dict[frozenset[str], int] = field(default_factory=dict)

    @classmethod
    def of(cls, curie: str) -> _Side:
        return cls({curie: 0}, [curie])

    def ways_to(self, curie: str) -> Iterator[tuple[str, ...]]:
        """Yield the ways from the end to a node that was reached."""
        if self.reached[curie] == 0:
            yield (curie,)
            return
        for nearer in self.before[curie]:
            for way in self.ways_to(nearer):
                yield (*way, curie)


class _Search:
    """A search from both ends, a step at a time from the smaller side, until both meet.

    Args:
        graph: The graph.
        which: By which edges.
        start: One end.
        end: The other.

    Attributes:
        cut: What was left out, a sentence each.
    """

    def __init__(self, graph: GraphReader, which: EdgeSelection, start: str, end: str) -> None:
        self._graph = graph
        self._which = which
        self._sides = (_Side.of(start), _Side.of(end))
        self.cut: list[str] = []

    def ways(self, max_length: int, limit: int) -> Sequence[tuple[str, ...]]:
        """Return the shortest ways, all of the same length, those first whose weakest step has most edges."""
        ahead, behind = self._sides
        for _ in range(max_length):
            side = min(self._sides, key=lambda one: len(one.frontier))
            if not side.frontier:
                return ()
            self._grow(side)
            if meeting := sorted(ahead.reached.keys() & behind.reached.keys()):
                return self._joined(meeting, limit)
            if len(side.reached) > _MOST_NODES:
                self.cut.append(
                    f"after {counted(len(side.reached), 'node')} the search ended; filter by predicate or "
                    "category, or ask for shorter paths"
                )
                return ()
        return ()

    def _grow(self, side: _Side) -> None:
        pairs = self._graph.adjacent(side.frontier, self._which, _MOST_PAIRS)
        if len(pairs) >= _MOST_PAIRS:
            self.cut.append(
                f"more than {_MOST_PAIRS:,} edges were met at once, not all of which were followed; filter "
                "by predicate or category"
            )
        new: dict[str, list[str]] = {}
        for (near, far), number in pairs.items():
            if far not in side.reached:
                new.setdefault(far, []).append(near)
                side.edges[frozenset((near, far))] = number
        distance = side.reached[side.frontier[0]] + 1
        side.reached |= dict.fromkeys(new, distance)
        side.before |= new
        side.frontier = sorted(new)

    def _joined(self, meeting: Sequence[str], limit: int) -> Sequence[tuple[str, ...]]:
        ahead, behind = self._sides
        shortest = min(ahead.reached[curie] + behind.reached[curie] for curie in meeting)
        ways = (
            (*first, *second[-2::-1])
            for curie in meeting
            if ahead.reached[curie] + behind.reached[curie] == shortest
            for first in ahead.ways_to(curie)
            for second in behind.ways_to(curie)
        )
        found = list(islice(ways, _MOST_WAYS + 1))
        if len(found) > _MOST_WAYS:
            self.cut.append(f"of more than {_MOST_WAYS:,} paths not all were weighed; filter by predicate")
        if len(found) > limit:
            self.cut.append(f"there are more paths than {limit}; raise the limit, or filter")
        edges = ahead.edges | behind.edges
        weights = {way: sorted(edges[frozenset(step)] for step in pairwise(way)) for way in found}
        return sorted(found, key=lambda way: ([-number for number in weights[way]], way))[:limit]
