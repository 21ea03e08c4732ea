"""What there is to tell: each event, told once, to whoever asked for it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from medkg_dagster.alerts.looks import look_for_alerts
from medkg_dagster.domain.alerts import AlertEvent
from medkg_dagster.ledger import JobKey, JobLedger, Registration
from medkg_dagster.plugins.events import Outcome
from medkg_dagster.registry import StageFactory
from medkg_dagster.resolution import resolve_pipeline
from medkg_dagster.resolution.plan import PipelinePlan
from medkg_dagster.topology.alerts_file import AlertsFile
from medkg_dagster.topology.models import ResiliencePolicy
from medkg_dagster.topology.pipeline_files import LoadedPolicies, parse_pipeline
from medkg_dagster_tests.ledger.conftest import FakeClock
from medkg_dagster_tests.ledger.gated_jobs import GatedJob, gate
from medkg_dagster_tests.ledger.stage_histories import LedgerRun

POLICIES = LoadedPolicies({"default": ResiliencePolicy()}, frozenset(), ())
PAPERS = """\
name: papers
version: "2026-01-01"
stages:
  - {name: ingest, type: ingest}
  - {name: parse, type: parse, depends_on: [ingest]}
  - {name: gate_ready, type: gate, depends_on: [parse]}
  - {name: chunk, type: chunk, depends_on: [gate_ready]}
gates:
  - name: ready
    description: A curator has looked at it.
    condition: {field: ready, equals: true}
triggers:
  - {name: nightly, schedule: {cron: "0 6 * * *"}}
  - {name: now-and-then, default_status: stopped, schedule: {cron: "0 5 * * *"}}
