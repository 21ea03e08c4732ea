"""What is said in documents (entities, claims), and what the graph makes of it (nodes, edges, a receipt).

Categories and predicates are CURIEs of the Biolink Model (https://biolink.github.io/biolink-model/).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple, Self

from pydantic import Field

from medkg_dagster.domain import OwnValue
from medkg_dagster.domain.biolink import ASSOCIATION

Certainty = Literal["asserted", "possible"]
"""How sure a document is of what it states."""


class Entity(OwnValue):
    """One mention of a concept in one document.

    Attributes:
        document_id: The document's CURIE.
        curie: The concept, for example `MESH:D008545`.
        name: The concept's preferred name.
        category: Biolink category, for example `biolink:Disease`.
        surface: The text as it stands in the document or the structured field.
        start: First character of the mention in the document's text; None for a structured field.
        end: One past the last character; None for a structured field.
        method: `structured` (the source's own field) or `dictionary` (matched in the text).
        negated: Whether the mention stands under a negation ("no evidence of ...").
        extractor: Which extractor found it, with its version; empty for a structured field.
        vocabulary: The version of the vocabulary that the concept is from; empty where there is none.
    """

    document_id: str
    curie: str
    name: str
    category: str
    surface: str
    start: int | None = None
    end: int | None = None
    method: str
    negated: bool = False
    extractor: str = ""
    vocabulary: str = ""


class Claim(OwnValue):
    """A statement a document makes about two concepts, with the sentence that supports it.

    Attributes:
        id: See `stages.extract`: stable hash over document, statement and evidence.
        document_id: The document's CURIE.
        document_hash: The content hash of the document the offsets are valid for.
        subject: CURIE of the subject.
        predicate: Biolink predicate, for example `biolink:treats`.
        object: CURIE of the object.
        negated: Whether the sentence denies the statement.
        sentence: The sentence that supports it, or what the structured field says that states it;
            `document.text[start:end] == sentence`.
        start: First character of the sentence in the document's text.
        end: One past the last character.
        method: The rule that made it, for display and audit.
        primary_knowledge_source: infores CURIE of the resource that makes the statement.
        knowledge_level: Biolink knowledge level, for example `knowledge_assertion`.
        agent_type: Biolink agent type, for example `text_mining_agent`.
        qualifiers: What narrows the statement, by slot of the Biolink Model, for example
            `object_direction_qualifier` -> `decreased`; and its numbers, for example `has_count`.
        extractor: Which extractor said it, with its version, for example `dictionary 1`; empty for none.
        vocabulary: The version of the vocabulary that its ends are from; empty where there is none.
        certainty: `asserted`, or `possible` where the document only holds it possible, or where it follows
            from the document as a whole rather than from its sentence alone.
        background: Whether it is told as known before, and is no finding of this document.
        record_field: JSON path of the field of the source's record that states it; empty where none does.
    """

    id: str
    document_id: str
    document_hash: str
    subject: str
    predicate: str
    object: str
    negated: bool = False
    sentence: str
    start: int
    end: int
    method: str
    primary_knowledge_source: str
    knowledge_level: str
    agent_type: str
    qualifiers: dict[str, str | int | float] = Field(default_factory=dict)
    extractor: str = ""
    vocabulary: str = ""
    certainty: Certainty = "asserted"
    background: bool = False
    record_field: str = ""


class Node(OwnValue):
    """A node of the graph.

    Attributes:
        id: CURIE.
        name: Preferred name.
        category: Biolink categories, the most specific first.
        synthetic: Whether only invented documents speak of it.
        synonyms: Its other names.
        equivalents: Other CURIEs of the same thing.
        sources: What describes it, with its version: vocabularies; of a document the infores CURIE.
        licence: Of a document, its licence as its source states it.
        document_id: The id in the pipeline of the document that it is; None for anything else.
    """

    id: str
    name: str
    category: tuple[str, ...]
    synthetic: bool = False
    synonyms: tuple[str, ...] = ()
    equivalents: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    licence: str | None = None
    document_id: str | None = None

    @property
    def rank(self) -> tuple[Any, ...]:
        """What decides between two that say something else of one CURIE; the least is kept.

        The document itself goes before those that cite it, then the most specific category goes first.
        """
        return (self.document_id is None, -len(self.category), self.category, self.name, repr(self))


class Edge(OwnValue):
    """One statement of one document, an edge of the graph.

    Attributes:
        id: The claim's id.
        subject: CURIE of the subject node.
        predicate: Biolink predicate.
        object: CURIE of the object node.
        negated: Whether the statement is denied.
        primary_knowledge_source: infores CURIE.
        knowledge_level: Biolink knowledge level.
        agent_type: Biolink agent type.
        publications: CURIEs of the documents that support it.
        supporting_text: The sentence; empty where a structured field says it.
        document_id: The document the sentence is in.
        document_hash: Content hash the offsets are valid for.
        start: First character of the sentence.
        end: One past the last character.
        synthetic: Whether the document is invented.
        category: The class of associations of the Biolink Model.
        qualifiers: What narrows the statement, by slot of the Biolink Model.
        original_predicate: What its source calls the relation, where the model has no predicate for it.
        data_source: infores CURIE of where the document is from; empty where it is not known.
        licence: The document's licence as its source states it.
        method: The rule that made it.
        extractor: Which extractor says it, with its version.
        vocabulary: The version of the vocabulary that its ends are from; empty where there is none.
        certainty: How sure the document is of it, see `Claim`.
        background: Whether it is told as known before, and is no finding of the document.
        properties: What else is said with it, by slot or own name, and does not narrow it: numbers.
        record_field: JSON path of the field of the source's record that states it; empty where none does.
    """

    id: str
    subject: str
    predicate: str
    object: str
    negated: bool
    primary_knowledge_source: str
    knowledge_level: str
    agent_type: str
    publications: tuple[str, ...]
    supporting_text: str
    document_id: str
    document_hash: str
    start: int
    end: int
    synthetic: bool = False
    category: str = ASSOCIATION
    qualifiers: dict[str, str | int | float] = Field(default_factory=dict)
    original_predicate: str | None = None
    data_source: str = ""
    licence: str | None = None
    method: str = ""
    extractor: str = ""
    vocabulary: str = ""
    certainty: Certainty = "asserted"
    background: bool = False
    properties: dict[str, str | int | float] = Field(default_factory=dict)
    record_field: str = ""

    @property
    def statement(self) -> Statement:
        """What it says, without where."""
        return Statement.of(self.subject, self.predicate, self.object, self.negated, self.qualifiers)


class Statement(NamedTuple):
    """What an edge says, wherever it is written.

    Attributes:
        subject: CURIE of the subject node.
        predicate: Biolink predicate.
        object: CURIE of the object node.
        negated: Whether the statement is denied.
        qualifiers: What narrows it, `slot=value` each, in the order of the slots.
    """

    subject: str
    predicate: str
    object: str
    negated: bool
    qualifiers: str = ""

    @classmethod
    def of(
        cls, subject: str, predicate: str, object_: str, negated: bool, qualifiers: Mapping[str, Any]
    ) -> Self:
        """Return what an edge with these parts says."""
        narrowed = "; ".join(f"{slot}={value}" for slot, value in sorted(qualifiers.items()))
        return cls(subject, predicate, object_, negated, narrowed)


class GraphChange(OwnValue):
    """What a write of one document changed in the graph.

    Attributes:
        at: When; UTC, ISO 8601.
        document_id: The document's CURIE.
        came: What it says now and did not before.
        gone: What it said before and does not now.
        previous: When the change before was that there is of this document; None for the first.
    """

    at: str
    document_id: str
    came: tuple[Statement, ...]
    gone: tuple[Statement, ...]
    previous: str | None


class GraphReceipt(OwnValue):
    """What was written to the graph.

    Attributes:
        store: The graph store's name.
        location: Where it is.
        documents: Documents the batch covered.
        nodes_written: Nodes of the batch that are in the graph now, new or unchanged.
        edges_written: Edges of the batch that are in the graph now, new or unchanged.
        edges_removed: Edges that earlier versions of these documents supported and these do not.
    """

    store: str
    location: str
    documents: int
    nodes_written: int
    edges_written: int
    edges_removed: int


def graph_hashes(
    documents: Iterable[str], nodes: Mapping[str, Iterable[Node]], edges: Iterable[Edge]
) -> dict[str, str]:
    """Return for each document the hash of all that a graph is given of it.

    Args:
        documents: CURIEs of the documents.
        nodes: By document what it says about nodes.
        edges: Edges; those of other documents are left out.
    """
    said: dict[str, list[str]] = {
        name: [repr(tuple(node.model_dump().values())) for node in nodes.get(name, ())] for name in documents
    }
    for edge in edges:
        if edge.document_id in said:
            said[edge.document_id].append(repr(tuple(edge.model_dump().values())))
    return {
        name: hashlib.sha256("\n".join(sorted(rows)).encode("utf-8", "backslashreplace")).hexdigest()
        for name, rows in said.items()
    }
