"""Ask the stores of a home: search, documents, entities, neighbours, claims, paths, counts.

    from medkg_dagster.query import Stores

    with Stores() as stores:
        for neighbour in stores.neighbours("melanoma").neighbours:
            print(neighbour.subject.name, neighbour.predicate, neighbour.object.name)

It reads only, knows nothing of Dagster, and answers with frozen values that serialize to JSON.
"""

from medkg_dagster.errors import QueryError
from medkg_dagster.query.answers import (
    Answer,
    ClaimAnswer,
    Concept,
    DocumentRef,
    EntityAnswer,
    Evidence,
    FoundConcept,
    Neighbour,
    NeighbourAnswer,
    Path,
    PathAnswer,
    PathStep,
    SharedStatement,
    StatedClaim,
    Statement,
)
from medkg_dagster.query.document_answers import (
    Counts,
    DocumentAnswer,
    DocumentPage,
    DocumentSummary,
    Hit,
    Mention,
    Passage,
    SearchAnswer,
    SectionRef,
)
from medkg_dagster.query.selection import ClaimFilter, SearchFilter
from medkg_dagster.query.stores import Stores

__all__ = [
    "Answer",
    "ClaimAnswer",
    "ClaimFilter",
    "Concept",
    "Counts",
    "DocumentAnswer",
    "DocumentPage",
    "DocumentRef",
    "DocumentSummary",
    "EntityAnswer",
    "Evidence",
    "FoundConcept",
    "Hit",
    "Mention",
    "Neighbour",
    "NeighbourAnswer",
    "Passage",
    "Path",
    "PathAnswer",
    "PathStep",
    "QueryError",
    "SearchAnswer",
    "SearchFilter",
    "SectionRef",
    "SharedStatement",
    "StatedClaim",
    "Statement",
    "Stores",
]
