"""Phases are started once: submitting, taking, beginning, and trying again."""

import threading
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier

import pytest

from medkg_dagster.errors import GateConditionError, LedgerError, SupersededRunError
from medkg_dagster.ledger import JobKey, JobLedger, JobStatus, PhaseStatus, RunIdentity
from medkg_dagster_tests.end_to_end.running import processes
from medkg_dagster_tests.ledger.conftest import FakeClock
from medkg_dagster_tests.ledger.gated_jobs import BEHIND, FIRST, PIPELINE, TIMEOUT, GatedJob, gate
from medkg_dagster_tests.ledger.stage_histories import LedgerRun

STARTERS = 8
PROCESSES = 3
JOBS = 20


@pytest.fixture
def job(timed: JobLedger, clock: FakeClock) -> GatedJob:
    return GatedJob(timed, clock)


def begin(job: GatedJob, run: RunIdentity) -> None:
    job.phases.begin(JobKey(PIPELINE, job.job_id), FIRST, run)


def test_a_submitted_job_is_due_with_its_request(job: GatedJob) -> None:
    submitted = job.submit({"adapter": "files"}, by="ann")

    (phase,) = job.phases.of_job(JobKey(PIPELINE, "j1"))
    assert (submitted.status, submitted.request) == (JobStatus.SUBMITTED, {"adapter": "files"})
    assert (phase.phase, phase.status, phase.attempt, phase.opened_by) == (FIRST, PhaseStatus.DUE, 1, "ann")


def test_asking_again_for_the_same_is_asking_once(job: GatedJob) -> None:
    first = job.submit({"params": {"a": 1, "b": 2}})
    (taken,) = job.take(phase=FIRST)
    again = job.submit({"params": {"b": 2, "a": 1}}, by="bob")

    assert again == first
    assert job.phases.of_job(JobKey(PIPELINE, "j1")) == (taken,)


def test_asking_for_something_else_under_the_same_id_is_refused(job: GatedJob) -> None:
    job.submit({"adapter": "files"})

    with pytest.raises(LedgerError, match=r"has a job 'j1' already.*\"files\".*choose another job id"):
        job.submit({"adapter": "clinicaltrials"})
    with pytest.raises(LedgerError, match="the request cannot be stored as JSON"):
        job.submit({"adapter": object()})
    assert job.job.request == {"adapter": "files"}


def test_a_job_that_exists_without_a_run_is_due_once_it_is_submitted(job: GatedJob) -> None:
    job.ledger.jobs.ensure(JobKey(PIPELINE, "j1"), actor="ann")
    assert job.take(phase=FIRST) == ()

    job.submit()

    assert len(job.take(phase=FIRST)) == 1


def test_submitting_a_job_that_has_been_run_by_hand_starts_nothing(job: GatedJob) -> None:
    job.ledger.jobs.ensure(JobKey(PIPELINE, "j1"), actor="ann")
    LedgerRun(job.ledger, JobKey(PIPELINE, "j1"), ("ingest",)).begin("ingest")

    assert job.submit().status is JobStatus.RUNNING
    assert job.take(phase=FIRST) == ()


def test_what_one_starter_has_taken_no_other_gets(job: GatedJob) -> None:
    job.submit()
    (taken,) = job.take("sensor", FIRST)

    assert (taken.starter, taken.attempt) == ("sensor", 1)
    assert job.take("sensor", FIRST) == job.take("other", FIRST) == ()


def test_the_longest_due_are_taken_first_and_only_so_many(timed: JobLedger, clock: FakeClock) -> None:
    for name in ("c", "a", "b"):
        GatedJob(timed, clock, job_id=name).submit()
        clock.advance(1)
    taken = timed.phases.take_due(FIRST, "sensor", limit=2)

    assert [phase.job_id for phase in taken] == ["c", "a"]
    assert [phase.job_id for phase in timed.phases.take_due(FIRST, "sensor")] == ["b"]


def test_only_phases_of_the_named_pipeline_and_job_are_taken(job: GatedJob) -> None:
    job.submit()

    assert job.phases.take_due(BEHIND, "sensor") == ()
    assert job.phases.take_due(FIRST, "sensor", pipeline="other") == ()
    assert len(job.phases.take_due(FIRST, "sensor")) == 1


def test_a_starter_that_comes_again_after_its_lease_gets_the_same_attempt(job: GatedJob) -> None:
    job.submit()
    (first,) = job.take("sensor", FIRST)
    job.clock.advance(61)
    (again,) = job.take("sensor", FIRST)

    assert again.attempt == first.attempt == 1


