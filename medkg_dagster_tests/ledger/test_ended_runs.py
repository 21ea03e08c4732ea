"""Runs that end without saying so: killed, cancelled, or never begun."""

import pytest

from medkg_dagster.ledger import JobKey, JobLedger, JobStatus, PhaseStatus, RunIdentity, StageStatus
from medkg_dagster_tests.ledger.conftest import FakeClock
from medkg_dagster_tests.ledger.gated_jobs import BEHIND, FIRST, PIPELINE, GatedJob

CONVERSION = "pdf_conversion"


@pytest.fixture
def job(timed: JobLedger, clock: FakeClock) -> GatedJob:
    gated = GatedJob(timed, clock)
    gated.submit()
    return gated


def end(job: GatedJob, run: RunIdentity, phase: str = FIRST, *, cancelled: bool = False) -> JobStatus:
    job.clock.advance(1)
    ended = job.phases.run_ended(
        JobKey(PIPELINE, job.job_id), phase, run, is_cancelled=cancelled, error="run ended"
    )
    return ended.status


def begin_stage(job: GatedJob, stage: str, run_id: str) -> None:
    job.clock.advance(1)
    job.ledger.stage_runs.begin(JobKey(PIPELINE, job.job_id), stage, run_id)


def finish_stage(job: GatedJob, stage: str, run_id: str) -> None:
    begin_stage(job, stage, run_id)
    job.ledger.stage_runs.finish(JobKey(PIPELINE, job.job_id), stage, run_id, 1, 1)


@pytest.mark.parametrize(("cancelled", "status"), [(False, JobStatus.FAILED), (True, JobStatus.CANCELLED)])
def test_a_run_killed_in_a_stage_leaves_a_failed_stage_and_job(
    job: GatedJob, cancelled: bool, status: JobStatus
) -> None:
    job.phases.begin(JobKey(PIPELINE, "j1"), FIRST, RunIdentity("r1", 1))
    finish_stage(job, "ingest", "r1")
    begin_stage(job, "parse", "r1")

    assert end(job, RunIdentity("r1", 1), cancelled=cancelled) is status
    runs = {run.stage: run for run in job.ledger.stage_runs.of_job(JobKey(PIPELINE, "j1"))}
    assert (runs["ingest"].status, runs["parse"].status) == (StageStatus.FINISHED, StageStatus.FAILED)
    assert (runs["parse"].error, job.job.error) == ("run ended", "run ended")


def test_a_run_killed_between_two_stages_leaves_a_failed_job(job: GatedJob) -> None:
    job.phases.begin(JobKey(PIPELINE, "j1"), FIRST, RunIdentity("r1", 1))
    finish_stage(job, "ingest", "r1")

    assert end(job, RunIdentity("r1", 1)) is JobStatus.FAILED


def test_a_run_that_never_began_leaves_a_failed_job_that_can_be_tried_again(job: GatedJob) -> None:
    job.take(phase=FIRST)

    assert end(job, RunIdentity("r1", 1)) is JobStatus.FAILED
    assert job.phases.of_job(JobKey(PIPELINE, "j1"))[0].status is PhaseStatus.STARTED
    assert job.retry(FIRST).attempt == 2
    assert job.job.status is JobStatus.SUBMITTED


def test_a_run_behind_a_gate_that_never_began_leaves_a_failed_job(job: GatedJob) -> None:
    job.arrive()
    job.approve()
    job.take()

    assert end(job, RunIdentity("r2", 1), BEHIND) is JobStatus.FAILED
    assert job.retry().attempt == 2


def test_a_run_that_ended_after_another_attempt_was_made_changes_nothing(job: GatedJob) -> None:
    job.take("one", FIRST)
    job.clock.advance(61)
    job.take("two", FIRST)

    assert end(job, RunIdentity("r1", 1)) is JobStatus.SUBMITTED
    assert job.phases.of_job(JobKey(PIPELINE, "j1"))[0].status is PhaseStatus.DUE


def test_a_run_that_was_overtaken_does_not_fail_the_job_of_its_successor(job: GatedJob) -> None:
    job.phases.begin(JobKey(PIPELINE, "j1"), FIRST, RunIdentity("r1", 1))
    begin_stage(job, "ingest", "r1")
    begin_stage(job, "parse", "r1")
    job.phases.begin(JobKey(PIPELINE, "j1"), FIRST, RunIdentity("r2"))
    begin_stage(job, "ingest", "r2")

    assert end(job, RunIdentity("r1", 1)) is JobStatus.RUNNING
    runs = {
        run.stage: (run.run_id, run.status) for run in job.ledger.stage_runs.of_job(JobKey(PIPELINE, "j1"))
    }
    assert runs == {"ingest": ("r2", StageStatus.STARTED), "parse": ("r1", StageStatus.FAILED)}


def test_a_run_whose_job_ended_already_changes_nothing(job: GatedJob) -> None:
    job.phases.begin(JobKey(PIPELINE, "j1"), FIRST, RunIdentity("r1", 1))
    finish_stage(job, "ingest", "r1")
    job.ledger.stage_runs.update_job_status(JobKey(PIPELINE, "j1"), ["ingest"], run_id="r1")

    assert end(job, RunIdentity("r1", 1)) is JobStatus.SUCCEEDED


def test_a_run_refused_at_a_closed_gate_leaves_the_job_waiting(job: GatedJob) -> None:
    job.arrive()
    job.ledger.stage_runs.begin(JobKey(PIPELINE, "j1"), "gate_ready", "by-hand", keep_status=True)
    job.ledger.stage_runs.fail(JobKey(PIPELINE, "j1"), "gate_ready", "by-hand", "closed")

    assert end(job, RunIdentity("by-hand"), BEHIND) is JobStatus.WAITING
    assert job.job.error is None


def test_work_beside_a_waiting_job_that_fails_is_told_and_the_job_waits_on(job: GatedJob) -> None:
    job.arrive()
    job.phases.plan_start(JobKey(PIPELINE, "j1"), CONVERSION, actor="run r1")
    job.take(phase=CONVERSION)

    assert end(job, RunIdentity("c1", 1), CONVERSION) is JobStatus.WAITING
    assert job.job.error == "run ended"
    assert job.take("other", CONVERSION) == ()
    assert job.phases.plan_start(JobKey(PIPELINE, "j1"), CONVERSION, actor="ann").attempt == 2


def test_work_beside_a_waiting_job_that_was_overtaken_says_nothing(job: GatedJob) -> None:
    job.arrive()
    for _ in range(2):
        job.phases.plan_start(JobKey(PIPELINE, "j1"), CONVERSION, actor="run r1")

    assert end(job, RunIdentity("c1", 1), CONVERSION) is JobStatus.WAITING
    assert job.job.error is None


def test_work_beside_a_running_job_that_never_began_does_not_fail_the_job(job: GatedJob) -> None:
    job.arrive()
    job.phases.plan_start(JobKey(PIPELINE, "j1"), CONVERSION, actor="run r1")
    job.approve()
    job.go_through(attempt=1)

    assert end(job, RunIdentity("c1", 1), CONVERSION) is JobStatus.RUNNING
