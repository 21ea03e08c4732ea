"""What is asked of an index, and what it finds: documents, each with its best passage."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from medkg_dagster.domain import OwnValue
from medkg_dagster.domain.chunks import Chunk

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Span = tuple[int, int]
"""First character and one past the last."""


class IndexedDocument(OwnValue):
    """What an index knows of a document besides its text.

    Attributes:
        id: Its CURIE.
        title: Its title.
        source: Its information resource (`infores:pubmed`); empty where nobody said.
        date: When it was published or first posted, ISO 8601 as precise as the source.
        url: Its landing page.
        language: Its language (ISO 639-1, `en`); None where the source does not say.
        phases: Of a registered study its phases, as the registry codes them (`PHASE2`).
        synthetic: Whether it is invented.
    """

    id: str
    title: str = ""
    source: str = ""
    date: str | None = None
    url: str | None = None
    language: str | None = None
    phases: tuple[str, ...] = ()
    synthetic: bool = False

    @property
    def year(self) -> int | None:
        """The year of its date."""
        year = (self.date or "")[:4]
        return int(year) if len(year) == 4 and year.isascii() and year.isdigit() else None


class SearchFilters(OwnValue):
    """Which documents are looked at; what is empty or None excludes none.

    Attributes:
        sources: Information resources, one of which it is from.
        since: The first year; documents without a date are left out.
        until: The last year; documents without a date are left out.
        languages: Languages, one of which it is in.
        phases: Phases, one of which the study has.
        synthetic: False for real documents alone, True for invented ones alone.
        documents: CURIEs, one of which it has: those of a job, or those that mention a concept.
        without: CURIEs, none of which it has: those that are not to be shown.
    """

    sources: frozenset[str] = frozenset()
    since: int | None = None
    until: int | None = None
    languages: frozenset[str] = frozenset()
    phases: frozenset[str] = frozenset()
    synthetic: bool | None = None
    documents: frozenset[str] | None = None
    without: frozenset[str] = frozenset()

    @property
    def is_empty(self) -> bool:
        """Whether it lets every document pass."""
        return self == SearchFilters()

    def lets_pass(self, document: IndexedDocument) -> bool:
        """Say whether a document is looked at."""
        year = document.year
        return (
            (not self.sources or document.source in self.sources)
            and (self.since is None or (year is not None and year >= self.since))
            and (self.until is None or (year is not None and year <= self.until))
            and (not self.languages or document.language in self.languages)
            and (not self.phases or not self.phases.isdisjoint(document.phases))
            and self.synthetic in {None, document.synthetic}
            and (self.documents is None or document.id in self.documents)
            and document.id not in self.without
        )


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """What is asked of an index.

    Attributes:
        text: Words; a phrase in double quotes has to be there, what follows a minus must not, and of words
            or phrases joined by OR one has to. Any text is valid.
        vector: Its vector, made by the index's `embedding_model()`; None searches words only.
        limit: How many documents to return at most.
        offset: How many of the best to leave out, for a later page.
        filters: Which documents are looked at.
    """

    text: str
    vector: NDArray[np.float32] | None = None
    limit: int = 10
    offset: int = 0
    filters: SearchFilters = field(default_factory=SearchFilters)


@dataclass(frozen=True, slots=True)
class DocumentHit:
    """A document that was found.

    Attributes:
        document: The document.
        passage: Its best passage; of a document found by its title alone, its first.
        score: Only the order means anything.
        title_marks: Where the query's words stand in `document.title`.
        marks: Where they stand in `passage.text`.
        word_rank: Rank among the documents with the query's words, from 1; None where it has none of them.
        vector_rank: Rank among the neighbours of the query's vector; None where it is not among them.
    """

    document: IndexedDocument
    passage: Chunk
    score: float
    title_marks: tuple[Span, ...] = ()
    marks: tuple[Span, ...] = ()
    word_rank: int | None = None
    vector_rank: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "document": self.document.model_dump(mode="json"),
            "passage": self.passage.model_dump(mode="json"),
            "score": self.score,
            "title_marks": [list(mark) for mark in self.title_marks],
            "marks": [list(mark) for mark in self.marks],
            "word_rank": self.word_rank,
            "vector_rank": self.vector_rank,
        }


@dataclass(frozen=True, slots=True)
class SearchResults:
    """What a search found.

    Attributes:
        hits: The best documents, the best first; equal ones in the order of their ids.
        total: How many documents have words of the query and pass the filters.
        unknown: Words of the query that no document of the index has.
    """

    hits: tuple[DocumentHit, ...] = ()
    total: int = 0
    unknown: tuple[str, ...] = ()


def words_at(text: str, marks: Iterable[Span]) -> frozenset[str]:
    """Return the words at some places of a text, without regard to case."""
    return frozenset(text[start:end].casefold() for start, end in marks)


def excerpt(text: str, marks: Sequence[Span], length: int) -> str:
    """Return the part of a text, on one line, that has most different words of those at its marks.

    Args:
        text: The text.
        marks: Places in it.
        length: The most characters of it to return; what is left out is shown by an ellipsis.
    """
    flat = " ".join(text.split())
    if len(flat) <= length:
        return flat
    begins = [start for start, end in marks if end - start <= length]
    within = {
        begin: {
            text[start:end].casefold() for start, end in marks if begin <= start and end <= begin + length
        }
        for begin in begins
    }
    best = max(begins, key=lambda begin: len(within[begin]), default=0)
    begin = max(0, min(len(" ".join(text[:best].split())) - length // 6, len(flat) - length))
    if begin:
        begin = flat.find(" ", begin) + 1
    end = begin + length
    cut = flat[begin:] if end >= len(flat) else flat[begin : flat.rfind(" ", begin, end + 1)]
    return f"{'… ' if begin else ''}{cut}{' …' if begin + len(cut) < len(flat) else ''}"