def test_who_takes_over_from_another_makes_a_new_attempt_and_the_others_run_is_refused(job: GatedJob) -> None:
    job.submit()
    (first,) = job.take("one", FIRST)
    job.clock.advance(61)
    (second,) = job.take("two", FIRST)

    assert (first.attempt, second.attempt) == (1, 2)
    with pytest.raises(SupersededRunError, match="is at attempt 2, and this run was started for attempt 1"):
        begin(job, RunIdentity("r1", first.attempt))
    begin(job, RunIdentity("r2", second.attempt))


def test_what_has_begun_is_not_taken_again(job: GatedJob) -> None:
    job.submit()
    (taken,) = job.take(phase=FIRST)
    begin(job, RunIdentity("r1", taken.attempt))
    job.clock.advance(61)

    assert job.take("other", FIRST) == ()


def test_a_second_run_of_an_attempt_is_refused(job: GatedJob) -> None:
    job.submit()
    begin(job, RunIdentity("r1", 1))
    begin(job, RunIdentity("r1", 1))

    with pytest.raises(SupersededRunError, match="was begun by run r1 already"):
        begin(job, RunIdentity("r2", 1))


def test_whose_turn_it_is_can_be_asked_without_beginning(job: GatedJob) -> None:
    job.submit()
    job.phases.check_turn(JobKey(PIPELINE, "j1"), FIRST, RunIdentity("r1", 1))
    job.phases.check_turn(JobKey(PIPELINE, "j1"), BEHIND, RunIdentity("r1", 1))
    begin(job, RunIdentity("r1", 1))

    job.phases.check_turn(JobKey(PIPELINE, "j1"), FIRST, RunIdentity("r1b", 1, ("r1",)))
    for late in (RunIdentity("r2", 1), RunIdentity("r1", 2)):
        with pytest.raises(SupersededRunError):
            job.phases.check_turn(JobKey(PIPELINE, "j1"), FIRST, late)


def test_a_re_execution_of_the_run_that_began_an_attempt_goes_on_with_it(job: GatedJob) -> None:
    job.submit()
    job.arrive()
    begin(job, RunIdentity("r1", 1))
    begin(job, RunIdentity("r1b", 1, ("r1",)))
    job.set()
    job.go_through("r2", attempt=1)
    job.go_through("r2b", attempt=1, lineage=("r2",))

    assert [phase.run_id for phase in job.phases.of_job(JobKey(PIPELINE, "j1"))] == ["r1b", "r2b"]


def test_a_run_launched_by_hand_belongs_to_no_attempt_and_keeps_the_sensor_from_starting_another(
    job: GatedJob,
) -> None:
    job.submit()
    begin(job, RunIdentity("by-hand"))

    assert job.take(phase=FIRST) == ()
    with pytest.raises(SupersededRunError):
        begin(job, RunIdentity("r1", 1))


def test_beginning_a_phase_that_nobody_submitted_changes_nothing(job: GatedJob) -> None:
    job.ledger.jobs.ensure(JobKey(PIPELINE, "j1"), actor="ann")
    begin(job, RunIdentity("by-hand"))

    assert job.phases.of_job(JobKey(PIPELINE, "j1")) == ()


def test_approving_and_starting_at_once_leaves_nothing_to_the_sensor(job: GatedJob) -> None:
    job.submit()
    job.arrive()
    phase = job.approve(starter="console")

    assert (phase.status, phase.starter) == (PhaseStatus.DUE, "console")
    assert job.take("sensor") == ()
    job.clock.advance(61)
    assert job.take("sensor")[0].attempt == 2


def test_only_one_of_those_who_approve_at_once_is_the_starter(job: GatedJob) -> None:
    job.submit()
    job.arrive()
    first = job.approve(starter="console 1")
    second = job.approve(starter="console 2")
    assert (first.starter, second.starter) == ("console 1", "console 1")

    job.go_through("r1", attempt=1)
    assert job.approve(starter="console 3").starter == "console 1"


def test_what_the_sensor_is_starting_already_nobody_else_starts(job: GatedJob) -> None:
    job.submit()
    job.arrive()
    job.set()
    job.review()
    job.take("sensor")

    assert job.approve(starter="console").starter == "sensor"


def test_what_is_open_and_not_being_started_is_started_at_once_by_an_approval(job: GatedJob) -> None:
    job.submit()
    job.arrive()
    job.set()
    job.review()

    assert job.approve(starter="console").starter == "console"


