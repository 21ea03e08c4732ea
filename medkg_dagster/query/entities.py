"""Nodes by what they are called: by CURIE, name, synonym, or another name that the vocabulary knows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from medkg_dagster.domain.biolink import MENTIONS
from medkg_dagster.domain.graph_selection import EdgeSelection, FoundNode
from medkg_dagster.errors import QueryError, counted
from medkg_dagster.query.answers import Concept, EntityAnswer, FoundConcept
from medkg_dagster.query.described import concept
from medkg_dagster.query.selection import check_limit, check_text
from medkg_dagster.vocabulary.names import comparable, fold

if TYPE_CHECKING:
    from medkg_dagster.domain.knowledge import Node
    from medkg_dagster.query.opened import OpenedStores
    from medkg_dagster.query.readable import GraphReader
    from medkg_dagster.vocabulary.artefact import VocabularyArtefact

MOST_NAMES = 20
"""So many synonyms of a node are told."""
SUGGESTIONS = 5
_NAMED_IN_ERRORS = 5
_JOINTS = re.compile(r"(?<=[^\W\d_])[- ]?(?=\d)|(?<=\d)[- ]?(?=[^\W\d_])")


def find_entities(stores: OpenedStores, name: str, limit: int) -> EntityAnswer:
    """Return the nodes that a name may mean; see `Stores.entities`."""
    wanted, limit = check_text("name", name), check_limit("limit", limit)
    vocabulary = stores.vocabulary()
    with stores.graph() as (graph, hidden):
        found = _find(graph, hidden, wanted, vocabulary)
        exact = [one for one in found if one.how == "id"]
        chosen = (exact or found)[:limit]
        described = tuple(_described(graph, hidden, one) for one in chosen)
        similar = () if found else graph.similar(wanted, SUGGESTIONS, hidden)
    more = len(exact or found) - len(chosen)
    return EntityAnswer(
        name=wanted,
        found=described,
        suggestions=tuple(map(concept, similar)),
        known_as=() if found or vocabulary is None else tuple(_known_as(vocabulary, wanted)),
        cut=(f"{counted(more, 'node')} more of that name; raise the limit, or ask by CURIE",) if more else (),
    )


def the_entity(stores: OpenedStores, name: str) -> Concept:
    """Return the node that a name means.

    Raises:
        QueryError: None is called so, or several are.
    """
    found = find_entities(stores, name, _NAMED_IN_ERRORS)
    if len(found.found) == 1:
        return concept_of(found.found[0])
    if not found.found:
        raise QueryError(no_such_node(found))
    named = ", ".join(f"{one.id} ({one.name})" for one in found.found)
    more = " and others" if found.cut else ""
    raise QueryError(f"several nodes are called {found.name!r}: {named}{more}; ask again with a CURIE")


def concept_of(found: FoundConcept) -> Concept:
    """Return a node that was found, without what it is called besides."""
    return Concept(**{name: getattr(found, name) for name in Concept.model_fields})


def no_such_node(answer: EntityAnswer) -> str:
    """Return what to say where no node is called so: what may be meant, and what to do."""
    said = f"the graph has no node {answer.name!r}"
    if answer.known_as:
        named = ", ".join(f"{one.name} ({one.id})" for one in answer.known_as[:_NAMED_IN_ERRORS])
        said += f", which the vocabulary knows as {named}: no document speaks of it"
    if answer.suggestions:
        named = ", ".join(f"{one.name} ({one.id})" for one in answer.suggestions)
        return f"{said}; did you mean {named}?"
    return f"{said}; search for documents that have these words"


def spellings(name: str) -> list[str]:
    """Return the ways a name may be written, as it is given first: `PD-1`, `PD1`; `tumour`, `tumor`."""
    ways = [name, fold(name), comparable(name)]
    ways += [_JOINTS.sub(joint, way) for way in tuple(ways) for joint in ("-", "", " ")]
    ways += [way.replace(old, new) for way in tuple(ways) for old, new in (("-", " "), (" ", "-"))]
    return list(dict.fromkeys(filter(None, ways)))


def _find(
    graph: GraphReader, hidden: frozenset[str], wanted: str, vocabulary: VocabularyArtefact | None
) -> Sequence[FoundNode]:
    found = graph.find([wanted], hidden)
    if not found and vocabulary is not None:
        things = map(vocabulary.thing, _meant(vocabulary, wanted))
        curies = [curie for thing in things for curie in (thing.curie, *thing.equivalents)]
        if curies:
            found = tuple(one._replace(how="vocabulary") for one in graph.find(curies, hidden))
            order = {curie: place for place, curie in enumerate(curies)}
            found = tuple(sorted(found, key=lambda one: order.get(one.node.id, len(order))))
    return found or graph.find(spellings(wanted), hidden)


def _meant(vocabulary: VocabularyArtefact, wanted: str) -> Sequence[int]:
    number = vocabulary.number_of(wanted)
    if number is not None:
        return [number]
    ways = spellings(wanted)
    return list(dict.fromkeys(thing for way in ways for thing in vocabulary.find(way)))[:MOST_NAMES]


def _known_as(vocabulary: VocabularyArtefact, wanted: str) -> Iterator[Concept]:
    for thing in map(vocabulary.thing, _meant(vocabulary, wanted)):
        yield Concept(id=thing.curie, name=thing.name, category=(thing.category,))


def _described(graph: GraphReader, hidden: frozenset[str], found: FoundNode) -> FoundConcept:
    node: Node = found.node
    of_node = EdgeSelection(node=node.id, without=hidden)
    return FoundConcept(
        **concept(node).model_dump(),
        how=found.how,
        synonyms=node.synonyms[:MOST_NAMES],
        equivalents=node.equivalents[:MOST_NAMES],
        sources=node.sources,
        claims=graph.count(of_node),
        mentions=graph.count(EdgeSelection(object=node.id, predicate=MENTIONS, without=hidden)),
    )
