"""Runs that end without saying so: killed, cancelled, or never begun."""

from dataclasses import replace

import pytest

from medkg_dagster.errors import GateConditionError, LedgerError
from medkg_dagster.ledger import (
    JobKey,
    JobLedger,
    JobStatus,
    PhaseStatus,
    RunIdentity,
    RunStatus,
    StageStatus,
)
from medkg_dagster_tests.ledger.conftest import FakeClock
from medkg_dagster_tests.ledger.gated_jobs import BEHIND, FIRST, PIPELINE, GatedJob
from medkg_dagster_tests.ledger.stage_histories import LedgerRun

CONVERSION = "pdf_conversion"
KEY = JobKey(PIPELINE, "j1")


@pytest.fixture
def job(timed: JobLedger, clock: FakeClock) -> GatedJob:
    gated = GatedJob(timed, clock)
    gated.submit()
    return gated


def end(job: GatedJob, run: RunIdentity, phase: str = FIRST, *, cancelled: bool = False) -> JobStatus:
    job.clock.advance(1)
    status = RunStatus.CANCELLED if cancelled else RunStatus.FAILED
    ended = job.ledger.runs.end(KEY, replace(run, job_name=phase), status, "run ended")
    return ended.status


def started(job: GatedJob, run_id: str, attempt: int | None = 1) -> LedgerRun:
    """A run of the first phase that has begun."""
    run = LedgerRun(job.ledger, KEY, ("ingest", "parse"), run_id, attempt, FIRST)
    run.start()
    job.phases.begin(KEY, FIRST, run.identity)
    job.clock.advance(1)
    return run


@pytest.mark.parametrize(("cancelled", "status"), [(False, JobStatus.FAILED), (True, JobStatus.CANCELLED)])
def test_a_run_killed_in_a_stage_leaves_a_failed_stage_and_job(
    job: GatedJob, cancelled: bool, status: JobStatus
) -> None:
    run = started(job, "r1")
    run.finish("ingest")
    run.begin("parse")

    assert end(job, RunIdentity("r1", 1), cancelled=cancelled) is status
    runs = {run.stage: run for run in job.ledger.stage_runs.of_job(KEY)}
    assert (runs["ingest"].status, runs["parse"].status) == (StageStatus.FINISHED, status.value)
    assert (runs["parse"].error, job.job.error) == ("run ended", "parse: run ended")


def test_a_run_killed_between_two_stages_leaves_a_failed_job(job: GatedJob) -> None:
    started(job, "r1").finish("ingest")

    assert end(job, RunIdentity("r1", 1)) is JobStatus.FAILED


def test_a_run_killed_before_its_first_stage_leaves_a_failed_job_that_can_be_tried_again(
    job: GatedJob,
) -> None:
    started(job, "r1")

    assert end(job, RunIdentity("r1", 1)) is JobStatus.FAILED
    assert job.retry(FIRST).attempt == 2
    assert job.job.status is JobStatus.SUBMITTED


def test_a_run_that_never_began_leaves_a_failed_job_that_can_be_tried_again(job: GatedJob) -> None:
    job.take(phase=FIRST)

    assert end(job, RunIdentity("r1", 1)) is JobStatus.FAILED
    assert job.phases.of_job(KEY)[0].status is PhaseStatus.STARTED
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
    assert job.phases.of_job(KEY)[0].status is PhaseStatus.DUE


def test_a_run_that_was_overtaken_does_not_fail_the_job_of_its_successor(job: GatedJob) -> None:
    first = started(job, "r1")
    first.begin("ingest")
    first.begin("parse")
    started(job, "r2", None).begin("ingest")

    assert end(job, RunIdentity("r1", 1)) is JobStatus.RUNNING
    runs = {run.stage: (run.run_id, run.status) for run in job.ledger.stage_runs.of_job(KEY)}
    assert runs == {"ingest": ("r2", StageStatus.STARTED), "parse": ("r1", StageStatus.FAILED)}


