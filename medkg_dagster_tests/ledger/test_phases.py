"""Jobs that wait at a gate: how it opens, is rejected, times out, and whom it lets through."""

import pytest

from medkg_dagster.errors import GateConditionError, LedgerError, SupersededRunError, UnknownJobError
from medkg_dagster.ledger import GateDecision, JobKey, JobLedger, JobStatus, PhaseStatus, Review, RunIdentity
from medkg_dagster_tests.ledger.conftest import FakeClock
from medkg_dagster_tests.ledger.gated_jobs import BEHIND, FIRST, PIPELINE, TIMEOUT, GatedJob, gate


@pytest.fixture
def job(timed: JobLedger, clock: FakeClock) -> GatedJob:
    """A submitted job."""
    gated = GatedJob(timed, clock)
    gated.submit()
    return gated


@pytest.fixture
def waiting(job: GatedJob) -> GatedJob:
    """A job that waits at its gate."""
    job.arrive()
    return job


def at(seconds: float) -> str:
    return f"2026-01-01T00:{int(seconds) // 60:02}:{int(seconds) % 60:02}.000000Z"


def test_a_job_that_arrives_waits_with_its_deadline(job: GatedJob) -> None:
    phase = job.arrive()

    assert (phase.status, phase.attempt, phase.since) == (PhaseStatus.WAITING, 1, at(0))
    assert (phase.deadline, phase.observed) == (at(TIMEOUT), "ready equals True: absent")
    assert (job.job.status, job.job.phase) == (JobStatus.WAITING, "ready")
    assert job.gates.waiting(PIPELINE) == (phase,)


def test_a_gate_without_timeout_has_no_deadline(job: GatedJob) -> None:
    job.rule = gate(timeout=None)
    job.arrive()

    assert job.review(after=10 * TIMEOUT) == Review(0, 0, 0)
    assert job.phase.deadline is None


def test_a_job_whose_field_was_set_before_it_arrives_does_not_wait(job: GatedJob) -> None:
    job.set(by="ocr")
    phase = job.arrive()

    assert (phase.status, phase.opened_by, phase.opened_at) == (PhaseStatus.DUE, "ocr", phase.since)
    assert job.gates.waiting(PIPELINE) == ()


def test_arriving_at_an_unknown_job_is_refused(timed: JobLedger) -> None:
    with pytest.raises(UnknownJobError):
        timed.gates.arrive(JobKey(PIPELINE, "gone"), gate(), RunIdentity("r1"))
    with pytest.raises(UnknownJobError):
        timed.phases.of_job(JobKey(PIPELINE, "gone"))


def test_a_job_that_is_still_waiting_and_arrives_again_waits_anew_under_the_same_attempt(
    waiting: GatedJob,
) -> None:
    waiting.clock.advance(100)
    phase = waiting.arrive("r1b")

    assert (phase.status, phase.attempt, phase.since) == (PhaseStatus.WAITING, 1, at(100))
    assert phase.deadline == at(100 + TIMEOUT)


@pytest.mark.parametrize("state", ["due", "started", "rejected", "timed out"])
def test_a_job_that_arrives_again_after_its_gate_was_settled_waits_for_a_new_attempt(
    waiting: GatedJob, state: str
) -> None:
    if state in {"due", "started"}:
        waiting.approve()
    if state == "started":
        waiting.go_through()
    if state == "rejected":
        waiting.reject()
    if state == "timed out":
        waiting.review(after=TIMEOUT)
    phase = waiting.arrive("r3")

    assert (phase.status, phase.attempt, phase.decision) == (PhaseStatus.WAITING, 2, None)
    assert (phase.opened_at, phase.starter, phase.run_id) == (None, None, None)
    assert waiting.job.status is JobStatus.WAITING


def test_a_job_is_looked_at_only_after_its_fields_have_changed(waiting: GatedJob) -> None:
    assert waiting.review() == Review(0, 0, 0)
    waiting.set(1)
    assert waiting.review() == Review(1, 0, 0)
    assert waiting.review() == Review(0, 0, 0)
    waiting.set(1)
    assert waiting.review() == Review(0, 0, 0)
    waiting.set(True, by="ann")
    assert waiting.review() == Review(1, 1, 0)
    assert waiting.review() == Review(0, 0, 0)
    assert waiting.phase.opened_by == "ann"


