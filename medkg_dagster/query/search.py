"""Documents by words and by vector, each with its best passage."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from medkg_dagster.errors import MedkgError, StageContractError, StoreError, counted
from medkg_dagster.query.answers import Concept, DocumentRef
from medkg_dagster.query.document_answers import Hit, Passage, SearchAnswer
from medkg_dagster.query.entities import the_entity
from medkg_dagster.query.opened import nothing_in
from medkg_dagster.query.selection import Ranking, SearchFilter, check_limit, check_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from medkg_dagster.domain.graph_selection import MentionedConcept
    from medkg_dagster.domain.holdings import KnownDocument
    from medkg_dagster.domain.search import DocumentHit
    from medkg_dagster.query.opened import OpenedStores
    from medkg_dagster.stage_api import Embedder, SearchRequest, SearchResults

_FARTHEST = 10_000
_MOST_CONCEPTS = 10


NO_VECTORS = (
    "the index has no vectors, so that only words were searched for; choose an embedder with "
    "`medkg reindex --embedder NAME`, and for what is indexed later in the stage `embed` of the pipeline"
)


def search(
    stores: OpenedStores, query: str, which: SearchFilter, *, by: Ranking | None, limit: int, offset: int
) -> SearchAnswer:
    """Return documents; see `Stores.search`."""
    from medkg_dagster.stage_api import SearchRequest
    from medkg_dagster.stage_api._extensions import embed_query

    wanted = check_text("query", query)
    check_limit("limit", limit)
    check_limit("offset", offset, _FARTHEST, 0)
    embedder, problem = _embedder(stores, by)
    vector = None
    if embedder is not None:
        try:
            vector = embed_query(embedder, wanted)
        except MedkgError as error:
            embedder, problem = None, _words_only(error)
    filters = which.select(_allowed(stores, which))
    request = SearchRequest(wanted, vector, limit=limit, offset=offset, filters=filters)
    results, reranked, unranked = _reranked(stores, request)
    if not results.hits and not stores.index().held():
        raise StoreError(_nothing_shown(stores))
    shown = offset + len(results.hits)
    cut = [said for said in (problem, unranked) if said]
    if embedder is not None and (lacking := stores.index().without_vectors()):
        cut.append(
            f"{counted(lacking, 'document has', 'documents have')} no such vectors, found by words alone; "
            "`medkg reindex` makes them"
        )
    if results.hits and results.total > shown:
        left = counted(results.total - shown, "document has", "documents have")
        cut.append(f"{left} words of the query, too; raise the limit, or ask with offset={shown}")
    return SearchAnswer(
        query=wanted,
        hits=_described(stores, results.hits),
        total=max(results.total, shown) if results.hits else results.total,
        unknown=results.unknown,
        embedding_model=None if embedder is None else embedder.model,
        reranked=reranked,
        cut=tuple(cut),
    )


def _reranked(stores: OpenedStores, request: SearchRequest) -> tuple[SearchResults, int, str]:
    """Search, and let a reranker put the best documents in order, where there is one.

    Returns:
        What was found, how many of it were put in order, and why not where that failed.
    """
    try:
        reranker = stores.reranker()
        if reranker is None or request.offset >= reranker.depth:
            return _shown(stores, request), 0, ""
        depth = reranker.depth
    except MedkgError as error:
        return _shown(stores, request), 0, _as_ranked(error)
    end = request.offset + request.limit
    found = _shown(stores, replace(request, offset=0, limit=max(depth, end)))
    best, problem = found.hits[:depth], ""
    if len(best) > 1:
        texts = [f"{hit.document.title}\n{hit.passage.text}" for hit in best]
        try:
            scores = list(reranker.scores(request.text, texts))
            if len(scores) != len(best) or not all(map(math.isfinite, scores)):
                raise StageContractError(
                    f"the reranker gave no finite number for each of {counted(len(best), 'document')}"
                )
            order = sorted(range(len(best)), key=lambda place: -scores[place])
            best = tuple(replace(best[place], score=scores[place]) for place in order)
        except MedkgError as error:
            problem = _as_ranked(error)
    hits = (*best, *found.hits[depth:])[request.offset : end]
    return replace(found, hits=hits), 0 if problem else len(best), problem


def _as_ranked(error: MedkgError) -> str:
    return f"documents are not reranked: {error}"


def _nothing_shown(stores: OpenedStores) -> str:
    hidden = len(stores.hidden())
    if not hidden:
        return nothing_in(stores.home)
    are = counted(hidden, "document is", "documents are")
    return (
        f"nothing in {stores.home} is current: {are} withdrawn, retracted, superseded or quarantined; "
        "`medkg documents list` shows which and why"
    )


def _allowed(stores: OpenedStores, which: SearchFilter) -> frozenset[str] | None:
    """Return the documents of the job and those that speak of the concept; None where neither is named."""
    allowed = stores.of_job(which.job)
    if which.concept is None:
        return allowed
    concept = the_entity(stores, which.concept)
    with stores.graph() as (graph, hidden):
        speaking = graph.documents_of(stores.kinds_of(concept.id), hidden)
    return speaking if allowed is None else speaking & allowed


def _shown(stores: OpenedStores, request: SearchRequest) -> SearchResults:
    """Search among the documents that are to be shown."""
    filters = request.filters.model_copy(update={"without": stores.hidden()})
    return stores.index().search(replace(request, filters=filters))


def _described(stores: OpenedStores, hits: Sequence[DocumentHit]) -> tuple[Hit, ...]:
    known = stores.known({hit.document.id for hit in hits})
    mentioned = _mentioned(stores, hits)
    return tuple(
        _described_one(hit, known.get(hit.document.id), mentioned.get(hit.document.id, [])) for hit in hits
    )


def _described_one(
    hit: DocumentHit, known: KnownDocument | None, mentioned: Sequence[MentionedConcept]
) -> Hit:
    passage = hit.passage
    return Hit(
        document=DocumentRef(**{name: getattr(hit.document, name) for name in DocumentRef.model_fields}),
        status=known and known.status,
        concepts=tuple(
            Concept(id=one.id, name=one.name, category=one.category, synthetic=one.synthetic)
            for one in mentioned[:_MOST_CONCEPTS]
        ),
        concept_count=len(mentioned),
        title_marks=hit.title_marks,
        passage=Passage(
            section=passage.section,
            text=passage.text,
            start=passage.start,
            end=passage.end,
            document_hash=passage.document_hash,
            marks=hit.marks,
        ),
        score=hit.score,
    )


def _mentioned(stores: OpenedStores, hits: Sequence[DocumentHit]) -> dict[str, list[MentionedConcept]]:
    """Return by document the concepts that it mentions, those of its passage first, in order."""
    if not hits or not stores.has("GRAPH_STORE"):
        return {}
    passages = {hit.document.id: hit.passage for hit in hits}
    with stores.graph() as (graph, _):
        mentioned = graph.mentioned(passages)

    def place(one: MentionedConcept) -> tuple[bool, int, str]:
        within = passages[one.document_id]
        is_within = one.document_hash == within.document_hash and within.start <= one.start < within.end
        return not is_within, one.start, one.id

    found: dict[str, list[MentionedConcept]] = {}
    for one in sorted(mentioned, key=place):
        found.setdefault(one.document_id, []).append(one)
    return found


def _embedder(stores: OpenedStores, by: Ranking | None) -> tuple[Embedder | None, str]:
    """Return what makes the vector of a query, the index's own model; None and why where it cannot be opened.

    Vectors that mean shared words find nothing that words do not, so that they are not looked at unless they
    are asked for.
    """
    if by is Ranking.WORDS:
        return None, ""
    model = stores.index().embedding_model()
    if model is None:
        return None, NO_VECTORS if by is Ranking.HYBRID and stores.index().held() else ""
    try:
        embedder = stores.embedder(model)
    except MedkgError as error:
        return None, _words_only(error)
    return (None if embedder.lexical and by is None else embedder), ""


def _words_only(error: MedkgError) -> str:
    return f"only words were searched for, the query has no vector: {error}"
