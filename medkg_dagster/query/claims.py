"""What is stated of a node, and claims that are selected."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from medkg_dagster.domain.graph_selection import EdgeSelection
from medkg_dagster.errors import QueryError, counted
from medkg_dagster.query.answers import ClaimAnswer, Neighbour, NeighbourAnswer
from medkg_dagster.query.described import EdgeDescriber, edges_of
from medkg_dagster.query.entities import the_entity
from medkg_dagster.query.selection import ClaimFilter, check_limit, check_text

if TYPE_CHECKING:
    from medkg_dagster.query.opened import OpenedStores

MOST_EVIDENCE = 50


def selection_of(stores: OpenedStores, which: ClaimFilter, hidden: frozenset[str]) -> EdgeSelection:
    """Return what a filter means to the graph of a home.

    Raises:
        QueryError: A filter is none, or names no node.
        LedgerError: There is no such job.
    """
    ends = (
        None if name is None else the_entity(stores, name).id
        for name in (which.node, which.subject, which.object)
    )
    node, subject, object_ = ends
    selected = which.select(hidden, stores.of_job(which.job))
    return replace(selected, node=node, subject=subject, object=object_)


def find_neighbours(
    stores: OpenedStores, name: str, which: ClaimFilter, limit: int, evidence: int
) -> NeighbourAnswer:
    """Return what is stated of a node; see `Stores.neighbours`."""
    check_limit("limit", limit)
    check_limit("evidence", evidence, MOST_EVIDENCE)
    node = the_entity(stores, name)
    with stores.graph() as (graph, hidden):
        selected = replace(selection_of(stores, which, hidden), node=node.id)
        groups, total = graph.groups(selected, limit, evidence)
        describe = EdgeDescriber(graph, stores, edges_of(groups))
    neighbours = tuple(
        Neighbour(**shared, outgoing=shared["subject"].id == node.id)
        for shared in map(describe.shared, groups)
    )
    cut = []
    if total > len(groups):
        left = counted(total - len(groups), "statement")
        cut.append(f"{left} more, those that are said least often; raise the limit, or filter")
    if short := sum(one.evidence_count > len(one.evidence) for one in neighbours):
        said = counted(short, "statement is", "statements are")
        cut.append(f"{said} made in more places than are shown; ask for the claims of subject and object")
    return NeighbourAnswer(node=node, neighbours=neighbours, total=total, cut=tuple(cut))


def find_claims(stores: OpenedStores, which: ClaimFilter, limit: int, after: str | None) -> ClaimAnswer:
    """Return claims that are selected; see `Stores.claims`."""
    check_limit("limit", limit)
    behind = None if after is None else check_text("after", after)
    with stores.graph() as (graph, hidden):
        edges = graph.edges(selection_of(stores, which, hidden), limit + 1, behind)
        shown = edges[:limit]
        describe = EdgeDescriber(graph, stores, shown)
    is_more = len(edges) > limit
    return ClaimAnswer(
        claims=tuple(map(describe.claim, shown)),
        next_after=shown[-1].id if is_more else None,
        cut=(f"there are more; ask again with after={shown[-1].id!r}",) if is_more else (),
    )


def check_document_id(name: str) -> str:
    """Return the id of a document that may be asked for.

    Raises:
        QueryError: It is none.
    """
    found = check_text("document", name)
    if any(character.isspace() for character in found):
        raise QueryError(f"document {found[:80]!r} is no id; list documents, or search for words")
    return found
