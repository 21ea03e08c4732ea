"""The records of an export in the terms of KGX, counted while they pass, and the columns they have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

ORIGINS = ("licences", "sources", "extractors", "vocabularies")
"""What is told of where edges are from."""

Record = Mapping[str, Any]


class Kind(StrEnum):
    """What stands in a column."""

    TEXT = "text"
    LIST = "list"
    TRUTH = "truth"
    NUMBER = "number"
    OBJECT = "object"


Columns = Mapping[str, Kind]

NODE_COLUMNS: Columns = {
    "id": Kind.TEXT,
    "category": Kind.LIST,
    "name": Kind.TEXT,
    "synonym": Kind.LIST,
    "equivalent_identifiers": Kind.LIST,
    "provided_by": Kind.LIST,
    "publication_type": Kind.LIST,
    "document": Kind.TEXT,
    "license": Kind.TEXT,
    "synthetic": Kind.TRUTH,
}
_EDGE_COLUMNS: Columns = {
    "id": Kind.TEXT,
    "category": Kind.LIST,
    "subject": Kind.TEXT,
    "predicate": Kind.TEXT,
    "object": Kind.TEXT,
    "negated": Kind.TRUTH,
    "original_predicate": Kind.TEXT,
    "primary_knowledge_source": Kind.TEXT,
    "aggregator_knowledge_source": Kind.LIST,
    "sources": Kind.OBJECT,
    "knowledge_level": Kind.TEXT,
    "agent_type": Kind.TEXT,
    "publications": Kind.LIST,
    "supporting_text": Kind.LIST,
    "license": Kind.TEXT,
    "certainty": Kind.TEXT,
    "background": Kind.TRUTH,
    "method": Kind.TEXT,
    "record_field": Kind.TEXT,
    "extractor": Kind.TEXT,
    "vocabulary": Kind.TEXT,
    "document": Kind.TEXT,
    "document_hash": Kind.TEXT,
    "start": Kind.NUMBER,
    "end": Kind.NUMBER,
    "synthetic": Kind.TRUTH,
}


def edge_columns(slots: Sequence[str]) -> Columns:
    """Return the columns of edges: those of every edge, then what narrows some and the numbers of others."""
    return {**_EDGE_COLUMNS, **{name: Kind.TEXT for name in slots if name not in _EDGE_COLUMNS}}


@dataclass
class Tally:
    """What passed.

    Attributes:
        records: How many of what.
        synthetic: How many of these are of invented documents only.
        replaced: Characters that a format cannot hold, by what was written for them.
        origins: How many edges have which licences, sources, extractor and vocabulary.
    """

    records: Counter[str] = field(default_factory=Counter)
    synthetic: Counter[str] = field(default_factory=Counter)
    replaced: Counter[str] = field(default_factory=Counter)
    origins: Counter[tuple[tuple[str, ...], ...]] = field(default_factory=Counter)


@dataclass(frozen=True)
class GraphRecords:
    """A graph to be written.

    Attributes:
        read_nodes: Yields the nodes.
        read_edges: Yields the edges.
        read_aggregated: Yields one edge for all that say the same.
        slots: What some edges have besides what every edge has.
        tally: What passed.
    """

    read_nodes: Callable[[], Iterable[Record]]
    read_edges: Callable[[], Iterable[Record]]
    read_aggregated: Callable[[], Iterable[Record]]
    slots: Callable[[], Sequence[str]]
    tally: Tally = field(default_factory=Tally)

    def nodes(self) -> Iterator[Record]:
        """Yield the nodes."""
        return self._counted("nodes", self.read_nodes())

    def edges(self) -> Iterator[Record]:
        """Yield the edges."""
        origins = self.tally.origins
        for edge in self._counted("edges", self.read_edges()):
            sources = tuple([source["id"] for source in edge["sources"]])
            origins[(edge["license"],), sources, (edge["extractor"],), (edge["vocabulary"],)] += 1
            yield edge

    def aggregated(self) -> Iterator[Record]:
        """Yield one edge for all that say the same."""
        origins = self.tally.origins
        for edge in self._counted("aggregated_edges", self.read_aggregated()):
            sources = tuple([source["id"] for source in edge["sources"]])
            origins[tuple(edge["license"]), sources, tuple(edge["agents"]), ()] += 1
            yield edge

    def _counted(self, what: str, records: Iterable[Record]) -> Iterator[Record]:
        number = synthetic = 0
        for record in records:
            number += 1
            synthetic += "synthetic" in record
            yield record
        self.tally.records[what] = number
        self.tally.synthetic[what] = synthetic
