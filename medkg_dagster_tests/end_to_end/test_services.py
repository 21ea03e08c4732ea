"""Runs whose service fails: every client, every fault, and how often it is asked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from dagster import DagsterInstance, ExecuteInProcessResult

from medkg_dagster.compiler.compile_plan import compile_plan
from medkg_dagster.ledger import JobKey, JobLedger, JobStatus
from medkg_dagster.registry import StageFactory
from medkg_dagster.resolution import load_plan
from medkg_dagster.settings import Settings
from medkg_dagster_tests.compiler.deployment import instance_in_memory
from medkg_dagster_tests.end_to_end.faulty_service import (
    Fault,
    FaultyService,
    cut_off,
    no_http,
    silent,
    status,
)

ATTEMPTS = 3
POLICIES = """\
policies:
  default:
    max_attempts: 3
    timeout_seconds: 0.4
    backoff: {strategy: none, initial: 0.0, maximum: 0.0, jitter: false}
  patient:
    max_attempts: 11
    timeout_seconds: 0.4
    backoff: {strategy: none, initial: 0.0, maximum: 0.0, jitter: false}
  breaking:
    max_attempts: 10
    timeout_seconds: 0.4
    backoff: {strategy: none, initial: 0.0, maximum: 0.0, jitter: false}
    circuit_breaker: {failure_threshold: 2, recovery_timeout: 60.0}
"""
HEAD = 'name: asking\nversion: "2026-01-01"\nstages:\n'
PAPER = '  - {{name: ingest, type: ingest, config: {{params: {{path: "{papers}"}}}}}}\n'
PARSED = PAPER + "  - {{name: parse, type: parse, depends_on: [ingest]}}\n"
CLIENTS = {
    "clinicaltrials": """\
  - name: ask
    type: ingest
    policy: {policy}
    config:
      adapter: clinicaltrials
      params: {{query_cond: melanoma, base_url: "{url}/api/v2", requests_per_second: 1000}}
""",
    "openai": PARSED
    + """\
  - {{name: chunk, type: chunk, depends_on: [parse]}}
  - name: ask
    type: embed
    policy: {policy}
    depends_on: [chunk]
    config: {{embedder: openai, params: {{base_url: "{url}/v1", model: m, api_key: null}}}}
""",
    "llm": PARSED
    + """\
  - name: ask
    type: extract
    policy: {policy}
    depends_on: [parse]
    config: {{extractor: llm, params: {{base_url: "{url}/v1", model: m, api_key: null}}}}
""",
    "download": PAPER
    + """\
  - name: ask
    type: download
    policy: {policy}
    depends_on: [ingest]
    config: {{urls: {{"paper.txt": "{url}/paper.pdf"}}, allow_private_hosts: [127.0.0.0/8]}}
