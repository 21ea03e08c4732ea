"""Which edges of a graph are meant, and what a graph store answers about them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from medkg_dagster.domain.knowledge import Edge, Node


class Polarity(StrEnum):
    """Whether a statement is made or denied."""

    AFFIRMED = "affirmed"
    DENIED = "denied"


class ClaimStatus(StrEnum):
    """How a document holds what it states."""

    ASSERTED = "asserted"
    """A finding of the document."""
    POSSIBLE = "possible"
    """It holds it possible, or it follows from the document as a whole only."""
    BACKGROUND = "background"
    """It tells it as known before."""


@dataclass(frozen=True, slots=True)
class EdgeSelection:
    """Which edges are meant: those for which all holds that is given.

    Attributes:
        node: CURIE of a node at either end.
        subject: CURIE of the subject.
        object: CURIE of the object.
        between: Two CURIEs, whichever of them is the subject.
        predicate: The predicate, for example `biolink:treats`.
        category: A category of a node at either end, for example `biolink:Disease`.
        source: infores CURIE of what makes the statement, or of where its document is from.
        status: How the document holds it.
        polarity: Whether it is made or denied.
        mentions: Whether edges are meant, too, that only say that a document mentions a concept.
        documents: Of these documents only; None for all.
        without: Of none of these documents.
    """

    node: str | None = None
    subject: str | None = None
    object: str | None = None
    between: tuple[str, str] | None = None
    predicate: str | None = None
    category: str | None = None
    source: str | None = None
    status: ClaimStatus | None = None
    polarity: Polarity | None = None
    mentions: bool = False
    documents: frozenset[str] | None = None
    without: frozenset[str] = frozenset()


class EdgeGroup(NamedTuple):
    """Edges that say the same: subject, predicate, object, qualifiers, polarity, and who vouches for it.

    Attributes:
        best: Some of them, those first that are to be shown for all.
        edges: How many there are.
        possible: How many of them hold it possible only.
        documents: In how many documents.
        synthetic: Whether only invented documents say it.
    """

    best: tuple[Edge, ...]
    edges: int
    possible: int
    documents: int
    synthetic: bool


class FoundNode(NamedTuple):
    """A node that was looked for.

    Attributes:
        node: The node.
        how: Whether its `id`, its `name`, or an `other name` is what was looked for.
    """

    node: Node
    how: str


class MentionedConcept(NamedTuple):
    """A concept that a document mentions.

    Attributes:
        document_id: The document.
        document_hash: The content hash that the place is valid for.
        start: The first character of the sentence that mentions it first.
        id: The CURIE of the concept.
        name: Its preferred name.
        category: Its Biolink categories, the most specific first.
        synthetic: Whether only invented documents speak of it.
    """

    document_id: str
    document_hash: str
    start: int
    id: str
    name: str
    category: tuple[str, ...]
    synthetic: bool


class GraphTotals(NamedTuple):
    """How much a graph holds.

    Attributes:
        documents: Documents.
        nodes: Nodes, documents among them.
        edges: Edges.
        synthetic_edges: Those of invented documents.
        predicates: Edges by predicate, the most first.
        categories: Nodes by their most specific category, the most first.
    """

    documents: int
    nodes: int
    edges: int
    synthetic_edges: int
    predicates: dict[str, int]
    categories: dict[str, int]
