"""Pipelines with gates on a real Dagster instance, their sensors called as the daemon calls them."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from dagster import (
    AssetCheckEvaluation,
    AssetKey,
    ExecuteInProcessResult,
    RunRequest,
    build_sensor_context,
)

from medkg_dagster.compiler import job_sensors
from medkg_dagster.ledger import GateDecision, GateRule, JobKey, JobLedger, JobStatus, PhaseStatus, RunStatus
from medkg_dagster.registry import StageFactory
from medkg_dagster.resolution import load_plan
from medkg_dagster.runtime.ledger_job_record import gate_rule
from medkg_dagster.runtime.resources import run_identity
from medkg_dagster.stages.gate import register
from medkg_dagster_tests.compiler.deployment import Deployment

REVIEWED = """\
name: reviewed
version: "2026-01-01"
stages:
  - {name: read, type: read}
  - {name: gate_approval, type: gate, depends_on: [read]}
  - {name: count, type: count, depends_on: [gate_approval]}
gates:
  - name: approval
    resume_stage: count
    condition: {field: review.approved, equals: true, timeout_seconds: 3600, poll_interval_seconds: 0.001}
"""
BEHIND = "reviewed__after_approval"


@pytest.fixture
def gated(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> Deployment:
    monkeypatch.setattr(job_sensors, "HOLD_SECONDS", 0.0)
    gate = register()
    deployment.registry.register_stage(metadata=gate.metadata, builder=gate.builder)
    return deployment


@pytest.fixture
def ledger(gated: Deployment) -> Iterator[JobLedger]:
    with JobLedger.open(gated.home) as book:
        yield book


def tick(deployment: Deployment, sensor: str, pipeline: str = REVIEWED, cursor: str | None = None) -> Any:
    definitions = deployment.definitions(pipeline)
    context = build_sensor_context(instance=deployment.instance, cursor=cursor, definitions=definitions)
    return definitions.resolve_sensor_def(sensor).evaluate_tick(context)


def start(deployment: Deployment, request: RunRequest, pipeline: str = REVIEWED) -> ExecuteInProcessResult:
    """Run what a sensor asked for, as the daemon does."""
    assert request.job_name is not None
    job = deployment.definitions(pipeline).resolve_job_def(request.job_name)
    return job.execute_in_process(instance=deployment.instance, raise_on_error=False, tags=dict(request.tags))


def test_the_first_phase_ends_before_the_gate_and_the_job_waits_without_a_run(
    gated: Deployment, ledger: JobLedger
) -> None:
    result = gated.run("reviewed", pipeline=REVIEWED)

    assert {event.asset_key for event in result.get_asset_materialization_events()} == {
        AssetKey(["reviewed", "read"])
    }
    job = ledger.jobs.get(JobKey("reviewed", "default"))
    assert (job.status, job.phase) == (JobStatus.WAITING, "approval")
    assert [run.is_finished for run in gated.instance.get_runs()] == [True]


def test_setting_the_field_lets_the_sensor_start_the_next_phase(gated: Deployment, ledger: JobLedger) -> None:
    gated.run("reviewed", pipeline=REVIEWED)
    assert tick(gated, "reviewed__gate_approval").run_requests == []

    ledger.jobs.set_fields(JobKey("reviewed", "default"), {"review.approved": True}, actor="ann")
    (request,) = tick(gated, "reviewed__gate_approval").run_requests
    result = start(gated, request)

    assert request.run_key == "default:approval:1"
    assert result.success
    assert ledger.jobs.get(JobKey("reviewed", "default")).status is JobStatus.SUCCEEDED


def test_the_gates_asset_says_what_held_how_long_it_took_and_who_did_it(
    gated: Deployment, ledger: JobLedger
) -> None:
    gated.run("reviewed", pipeline=REVIEWED)
    ledger.jobs.set_fields(JobKey("reviewed", "default"), {"review.approved": True}, actor="ann")
    (request,) = tick(gated, "reviewed__gate_approval").run_requests

    result = start(gated, request)

    shown = result.asset_materializations_for_node("reviewed__stages.gate_approval")[0].metadata
    assert shown["condition"].value == "review.approved equals True"
    assert shown["opened_because"].value == "review.approved equals True: True"
    assert shown["opened_by"].value == "ann"
    assert isinstance(shown["waited_seconds"].value, float)


def test_a_field_set_during_a_tick_opens_the_gate_in_that_tick(
    gated: Deployment, ledger: JobLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_sensors, "HOLD_SECONDS", 30.0)
    monkeypatch.setattr(job_sensors, "HOLD_SECONDS_OF_ALL", 30.0)
    gated.run("reviewed", pipeline=REVIEWED)

    def approve() -> None:
        with JobLedger.open(gated.home) as book:
            book.jobs.set_fields(JobKey("reviewed", "default"), {"review.approved": True}, actor="ann")

    later = threading.Timer(0.6, approve)
    later.start()
    (request,) = tick(gated, "reviewed__gate_approval").run_requests
    later.join()

    assert request.run_key == "default:approval:1"
    assert ledger.phases.of_job(JobKey("reviewed", "default"))[0].opened_by == "ann"


def test_a_run_launched_by_hand_through_a_closed_gate_fails_and_the_job_waits_on(
    gated: Deployment, ledger: JobLedger
) -> None:
    gated.run("reviewed", pipeline=REVIEWED)

    result = gated.run(BEHIND, pipeline=REVIEWED, check=False)

    assert not result.success
    failure = result.failure_data_for_node("reviewed__stages.gate_approval")
    assert failure is not None
    assert failure.user_failure_data is not None
    shown = failure.user_failure_data.metadata
    assert shown["reason"].value == "not_met"
    assert shown["expected"].value == "review.approved equals True"
    assert "absent" in str(shown["observed"].value)
    assert ledger.jobs.get(JobKey("reviewed", "default")).status is JobStatus.WAITING
    ledger.jobs.set_fields(JobKey("reviewed", "default"), {"review.approved": True}, actor="ann")
    assert len(tick(gated, "reviewed__gate_approval").run_requests) == 1


def test_a_run_that_leaves_the_gates_stage_out_does_not_slip_through(
    gated: Deployment, ledger: JobLedger
) -> None:
    gated.run("reviewed", pipeline=REVIEWED)

    job = gated.definitions(REVIEWED).resolve_job_def(BEHIND)
    result = job.execute_in_process(
        instance=gated.instance, raise_on_error=False, asset_selection=[AssetKey(["reviewed", "count"])]
    )

    assert not result.success
    assert ledger.jobs.get(JobKey("reviewed", "default")).status is JobStatus.WAITING


def test_a_sensor_asks_again_for_a_run_that_never_came_with_the_same_key_and_later_not(
    gated: Deployment,
) -> None:
    now = datetime.now(UTC) + timedelta(seconds=1)
    with JobLedger.open(gated.home, clock=lambda: now) as book:
        gated.run("reviewed", pipeline=REVIEWED)
        now += timedelta(seconds=2)
        book.jobs.set_fields(JobKey("reviewed", "default"), {"review.approved": True}, actor="ann")
        first = book.gates.review("reviewed", _rule(gated))
        taken = book.phases.take_due(BEHIND, "sensor", pipeline="reviewed")
        assert first.opened == 1
        assert book.phases.take_due(BEHIND, "sensor", pipeline="reviewed") == ()
        now += timedelta(seconds=61)
        again = book.phases.take_due(BEHIND, "sensor", pipeline="reviewed")

    assert [phase.attempt for phase in (*taken, *again)] == [1, 1]


def test_a_second_run_of_the_same_attempt_is_refused_and_changes_nothing(
    gated: Deployment, ledger: JobLedger
) -> None:
    gated.run("reviewed", pipeline=REVIEWED)
    ledger.jobs.set_fields(JobKey("reviewed", "default"), {"review.approved": True}, actor="ann")
    (request,) = tick(gated, "reviewed__gate_approval").run_requests
    first = start(gated, request)

    second = start(gated, request)

    assert first.success
    assert not second.success
    assert ledger.jobs.get(JobKey("reviewed", "default")).status is JobStatus.SUCCEEDED
    (phase,) = ledger.phases.of_job(JobKey("reviewed", "default"))
    assert phase.run_id == first.run_id


def test_a_submitted_job_is_started_with_its_partition_and_request(
    gated: Deployment, ledger: JobLedger
) -> None:
    request = {"adapter": "from_request", "stages": {"read": {"separator": "+"}}}
    ledger.phases.submit(JobKey("reviewed", "trial-7"), "reviewed", request, actor="ann")

    found = tick(gated, "reviewed__submissions")
    (run_request,) = found.run_requests
    start(gated, run_request)

    (partitions,) = found.dynamic_partitions_requests
    assert (partitions.partitions_def_name, list(partitions.partition_keys)) == ("reviewed", ["trial-7"])
    assert run_request.run_key == "trial-7:start:1"
    assert gated.seen[-1] == {"adapter": "from_request", "separator": "+"}
    assert ledger.jobs.get(JobKey("reviewed", "trial-7")).status is JobStatus.WAITING
    assert tick(gated, "reviewed__submissions").run_requests == []


def test_a_job_of_an_id_that_dagster_refuses_ends_and_keeps_no_other_from_starting(
    gated: Deployment, ledger: JobLedger
) -> None:
    for job_id in ("bad", "good"):
        ledger.phases.submit(JobKey("reviewed", job_id), "reviewed", {}, actor="ann")
    with closing(sqlite3.connect(gated.home / "ledger.sqlite")) as others, others:
        others.execute("PRAGMA foreign_keys = OFF")
        for table in ("ledger_jobs", "ledger_phases"):
            others.execute(f"UPDATE {table} SET job_id = 'a...b' WHERE job_id = 'bad'")

    (request,) = tick(gated, "reviewed__submissions").run_requests

    assert request.tags["dagster/partition"] == "good"
    job = ledger.jobs.get(JobKey("reviewed", "a...b"))
    assert job.status is JobStatus.FAILED
    assert "three dots in a row" in str(job.error)


def test_a_rejected_gate_lets_nobody_through(gated: Deployment, ledger: JobLedger) -> None:
    gated.run("reviewed", pipeline=REVIEWED)
    ledger.gates.decide(
        JobKey("reviewed", "default"),
        _rule(gated),
        GateDecision.REJECTED,
        actor="ann",
        reason="not fit for use",
    )

    result = gated.run(BEHIND, pipeline=REVIEWED, check=False)

    failure = result.failure_data_for_node("reviewed__stages.gate_approval")
    assert failure is not None
    assert failure.user_failure_data is not None
    assert failure.user_failure_data.metadata["reason"].value == "rejected"
    job = ledger.jobs.get(JobKey("reviewed", "default"))
    assert job.status is JobStatus.REJECTED
    assert "not fit for use" in str(job.error)
    assert tick(gated, "reviewed__gate_approval", cursor="0").run_requests in ([], None)


@pytest.mark.parametrize(
    ("on_timeout", "status"),
    [
        ("fail", JobStatus.FAILED),
        ("skip", JobStatus.SKIPPED),
        ("quarantine", JobStatus.QUARANTINED),
    ],
)
def test_a_job_that_waits_too_long_ends_as_the_gate_says(
    gated: Deployment, on_timeout: str, status: JobStatus
) -> None:
    pipeline = REVIEWED.replace("timeout_seconds: 3600,", f"timeout_seconds: 60, on_timeout: {on_timeout},")
    gated.run("reviewed", pipeline=pipeline)

    later = datetime.now(UTC) + timedelta(seconds=61)
    with JobLedger.open(gated.home, clock=lambda: later) as book:
        review = book.gates.review("reviewed", _rule(gated, pipeline))
        job = book.jobs.get(JobKey("reviewed", "default"))

    assert review.timed_out == 1
    assert job.status is status
    assert "did not open within 60 s" in str(job.error)


def test_a_retried_timeout_waits_once_more_and_then_goes_on(gated: Deployment) -> None:
    gated.run("reviewed", pipeline=REVIEWED)
    now = datetime.now(UTC) + timedelta(seconds=3601)
    rule = _rule(gated)
    with JobLedger.open(gated.home, clock=lambda: now) as book:
        book.gates.review("reviewed", rule)
        book.phases.retry(JobKey("reviewed", "default"), BEHIND, rule, actor="ann", reason="found it")
        waiting = book.jobs.get(JobKey("reviewed", "default")).status
        book.jobs.set_fields(JobKey("reviewed", "default"), {"review.approved": True}, actor="ann")
        now += timedelta(seconds=10)
        book.gates.review("reviewed", rule)
        (phase,) = book.phases.take_due(BEHIND, "sensor")

    assert waiting is JobStatus.WAITING
    assert phase.attempt == 2


def test_waiting_jobs_are_shown_as_a_failed_check_that_warns(gated: Deployment, ledger: JobLedger) -> None:
    gated.run("reviewed", pipeline=REVIEWED)

    shown = tick(gated, "reviewed__gate_approval")
    quiet = tick(gated, "reviewed__gate_approval", cursor=shown.cursor)
    ledger.jobs.set_fields(JobKey("reviewed", "default"), {"review.approved": True}, actor="ann")
    after = tick(gated, "reviewed__gate_approval", cursor=shown.cursor)

    (warning,) = shown.asset_events
    assert isinstance(warning, AssetCheckEvaluation)
    assert warning.asset_key == AssetKey(["reviewed", "gate_approval"])
    assert not warning.passed
    assert warning.metadata["jobs_waiting"].value == 1
    assert quiet.asset_events == []
    assert after.asset_events[0].passed


GATES_IN_A_ROW = """\
name: reviewed
version: "2026-01-01"
stages:
  - {name: read, type: read}
  - {name: gate_one, type: gate, depends_on: [read]}
  - {name: count, type: count, depends_on: [gate_one]}
  - {name: gate_two, type: gate, depends_on: [count]}
  - {name: again, type: count, depends_on: [gate_two]}