""",
}
PASSING: dict[str, Fault] = {
    "503": status(503),
    "500": status(500),
    "429": status(429),
    "429, at once": status(429, Retry_After="0"),
    "429, since a past date": status(429, Retry_After="Wed, 21 Oct 2015 07:28:00 GMT"),
    "429, after a negative time": status(429, Retry_After="-5"),
    "503, after some time": status(503, Retry_After="soon"),
    "cut off": cut_off,
    "no HTTP": no_http,
    "silent": silent,
}


@dataclass
class Asking:
    """A pipeline of which the stage `ask` asks the service."""

    folder: Path
    service: FaultyService
    instance: DagsterInstance

    def run(self, client: str, policy: str = "default") -> ExecuteInProcessResult:
        config, papers = self.folder / "config", self.folder / "papers"
        (config / "orchestration" / "pipelines").mkdir(parents=True, exist_ok=True)
        papers.mkdir(exist_ok=True)
        (papers / "paper.txt").write_text("A paper\n\nNivolumab caused colitis in two patients.\n")
        (config / "orchestration" / "resilience.yaml").write_text(POLICIES)
        text = HEAD + CLIENTS[client].format(papers=papers, url=self.service.url, policy=policy)
        (config / "orchestration" / "pipelines" / "asking.yaml").write_text(text)
        factory = StageFactory.load_plugins()
        plan = load_plan(config, factory)
        assert plan.problems == ()
        definitions = compile_plan(plan, factory, Settings(home=self.folder / "home", config=config))
        job = definitions.resolve_job_def("asking")
        return job.execute_in_process(instance=self.instance, raise_on_error=False)

    def quarantined(self) -> list[str]:
        with JobLedger.open(self.folder / "home") as ledger:
            found = ledger.stage_runs.outcomes(JobKey("asking", "default"))
        return [outcome.document_id for outcome in found]

    def status(self) -> tuple[JobStatus, str]:
        with JobLedger.open(self.folder / "home") as ledger:
            job = ledger.jobs.get(JobKey("asking", "default"))
        return job.status, str(job.error)


@pytest.fixture
def asking(tmp_path: Path) -> Iterator[Asking]:
    with instance_in_memory() as instance, FaultyService() as service:
        yield Asking(tmp_path, service, instance)


@pytest.mark.parametrize("client", CLIENTS)
def test_faults_that_pass_cost_a_request_each_and_nothing_else(asking: Asking, client: str) -> None:
    asking.service.first = list(PASSING.values())

    result = asking.run(client, "patient")

    assert result.success
    assert asking.quarantined() == []
    assert len(asking.service.paths) == len(PASSING) + 1


@pytest.mark.parametrize("fault", ["503", "429, at once", "cut off", "silent"])
@pytest.mark.parametrize("client", CLIENTS)
def test_a_fault_that_stays_fails_the_run_after_the_attempts_of_the_policy_and_costs_no_document(
    asking: Asking, client: str, fault: str
) -> None:
    asking.service.always = PASSING[fault]

    result = asking.run(client)

    assert not result.success
    assert len(asking.service.paths) == ATTEMPTS
    assert asking.quarantined() == []
    asking.service.always = None
    assert asking.run(client).success
    assert asking.quarantined() == []
    assert asking.status()[0] is JobStatus.SUCCEEDED


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("wait", ["9" * 30, "Fri, 31 Dec 2100 23:59:59 GMT"])
def test_a_service_that_asks_to_be_left_alone_for_long_is_asked_once(
    asking: Asking, client: str, wait: str
) -> None:
    asking.service.always = status(429, Retry_After=wait)

    result = asking.run(client)

    assert not result.success
    assert len(asking.service.paths) == 1
    assert asking.quarantined() == []


@pytest.mark.parametrize("client", CLIENTS)
def test_a_service_that_is_not_there_fails_the_run_and_costs_no_document(asking: Asking, client: str) -> None:
    asking.service.close()

    assert not asking.run(client).success

    assert asking.quarantined() == []
    assert asking.status()[0] is JobStatus.FAILED


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("code", [401, 404])
def test_what_is_refused_is_asked_for_once(asking: Asking, client: str, code: int) -> None:
    asking.service.always = status(code)

    assert not asking.run(client).success

    assert len(asking.service.paths) == 1


@pytest.mark.parametrize("client", CLIENTS)
def test_redirections_come_to_an_end_and_are_not_asked_for_again(asking: Asking, client: str) -> None:
    asking.service.always = status(302, Location="/api/v2/studies")

    assert not asking.run(client).success

    assert len(asking.service.paths) <= 6


@pytest.mark.parametrize("client", CLIENTS)
def test_a_circuit_that_opens_is_said_once_and_ends_the_asking(asking: Asking, client: str) -> None:
    asking.service.always = status(503)

    result = asking.run(client, "breaking")

    assert not result.success
    assert len(asking.service.paths) == 2
    said = [entry.user_message for entry in asking.instance.all_logs(result.run_id)]
    assert len([line for line in said if "failed 2 times in a row and is left alone for 60 s" in line]) == 1
    assert "left alone" in asking.status()[1]
    assert asking.quarantined() == []
