"""What is answered about documents: lists of them, one with what is found in it, hits of a search, counts."""

from __future__ import annotations

from pydantic import Field

from medkg_dagster.domain import OwnValue
from medkg_dagster.domain.holdings import DocumentStatus
from medkg_dagster.query.answers import Answer, Concept, DocumentRef, StatedClaim


class DocumentSummary(DocumentRef):
    """A document that is current.

    Attributes:
        identifiers: Its identifiers by scheme.
        origin: The file or address it came from.
        content_hash: Its content hash.
        changed_at: When its status or content changed last; UTC, ISO 8601.
    """

    identifiers: dict[str, str] = Field(default_factory=dict)
    origin: str = ""
    content_hash: str = ""
    changed_at: str = ""


class DocumentPage(Answer):
    """Documents in the order of their ids.

    Attributes:
        documents: The documents.
        next_after: What to give as `after` for those that follow; None where these are the last.
    """

    documents: tuple[DocumentSummary, ...]
    next_after: str | None = None


class SectionRef(OwnValue):
    """A section of a document.

    Attributes:
        title: Its heading; empty where it has none.
        level: Depth of the heading, 1 at the top.
        start: Its first character.
        end: One past its last character.
    """

    title: str
    level: int
    start: int
    end: int


class Mention(OwnValue):
    """A mention of a concept in a document.

    Attributes:
        curie: The concept.
        name: Its preferred name.
        category: Biolink category.
        surface: What stands there.
        start: First character in the text; None where a structured field of the source names it.
        end: One past the last character.
        negated: Whether it stands under a negation.
        method: How it was found.
    """

    curie: str
    name: str
    category: str
    surface: str
    start: int | None = None
    end: int | None = None
    negated: bool = False
    method: str = ""


class DocumentAnswer(Answer):
    """A document with what is found in it.

    Attributes:
        document: The document.
        licence: Its licence as its source states it.
        authors: Its authors.
        text: Its text from `text_start` on; None where it is not kept, then `cut` says why.
        text_start: Which character `text` begins with.
        characters: How long the whole text is; None where it is not kept.
        sections: Its sections, in order.
        mentions: What it mentions within `text`, in order, then what structured fields name.
        claims: What it states, in the order of the text.
    """

    document: DocumentSummary
    licence: str | None = None
    authors: tuple[str, ...] = ()
    text: str | None = None
    text_start: int = 0
    characters: int | None = None
    sections: tuple[SectionRef, ...] = ()
    mentions: tuple[Mention, ...] = ()
    claims: tuple[StatedClaim, ...] = ()


class Passage(OwnValue):
    """A passage of a document.

    Attributes:
        section: The title of its section; empty where it has none.
        text: The passage.
        start: Its first character.
        end: One past its last character.
        document_hash: The content hash that the offsets are valid for.
        marks: Where the words that were looked for stand in `text`.
    """

    section: str
    text: str
    start: int
    end: int
    document_hash: str
    marks: tuple[tuple[int, int], ...] = ()


class Hit(OwnValue):
    """A document that a search found.

    Attributes:
        document: The document.
        status: Where it stands in the ledger; None where that does not know it.
        title_marks: Where the words that were looked for stand in its title.
        passage: Its best passage; of a document found by its title alone, its first.
        concepts: What it mentions, those first that its passage does; at most ten.
        concept_count: How many concepts it mentions.
        score: Only the order means anything.
    """

    document: DocumentRef
    status: DocumentStatus | None = None
    title_marks: tuple[tuple[int, int], ...] = ()
    passage: Passage
    concepts: tuple[Concept, ...] = ()
    concept_count: int = 0
    score: float


class SearchAnswer(Answer):
    """What a search found.

    Attributes:
        query: What was looked for.
        hits: Documents, the best first.
        total: How many documents have words of the query and pass the filters.
        unknown: Words of the query that no document has.
        embedding_model: The model whose vectors were compared; None where only words were.
        reranked: How many of the best documents a reranker has put in order.
    """

    query: str
    hits: tuple[Hit, ...]
    total: int
    unknown: tuple[str, ...] = ()
    embedding_model: str | None = None
    reranked: int = 0


class Counts(Answer):
    """How much a home holds and shows.

    Attributes:
        documents: Current documents, as the ledger knows them.
        hidden: Documents that are withdrawn, quarantined, superseded or retracted, and not shown.
        indexed_documents: Documents that can be searched.
        graph_documents: Documents in the graph.
        nodes: Nodes of the graph.
        edges: Edges of the graph.
        synthetic_edges: Those of invented documents.
        predicates: Edges by predicate, the most first.
        categories: Nodes by most specific category, the most first.
        embedding_model: The model of the index's vectors; None where it has none, and words alone rank.
    """

    documents: int
    hidden: int
    indexed_documents: int
    graph_documents: int
    nodes: int
    edges: int
    synthetic_edges: int
    predicates: dict[str, int]
    categories: dict[str, int]
    embedding_model: str | None = None
