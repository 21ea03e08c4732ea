"""Any history of one gated job keeps what gates promise."""

from dataclasses import replace
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from medkg_dagster.errors import GateConditionError, LedgerError, SupersededRunError
from medkg_dagster.ledger import (
    GateDecision,
    JobKey,
    JobLedger,
    JobPhase,
    JobStatus,
    PhaseStatus,
    RunIdentity,
    RunStatus,
)
from medkg_dagster_tests.ledger.conftest import FakeClock
from medkg_dagster_tests.ledger.gated_jobs import BEHIND, FIRST, PIPELINE, TIMEOUT, GatedJob

CLOSED = {PhaseStatus.REJECTED, PhaseStatus.TIMED_OUT}
Attempt = tuple[str, int]

starters = st.sampled_from(["sensor", "console"])
values = st.sampled_from([True, False, "true", 1, None])


class OneJob(RuleBasedStateMachine):
    """Everything that may happen to a job, in any order, and twice."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock()
        self.ledger = JobLedger.connect("sqlite://", clock=self.clock)
        self.job = GatedJob(self.ledger, self.clock)
        self.runs: list[tuple[str, RunIdentity]] = []
        self.passed: dict[Attempt, str] = {}
        self.taken: dict[Attempt, str] = {}
        self.closed: set[int] = set()
        self.decided: set[GateDecision] = set()

    def teardown(self) -> None:
        self.ledger.close()

    @initialize()
    def submit(self) -> None:
        self.job.submit()

    @rule()
    def submit_again(self) -> None:
        self.job.submit()

    @rule(seconds=st.sampled_from([0.5, 2.0, 61.0, TIMEOUT / 2]))
    def time_passes(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule(value=values)
    def a_field_is_set(self, value: Any) -> None:
        self.job.set(value)

    @rule(value=values)
    def a_field_is_set_in_sql(self, value: Any) -> None:
        text = {True: "true", False: "false", None: "null"}.get(value, f'"{value}"')
        with self.ledger._database.writing() as connection:
            connection.exec_driver_sql(f"UPDATE ledger_jobs SET fields = '{{\"ready\":{text}}}'")

    @rule()
    def the_job_arrives(self) -> None:
        self.job.arrive()

    @rule()
    def the_gate_is_reviewed(self) -> None:
        before = self.behind
        review = self.job.review(after=0)
        after = self.behind
        if review.opened:
            assert before is not None
            assert before.status is PhaseStatus.WAITING
            assert self.job.job.fields.get("ready") is True
        if review.timed_out:
            assert after is not None
            assert after.deadline is not None
            assert after.deadline <= (after.opened_at or "")

    @rule(decision=st.sampled_from(list(GateDecision)))
    def somebody_decides(self, decision: GateDecision) -> None:
        before = self.behind
        try:
            self.job.approve() if decision is GateDecision.APPROVED else self.job.reject()
        except LedgerError:
            assert before is not None
            assert before.status in {*CLOSED, PhaseStatus.STARTED}
        else:
            assert before is None or before.status is not PhaseStatus.TIMED_OUT

    @rule(phase=st.sampled_from([FIRST, BEHIND]), starter=starters)
    def a_starter_takes_what_is_due(self, phase: str, starter: str) -> None:
        for item in self.job.take(starter, phase):
            assert item.status is PhaseStatus.DUE
            assert self.taken.setdefault((phase, item.attempt), starter) == starter
            run = RunIdentity(f"run {len(self.runs)}", item.attempt)
            self.runs.append((phase, run))

    @rule(phase=st.sampled_from([FIRST, BEHIND]))
    def a_person_launches_a_run(self, phase: str) -> None:
        self.runs.append((phase, RunIdentity(f"hand {len(self.runs)}")))

    @precondition(lambda self: self.runs)
    @rule(data=st.data())
    def a_run_gets_to_work(self, data: st.DataObject) -> None:
        phase, run = data.draw(st.sampled_from(self.runs))
        before = self.behind
        run = replace(run, job_name=phase)
        self.ledger.runs.begin(JobKey(PIPELINE, "j1"), run)
        try:
            if phase == FIRST:
                self.job.phases.begin(JobKey(PIPELINE, "j1"), FIRST, run)
            else:
                self.job.go_through(run.run_id, run.attempt, run.lineage)
        except (SupersededRunError, GateConditionError) as error:
            self.ledger.runs.end(JobKey(PIPELINE, "j1"), run, RunStatus.REFUSED, str(error))
            return
        if phase == BEHIND:
            self.has_gone_through(before)
        if run.attempt is not None:
            assert self.passed.setdefault((phase, run.attempt), run.run_id) == run.run_id

    def has_gone_through(self, before: JobPhase | None) -> None:
        """A run has gone through the gate: it was not closed, and there was a reason to open it."""
        assert before is None or before.status not in CLOSED
        is_approved = before is not None and before.decision is GateDecision.APPROVED
        assert is_approved or self.job.job.fields.get("ready") is True
        assert self.job.job.status is JobStatus.RUNNING

    @precondition(lambda self: self.runs)
    @rule(data=st.data(), cancelled=st.booleans())
    def a_run_ends(self, data: st.DataObject, cancelled: bool) -> None:
        phase, run = data.draw(st.sampled_from(self.runs))
        status = RunStatus.CANCELLED if cancelled else RunStatus.FAILED
        self.ledger.runs.end(JobKey(PIPELINE, "j1"), replace(run, job_name=phase), status, "killed")

    @rule(phase=st.sampled_from([FIRST, BEHIND]))
    def somebody_tries_again(self, phase: str) -> None:
        before = self.phase(phase)
        try:
            after = self.job.retry(phase)
        except LedgerError:
            assert before is not None
            assert before.status is PhaseStatus.WAITING
            return
        assert after.status in {PhaseStatus.WAITING, PhaseStatus.DUE, PhaseStatus.REJECTED}
        if before is not None and before.status is not PhaseStatus.EXPECTED:
            assert after.attempt == before.attempt + 1

    @invariant()
    def a_waiting_phase_is_a_waiting_job_unless_a_run_is_at_work_or_ended_badly(self) -> None:
        behind = self.behind
        if behind is not None and behind.status is PhaseStatus.WAITING:
            runs = {run.status for run in self.ledger.runs.of_job(JobKey(PIPELINE, "j1"))}
            if RunStatus.STARTED in runs:
                assert self.job.job.status is JobStatus.RUNNING
            elif not runs & {RunStatus.FAILED, RunStatus.CANCELLED}:
                first = self.phase(FIRST)
                is_due = first is not None and first.status is PhaseStatus.DUE
                assert self.job.job.status is (JobStatus.SUBMITTED if is_due else JobStatus.WAITING)
            assert (behind.opened_at, behind.starter, behind.run_id) == (None, None, None)

    @invariant()
    def a_closed_gate_lets_nobody_through(self) -> None:
        behind = self.behind
        if behind is not None and behind.status in CLOSED:
            for attempt in (None, behind.attempt):
                try:
                    self.job.go_through("intruder", attempt)
                except GateConditionError:
                    continue
                raise AssertionError("a run went through a closed gate")

    @invariant()
    def attempts_never_go_back(self) -> None:
        for phase in self.job.phases.of_job(JobKey(PIPELINE, "j1")):
            known = [attempt for name, attempt in (*self.taken, *self.passed) if name == phase.phase]
            assert phase.attempt >= max(known, default=0)

    @property
    def behind(self) -> JobPhase | None:
        return self.phase(BEHIND)

    def phase(self, name: str) -> JobPhase | None:
        phases = self.job.phases.of_job(JobKey(PIPELINE, "j1"))
        return next((phase for phase in phases if phase.phase == name), None)


OneJob.TestCase.settings = settings(max_examples=10 if settings().derandomize else 60, stateful_step_count=30)
TestOneJob = OneJob.TestCase
