"""What may be asked: filters and limits as people and programs write them, checked once."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from medkg_dagster.domain.biolink import PREDICATES
from medkg_dagster.domain.graph_selection import ClaimStatus, EdgeSelection, Polarity
from medkg_dagster.domain.search import SearchFilters
from medkg_dagster.errors import QueryError, did_you_mean

MOST = 1000
"""At most so many of anything are in one answer."""
MOST_CHARACTERS = 2000
"""So long a name, identifier or query may be."""
_LAST_YEAR = 9999
_PREFIX = "biolink:"

Choice = TypeVar("Choice", bound=StrEnum)


class Ranking(StrEnum):
    """What documents are ranked by, where it is not to be what measures best."""

    WORDS = "words"
    HYBRID = "hybrid"


@dataclass(frozen=True, slots=True)
class ClaimFilter:
    """Which claims are meant: those for which all holds that is given.

    Attributes:
        node: A node at either end: a CURIE, or a name that only one node has.
        subject: The subject, the same.
        object: The object, the same.
        predicate: A predicate of the Biolink Model, `biolink:treats` or `treats`.
        category: A category of the node at either end, `biolink:Disease` or `Disease`.
        source: infores CURIE of what makes the statement, or of where its document is from:
            `infores:pubmed` or `pubmed`.
        job: The ledger job that asked for the document last, `job_id` or `pipeline/job_id`.
        status: How the document holds it: `asserted`, `possible` or `background`.
        polarity: Whether it is `affirmed` or `denied`.
        document: The id of the document that makes it.
        mentions: Whether edges are meant, too, that only say that a document mentions a concept.
    """

    node: str | None = None
    subject: str | None = None
    object: str | None = None
    predicate: str | None = None
    category: str | None = None
    source: str | None = None
    job: str | None = None
    status: str | None = None
    polarity: str | None = None
    document: str | None = None
    mentions: bool = False

    def select(self, without: frozenset[str], documents: frozenset[str] | None) -> EdgeSelection:
        """Return what it means to a graph store, but for the nodes.

        Args:
            without: Documents that count for nothing.
            documents: Those of the job; None where none is named.

        Raises:
            QueryError: A filter is none.
        """
        if self.document is not None:
            named = frozenset({check_text("document", self.document)})
            documents = named if documents is None else named & documents
        return EdgeSelection(
            predicate=_predicate(self.predicate),
            category=_curie("category", _PREFIX, self.category),
            source=_curie("source", "infores:", self.source),
            status=choice("status", ClaimStatus, self.status),
            polarity=choice("polarity", Polarity, self.polarity),
            mentions=self.mentions,
            documents=documents,
            without=without,
        )


@dataclass(frozen=True, slots=True)
class SearchFilter:
    """Which documents are searched: those for which all holds that is given.

    Attributes:
        sources: infores CURIEs, `infores:pubmed` or `pubmed`, one of which it is from.
        since: The first year.
        until: The last year.
        languages: Languages, one of which it is in: `en`.
        phases: Phases, one of which the study has: `2` or `PHASE2`.
        synthetic: False for real documents alone, True for invented ones alone.
        job: The ledger job that asked for it last, `job_id` or `pipeline/job_id`.
        concept: What it speaks of, or a kind of that: a CURIE, or a name that only one node has.
    """

    sources: tuple[str, ...] = ()
    since: int | None = None
    until: int | None = None
    languages: tuple[str, ...] = ()
    phases: tuple[str, ...] = ()
    synthetic: bool | None = None
    job: str | None = None
    concept: str | None = None

    def select(self, documents: frozenset[str] | None) -> SearchFilters:
        """Return what it means to an index store.

        Args:
            documents: Those of the job that speak of the concept; None where neither is named.

        Raises:
            QueryError: A filter is none.
        """
        for name, year in (("since", self.since), ("until", self.until)):
            if year is not None:
                check_limit(name, year, _LAST_YEAR, 0)
        phases = [check_text("phase", name).upper() for name in self.phases]
        return SearchFilters(
            sources=frozenset(filter(None, (_curie("source", "infores:", name) for name in self.sources))),
            since=self.since,
            until=self.until,
            languages=frozenset(check_text("language", name).lower() for name in self.languages),
            phases=frozenset(f"PHASE{name}" if name.isdigit() else name for name in phases),
            synthetic=self.synthetic,
            documents=documents,
        )


def check_text(name: str, text: str) -> str:
    """Return a text that may be looked for, without spaces around it.

    Raises:
        QueryError: It is empty, too long, or no text.
    """
    stripped = text.strip()
    if not stripped:
        raise QueryError(f"{name} is empty; give a name, an identifier or words")
    if len(stripped) > MOST_CHARACTERS:
        raise QueryError(f"{name} is {len(stripped):,} long; give at most {MOST_CHARACTERS:,}")
    if "\x00" in stripped or any("\ud800" <= character <= "\udfff" for character in stripped):
        raise QueryError(f"{name} {stripped[:40]!a} holds what is no text; give letters, digits and signs")
    return stripped


def check_limit(name: str, number: int, most: int = MOST, least: int = 1) -> int:
    """Return how many are wanted.

    Raises:
        QueryError: It is out of bounds.
    """
    if not least <= number <= most:
        raise QueryError(f"{name} is {number:,}; give a number from {least:,} to {most:,}")
    return number


def _predicate(given: str | None) -> str | None:
    if given is None:
        return None
    wanted = _curie("predicate", _PREFIX, given.strip().replace(" ", "_"))
    # An extractor of others may say what is in the model and not among ours; a CURIE is taken at its word.
    if wanted not in PREDICATES and ":" not in given:
        names = [name.removeprefix(_PREFIX) for name in PREDICATES]
        raise QueryError(f"predicate {given[:80]!r} is not known; {did_you_mean(given, names)}")
    return wanted


def _curie(name: str, prefix: str, given: str | None) -> str | None:
    if given is None:
        return None
    text = check_text(name, given)
    return text if ":" in text else f"{prefix}{text}"


def choice(name: str, kind: type[Choice], given: str | None) -> Choice | None:
    """Return which of a few is meant; None where none is given.

    Raises:
        QueryError: It is none of them.
    """
    if given is None:
        return None
    try:
        return kind(given.strip().lower())
    except ValueError:
        raise QueryError(f"{name} {given[:80]!r} is not known; {did_you_mean(given, kind)}") from None