def test_what_a_look_found_is_kept_for_people(waiting: GatedJob) -> None:
    waiting.set("true")
    waiting.review()

    assert waiting.phase.observed == "ready equals True: 'true' (it is text, not a boolean)"


def test_a_job_whose_fields_keep_changing_is_not_looked_at_more_often_than_asked(waiting: GatedJob) -> None:
    waiting.set(1)
    assert waiting.review(after=0.5) == Review(0, 0, 0)
    assert waiting.review(after=0.5) == Review(1, 0, 0)


def test_a_look_is_bounded_and_the_next_one_goes_on(timed: JobLedger, clock: FakeClock) -> None:
    jobs = [GatedJob(timed, clock, job_id=f"j{number}") for number in range(5)]
    for job in jobs:
        job.submit()
        job.arrive()
        job.set()
    clock.advance(2)
    found = [timed.gates.review(PIPELINE, gate(), limit=2).opened for _ in range(4)]

    assert found == [2, 2, 1, 0]


def test_the_gate_of_another_pipeline_or_phase_is_left_alone(waiting: GatedJob) -> None:
    waiting.set()
    waiting.clock.advance(2)

    assert waiting.gates.review("other", waiting.rule) == Review(0, 0, 0)
    assert waiting.phase.status is PhaseStatus.WAITING


def test_opening_is_recorded_with_who_set_the_field(waiting: GatedJob) -> None:
    waiting.set(by="ocr")
    waiting.set(7, path="pages", by="somebody else")
    waiting.review()

    assert waiting.phase.opened_by == "ocr"
    assert waiting.gate_history() == [("waiting", "open", "ocr")]


def test_who_set_what_the_field_lies_in_has_set_it_where_that_changed_it(waiting: GatedJob) -> None:
    waiting.rule = gate(field="pdf.ready")
    waiting.arrive()
    waiting.set({"ready": True}, path="pdf", by="ocr")
    waiting.set({"ready": True, "pages": 3}, path="pdf", by="counter")
    waiting.review()

    assert waiting.phase.opened_by == "ocr"


def test_changed_opens_for_a_change_after_the_job_began_to_wait(job: GatedJob) -> None:
    job.rule = gate(clauses=[{"field": "version", "operator": "changed"}])
    job.set(1, path="version")
    assert job.arrive().status is PhaseStatus.WAITING

    job.set(2, path="version", by="ann")
    job.review()

    assert (job.phase.status, job.phase.opened_by) == (PhaseStatus.DUE, "ann")


@pytest.mark.parametrize(
    ("on_timeout", "status"),
    [("fail", JobStatus.FAILED), ("skip", JobStatus.SKIPPED), ("quarantine", JobStatus.QUARANTINED)],
)
def test_a_wait_that_is_too_long_ends_as_the_gate_says(
    job: GatedJob, on_timeout: str, status: JobStatus
) -> None:
    job.rule = gate(on_timeout)
    job.arrive()

    assert job.review(after=TIMEOUT - 1) == Review(0, 0, 0)
    assert job.review(after=1) == Review(1, 0, 1)
    assert job.review() == Review(0, 0, 0)
    assert job.phase.status is PhaseStatus.TIMED_OUT
    assert job.job.status is status
    assert "did not open within 600 s: expected ready equals True; observed" in str(job.job.error)
    assert job.gate_history() == [("waiting", "timed_out", "gate")]


def test_a_field_set_in_time_counts_though_nobody_looked_until_later(waiting: GatedJob) -> None:
    waiting.set()

    assert waiting.review(after=2 * TIMEOUT) == Review(1, 1, 0)


def test_a_field_set_after_the_time_was_up_changes_nothing(waiting: GatedJob) -> None:
    waiting.review(after=TIMEOUT)
    waiting.set()

    assert waiting.review() == Review(0, 0, 0)
    assert waiting.phase.status is PhaseStatus.TIMED_OUT


def test_a_decision_before_the_job_arrives_is_carried_out_when_it_does(job: GatedJob) -> None:
    ahead = job.approve()
    assert (ahead.status, ahead.decision) == (PhaseStatus.EXPECTED, GateDecision.APPROVED)
    assert job.job.status is JobStatus.SUBMITTED

    phase = job.arrive()

    assert (phase.status, phase.opened_by, phase.reason) == (PhaseStatus.DUE, "ann", "approved: checked")
    assert job.gate_history() == [(None, "approved", "ann"), ("waiting", "open", "ann")]


