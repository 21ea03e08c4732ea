"""The tools: what `query.Stores` answers, sized for a model to read.

A tool's parameters, their descriptions and the schema of its answer are what a model is told of it.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field

from medkg_dagster.errors import QueryError
from medkg_dagster.query import (
    Answer,
    ClaimAnswer,
    ClaimFilter,
    Counts,
    DocumentAnswer,
    DocumentPage,
    EntityAnswer,
    NeighbourAnswer,
    PathAnswer,
    SearchAnswer,
    SearchFilter,
    Stores,
)
from medkg_dagster.query.filter_parameters import filter_of, filter_parameters

MOST_CHARACTERS = 60_000
"""So long an answer may be as JSON; a longer one is asked for again with fewer items."""
MOST_ITEMS = 100

Found = TypeVar("Found", bound=Answer)

Words = Annotated[
    str,
    Field(
        description="Words. A phrase in double quotes has to be there, what follows a minus must not, and of "
        "words joined by OR one has to."
    ),
]
Name = Annotated[str, Field(description="A CURIE such as MESH:D008545, or a name such as melanoma.")]
Limit = Annotated[int, Field(ge=1, le=MOST_ITEMS, description="At most so many.")]
After = Annotated[str | None, Field(description="`next_after` of the answer before, for what follows.")]


def with_filter(kind: type[Any], *left_out: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Let a tool that takes a filter as `which` take a parameter for each field of it in its place.

    Args:
        kind: The class of filters.
        left_out: Fields that the tool has no use for.
    """
    filters = [one for one in filter_parameters(kind, _described) if one.name not in left_out]

    def decorated(tool: Callable[..., Any]) -> Callable[..., Any]:
        written = inspect.signature(tool, eval_str=True)

        @functools.wraps(tool)
        def asked(tools: StoreTools, **given: Any) -> Any:
            chosen = {one.name: given.pop(one.name) for one in filters if one.name in given}
            return tool(tools, which=filter_of(kind, chosen), **given)

        own = [one for one in written.parameters.values() if one.name != "which"]
        asked.__signature__ = written.replace(parameters=[*own, *filters])  # type: ignore[attr-defined] # the SDK reads it
        return asked

    return decorated


def _described(said: str) -> Any:
    return Field(description=said)


@dataclass(frozen=True)
class StoreTools:
    """The tools, each a method.

    Attributes:
        stores: What they ask.
    """

    stores: Stores

    @with_filter(SearchFilter)
    def search_documents(
        self,
        *,
        which: SearchFilter,
        query: Words,
        limit: Limit = 10,
        offset: Annotated[int, Field(ge=0, description="How many of the best to leave out.")] = 0,
        by: Annotated[
            Literal["words", "hybrid"] | None,
            Field(description="Rank by words alone, or by words and vectors; else by what measures best."),
        ] = None,
    ) -> SearchAnswer:
        """Search documents by words; each comes with its best passage, its place in the text, and a link."""
        return fitting(
            lambda most: self.stores.search(query, which=which, by=by, limit=most, offset=offset), limit
        )

    def list_documents(
        self,
        *,
        text: Annotated[str | None, Field(description="Only with this in title, id or address.")] = None,
        source: Annotated[str | None, Field(description="Only of this source: pubmed, pmc.")] = None,
        job: Annotated[str | None, Field(description="Only those this ledger job asked for.")] = None,
        limit: Limit = 50,
        after: After = None,
    ) -> DocumentPage:
        """List the documents there are, by id."""
        return fitting(
            lambda most: self.stores.documents(text=text, source=source, job=job, limit=most, after=after),
            limit,
        )

    def read_document(
        self,
        *,
        document: Annotated[str, Field(description="Its id, such as PMID:26492265, as answers name it.")],
        text_start: Annotated[int, Field(ge=0, description="From which character on.")] = 0,
        text_limit: Annotated[int, Field(ge=0, le=20_000, description="Characters of its text.")] = 8_000,
        limit: Limit = 50,
    ) -> DocumentAnswer:
        """Read a document: its text, the concepts it mentions and the claims it makes, each with a place."""
        return fitting(
            lambda most: self.stores.document(
                document, text_start=text_start, text_limit=text_limit, limit=most
            ),
            limit,
        )

    def find_entities(self, *, name: Name, limit: Limit = 10) -> EntityAnswer:
        """Find concepts by CURIE, name, synonym or other spelling; names like it where there is none."""
        return fitting(lambda most: self.stores.entities(name, limit=most), limit)

    @with_filter(ClaimFilter, "node", "subject", "object", "document")
    def get_neighbours(
        self,
        *,
        which: ClaimFilter,
        name: Name,
        limit: Limit = 20,
        evidence: Annotated[int, Field(ge=1, le=10, description="Sentences for each statement.")] = 2,
    ) -> NeighbourAnswer:
        """Tell what is stated of a concept: statements with how often they are made, and sentences."""
        return fitting(
            lambda most: self.stores.neighbours(name, which=which, limit=most, evidence=evidence), limit
        )

    @with_filter(ClaimFilter)
    def get_claims(self, *, which: ClaimFilter, limit: Limit = 20, after: After = None) -> ClaimAnswer:
        """Get claims one by one, each with its sentence, its place in the document, and a link."""
        return fitting(lambda most: self.stores.claims(which=which, limit=most, after=after), limit)

    @with_filter(ClaimFilter, "node", "subject", "object", "document", "mentions")
    def find_paths(
        self,
        *,
        which: ClaimFilter,
        start: Name,
        end: Name,
        max_length: Annotated[int, Field(ge=1, le=5, description="At most so many steps.")] = 3,
        limit: Annotated[int, Field(ge=1, le=20, description="At most so many paths.")] = 5,
    ) -> PathAnswer:
        """Tell how two concepts are connected: the shortest paths with the sentences behind each step."""
        return fitting(
            lambda most: self.stores.paths(start, end, which=which, max_length=max_length, limit=most), limit
        )

    def count_everything(self) -> Counts:
        """Tell how much there is: documents, nodes, edges by predicate."""
        return self.stores.counts()


def fitting(ask: Callable[[int], Found], limit: int) -> Found:
    """Return an answer that is not too long, with as many items as fit.

    Args:
        ask: Returns the answer with at most so many items.
        limit: How many are wanted.

    Raises:
        QueryError: One item alone is too long.
    """
    while True:
        answer = ask(limit)
        length = len(answer.model_dump_json(indent=2))  # as the SDK writes it
        if length <= MOST_CHARACTERS:
            return answer
        if limit == 1:
            raise QueryError(f"the answer is {length:,} characters long; ask for less text or evidence")
        limit = max(1, min(limit - 1, limit * MOST_CHARACTERS // length))