def test_a_run_whose_job_ended_already_changes_nothing(job: GatedJob) -> None:
    started(job, "r1").finish()

    assert end(job, RunIdentity("r1", 1)) is JobStatus.SUCCEEDED


def test_a_run_refused_at_a_closed_gate_leaves_the_job_waiting(job: GatedJob) -> None:
    job.arrive()
    by_hand = LedgerRun(job.ledger, KEY, ("gate_ready",), "by-hand", job_name=BEHIND)
    by_hand.begin("gate_ready")
    by_hand.stop("gate_ready", StageStatus.REFUSED, "closed")

    assert end(job, RunIdentity("by-hand"), BEHIND) is JobStatus.WAITING
    assert job.job.error is None


def test_work_beside_a_waiting_job_that_fails_is_told_and_the_job_waits_on(job: GatedJob) -> None:
    job.arrive()
    job.phases.plan_work(KEY, CONVERSION, actor="run r1")
    job.take(phase=CONVERSION)

    assert end(job, RunIdentity("c1", 1), CONVERSION) is JobStatus.WAITING
    assert job.job.error == "run ended"
    assert job.take("other", CONVERSION) == ()
    assert job.phases.plan_work(KEY, CONVERSION, actor="ann").attempt == 2


def test_work_beside_a_waiting_job_that_was_overtaken_says_nothing(job: GatedJob) -> None:
    job.arrive()
    for _ in range(2):
        job.phases.plan_work(KEY, CONVERSION, actor="run r1")

    assert end(job, RunIdentity("c1", 1), CONVERSION) is JobStatus.WAITING
    assert job.job.error is None


def test_work_beside_a_running_job_that_never_began_does_not_fail_the_job(job: GatedJob) -> None:
    job.arrive()
    job.phases.plan_work(KEY, CONVERSION, actor="run r1")
    job.approve()
    LedgerRun(job.ledger, KEY, ("gate_ready",), "r2", 1, BEHIND).start()
    job.go_through(attempt=1)

    assert end(job, RunIdentity("c1", 1), CONVERSION) is JobStatus.RUNNING


def test_a_branch_that_fails_fails_the_job_once_whatever_the_other_branch_does(job: GatedJob) -> None:
    run = LedgerRun(job.ledger, KEY, ("ingest", "left", "right"))
    run.start()
    run.finish("ingest")
    run.begin("left")
    run.fail("right")
    assert job.job.status is JobStatus.FAILED
    run.end("left")

    assert job.job.status is JobStatus.FAILED
    statuses = [entry.new for entry in job.ledger.jobs.history(KEY) if entry.field == "status"]
    assert statuses == ["submitted", "running", "failed"]


def test_a_cancelled_wait_ends_the_job_and_can_be_taken_up_again(job: GatedJob) -> None:
    job.arrive()
    ended = job.phases.cancel(KEY, actor="ann", reason="wrong corpus")

    assert (ended.status, ended.error) == (JobStatus.CANCELLED, "cancelled by ann: wrong corpus")
    with pytest.raises(GateConditionError, match="cancelled"):
        job.go_through()
    with pytest.raises(LedgerError, match="nothing of it waits"):
        job.phases.cancel(KEY, actor="ann", reason="again")
    assert job.retry().status is PhaseStatus.WAITING
    assert job.job.status is JobStatus.WAITING


def test_a_job_at_work_is_not_cancelled_in_the_ledger_alone(job: GatedJob) -> None:
    started(job, "r1")

    with pytest.raises(LedgerError, match=r"terminate its run in the Dagster UI.*: r1"):
        job.phases.cancel(KEY, actor="ann", reason="enough")


def test_a_run_that_was_taken_for_lost_and_goes_on_is_at_work(job: GatedJob) -> None:
    run = started(job, "r1")
    assert end(job, RunIdentity("r1", 1)) is JobStatus.FAILED

    run.begin("ingest")

    assert job.job.status is JobStatus.RUNNING