def test_an_approval_ahead_starts_nothing(job: GatedJob) -> None:
    job.submit()

    assert job.approve(starter="console").starter is None


def test_a_phase_that_was_started_is_tried_again_as_a_new_attempt(job: GatedJob) -> None:
    job.submit()
    begin(job, RunIdentity("r1", 1))
    LedgerRun(job.ledger, JobKey(PIPELINE, "j1"), ("parse",), attempt=1, job_name=FIRST).fail("parse")
    phase = job.retry(FIRST)

    assert (phase.status, phase.attempt, phase.starter, phase.run_id) == (PhaseStatus.DUE, 2, None, None)
    assert (job.job.status, job.job.error) == (JobStatus.SUBMITTED, None)
    assert job.ledger.jobs.history(JobKey(PIPELINE, "j1"))[-1].reason == "again"
    with pytest.raises(SupersededRunError):
        begin(job, RunIdentity("r1", 1))
    begin(job, RunIdentity("r2", 2))


def test_a_phase_behind_a_gate_is_tried_again_without_waiting_again(job: GatedJob) -> None:
    job.submit()
    job.arrive()
    job.approve()
    job.go_through("r1", attempt=1)
    phase = job.retry()

    assert (phase.status, phase.attempt, phase.opened_by) == (PhaseStatus.DUE, 2, "ann")
    assert (job.job.status, job.job.phase) == (JobStatus.WAITING, "ready")
    (taken,) = job.take()
    assert job.go_through("r2", attempt=taken.attempt).because == "approved: checked"


def test_a_phase_behind_a_gate_whose_condition_holds_no_more_waits_when_it_is_tried_again(
    job: GatedJob,
) -> None:
    job.submit()
    job.arrive()
    job.set()
    job.go_through("r1")
    job.set(False)
    job.retry()
    (taken,) = job.take()

    with pytest.raises(GateConditionError):
        job.go_through("r2", attempt=taken.attempt)
    assert job.phase.status is PhaseStatus.WAITING


def test_a_due_phase_that_is_tried_again_supersedes_the_run_that_was_asked_for(job: GatedJob) -> None:
    job.submit()
    job.take("sensor", FIRST)
    job.retry(FIRST)

    assert job.take("other", FIRST)[0].attempt == 2


@pytest.mark.parametrize("state", ["waiting", "due"])
def test_a_job_whose_first_phase_is_tried_again_has_to_come_to_its_gate_again(
    job: GatedJob, state: str
) -> None:
    job.submit()
    job.arrive()
    if state == "due":
        job.approve()
        job.take()
    job.retry(FIRST)
    job.set()

    assert (job.phase.status, job.job.status) == (PhaseStatus.EXPECTED, JobStatus.SUBMITTED)
    assert job.review().looked == 0
    job.clock.advance(61)
    assert job.take() == ()
    assert job.arrive("r2").attempt == (2 if state == "due" else 1)
    assert job.phase.status is PhaseStatus.DUE


@pytest.mark.parametrize("closed", ["rejected", "timed out"])
def test_a_closed_gate_that_is_tried_again_waits_once_more(job: GatedJob, closed: str) -> None:
    job.submit()
    job.arrive()
    if closed == "rejected":
        job.reject()
    else:
        job.review(after=TIMEOUT)
    before = job.clock.now
    phase = job.retry()

    assert (phase.status, phase.attempt, phase.decision) == (PhaseStatus.WAITING, 2, None)
    assert phase.since == before.isoformat(timespec="microseconds").replace("+00:00", "Z")
    assert (job.job.status, job.job.error) == (JobStatus.WAITING, None)
    job.approve()
    assert job.take()[0].attempt == 2


def test_a_closed_gate_whose_condition_holds_by_now_opens_at_once_when_it_is_tried_again(
    job: GatedJob,
) -> None:
    job.submit()
    job.arrive()
    job.review(after=TIMEOUT)
    job.set(by="ocr")

    assert (job.retry().status, job.phase.opened_by) == (PhaseStatus.DUE, "ocr")


def test_a_waiting_job_has_nothing_to_try_again(job: GatedJob) -> None:
    job.submit()
    job.arrive()

    with pytest.raises(LedgerError, match=r"waits at gate 'ready' and nothing has failed there"):
        job.retry()


