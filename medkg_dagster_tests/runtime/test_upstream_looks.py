"""Whatever another pipeline does, and in whatever order it comes to be seen, each event calls once."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medkg_dagster.ledger import JobKey, JobLedger, TriggerKey
from medkg_dagster.resolution.plan import PipelinePlan, PlannedTrigger
from medkg_dagster.runtime import upstream_looks
from medkg_dagster.runtime.trigger_looks import Look
from medkg_dagster.runtime.upstream_looks import look_at_fields, look_at_stage
from medkg_dagster_tests.ledger.conftest import FakeClock
from medkg_dagster_tests.ledger.stage_histories import LedgerRun
from medkg_dagster_tests.runtime.triggered import plan_of

EACH = """\
  - name: each
    asset: {pipeline: papers, stage: read}
    job_id: "report-{job_id}"
"""
STANDING = "  - name: all\n    asset: {pipeline: papers, stage: read}\n"
REACHED = """\
  - name: reached
    ledger: {pipeline: papers, condition: CONDITION}
    job_id: "report-{job_id}"
"""


class Upstream:
    """A ledger on a clock, and what another pipeline does there."""

    def __init__(self, triggers: str) -> None:
        self.clock = FakeClock()
        self.ledger = JobLedger.connect("sqlite://", clock=self.clock)
        self.pipeline: PipelinePlan = plan_of(triggers)
        self.trigger: PlannedTrigger = self.pipeline.triggers[0]
        self.runs = 0
        self.look()

    def finish(self, job_id: str, ago: float = 0.0) -> None:
        """Let the stage finish, its row be written so many seconds ago and seen only now."""
        self.runs += 1
        now = self.clock.now
        self.clock.now = now - timedelta(seconds=ago)
        key = JobKey("papers", job_id)
        self.ledger.jobs.ensure(key, actor="ann")
        LedgerRun(self.ledger, key, ("read",), f"r{self.runs}", job_name="papers").finish()
        self.clock.now = now

    def set(self, job_id: str, **fields: object) -> None:
        key = JobKey("papers", job_id)
        self.ledger.jobs.ensure(key, actor="ann")
        self.ledger.jobs.set_fields(key, fields, actor="ann")

    def look(self) -> Look:
        self.clock.advance(5)
        written = self.trigger.definition
        if written.asset is not None:
            return look_at_stage(self.ledger, self.pipeline, self.trigger, written.asset, self.clock.now)
        assert written.ledger is not None
        return look_at_fields(self.ledger, self.pipeline, self.trigger, written.ledger, self.clock.now)

    def called(self) -> list[str]:
        """Look; return the jobs that were asked for."""
        return [item.job_id for item in self.look().fired]

    def run(self, job_id: str) -> None:
        """Carry out a job that was asked for."""
        key = JobKey("report", job_id)
        (phase,) = self.ledger.phases.of_job(key)
        self.runs += 1
        run = LedgerRun(
            self.ledger, key, ("count",), f"r{self.runs}", attempt=phase.attempt, job_name="report"
        )
        run.start()
        self.ledger.phases.begin(key, "report", run.identity)
        run.finish()


def test_what_was_before_the_first_look_calls_for_nothing() -> None:
    upstream = Upstream(EACH)
    upstream.finish("old")
    again = Upstream.__new__(Upstream)
    again.__dict__ = {**upstream.__dict__, "pipeline": plan_of(EACH.replace("each", "later"))}
    again.trigger = again.pipeline.triggers[0]

    assert again.called() == []
    assert again.called() == []
    again.finish("new")
    assert again.called() == ["report-new"]


def test_each_job_of_the_other_pipeline_has_one_here_and_runs_again_when_that_does() -> None:
    upstream = Upstream(EACH)
    upstream.finish("a")
    upstream.finish("b")

    assert upstream.called() == ["report-a", "report-b"]
    assert upstream.called() == []
    for job in ("report-a", "report-b"):
        upstream.run(job)
    upstream.finish("a")
    (fired,) = upstream.look().fired
    assert (fired.job_id, fired.outcome) == ("report-a", "started again")
    assert fired.reason == "papers/a: stage read finished"


def test_one_job_for_all_is_asked_for_once_and_again_when_it_has_ended() -> None:
    upstream = Upstream(STANDING)
    for job in "abcde":
        upstream.finish(job)

    (fired,) = upstream.look().fired
    assert (fired.job_id, fired.outcome) == ("report-all", "submitted")
    assert fired.reason.endswith("papers/c: stage read finished; and 2 more")

    key = JobKey("report", "report-all")
    (phase,) = upstream.ledger.phases.of_job(key)
    run = LedgerRun(upstream.ledger, key, ("count",), "own", attempt=phase.attempt, job_name="report")
    run.start()
    upstream.ledger.phases.begin(key, "report", run.identity)
    run.begin("count")
    upstream.finish("f")
    assert [item.outcome for item in upstream.look().fired] == ["busy"]
    assert [item.outcome for item in upstream.look().fired] == ["busy"]
    run.end("count")
    assert [item.outcome for item in upstream.look().fired] == ["started again"]
    assert upstream.called() == []


events = st.lists(
    st.tuples(st.sampled_from("abc"), st.floats(0, 500), st.booleans()), min_size=1, max_size=12
)


@given(events)
@settings(max_examples=25, deadline=None)
def test_no_finished_stage_is_lost_however_late_it_comes_to_be_seen(
    happened: list[tuple[str, float, bool]],
) -> None:
    upstream = Upstream(EACH)
    asked: Counter[str] = Counter()
    unseen: set[str] = set()

    def look() -> None:
        for job_id in upstream.called():
            asked[job_id] += 1
            upstream.run(job_id)

    expected: Counter[str] = Counter()
    for number, (job, ago, looks) in enumerate(happened):
        # A job of its own for each, so that none is taken for a later one of the same job.
        name = f"{job}{number}"
        upstream.finish(name, ago)
        expected[f"report-{name}"] += 1
        unseen.add(name)
        if looks:
            look()
    look()

    assert asked == expected


def test_more_events_than_one_look_takes_are_taken_by_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstream_looks, "EVENTS_PER_LOOK", 2)
    upstream = Upstream(EACH)
    for number in range(5):
        upstream.finish(f"j{number}")

    looked = [upstream.called() for _ in range(4)]

    assert [len(jobs) for jobs in looked] == [2, 2, 1, 0]
    assert [job for jobs in looked for job in jobs] == [f"report-j{number}" for number in range(5)]


def condition(text: str) -> Upstream:
    return Upstream(REACHED.replace("CONDITION", text))


def test_a_condition_calls_when_it_comes_to_hold_and_again_when_it_does_so_again() -> None:
    upstream = condition("{field: ready, equals: true}")

    looked = []
    for value in (False, True, True, False, True):
        upstream.set("a", ready=value, other=str(upstream.clock.now))
        looked.append(upstream.called())
        if looked[-1]:
            upstream.run("report-a")

    assert looked == [[], ["report-a"], [], [], ["report-a"]]


def test_a_condition_on_changes_calls_at_each() -> None:
    upstream = condition("{clauses: [{field: pages, operator: changed}]}")

    looked = []
    for value in (1, 2, 2, 3):
        upstream.set("a", pages=value, other=str(upstream.clock.now))
        looked.append(bool(upstream.called()))
        if looked[-1]:
            upstream.run("report-a")

    assert looked == [False, True, False, True]


def test_jobs_that_fulfil_a_condition_at_the_first_look_do_not_call_later() -> None:
    upstream = condition("{field: ready, equals: true}")
    upstream.set("a", ready=True)
    later = Upstream.__new__(Upstream)
    later.__dict__ = {**upstream.__dict__}
    later.pipeline = plan_of(
        REACHED.replace("reached", "later").replace("CONDITION", "{field: ready, equals: true}")
    )
    later.trigger = later.pipeline.triggers[0]

    assert later.called() == []
    later.clock.advance(86_400)
    later.set("a", other=1)
    assert later.called() == []


def test_a_job_whose_fields_cannot_be_read_is_told_of_once_and_stops_nobody() -> None:
    upstream = condition("{field: ready, equals: true}")
    upstream.set("bad", ready=False)
    upstream.set("good", ready=True)
    with upstream.ledger._database.writing() as connection:
        connection.exec_driver_sql("DROP TRIGGER ledger_jobs_check_fields")
        connection.exec_driver_sql("UPDATE ledger_jobs SET fields = '[' WHERE job_id = 'bad'")

    look = upstream.look()

    assert [item.job_id for item in look.fired] == ["report-good"]
    assert len(look.problems) == 1
    assert look.problems[0].startswith("papers/bad: column 'fields'")
    assert upstream.look().problems == ()


def test_a_clock_that_was_ahead_hides_nothing() -> None:
    upstream = Upstream(EACH)
    upstream.finish("ahead", ago=-86_400)
    assert upstream.called() == ["report-ahead"]

    upstream.finish("now")

    assert upstream.called() == ["report-now"]
    assert upstream.called() == []


def test_what_a_trigger_did_is_told_by_the_ledger() -> None:
    upstream = Upstream(EACH)
    state = upstream.ledger.triggers.find(TriggerKey("report", "each"))
    assert state is not None
    assert (state.outcome, state.reason) == (
        "nothing",
        "It has begun to look; what was before calls for nothing.",
    )

    upstream.finish("a")
    upstream.called()

    state = upstream.ledger.triggers.find(TriggerKey("report", "each"))
    assert state is not None
    assert (state.outcome, state.job_id) == ("submitted", "report-a")
