"""What the stores of a home answer: frozen values that say what was cut, and serialize to JSON.

Offsets are characters of the document's text as it was when `document_hash` was its content hash:
`text[start:end] == sentence`. `synthetic` marks what only invented documents say.
"""

from __future__ import annotations

from pydantic import Field

from medkg_dagster.domain import OwnValue
from medkg_dagster.domain.knowledge import Certainty


class Answer(OwnValue):
    """What was found.

    Attributes:
        cut: What is not in it though it is there, a sentence each; empty where nothing was left out.
    """

    cut: tuple[str, ...] = ()


class DocumentRef(OwnValue):
    """A document that something is found in.

    Attributes:
        id: Its id, for `Stores.document`.
        title: Its title; empty where it is not known.
        source: infores CURIE of where it is from; empty where it is not known.
        url: Its landing page.
        date: Its date, as precise as its source.
        synthetic: Whether it is invented.
    """

    id: str
    title: str = ""
    source: str = ""
    url: str | None = None
    date: str | None = None
    synthetic: bool = False


class Concept(OwnValue):
    """A node of the graph.

    Attributes:
        id: CURIE.
        name: Preferred name.
        category: Biolink categories, the most specific first.
        synthetic: Whether only invented documents speak of it.
        document_id: Of a document its id, for `Stores.document`.
    """

    id: str
    name: str
    category: tuple[str, ...] = ()
    synthetic: bool = False
    document_id: str | None = None


class FoundConcept(Concept):
    """A node that was looked for, with what it is called.

    Attributes:
        how: What was looked for is its `id`, its `name`, an `other name`, or a name by the `vocabulary`.
        synonyms: Other names.
        equivalents: Other CURIEs of it.
        sources: What describes it, with its version.
        claims: How many edges state something of it.
        mentions: How many documents mention it.
    """

    how: str
    synonyms: tuple[str, ...] = ()
    equivalents: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    claims: int = 0
    mentions: int = 0


class Evidence(OwnValue):
    """One statement of one document.

    Attributes:
        id: The id of the edge.
        document: The document.
        document_hash: The content hash that the offsets are valid for.
        sentence: The sentence; empty where a structured field says it.
        start: Its first character.
        end: One past its last character.
        negated: Whether it is denied.
        certainty: How sure the document is of it.
        background: Whether it is told as known before.
        method: The rule that made it.
        extractor: Which extractor says it, with its version.
        vocabulary: The version of the vocabulary that its ends are from.
        record_field: JSON path of the field of the source's record that states it.
        properties: What else is said with it: numbers.
        licence: The document's licence.
        synthetic: Whether the document is invented.
    """

    id: str
    document: DocumentRef
    document_hash: str
    sentence: str
    start: int
    end: int
    negated: bool
    certainty: Certainty
    background: bool
    method: str = ""
    extractor: str = ""
    vocabulary: str = ""
    record_field: str = ""
    properties: dict[str, str | int | float] = Field(default_factory=dict)
    licence: str | None = None
    synthetic: bool = False


class Statement(OwnValue):
    """What is stated, whoever states it.

    Attributes:
        subject: The subject.
        predicate: Biolink predicate.
        object: The object.
        negated: Whether it is denied.
        qualifiers: What narrows it, by slot of the Biolink Model.
        original_predicate: What its source calls the relation, where the model has no predicate for it.
        primary_knowledge_source: infores CURIE of what makes the statement.
        knowledge_level: Biolink knowledge level.
        agent_type: Biolink agent type.
        synthetic: Whether only invented documents say it.
    """

    subject: Concept
    predicate: str
    object: Concept
    negated: bool
    qualifiers: dict[str, str | int | float] = Field(default_factory=dict)
    original_predicate: str | None = None
    primary_knowledge_source: str
    knowledge_level: str
    agent_type: str
    synthetic: bool = False


class StatedClaim(Statement):
    """One statement of one document.

    Attributes:
        evidence: Where it stands.
    """

    evidence: Evidence


class SharedStatement(Statement):
    """What any number of documents state alike.

    Attributes:
        evidence_count: How often.
        possible_count: How many of these hold it possible only.
        document_count: In how many documents.
        evidence: Where it stands, at the most telling places; `Stores.claims` has all of them.
    """

    evidence_count: int
    possible_count: int
    document_count: int
    evidence: tuple[Evidence, ...]


class Neighbour(SharedStatement):
    """A shared statement, seen from one of its ends.

    Attributes:
        outgoing: Whether the node that was asked for is the subject.
    """

    outgoing: bool

    @property
    def other(self) -> Concept:
        """The node at the other end."""
        return self.object if self.outgoing else self.subject


class EntityAnswer(Answer):
    """The nodes that a name may mean.

    Attributes:
        name: What was looked for.
        found: The nodes, the likeliest first.
        suggestions: Where there is none: nodes with a name like it, the closest first.
        known_as: Where there is none: what the vocabulary knows by that name and no document speaks of.
    """

    name: str
    found: tuple[FoundConcept, ...]
    suggestions: tuple[Concept, ...] = ()
    known_as: tuple[Concept, ...] = ()


class NeighbourAnswer(Answer):
    """What is stated of a node.

    Attributes:
        node: The node.
        neighbours: Statements before mentions, what is said most often first.
        total: How many there are.
    """

    node: Concept
    neighbours: tuple[Neighbour, ...]
    total: int


class ClaimAnswer(Answer):
    """Claims that were selected, in the order of their ids.

    Attributes:
        claims: The claims.
        next_after: What to give as `after` for those that follow; None where these are the last.
    """

    claims: tuple[StatedClaim, ...]
    next_after: str | None = None


class PathStep(OwnValue):
    """From one node of a path to the next.

    Attributes:
        start: Where it begins.
        end: Where it ends.
        statements: What connects them, what is said most often first.
    """

    start: Concept
    end: Concept
    statements: tuple[SharedStatement, ...]


class Path(OwnValue):
    """How two nodes are connected.

    Attributes:
        steps: From one to the other.
    """

    steps: tuple[PathStep, ...]


class PathAnswer(Answer):
    """How two nodes are connected: the shortest ways, those first whose weakest step is said most often.

    Attributes:
        start: One of them.
        end: The other.
        paths: The ways; none where there is none within the length.
        max_length: So many steps were looked at.
    """

    start: Concept
    end: Concept
    paths: tuple[Path, ...]
    max_length: int
