"""The timer of a gate and a person's decision at the same moment: whoever commits first wins, never both."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from medkg_dagster.errors import LedgerError
from medkg_dagster.ledger import GateDecision, JobKey, JobLedger, JobPhase, JobStatus, PhaseStatus, Review
from medkg_dagster.ledger.gate_transaction import GateTransaction
from medkg_dagster.ledger.statements import phase_rows
from medkg_dagster.ledger.statements.phase_rows import PhaseKey
from medkg_dagster_tests.ledger.conftest import FakeClock
from medkg_dagster_tests.ledger.gated_jobs import BEHIND, PIPELINE, TIMEOUT, GatedJob

KEY = PhaseKey(PIPELINE, "j1", BEHIND)
DECISIONS = (GateDecision.APPROVED, GateDecision.REJECTED)
AFTER = {
    GateDecision.APPROVED: (PhaseStatus.DUE, JobStatus.WAITING),
    GateDecision.REJECTED: (PhaseStatus.REJECTED, JobStatus.REJECTED),
}


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def ledger(url: str, clock: FakeClock) -> Iterator[JobLedger]:
    with JobLedger.connect(url, clock=clock) as opened:
        yield opened


@pytest.fixture
def other(url: str, clock: FakeClock) -> Iterator[JobLedger]:
    """The same ledger, as another process has it."""
    with JobLedger.connect(url, clock=clock) as opened:
        yield opened


@pytest.fixture
def overdue(ledger: JobLedger, clock: FakeClock) -> GatedJob:
    """A job whose time at the gate is up, and nobody has looked yet."""
    return wait_until_overdue(ledger, clock, "j1")


def wait_until_overdue(ledger: JobLedger, clock: FakeClock, *names: str) -> GatedJob:
    jobs = [GatedJob(ledger, clock, job_id=name) for name in names]
    for number, job in enumerate(jobs):
        job.submit()
        job.arrive(f"r{number}")
    clock.advance(TIMEOUT + 1)
    return jobs[0]


def decide(ledger: JobLedger, job: GatedJob, decision: GateDecision) -> JobPhase:
    key = JobKey(PIPELINE, job.job_id)
    return ledger.gates.decide(key, job.rule, decision, actor="ann", reason="read it")


def told_of_gate(job: GatedJob) -> list[str]:
    """What became of the gate, as the history has it, once it did not wait any more."""
    return [new for _, new, _ in job.gate_history()]


@pytest.mark.parametrize("decision", DECISIONS)
def test_a_timer_that_saw_the_job_overdue_finds_it_decided(
    overdue: GatedJob, other: JobLedger, decision: GateDecision, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, may_go_on = threading.Event(), threading.Event()
    find = phase_rows.overdue_jobs

    def find_and_pause(*arguments: Any) -> list[str]:
        found = find(*arguments)
        assert found == ["j1"]
        seen.set()
        assert may_go_on.wait(60)
        return found

    monkeypatch.setattr(phase_rows, "overdue_jobs", find_and_pause)
    with ThreadPoolExecutor(1) as pool:
        timer: Future[Review] = pool.submit(other.gates.review, PIPELINE, overdue.rule)
        assert seen.wait(60)
        # The person says so between the timer's look and its change.
        decide(overdue.ledger, overdue, decision)
        may_go_on.set()
        review = timer.result(60)

    assert (review.looked, review.timed_out) == (0, 0)
    assert (overdue.phase.status, overdue.job.status) == AFTER[decision]
    assert overdue.phase.opened_by == "ann"
    assert "timed_out" not in told_of_gate(overdue)


@pytest.mark.parametrize("decision", DECISIONS)
def test_a_decision_that_waits_for_the_timer_to_commit_is_told_that_it_is_too_late(
    overdue: GatedJob, other: JobLedger, clock: FakeClock, decision: GateDecision
) -> None:
    begun = threading.Event()

    def decide_meanwhile() -> JobPhase:
        begun.set()
        return decide(other, overdue, decision)

    with ThreadPoolExecutor(1) as pool:
        with overdue.ledger._database.writing() as connection:
            timer = GateTransaction(connection, clock, KEY)
            assert timer.look(overdue.rule).status is PhaseStatus.TIMED_OUT
            person = pool.submit(decide_meanwhile)
            assert begun.wait(60)
            timer.conclude()
        with pytest.raises(LedgerError, match=r"timed out at .*medkg ledger retry"):
            person.result(60)

    assert (overdue.phase.status, overdue.job.status) == (PhaseStatus.TIMED_OUT, JobStatus.FAILED)
    assert overdue.phase.decision is None
    assert told_of_gate(overdue)[-1] == "timed_out"


@pytest.mark.parametrize("decision", DECISIONS)
def test_of_many_at_once_each_job_has_one_outcome_and_who_lost_is_told(
    ledger: JobLedger, other: JobLedger, clock: FakeClock, decision: GateDecision
) -> None:
    names = [f"j{number}" for number in range(12)]
    first = wait_until_overdue(ledger, clock, *names)
    together = threading.Barrier(2)
    jobs = {name: GatedJob(ledger, clock, first.rule, name) for name in names}
    lost: dict[str, str] = {}

    def say() -> None:
        together.wait(60)
        for name in names:
            try:
                decide(other, jobs[name], decision)
            except LedgerError as error:
                lost[name] = str(error)

    def time_out() -> int:
        together.wait(60)
        # One job at a look, so that looks and decisions come in between each other.
        return sum(ledger.gates.review(PIPELINE, first.rule, limit=1).timed_out for _ in names)

    with ThreadPoolExecutor(2) as pool:
        works: list[Callable[[], Any]] = [say, time_out]
        said, timer = (pool.submit(work) for work in works)
        said.result(60)
        timed_out = timer.result(60)

    assert timed_out == len(lost)
    for name, job in jobs.items():
        outcomes = {outcome for outcome in told_of_gate(job) if outcome != PhaseStatus.WAITING}
        if name in lost:
            assert "timed out at" in lost[name]
            assert (job.phase.status, job.phase.decision) == (PhaseStatus.TIMED_OUT, None)
            assert outcomes == {"timed_out"}
        else:
            assert (job.phase.status, job.job.status) == AFTER[decision]
            assert outcomes == {"open" if decision is GateDecision.APPROVED else "rejected"}
