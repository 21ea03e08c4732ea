"""The application: every question of `Stores` as a GET, and the page."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.staticfiles import StaticFiles

from medkg_dagster import __version__
from medkg_dagster.errors import LedgerError, MedkgError, StoreError, UnknownJobError, VocabularyError
from medkg_dagster.query import (
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
from medkg_dagster.service.guard import API, Guard
from medkg_dagster.service.parameters import check_names, parameters_of

PAGE = Path(__file__).parent / "page"
WhichClaims = Annotated[ClaimFilter, Depends(parameters_of(ClaimFilter))]
WhichDocuments = Annotated[SearchFilter, Depends(parameters_of(SearchFilter))]
_NOT_THERE = (StoreError, LedgerError, VocabularyError)


class Refusal(BaseModel):
    """Why there is no answer.

    Attributes:
        error: What is wrong, and what to do.
    """

    error: str


def make_app(stores: Stores, *, hosts: Collection[str], token: str | None = None) -> FastAPI:
    """Return the service as an ASGI application; nothing that is asked changes anything.

    Args:
        stores: What answers. It stays open as long as the application is used.
        hosts: The names under which it is reached, without ports; requests to others are refused.
        token: What has to be sent with every question; None for nothing.
    """
    app = FastAPI(
        title="medkg",
        version=__version__,
        summary="Search, documents, entities, claims with their evidence, paths. It reads only.",
        openapi_url=f"{API}openapi.json",
        docs_url=None,
        redoc_url=None,
        middleware=[Middleware(Guard, hosts=hosts, token=token)],
    )
    refusals = {400: "The question makes no sense", 401: "No token", 503: "There is nothing to answer from"}
    app.include_router(
        _questions(stores),
        dependencies=[Depends(_check_parameters)],
        responses={code: {"model": Refusal, "description": said} for code, said in refusals.items()},
    )
    app.add_exception_handler(MedkgError, _refuse)
    app.add_exception_handler(RequestValidationError, _refuse)
    app.add_exception_handler(HTTPException, _refuse)
    app.mount("/", StaticFiles(directory=PAGE, html=True))
    return app


def _questions(stores: Stores) -> APIRouter:
    """Return the questions: functions that are no coroutines, since stores make their thread wait."""
    router = APIRouter(prefix=API.rstrip("/"))

    @router.get("/search")
    def search(
        q: Annotated[str, Query(description='Words, "phrases", -words that must not be there, OR.')],
        which: WhichDocuments,
        by: Annotated[
            str | None, Query(description="Rank by `words`, or by words and vectors: `hybrid`.")
        ] = None,
        limit: int = 10,
        offset: int = 0,
    ) -> SearchAnswer:
        """Documents that fit words, each with its best passage, the best first."""
        return stores.search(q, which=which, by=by, limit=limit, offset=offset)

    @router.get("/documents")
    def documents(
        text: Annotated[str | None, Query(description="In id, title, file, address or identifier.")] = None,
        source: Annotated[str | None, Query(description="infores CURIE.")] = None,
        job: Annotated[str | None, Query(description="Ledger job.")] = None,
        limit: int = 100,
        after: Annotated[str | None, Query(description="`next_after` of the page before.")] = None,
    ) -> DocumentPage:
        """Documents that are current, in the order of their ids."""
        return stores.documents(text=text, source=source, job=job, limit=limit, after=after)

    @router.get("/document")
    def document(
        id: Annotated[str, Query(description="Its id, or another identifier of it.")],  # noqa: A002 - its name in the URL
        text_start: int = 0,
        text_limit: int = 20_000,
        limit: int = 500,
    ) -> DocumentAnswer:
        """A document with its text, what it mentions and what it states, each with its place."""
        return stores.document(id, text_start=text_start, text_limit=text_limit, limit=limit)

    @router.get("/entities")
    def entities(
        name: Annotated[str, Query(description="A CURIE or a name, in any case.")], limit: int = 20
    ) -> EntityAnswer:
        """The nodes that a name may mean; where there is none, those with a name like it."""
        return stores.entities(name, limit=limit)

    @router.get("/neighbours")
    def neighbours(
        name: Annotated[str, Query(description="A CURIE, or a name that only one node has.")],
        which: WhichClaims,
        limit: int = 50,
        evidence: int = 3,
    ) -> NeighbourAnswer:
        """What is stated of a node, taken together where documents say the same."""
        return stores.neighbours(name, which=which, limit=limit, evidence=evidence)

    @router.get("/claims")
    def claims(
        which: WhichClaims,
        limit: int = 100,
        after: Annotated[str | None, Query(description="`next_after` of the answer before.")] = None,
    ) -> ClaimAnswer:
        """Claims with their evidence, in the order of their ids."""
        return stores.claims(which=which, limit=limit, after=after)

    @router.get("/paths")
    def paths(  # noqa: PLR0917 - one parameter for each of the URL's
        start: Annotated[str, Query(description="A CURIE, or a name that only one node has.")],
        end: Annotated[str, Query(description="The other, the same.")],
        which: WhichClaims,
        max_length: int = 3,
        limit: int = 10,
        evidence: int = 2,
    ) -> PathAnswer:
        """How two nodes are connected: the shortest ways, each step with what is stated."""
        return stores.paths(start, end, which=which, max_length=max_length, limit=limit, evidence=evidence)

    @router.get("/counts")
    def counts() -> Counts:
        """How much there is."""
        return stores.counts()

    return router


def _check_parameters(request: Request) -> None:
    described = request.app.openapi()["paths"][request.scope["route"].path]["get"]
    check_names(list(request.query_params), [one["name"] for one in described.get("parameters", ())])


def _refuse(_request: Request, error: Exception) -> JSONResponse:
    """Return one sentence, whatever was asked."""
    if isinstance(error, RequestValidationError):
        first = error.errors()[0]
        where = " ".join(map(str, first["loc"][1:])) or "the question"
        return _answer(f"{where}: {first['msg'][:1].lower()}{first['msg'][1:]}", 400)
    if isinstance(error, HTTPException):
        said = "there is no such page; / is the page, /api/openapi.json says what can be asked"
        return _answer(said if error.status_code == 404 else str(error.detail), error.status_code)
    is_missing = isinstance(error, _NOT_THERE) and not isinstance(error, UnknownJobError)
    return _answer(str(error), 503 if is_missing else 400)


def _answer(error: str, status: int) -> JSONResponse:
    return JSONResponse(Refusal(error=error).model_dump(), status)