gates:
  - {name: one, condition: {field: one, equals: 1, poll_interval_seconds: 0.001}}
  - {name: two, condition: {field: two, equals: 2, poll_interval_seconds: 0.001}}
"""


def test_gates_in_a_row_are_waited_for_one_after_the_other(gated: Deployment, ledger: JobLedger) -> None:
    gated.run("reviewed", pipeline=GATES_IN_A_ROW)
    ledger.jobs.set_fields(JobKey("reviewed", "default"), {"one": 1, "two": 2}, actor="ann")

    (first,) = tick(gated, "reviewed__gate_one", GATES_IN_A_ROW).run_requests
    assert tick(gated, "reviewed__gate_two", GATES_IN_A_ROW).run_requests in (None, [])
    start(gated, first, GATES_IN_A_ROW)
    (second,) = tick(gated, "reviewed__gate_two", GATES_IN_A_ROW).run_requests
    start(gated, second, GATES_IN_A_ROW)

    assert (first.job_name, second.job_name) == ("reviewed__after_one", "reviewed__after_two")
    assert ledger.jobs.get(JobKey("reviewed", "default")).status is JobStatus.SUCCEEDED


GATE_ON_ONE_BRANCH = """\
name: reviewed
version: "2026-01-01"
stages:
  - {name: read, type: read}
  - {name: count, type: count, depends_on: [read]}
  - {name: gate_one, type: gate, depends_on: [read]}
  - {name: later, type: count, depends_on: [gate_one]}
