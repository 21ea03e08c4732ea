"""Services that stay away and paths that are not there: what becomes of runs, jobs and documents."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dagster import DagsterInstance

from medkg_dagster.adapters.sources.files import FileSource, FilesParameters
from medkg_dagster.errors import SourceError, UnreadableDocumentError
from medkg_dagster.ledger import JobKey, JobLedger, JobStatus
from medkg_dagster.stage_api import StageContext
from medkg_dagster_tests.compiler.deployment import Deployment
from medkg_dagster_tests.stages.download.file_server import Conversation, FileServer

PIPELINE = """\
name: asking
version: "2026-01-01"
stages:
  - {name: read, type: read}
"""
POLICIES = """\
policies:
  default:
    max_attempts: 3
    timeout_seconds: 5
    backoff: {strategy: none, initial: 0.0, maximum: 0.0, jitter: false}
    circuit_breaker: {failure_threshold: 1, recovery_timeout: 60.0}
"""


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[Deployment]:
    with DagsterInstance.ephemeral(tempdir=str(tmp_path)) as instance:
        made = Deployment(tmp_path, instance)
        (made.config / "orchestration" / "resilience.yaml").write_text(POLICIES)
        yield made


def ask(ctx: StageContext, url: str) -> str:
    """Ask as a stage does that leaves it to the policy to try again."""

    def get() -> str:
        try:
            with urllib.request.urlopen(url, timeout=ctx.calls.timeout_seconds) as response:
                return str(response.read().decode())
        except urllib.error.HTTPError as error:
            error.close()
            raise

    try:
        return ctx.calls.call("127.0.0.1", get)
    except OSError as error:
        raise SourceError(f"{url}: {error}") from error


def asking(server: FileServer) -> Any:
    """Return the work of a stage that asks a service about each of six documents; one of them is broken."""

    def execute(ctx: StageContext, _config: dict[str, Any]) -> tuple[str, ...]:
        def work(name: str) -> str:
            if name == "doc-2":
                raise UnreadableDocumentError("doc-2 is broken")
            return ask(ctx, server.url(f"/{name}"))

        names = [f"doc-{number}" for number in range(1, 7)]
        return tuple(ctx.for_each(names, work, document_id=str))

    return execute


def answers(away_for: int) -> Any:
    def behave(conversation: Conversation, turn: int) -> None:
        if turn <= away_for:
            conversation.answer(503, Retry_After="1000")
        else:
            conversation.answer(200, b"an answer")

    return behave


def test_a_service_that_is_away_loses_no_document(deployment: Deployment) -> None:
    with FileServer() as server:
        for number in range(1, 7):
            server.behaviours[f"/doc-{number}"] = answers(away_for=99 if number == 4 else 0)
        deployment.register("read", "words", asking(server))

        result = deployment.run("asking", pipeline=PIPELINE, check=False)

    assert not result.success
    with JobLedger.open(deployment.home) as ledger:
        job = ledger.jobs.get(JobKey("asking", "default"))
        outcomes = ledger.stage_runs.outcomes(JobKey("asking", "default"))
    assert job.status is JobStatus.FAILED
    assert "at doc-4: SourceError: " in str(job.error)
    assert [item.document_id for item in outcomes] == ["doc-2"]
    assert sum(request.path == "/doc-4" for request in server.requests) == 3


def test_a_service_that_comes_back_in_time_costs_an_attempt_and_nothing_else(deployment: Deployment) -> None:
    with FileServer() as server:
        for number in range(1, 7):
            server.behaviours[f"/doc-{number}"] = answers(away_for=1 if number == 4 else 0)
        deployment.register("read", "words", asking(server))

        result = deployment.run("asking", pipeline=PIPELINE)

    (made,) = result.asset_materializations_for_node("asking__stages.read")
    assert (made.metadata["documents_succeeded"].value, made.metadata["documents_quarantined"].value) == (
        5,
        1,
    )


def test_a_circuit_that_opens_is_said_once_in_the_log_of_the_run(deployment: Deployment) -> None:
    def execute(ctx: StageContext, _config: dict[str, Any]) -> tuple[str, ...]:
        for name in ("one", "two", "three"):
            try:
                ask(ctx, server.url(f"/{name}"))
            except Exception as error:  # noqa: BLE001 - each is looked at below
                refused.append(str(error))
        return tuple(refused)

    refused: list[str] = []

    with FileServer() as server:
        server.behaviours["/one"] = answers(away_for=99)
        deployment.register("read", "words", execute)
        result = deployment.run("asking", pipeline=PIPELINE)

    said = [entry.user_message for entry in deployment.instance.all_logs(result.run_id)]
    assert len([line for line in said if "is left alone" in line]) == 1
    assert all("first: HTTPError: HTTP Error 503" in error for error in refused[1:])
    assert len(server.requests) == 1


def test_a_path_that_is_not_there_is_looked_for_once(deployment: Deployment) -> None:
    attempts: list[int] = []

    def execute(ctx: StageContext, _config: dict[str, Any]) -> tuple[str, ...]:
        attempts.append(1)
        source = FileSource(FilesParameters(path=str(deployment.home / "nowhere")))
        return tuple(payload.id for payload in source.fetch(ctx))

    deployment.register("read", "words", execute)
    result = deployment.run("asking", pipeline=PIPELINE, check=False)

    assert not result.success
    assert len(attempts) == 1


@pytest.mark.parametrize("status", [400, 401, 404, 422])
def test_a_request_that_is_refused_is_made_once(deployment: Deployment, status: int) -> None:
    def execute(ctx: StageContext, _config: dict[str, Any]) -> tuple[str, ...]:
        return (ask(ctx, server.url("/one")),)

    with FileServer() as server:
        server.behaviours["/one"] = lambda conversation, _turn: conversation.answer(status)
        deployment.register("read", "words", execute)
        result = deployment.run("asking", pipeline=PIPELINE, check=False)

    assert not result.success
    assert len(server.requests) == 1
