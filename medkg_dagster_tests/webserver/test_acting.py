"""Who decides in the UI is who the proxy says, and not who the browser says."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from dagster import DagsterInstance, job, op
from dagster._core.instance.runs.run_domain import RunDomain
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from medkg_dagster.errors import ConfigError
from medkg_dagster.runtime.tags import ACTOR_TAG
from medkg_dagster.webserver.acting import name_who_asks
from medkg_dagster.webserver.guard import WebserverGuard
from medkg_dagster_tests.compiler.deployment import instance_in_memory

HEADER = "x-forwarded-user"


@op
def nothing() -> None: ...


@job(tags={ACTOR_TAG: "the job's own"})
def decide() -> None:
    nothing()


@pytest.fixture
def instance() -> Iterator[DagsterInstance]:
    with instance_in_memory() as made:
        yield made


def asking(instance: DagsterInstance, header: str | None, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    """Give a client of a webserver that makes a run with the tags it is sent, in a thread as Dagster does."""
    monkeypatch.setattr(RunDomain, "create_run", RunDomain.create_run)
    name_who_asks(header)

    def launch(tags: Mapping[str, str]) -> dict[str, Any]:
        return dict(instance.create_run_for_job(job_def=decide, tags=tags).tags)

    async def answer(request: Request) -> JSONResponse:
        return JSONResponse(await run_in_threadpool(launch, await request.json()))

    app = Starlette(routes=[Route("/graphql", answer, methods=["POST"])])
    return TestClient(WebserverGuard(app, ["localhost"], None, header), "http://localhost:3000")


def test_the_run_says_who_the_proxy_says_asked(
    instance: DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = asking(instance, HEADER, monkeypatch)

    for forged in ({}, {ACTOR_TAG: "mallory", "team": "b"}):
        tags = client.post("/graphql", json=forged, headers={HEADER: "ann@example.org"}).json()
        assert tags[ACTOR_TAG] == "ann@example.org"
    assert tags["team"] == "b"


def test_where_no_header_is_trusted_nobody_is_named(
    instance: DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = asking(instance, None, monkeypatch)

    tags = client.post("/graphql", json={ACTOR_TAG: "mallory"}, headers={HEADER: "mallory"}).json()

    assert ACTOR_TAG not in tags


@pytest.mark.parametrize("sent", [{}, {HEADER: " "}])
def test_where_the_proxy_names_nobody_nothing_is_asked(
    instance: DagsterInstance, monkeypatch: pytest.MonkeyPatch, sent: Mapping[str, str]
) -> None:
    answered = asking(instance, HEADER, monkeypatch).post("/graphql", json={}, headers=sent)

    assert answered.status_code == 403
    assert list(instance.get_runs()) == []


def test_two_names_are_none(instance: DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> None:
    client = asking(instance, HEADER, monkeypatch)

    answered = client.post("/graphql", json={}, headers=[(HEADER, "mallory"), (HEADER, "ann")])

    assert answered.status_code == 403


def test_a_run_that_no_request_asked_for_is_not_made(
    instance: DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    asking(instance, HEADER, monkeypatch)

    with pytest.raises(ConfigError, match="names nobody"):
        instance.create_run_for_job(job_def=decide)