gates:
  - {name: one, condition: {field: one, equals: 1, poll_interval_seconds: 0.001}}
"""


def test_one_run_of_all_assets_of_a_gated_pipeline_leaves_the_job_waiting(
    gated: Deployment, ledger: JobLedger
) -> None:
    everything = gated.definitions(REVIEWED).resolve_implicit_global_asset_job_def()
    tags = {"dagster/partition": "default", "medkg/pipeline": "reviewed"}

    result = everything.execute_in_process(instance=gated.instance, tags=tags, raise_on_error=False)

    job = ledger.jobs.get(JobKey("reviewed", "default"))
    assert (result.success, job.status, job.phase) == (False, JobStatus.WAITING, "approval")
    ledger.jobs.set_fields(job.key, {"review.approved": True}, actor="ann")
    (request,) = tick(gated, "reviewed__gate_approval").run_requests
    assert start(gated, request).success
    assert ledger.jobs.get(job.key).status is JobStatus.SUCCEEDED


def test_a_gate_on_one_branch_holds_that_branch_alone(gated: Deployment, ledger: JobLedger) -> None:
    result = gated.run("reviewed", pipeline=GATE_ON_ONE_BRANCH)

    assert {event.asset_key for event in result.get_asset_materialization_events()} == {
        AssetKey(["reviewed", "read"]),
        AssetKey(["reviewed", "count"]),
    }
    assert ledger.jobs.get(JobKey("reviewed", "default")).status is JobStatus.WAITING
    ledger.jobs.set_fields(JobKey("reviewed", "default"), {"one": 1}, actor="ann")
    (request,) = tick(gated, "reviewed__gate_one", GATE_ON_ONE_BRANCH).run_requests
    assert start(gated, request, GATE_ON_ONE_BRANCH).success
    assert ledger.jobs.get(JobKey("reviewed", "default")).status is JobStatus.SUCCEEDED


def test_a_run_killed_before_it_could_say_so_leaves_a_failed_job_that_can_be_retried(
    gated: Deployment, ledger: JobLedger
) -> None:
    ledger.phases.submit(JobKey("reviewed", "trial-7"), "reviewed", {}, actor="ann")
    (request,) = tick(gated, "reviewed__submissions").run_requests
    run = gated.instance.create_run_for_job(
        gated.definitions(REVIEWED).resolve_job_def("reviewed"), tags=request.tags
    )
    key = JobKey("reviewed", "trial-7")
    job = ledger.runs.end(key, run_identity(run), RunStatus.FAILED, "killed")
    assert (job.status, job.error) == (JobStatus.FAILED, "killed")

    ledger.phases.retry(JobKey("reviewed", "trial-7"), "reviewed", None, actor="ann", reason="")
    (again,) = tick(gated, "reviewed__submissions").run_requests

    assert again.run_key == "trial-7:start:2"
    assert not start(gated, request).success
    assert start(gated, again).success
    (phase, _gate) = ledger.phases.of_job(JobKey("reviewed", "trial-7"))
    assert phase.status is PhaseStatus.STARTED


def _rule(deployment: Deployment, pipeline: str = REVIEWED) -> GateRule:
    deployment.definitions(pipeline)
    plan = load_plan(deployment.config, StageFactory(deployment.registry))
    return gate_rule(plan.pipelines[0].gates[0])
