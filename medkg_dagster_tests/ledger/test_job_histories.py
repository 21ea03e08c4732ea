"""Whatever runs, kills, cancellations, retries and gates do to a job, the ledger says how it stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from medkg_dagster.errors import GateConditionError, LedgerError
from medkg_dagster.ledger import (
    GateApproach,
    Job,
    JobKey,
    JobLedger,
    JobStatus,
    PhaseStatus,
    RunIdentity,
    RunStatus,
    StageStatus,
)
from medkg_dagster_tests.ledger.conftest import FakeClock
from medkg_dagster_tests.ledger.gated_jobs import BEHIND, FIRST, PIPELINE, GatedJob, gate
from medkg_dagster_tests.ledger.stage_histories import LedgerRun

KEY = JobKey(PIPELINE, "j1")
BEFORE_GATE = ("ingest", "parse")
AFTER_GATE = ("gate_ready", "chunk")
STAGES = (*BEFORE_GATE, *AFTER_GATE)
APPROACH = GateApproach(gate(), frozenset(BEFORE_GATE))

selections = st.sampled_from([BEFORE_GATE, AFTER_GATE, STAGES, ("ingest",), ("parse",), ("chunk",)])


@dataclass
class LiveRun:
    """A run whose process is there, and what it has come to.

    Attributes:
        run: Its line to the ledger.
        left: The stages it has not begun.
        stage: The stage at work; None between two.
    """

    run: LedgerRun
    left: list[str]
    stage: str | None = None
    was_retried: bool = field(default=False)


class OneJob(RuleBasedStateMachine):
    """Everything that may happen to a job with two phases, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock()
        self.ledger = JobLedger.connect("sqlite://", clock=self.clock)
        self.job = GatedJob(self.ledger, self.clock)
        self.live: list[LiveRun] = []
        self.begun = 0

    def teardown(self) -> None:
        self.ledger.close()

    @initialize()
    def submit(self) -> None:
        self.job.submit()

    @precondition(lambda self: len(self.live) < 2)
    @rule(selection=selections)
    def a_run_begins(self, selection: Sequence[str]) -> None:
        self.clock.advance(1)
        self.begun += 1
        name = FIRST if selection == BEFORE_GATE else BEHIND if selection == AFTER_GATE else "__ASSET_JOB"
        run = LedgerRun(self.ledger, KEY, selection, f"r{self.begun}", job_name=name, gates=[APPROACH])
        run.start(STAGES)
        if name == FIRST:
            self.ledger.phases.begin(KEY, FIRST, run.identity)
        self.live.append(LiveRun(run, list(selection)))

    @precondition(lambda self: self.live)
    @rule(data=st.data())
    def a_run_goes_on(self, data: st.DataObject) -> None:
        live = data.draw(st.sampled_from(self.live))
        self.clock.advance(1)
        if live.stage is None:
            live.stage = live.left.pop(0)
            live.run.begin(live.stage)
            return
        if live.stage == "gate_ready":
            try:
                self.ledger.gates.pass_gate(KEY, self.job.rule, live.run.identity)
            except GateConditionError as error:
                live.run.stop("gate_ready", StageStatus.REFUSED, str(error))
                self.live.remove(live)
                return
        live.run.end(live.stage)
        live.stage = None
        if not live.left:
            self.live.remove(live)

    @precondition(lambda self: any(live.stage for live in self.live))
    @rule(data=st.data(), status=st.sampled_from([StageStatus.FAILED, StageStatus.CANCELLED]))
    def a_stage_ends_badly(self, data: st.DataObject, status: StageStatus) -> None:
        live = data.draw(st.sampled_from([live for live in self.live if live.stage]))
        assert live.stage is not None
        self.clock.advance(1)
        live.run.stop(live.stage, status, "broken")
        self.live.remove(live)

    @precondition(lambda self: any(live.stage for live in self.live))
    @rule(data=st.data())
    def a_stage_is_tried_again(self, data: st.DataObject) -> None:
        live = data.draw(st.sampled_from([live for live in self.live if live.stage]))
        assert live.stage is not None
        self.clock.advance(1)
        live.run.stop(live.stage, StageStatus.UP_FOR_RETRY, "busy")
        live.run.begin(live.stage)

    @rule(data=st.data())
    def somebody_reads_what_a_run_made(self, data: st.DataObject) -> None:
        """`dagster job execute` opens the resources of a run once more when it has ended."""
        runs = self.ledger.runs.of_job(KEY)
        if runs:
            chosen = data.draw(st.sampled_from(runs))
            self.ledger.runs.begin(KEY, RunIdentity(chosen.run_id, job_name=chosen.job_name), stages=STAGES)

    @precondition(lambda self: self.live)
    @rule(data=st.data(), status=st.sampled_from([RunStatus.FAILED, RunStatus.CANCELLED]))
    def a_run_is_killed_and_the_sensor_sees_it(self, data: st.DataObject, status: RunStatus) -> None:
        live = data.draw(st.sampled_from(self.live))
        self.live.remove(live)
        self.clock.advance(1)
        self.ledger.runs.end(KEY, live.run.identity, status, "killed")

    @rule()
    def the_field_is_set_and_the_gate_is_reviewed(self) -> None:
        self.job.set()
        self.job.review()

    @precondition(lambda self: not self.live)
    @rule(phase=st.sampled_from([FIRST, BEHIND]))
    def somebody_tries_again(self, phase: str) -> None:
        self.clock.advance(1)
        try:
            self.job.retry(phase)
        except LedgerError:
            assert self.waiting
            return
        assert self.stands.status in {JobStatus.SUBMITTED, JobStatus.WAITING}

    @rule()
    def somebody_cancels(self) -> None:
        before = self.stands.status
        self.clock.advance(1)
        try:
            after = self.ledger.phases.cancel(KEY, actor="ann", reason="no longer wanted")
        except LedgerError:
            assert before is JobStatus.RUNNING or not self.ahead
        else:
            assert after.status in {JobStatus.CANCELLED, JobStatus.FAILED}

    @invariant()
    def it_runs_while_a_run_is_at_work_and_not_a_moment_longer(self) -> None:
        assert (self.stands.status is JobStatus.RUNNING) == bool(self.live)

    @invariant()
    def attempts_are_runs(self) -> None:
        assert self.stands.attempts == self.begun

    @invariant()
    def it_has_succeeded_only_where_every_stage_has_finished(self) -> None:
        runs = {run.stage: run.status for run in self.ledger.stage_runs.of_job(KEY)}
        is_finished = all(runs.get(stage) is StageStatus.FINISHED for stage in STAGES)
        if self.stands.status is JobStatus.SUCCEEDED:
            assert is_finished
        if self.stands.status is JobStatus.INCOMPLETE:
            assert not is_finished
            assert not self.ahead

    @invariant()
    def it_waits_only_at_a_gate(self) -> None:
        if self.stands.status is JobStatus.WAITING:
            assert self.ahead

    @invariant()
    def what_ended_badly_says_why(self) -> None:
        if self.stands.status in {JobStatus.FAILED, JobStatus.CANCELLED}:
            assert self.stands.error

    @invariant()
    def no_stage_is_at_work_without_its_run(self) -> None:
        at_work = {live.run.run_id for live in self.live}
        for run in self.ledger.stage_runs.of_job(KEY):
            assert run.status is not StageStatus.STARTED or run.run_id in at_work

    @property
    def stands(self) -> Job:
        return self.job.job

    @property
    def ahead(self) -> bool:
        """Whether something of the job waits or is to be started."""
        phases = self.ledger.phases.of_job(KEY)
        return any(phase.status in {PhaseStatus.WAITING, PhaseStatus.DUE} for phase in phases)

    @property
    def waiting(self) -> bool:
        phases = self.ledger.phases.of_job(KEY)
        return any(phase.status is PhaseStatus.WAITING for phase in phases)


OneJob.TestCase.settings = settings(
    max_examples=10 if settings().derandomize else 100, stateful_step_count=30
)
TestOneJob = OneJob.TestCase
