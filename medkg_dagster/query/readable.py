"""What the stores of a home answer to those who look: the graph and the index as questions see them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

from medkg_dagster.stage_api._stores import IndexStore

if TYPE_CHECKING:
    from medkg_dagster.domain.graph_selection import (
        EdgeGroup,
        EdgeSelection,
        FoundNode,
        GraphTotals,
        MentionedConcept,
    )
    from medkg_dagster.domain.knowledge import Edge, Node


class GraphReader(Protocol):
    """A graph in one consistent state; see `adapters.graph.sql_reader`."""

    def held(self, documents: Collection[str]) -> frozenset[str]:
        """Return those of the documents that the graph holds."""

    def find(self, names: Sequence[str], without: frozenset[str]) -> tuple[FoundNode, ...]:
        """Return the nodes with one of these CURIEs or names, else those with one as another name."""

    def nodes(self, curies: Collection[str]) -> dict[str, Node]:
        """Return some nodes by CURIE."""

    def similar(self, name: str, limit: int, without: frozenset[str]) -> tuple[Node, ...]:
        """Return nodes with a name like one that was not found, the closest first."""

    def groups(self, which: EdgeSelection, limit: int, evidence: int) -> tuple[tuple[EdgeGroup, ...], int]:
        """Return edges that say the same taken together, and how many groups there are."""

    def edges(self, which: EdgeSelection, limit: int, after: str | None = None) -> tuple[Edge, ...]:
        """Return edges in the order of their ids."""

    def count(self, which: EdgeSelection) -> int:
        """Return how many edges are selected."""

    def adjacent(
        self, curies: Collection[str], which: EdgeSelection, limit: int
    ) -> dict[tuple[str, str], int]:
        """Return pairs of one of the nodes and one that is next to it, each with the number of edges."""

    def documents_of(self, curies: Collection[str], without: frozenset[str]) -> frozenset[str]:
        """Return the documents that speak of any of some nodes."""

    def mentioned(self, documents: Collection[str]) -> tuple[MentionedConcept, ...]:
        """Return the concepts that some documents mention; what they cite is none."""

    def node_records(self, which: EdgeSelection) -> Iterator[dict[str, Any]]:
        """Yield the nodes of selected edges in the terms of KGX."""

    def edge_records(self, which: EdgeSelection) -> Iterator[dict[str, Any]]:
        """Yield selected edges in the terms of KGX."""

    def aggregated_records(self, which: EdgeSelection) -> Iterator[dict[str, Any]]:
        """Yield one record for all selected edges that say the same."""

    def slots(self, which: EdgeSelection) -> tuple[str, ...]:
        """Return the names that selected edges have besides those of every edge."""

    def totals(self, without: frozenset[str]) -> GraphTotals:
        """Return how much the graph holds."""


class ReadableGraph(Protocol):
    """A graph store that can be asked."""

    def reading(self) -> AbstractContextManager[GraphReader]:
        """Open it in one consistent state."""

    def held(self) -> Mapping[str, str]:
        """Return its documents, each with the hash of what it was given of it."""


class ReadableIndex(IndexStore, Protocol):
    """An index store that can be asked; see `adapters.index.sqlite_store`."""

    def held(self) -> Mapping[str, str]:
        """Return its documents, each with the hash it was written with."""

    def without_vectors(self) -> int:
        """Return how many of its documents have no vectors of its model."""