def test_a_gate_that_the_job_never_came_to_is_waited_for_when_its_phase_is_tried_again(
    job: GatedJob,
) -> None:
    job.submit()

    assert job.retry().status is PhaseStatus.WAITING


def test_a_decision_ahead_survives_trying_again(job: GatedJob) -> None:
    job.submit()
    job.approve()

    assert (job.retry().status, job.phase.reason) == (PhaseStatus.DUE, "approved: checked")


def test_a_phase_that_was_never_submitted_is_due_when_it_is_tried_again(job: GatedJob) -> None:
    job.ledger.jobs.ensure(JobKey(PIPELINE, "j1"), actor="ann")

    assert job.retry(FIRST).attempt == 1
    assert len(job.take(phase=FIRST)) == 1


def test_planning_a_start_again_makes_a_new_attempt(job: GatedJob) -> None:
    job.submit()
    planned = [job.phases.plan_work(JobKey(PIPELINE, "j1"), "convert", actor="run r1") for _ in range(2)]

    assert [(phase.status, phase.attempt) for phase in planned] == [
        (PhaseStatus.DUE, 1),
        (PhaseStatus.DUE, 2),
    ]
    assert job.take(phase="convert")[0].attempt == 2


def test_threads_that_take_at_once_never_take_the_same(timed: JobLedger, clock: FakeClock) -> None:
    for number in range(JOBS):
        GatedJob(timed, clock, job_id=f"j{number}").submit()
    taken: list[str] = []
    start = threading.Barrier(STARTERS)

    def take(starter: str) -> None:
        start.wait(240)
        for _ in range(JOBS):
            taken.extend(phase.job_id for phase in timed.phases.take_due(FIRST, starter, limit=3))

    threads = [threading.Thread(target=take, args=(f"starter {number}",)) for number in range(STARTERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(240)

    assert sorted(taken) == sorted(f"j{number}" for number in range(JOBS))


def test_a_starter_whose_clock_is_ahead_is_trusted_too(url: str, job: GatedJob) -> None:
    """Between two looks at one clock there is time too, and on PostgreSQL another starter may use it."""
    job.submit()
    ahead = FakeClock()
    ahead.advance(30)
    with JobLedger.connect(url, clock=ahead) as other:
        (taken,) = other.phases.take_due(FIRST, "other", limit=1)
        assert job.take(phase=FIRST) == ()
        claimed = job.phases.claim(JobKey(PIPELINE, "j1"), FIRST, "mine")

    assert taken.attempt == 1
    assert claimed is not None
    assert (claimed.starter, claimed.attempt) == ("other", 1)


def take_all(url: str, starter: str, start: Barrier, taken: "Queue[str]") -> None:
    with JobLedger.connect(url) as ledger:
        ledger.jobs.list()
        start.wait(240)
        for _ in range(JOBS):
            for phase in ledger.phases.take_due(FIRST, starter, limit=3):
                taken.put(f"{phase.job_id}:{phase.attempt}")


def test_processes_that_take_at_once_never_take_the_same(url: str) -> None:
    with JobLedger.connect(url) as ledger:
        for number in range(JOBS):
            ledger.phases.submit(JobKey(PIPELINE, f"j{number}"), FIRST, {}, actor="ann")
    start, taken = processes.Barrier(PROCESSES), processes.Queue()
    starters = [
        processes.Process(target=take_all, args=(url, f"starter {number}", start, taken))
        for number in range(PROCESSES)
    ]
    for starter in starters:
        starter.start()
    found = [taken.get(timeout=480) for _ in range(JOBS)]
    for starter in starters:
        starter.join(240)

    assert sorted(found) == sorted(f"j{number}:1" for number in range(JOBS))
    assert taken.empty()
    assert [starter.exitcode for starter in starters] == [0] * PROCESSES


def test_two_who_look_at_the_same_gate_open_it_once(timed: JobLedger, clock: FakeClock) -> None:
    jobs = [GatedJob(timed, clock, job_id=f"j{number}") for number in range(JOBS)]
    for job in jobs:
        job.submit()
        job.arrive()
        job.set()
    clock.advance(2)
    opened: list[int] = []
    start = threading.Barrier(STARTERS)

    def look() -> None:
        start.wait(240)
        opened.append(timed.gates.review(PIPELINE, gate()).opened)

    threads = [threading.Thread(target=look) for _ in range(STARTERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(240)

    assert len(opened) == STARTERS
    assert sum(opened) == JOBS
    assert all(len(job.gate_history()) == 1 for job in jobs)