def test_a_rejection_before_the_job_arrives_ends_it_when_it_does(job: GatedJob) -> None:
    job.set()
    job.reject()
    with pytest.raises(GateConditionError, match="rejected"):
        job.go_through()

    assert job.arrive().status is PhaseStatus.REJECTED
    assert (job.job.status, job.job.error) == (
        JobStatus.REJECTED,
        "gate 'ready' was rejected by bob: unfit",
    )


def test_the_last_decision_ahead_counts_and_saying_it_twice_is_once(job: GatedJob) -> None:
    job.reject()
    job.approve(by="ann")
    job.approve(by="cid")

    assert job.phase.opened_by == "ann"
    assert job.gate_history() == [(None, "rejected", "bob"), ("rejected", "approved", "ann")]
    assert job.arrive().status is PhaseStatus.DUE


def test_what_was_decided_ahead_is_listed_until_the_job_arrives(job: GatedJob) -> None:
    assert job.gates.decided_ahead() == ()
    phase = job.approve()
    assert job.gates.decided_ahead() == job.gates.decided_ahead(PIPELINE) == (phase,)
    assert job.gates.decided_ahead("other") == ()

    job.arrive()

    assert job.gates.decided_ahead() == ()


def test_a_decision_ahead_counts_once(job: GatedJob) -> None:
    job.approve()
    job.arrive()
    job.go_through(attempt=1)

    assert job.arrive("r3").status is PhaseStatus.WAITING


def test_approving_opens_whatever_the_condition_says(waiting: GatedJob) -> None:
    waiting.clock.advance(60)
    phase = waiting.approve()
    passage = waiting.go_through(attempt=1)

    assert (phase.status, phase.attempt) == (PhaseStatus.DUE, 1)
    assert (passage.opened_by, passage.opened_at, passage.waited_seconds) == ("ann", at(60), 60.0)
    assert passage.because == "approved: checked"


def test_approving_twice_is_approving_once(waiting: GatedJob) -> None:
    first = waiting.approve(by="ann")

    assert waiting.approve(by="cid") == first
    waiting.go_through(attempt=1)
    assert waiting.approve().status is PhaseStatus.STARTED
    assert waiting.gate_history() == [("waiting", "open", "ann")]


def test_rejecting_ends_the_job_and_saying_it_twice_is_once(waiting: GatedJob) -> None:
    first = waiting.reject()

    assert waiting.reject(by="cid") == first
    assert (first.status, waiting.job.status) == (PhaseStatus.REJECTED, JobStatus.REJECTED)
    assert waiting.job.error == "gate 'ready' was rejected by bob: unfit"
    assert waiting.review() == Review(0, 0, 0)
    assert waiting.take() == ()


def test_a_gate_that_opened_can_be_rejected_until_a_run_went_through(waiting: GatedJob) -> None:
    waiting.set()
    waiting.review()
    (taken,) = waiting.take()
    waiting.reject()

    with pytest.raises(SupersededRunError):
        waiting.go_through(attempt=taken.attempt)
    with pytest.raises(GateConditionError, match="rejected"):
        waiting.go_through()
    assert waiting.job.status is JobStatus.REJECTED


def test_rejecting_after_a_run_went_through_is_refused(waiting: GatedJob) -> None:
    waiting.approve()
    waiting.go_through("r2", attempt=1)

    with pytest.raises(LedgerError, match=r"was passed at .* by run r2; it is too late to reject it"):
        waiting.reject()


def test_a_decision_after_a_timeout_is_refused_with_the_way_out(waiting: GatedJob) -> None:
    waiting.review(after=TIMEOUT)

    for decide in (waiting.approve, waiting.reject):
        with pytest.raises(LedgerError, match=r"timed out at .*medkg ledger retry"):
            decide()


def test_approving_what_was_rejected_is_refused_with_the_way_out(waiting: GatedJob) -> None:
    waiting.reject()

    with pytest.raises(LedgerError, match=r"was rejected by bob at .*medkg ledger retry"):
        waiting.approve()


