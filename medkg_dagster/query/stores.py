"""The questions that the stores of a home answer."""

from __future__ import annotations

from typing import Self

from medkg_dagster.query.answers import ClaimAnswer, EntityAnswer, NeighbourAnswer, PathAnswer
from medkg_dagster.query.claims import find_claims, find_neighbours
from medkg_dagster.query.counts import count_all
from medkg_dagster.query.document_answers import Counts, DocumentAnswer, DocumentPage, SearchAnswer
from medkg_dagster.query.documents import list_documents, show_document
from medkg_dagster.query.entities import find_entities
from medkg_dagster.query.opened import OpenedStores
from medkg_dagster.query.paths import find_paths
from medkg_dagster.query.search import search
from medkg_dagster.query.selection import ClaimFilter, Ranking, SearchFilter, choice
from medkg_dagster.settings import Settings

EVERYTHING = ClaimFilter(mentions=True)
STATEMENTS = ClaimFilter()
ANY_DOCUMENT = SearchFilter()


class Stores:
    """The stores of a home, to be asked and never changed.

    Every question may be asked by several threads at once, and sees what runs have written meanwhile. Answers
    are bounded and say in `cut` what they leave out. Documents that are withdrawn, quarantined, superseded or
    retracted are in none of them, and nothing that only they say.

    Every method may raise `QueryError` where the question makes no sense, `StoreError` and `LedgerError`
    where a store is not there or cannot be read, `VocabularyError` where the vocabulary cannot be.

    Args:
        settings: Says where the home is; from the environment by default.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self._stores = OpenedStores(settings or Settings.from_environment())

    def search(
        self,
        query: str,
        *,
        which: SearchFilter = ANY_DOCUMENT,
        by: str | None = None,
        limit: int = 10,
        offset: int = 0,
    ) -> SearchAnswer:
        """Return documents that fit words, each with its best passage, the best first.

        Args:
            query: Words; a phrase in double quotes has to be there, what follows a minus must not, and of
                words joined by OR one has to. Any text is valid.
            which: Which documents.
            by: What ranks: `words`, or `hybrid` for words and vectors; by default what measures best, which
                is both where vectors mean more than shared words. Where the index has no vectors, words rank,
                and the answer says so.
            limit: At most so many.
            offset: How many of the best to leave out, for a later page.
        """
        return search(self._stores, query, which, by=choice("by", Ranking, by), limit=limit, offset=offset)

    def documents(
        self,
        *,
        text: str | None = None,
        source: str | None = None,
        job: str | None = None,
        limit: int = 100,
        after: str | None = None,
    ) -> DocumentPage:
        """Return documents that are current, in the order of their ids.

        Args:
            text: Only those with this text in id, title, file, address or another identifier, in any case.
            source: Only of this infores CURIE, `infores:pubmed` or `pubmed`.
            job: Only those that this ledger job asked for last, `job_id` or `pipeline/job_id`.
            limit: At most so many.
            after: Only those behind this id, as `next_after` gives it.
        """
        return list_documents(self._stores, text=text, source=source, job=job, limit=limit, after=after)

    def document(
        self, document: str, *, text_start: int = 0, text_limit: int = 20_000, limit: int = 500
    ) -> DocumentAnswer:
        """Return a document with its text, what it mentions and what it states, each with its place.

        Args:
            document: Its id, or another identifier of it.
            text_start: From which character on its text is wanted.
            text_limit: How many characters of it; 0 for none.
            limit: At most so many mentions, and as many claims.
        """
        return show_document(self._stores, document, text_start, text_limit, limit)

    def entities(self, name: str, *, limit: int = 20) -> EntityAnswer:
        """Return the nodes that a name may mean; where there is none, those with a name like it.

        A node is found by its CURIE or an equivalent one, its name, a synonym, another spelling of these, and
        any name that the vocabulary of the home knows.

        Args:
            name: A CURIE or a name, in any case.
            limit: At most so many.
        """
        return find_entities(self._stores, name, limit)

    def neighbours(
        self, name: str, *, which: ClaimFilter = EVERYTHING, limit: int = 50, evidence: int = 3
    ) -> NeighbourAnswer:
        """Return what is stated of a node, taken together where documents say the same.

        Args:
            name: The node's CURIE, or a name that only one node has.
            which: Which claims.
            limit: At most so many statements.
            evidence: Of each at most so many places; `claims` with its subject, object and predicate gives
                all.
        """
        return find_neighbours(self._stores, name, which, limit, evidence)

    def claims(
        self, *, which: ClaimFilter = STATEMENTS, limit: int = 100, after: str | None = None
    ) -> ClaimAnswer:
        """Return claims with their evidence, in the order of their ids.

        Args:
            which: Which claims.
            limit: At most so many.
            after: Only those behind this id, as `next_after` gives it.
        """
        return find_claims(self._stores, which, limit, after)

    def paths(
        self,
        start: str,
        end: str,
        *,
        which: ClaimFilter = STATEMENTS,
        max_length: int = 3,
        limit: int = 10,
        evidence: int = 2,
    ) -> PathAnswer:
        """Return how two nodes are connected: the shortest ways, each step with what is stated.

        Of several those come first whose weakest step is said most often.
        What is denied connects nothing, unless it is asked for by polarity.

        Args:
            start: A CURIE, or a name that only one node has.
            end: The other, the same.
            which: By which claims.
            max_length: At most so many steps.
            limit: At most so many ways.
            evidence: Of each statement at most so many places.
        """
        return find_paths(
            self._stores, (start, end), which, max_length=max_length, limit=limit, evidence=evidence
        )

    def counts(self) -> Counts:
        """Return how much the home holds and shows."""
        return count_all(self._stores)

    def close(self) -> None:
        """Release files and connections."""
        self._stores.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