"""
HOUR = 3_600.0
JOB = JobKey("papers", "j1")


@cache
def papers(text: str = PAPERS) -> PipelinePlan:
    pipeline, problems = parse_pipeline(text, Path("papers.yaml"), POLICIES)
    assert pipeline is not None, problems
    return resolve_pipeline(pipeline.topology, StageFactory.load_plugins(), POLICIES.policies)


def told_of(*events: AlertEvent, **more: Any) -> AlertsFile:
    hook = {"name": "ops", "url": "https://example.org", "format": "slack", "events": list(events)}
    return AlertsFile.model_validate({"ui": "https://dagster.example.org/", "alerts": [hook], **more})


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def ledger(tmp_path: Path, clock: FakeClock) -> Iterator[JobLedger]:
    with JobLedger.open(tmp_path, clock=clock) as opened:
        yield opened


@pytest.fixture
def job(ledger: JobLedger, clock: FakeClock) -> GatedJob:
    made = GatedJob(ledger, clock, gate(timeout=None))
    made.submit()
    return made


class Looking:
    """Looks again and again, as the sensor does."""

    def __init__(self, ledger: JobLedger, clock: FakeClock, content: AlertsFile) -> None:
        self.ledger, self.content, self.loaded_at = ledger, content, clock()

    def __call__(self, plan: PipelinePlan | None = None) -> list[dict[str, Any]]:
        """Look, and return what is new."""
        known = {item.alert_id for item in self.ledger.alerts.list()}
        look_for_alerts(self.ledger, [plan or papers()], self.content, self.loaded_at)
        new = [item for item in self.ledger.alerts.list() if item.alert_id not in known]
        return [json.loads(item.payload) for item in reversed(new)]


def fail_a_run(ledger: JobLedger, run_id: str = "r1") -> None:
    ledger.jobs.ensure(JOB, actor="test")
    run = LedgerRun(ledger, JOB, ("ingest", "parse"), run_id, job_name="papers")
    run.start()
    run.fail("ingest", "SourceError: the service is away")


def test_a_run_that_failed_is_told_once_with_the_way_out(ledger: JobLedger, clock: FakeClock) -> None:
    look = Looking(ledger, clock, told_of(AlertEvent.RUN_FAILED))
    assert look() == []
    clock.advance(5)
    fail_a_run(ledger)

    (alert,) = look()
    assert look() == []
    clock.advance(HOUR)
    assert look() == []

    assert alert["type"] == "run.failed"
    data = alert["data"]
    assert (data["pipeline"], data["job"], data["run_id"]) == ("papers", "j1", "r1")
    assert data["error"] == "SourceError: the service is away"
    assert data["commands"]["retry"] == "medkg ledger retry papers/j1"
    assert data["link"] == "https://dagster.example.org/runs/r1"


def test_what_happened_while_nobody_looked_is_told(ledger: JobLedger, clock: FakeClock) -> None:
    look = Looking(ledger, clock, told_of(AlertEvent.RUN_FAILED))
    look()
    clock.advance(5)
    fail_a_run(ledger)
    clock.advance(30 * 24 * HOUR)

    assert [alert["data"]["run_id"] for alert in look()] == ["r1"]


def test_what_was_written_late_with_an_earlier_time_is_told(ledger: JobLedger, clock: FakeClock) -> None:
    look = Looking(ledger, clock, told_of(AlertEvent.RUN_FAILED))
    clock.advance(HOUR)
    look()
    clock.advance(-60)  # the clock of another machine
    fail_a_run(ledger)
    clock.advance(65)

    assert len(look()) == 1


def test_what_failed_before_anybody_asked_is_not_told(ledger: JobLedger, clock: FakeClock) -> None:
    fail_a_run(ledger)
    clock.advance(HOUR)

    assert Looking(ledger, clock, told_of(AlertEvent.RUN_FAILED))() == []


def test_a_decision_that_is_wanted_is_told_with_the_commands(
    ledger: JobLedger, clock: FakeClock, job: GatedJob
) -> None:
    job.arrive()
    clock.advance(HOUR)  # whoever asks later is told of what waits still
    look = Looking(ledger, clock, told_of(AlertEvent.DECISION_WANTED))

    (alert,) = look()

    data = alert["data"]
    assert data["summary"] == ("papers/j1 waits for a decision at gate 'ready': A curator has looked at it.")
    assert data["commands"]["approve"] == "medkg gate approve papers/j1 ready --reason '...'"
    assert data["commands"]["reject"] == "medkg gate reject papers/j1 ready --reason '...'"
    assert data["link"] == "https://dagster.example.org/assets/papers/gate_ready?view=checks"
    job.approve()
    assert look() == []


def test_where_work_of_the_pipeline_opens_a_gate_no_decision_is_wanted(
    ledger: JobLedger, clock: FakeClock, job: GatedJob
) -> None:
    converted = (
        PAPERS.replace("type: parse", "type: download")
        .replace("field: ready", "field: pdf_ir_ready")
        .replace("name: chunk, type: chunk", "name: parse2, type: parse")
    )
    job.arrive()

    for conversion in ("builtin", "external"):
        plan = papers(f"{converted}conversion: {conversion}\n")
        assert Looking(ledger, clock, told_of(AlertEvent.DECISION_WANTED))(plan) == []


def test_a_gate_that_waits_too_long_is_told_when_it_does(
    ledger: JobLedger, clock: FakeClock, job: GatedJob
) -> None:
    look = Looking(ledger, clock, told_of(AlertEvent.GATE_WAITS, gate_wait_seconds=HOUR))
    job.arrive()
    assert look() == []
    clock.advance(HOUR - 1)
    assert look() == []
    clock.advance(2)

    (alert,) = look()

    assert alert["data"]["summary"] == "papers/j1 has waited at gate 'ready' for 1 hour"
    clock.advance(HOUR)
    assert look() == []


@pytest.mark.parametrize(
    ("on_timeout", "event"),
    [
        ("fail", AlertEvent.GATE_WAITS),
        ("skip", AlertEvent.GATE_WAITS),
        ("quarantine", AlertEvent.JOB_QUARANTINED),
    ],
)
def test_a_gate_that_timed_out_is_told_by_what_became_of_the_job(
    ledger: JobLedger, clock: FakeClock, on_timeout: str, event: AlertEvent
) -> None:
    look = Looking(ledger, clock, told_of(AlertEvent.GATE_WAITS, AlertEvent.JOB_QUARANTINED))
    job = GatedJob(ledger, clock, gate(on_timeout))
    job.submit()
    job.arrive()
    look()
    job.review(after=601)

    (alert,) = look()

    closed_as = {"fail": "failed", "skip": "skipped", "quarantine": "quarantined"}[on_timeout]
    assert (alert["type"], alert["data"]["closed_as"]) == (event, closed_as)
    assert "did not open in time" in alert["data"]["summary"]
    assert "did not open within 600 s" in alert["data"]["reason"]


def plugin(version: str, outcome: Outcome = Outcome.REGISTERED, **more: str) -> Registration:
    return Registration("medkg-ocr", version, "ocr = ocr:register", outcome.value, "ocr", **more)


def test_a_plugin_that_is_refused_or_changed_is_told(ledger: JobLedger, clock: FakeClock) -> None:
    look = Looking(ledger, clock, told_of(AlertEvent.PLUGIN_REFUSED, AlertEvent.PLUGIN_CHANGED))
    for entry in (
        plugin("1.0"),
        plugin("1.1"),
        plugin("1.1", Outcome.REJECTED, details="ImportError: no tesseract"),
    ):
        clock.advance(1)
        ledger.registrations.record([entry])
    clock.advance(1)
    ledger.registrations.record([])

    alerts = {alert["data"]["summary"]: alert["type"] for alert in look()}

    assert alerts == {
        "plugin changed: ocr of medkg-ocr 1.1: version 1.0 -> 1.1": "plugin.changed",
        "plugin refused: ocr of medkg-ocr 1.1: ImportError: no tesseract": "plugin.refused",
        "plugin changed: ocr of medkg-ocr 1.1: it is gone": "plugin.changed",
    }


def test_a_schedule_after_which_nothing_arrived_is_told(ledger: JobLedger, clock: FakeClock) -> None:
    look = Looking(ledger, clock, told_of(AlertEvent.SCHEDULE_MISSED, late_seconds=HOUR))
    assert look() == []  # the times before are not this deployment's
    clock.advance(6.9 * HOUR)
    assert look() == []
    clock.advance(0.2 * HOUR)

    (alert,) = look()

    assert alert["data"]["trigger"] == "nightly"  # the other one is off
    assert alert["data"]["due_at"] == "2026-01-01T06:00:00Z"
    assert "no job was asked for at that time" in alert["data"]["reason"]
    assert alert["data"]["commands"] == {"show": "medkg triggers papers nightly"}
    clock.advance(HOUR)
    assert look() == []


def test_a_schedule_after_which_something_arrived_is_not(ledger: JobLedger, clock: FakeClock) -> None:
    look = Looking(ledger, clock, told_of(AlertEvent.SCHEDULE_MISSED, late_seconds=HOUR))
    look()
    clock.now += timedelta(hours=6, minutes=5)
    ledger.jobs.ensure(JOB, actor="test")
    run = LedgerRun(ledger, JOB, ("ingest",), job_name="papers")
    run.start()
    ledger.stage_runs.begin(JOB, "ingest", run.identity, stage_type="ingest", origin="built-in")
    run.end("ingest")
    clock.advance(HOUR)

    assert look() == []


def test_who_is_added_is_told_and_who_is_taken_out_is_not(ledger: JobLedger, clock: FakeClock) -> None:
    look = Looking(ledger, clock, told_of(AlertEvent.RUN_FAILED))
    look()
    clock.advance(5)
    look.content = look.content.model_copy(
        update={"alerts": (look.content.alerts[0].model_copy(update={"name": "lab"}),)}
    )
    fail_a_run(ledger)
    look()

    assert [item.webhook for item in ledger.alerts.list()] == ["lab"]
    assert set(ledger.alerts.positions()) == {("lab", "run.failed")}
