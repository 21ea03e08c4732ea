"""Runs whose process is lost: noticed, told to the ledger, and started once more, not twice."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from dagster import DagsterEvent, DagsterEventType, DagsterInstance, DagsterRunStatus, build_sensor_context

from medkg_dagster.ledger import JobKey, JobLedger, JobStatus, PhaseStatus, RunStatus
from medkg_dagster.runtime.resources import run_identity
from medkg_dagster.runtime.tags import PROCESS_TAG, phase_tags
from medkg_dagster_tests.compiler.deployment import Deployment, instance_in_memory

KEY = JobKey("word-count", "monday")
GONE = f"999999999+1@{socket.gethostname()}"


@pytest.fixture
def instance() -> Iterator[DagsterInstance]:
    with instance_in_memory() as made:
        yield made


@pytest.fixture
def deployment(tmp_path: Path, instance: DagsterInstance) -> Deployment:
    made = Deployment(tmp_path, instance)
    JobLedger.open(made.home).close()
    return made


def lose_a_run(deployment: Deployment, job: str = "word_count") -> None:
    """Begin what is due, and lose the process."""
    instance = deployment.instance
    with JobLedger.open(deployment.home) as ledger:
        (phase,) = (phase for phase in ledger.phases.of_job(KEY) if phase.phase == job)
        assert phase.status is PhaseStatus.DUE
        run = instance.create_run_for_job(
            deployment.definitions().resolve_job_def(job), tags=phase_tags(phase)
        )
        began = DagsterEvent(DagsterEventType.RUN_START.value, job, message="")
        instance.report_dagster_event(began, run.run_id)
        instance.add_run_tags(run.run_id, {PROCESS_TAG: f"{run.run_id} {GONE}"})
        ledger.runs.begin(KEY, run_identity(run), stages=("read", "count"))


def look(deployment: Deployment) -> None:
    """Have the sensor look."""
    (sensor,) = (item for item in deployment.definitions().sensors or () if item.name == "ended_runs")
    with build_sensor_context(deployment.instance) as context:
        sensor(context)


def test_a_lost_run_is_started_once_more_and_not_twice(deployment: Deployment) -> None:
    with JobLedger.open(deployment.home) as ledger:
        ledger.phases.submit(KEY, "word_count", {}, actor="test")
        lose_a_run(deployment)

        look(deployment)

        (phase,) = ledger.phases.of_job(KEY)
        assert (phase.status, phase.attempt) == (PhaseStatus.DUE, 2)
        assert ledger.jobs.get(KEY).status is JobStatus.SUBMITTED
        look(deployment)  # what it has seen it does not see again
        assert ledger.phases.of_job(KEY)[0].attempt == 2

        lose_a_run(deployment)
        look(deployment)

        assert ledger.phases.of_job(KEY)[0].attempt == 2
        job = ledger.jobs.get(KEY)
        assert job.status is JobStatus.FAILED
        assert "was lost: its process is gone; `medkg ledger retry word-count/monday`" in str(job.error)
    assert {run.status for run in deployment.instance.get_runs()} == {DagsterRunStatus.FAILURE}


def test_a_run_that_failed_by_itself_is_not_started_again(deployment: Deployment) -> None:
    with JobLedger.open(deployment.home) as ledger:
        ledger.phases.submit(KEY, "word_count", {}, actor="test")
        lose_a_run(deployment)
        (run,) = deployment.instance.get_runs()
        ledger.runs.end(KEY, run_identity(run), RunStatus.FAILED, "the disk is full")

        look(deployment)

        assert ledger.jobs.get(KEY).status is JobStatus.FAILED