def test_a_run_launched_by_hand_at_a_closed_gate_is_refused_and_the_job_waits_on(waiting: GatedJob) -> None:
    with pytest.raises(GateConditionError, match=r"closed \(not_met\)") as caught:
        waiting.go_through()

    assert (caught.value.expected, caught.value.observed) == (
        "ready equals True",
        "ready equals True: absent",
    )
    assert (waiting.phase.status, waiting.phase.attempt) == (PhaseStatus.WAITING, 1)
    assert waiting.job.status is JobStatus.WAITING


def test_a_run_launched_by_hand_may_pass_before_the_sensor_has_looked(waiting: GatedJob) -> None:
    waiting.set(by="ocr")
    waiting.clock.advance(5)
    passage = waiting.go_through("by-hand")

    assert (passage.opened_by, passage.waited_seconds) == ("ocr", 5.0)
    assert (waiting.phase.status, waiting.phase.run_id) == (PhaseStatus.STARTED, "by-hand")
    assert waiting.review() == Review(0, 0, 0)
    assert waiting.take() == ()


def test_a_run_may_pass_a_gate_that_its_job_never_came_to_where_the_condition_holds(job: GatedJob) -> None:
    with pytest.raises(GateConditionError, match="not_met"):
        job.go_through()
    job.set(by="ocr")

    assert job.go_through().opened_by == "ocr"
    assert job.started


def test_a_run_may_pass_a_gate_that_was_approved_ahead(job: GatedJob) -> None:
    job.approve()

    passage = job.go_through()

    assert (passage.opened_by, passage.because) == ("ann", "approved: checked")


def test_a_condition_that_held_and_holds_no_more_sends_the_job_back_to_wait(waiting: GatedJob) -> None:
    waiting.set()
    waiting.review()
    (taken,) = waiting.take()
    waiting.set(False)

    with pytest.raises(GateConditionError, match="not_met"):
        waiting.go_through(attempt=taken.attempt)
    assert (waiting.phase.status, waiting.phase.attempt) == (PhaseStatus.WAITING, 2)
    assert waiting.job.status is JobStatus.WAITING
    waiting.set(True)
    assert waiting.review().opened == 1
    assert waiting.take()[0].attempt == 2


@pytest.mark.parametrize("closed", ["rejected", "timeout"])
def test_a_closed_gate_lets_nobody_through_though_the_condition_holds(waiting: GatedJob, closed: str) -> None:
    if closed == "rejected":
        waiting.reject()
    else:
        waiting.review(after=TIMEOUT)
    waiting.set()

    with pytest.raises(GateConditionError) as caught:
        waiting.go_through()
    assert caught.value.reason == closed
    with pytest.raises(GateConditionError):
        waiting.gates.check_gate(JobKey(PIPELINE, "j1"), waiting.rule)


def test_checking_a_gate_writes_nothing(waiting: GatedJob) -> None:
    waiting.set()
    before = waiting.phase
    waiting.gates.check_gate(JobKey(PIPELINE, "j1"), waiting.rule)

    assert waiting.phase == before


def test_what_went_through_a_gate_may_come_again_though_its_field_has_changed(waiting: GatedJob) -> None:
    waiting.set()
    waiting.go_through()
    waiting.set(False)

    waiting.gates.check_gate(JobKey(PIPELINE, "j1"), waiting.rule)


def test_the_mark_of_who_waits_changes_with_them(job: GatedJob) -> None:
    marks = [job.gates.waiting_mark(PIPELINE, BEHIND)]
    job.arrive()
    marks.append(job.gates.waiting_mark(PIPELINE, BEHIND))
    job.clock.advance(1)
    job.arrive()
    marks.append(job.gates.waiting_mark(PIPELINE, BEHIND))
    job.reject()

    assert [mark.split()[0] for mark in marks] == ["0", "1", "1"]
    assert len(set(marks)) == 3
    assert job.gates.waiting_mark(PIPELINE, BEHIND) == marks[0]


def test_phases_are_listed_in_the_order_they_came_to_be(waiting: GatedJob) -> None:
    assert [phase.phase for phase in waiting.phases.of_job(JobKey(PIPELINE, "j1"))] == [FIRST, BEHIND]


def test_names_and_reasons_that_databases_refuse_are_kept_as_escapes(waiting: GatedJob) -> None:
    phase = waiting.reject(by="b\x00b", reason="\udc80 unfit")

    assert (phase.opened_by, phase.reason) == (r"b\x00b", r"\udc80 unfit")
