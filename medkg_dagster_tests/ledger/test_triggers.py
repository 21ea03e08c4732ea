"""What triggers ask for, and how far they have come: one change, taken by one of those who look at once."""

from __future__ import annotations

import threading

import pytest

from medkg_dagster.errors import ConfigError
from medkg_dagster.ledger import (
    Firing,
    JobKey,
    JobLedger,
    JobStatus,
    PhaseStatus,
    TriggerItem,
    TriggerKey,
    TriggerOutcome,
    TriggerStep,
)
from medkg_dagster.ledger.statements import trigger_rows
from medkg_dagster_tests.ledger.stage_histories import LedgerRun

KEY = TriggerKey("trials", "nightly")
JOB = JobKey("trials", "standing")
FIRST = "trials"


def step(seen: str | None, handled: str, *jobs: str, request: dict[str, str] | None = None) -> TriggerStep:
    firings = tuple(Firing(f"{handled}/{job}", job, request or {}, f"due at {handled}") for job in jobs)
    return TriggerStep(seen, handled, firings)


def take(ledger: JobLedger, taken: TriggerStep) -> list[TriggerOutcome]:
    return [item.outcome for item in ledger.triggers.take(KEY, "schedule", FIRST, taken)]


def run_to_the_end(ledger: JobLedger, *, fail: bool = False) -> None:
    (phase,) = ledger.phases.of_job(JOB)
    run = LedgerRun(ledger, JOB, ("ingest",), f"r{phase.attempt}", attempt=phase.attempt, job_name=FIRST)
    run.start()
    ledger.phases.begin(JOB, FIRST, run.identity)
    if fail:
        run.fail("ingest")
    else:
        run.finish()


def test_a_job_that_is_asked_for_is_due_and_its_history_names_the_trigger(ledger: JobLedger) -> None:
    assert take(ledger, step(None, "6", "standing", request={"adapter": "files"})) == ["submitted"]

    assert ledger.jobs.get(JOB).request == {"adapter": "files"}
    assert [phase.status for phase in ledger.phases.of_job(JOB)] == [PhaseStatus.DUE]
    (entry,) = ledger.jobs.history(JOB)
    assert (entry.actor, entry.new, entry.reason) == ("trigger nightly", "submitted", "due at 6")
    state = ledger.triggers.find(KEY)
    assert state is not None
    assert (state.handled, state.outcome, state.job_id) == ("6", "submitted", "standing")


@pytest.mark.parametrize("fail", [False, True], ids=["succeeded", "failed"])
def test_a_job_that_has_ended_runs_again(ledger: JobLedger, fail: bool) -> None:
    take(ledger, step(None, "6", "standing"))
    run_to_the_end(ledger, fail=fail)

    assert take(ledger, step("6", "7", "standing")) == ["started again"]

    (phase,) = ledger.phases.of_job(JOB)
    assert (phase.status, phase.attempt) == (PhaseStatus.DUE, 2)
    assert ledger.jobs.get(JOB).status is JobStatus.SUBMITTED
    assert ledger.jobs.history(JOB)[-1].actor == "trigger nightly"
    run_to_the_end(ledger)
    assert ledger.jobs.get(JOB).status is JobStatus.SUCCEEDED


def begin(ledger: JobLedger) -> LedgerRun:
    run = LedgerRun(ledger, JOB, ("ingest",), "r1", attempt=1, job_name=FIRST)
    run.start()
    ledger.phases.begin(JOB, FIRST, run.identity)
    run.begin("ingest")
    return run


def test_a_job_that_has_yet_to_begin_works_on_this_too(ledger: JobLedger) -> None:
    take(ledger, step(None, "6", "standing"))

    assert take(ledger, step("6", "7", "standing")) == ["joined"]

    assert [phase.attempt for phase in ledger.phases.of_job(JOB)] == [1]


def test_a_job_that_is_at_work_is_asked_for_again_where_what_calls_for_it_must_not_be_lost(
    ledger: JobLedger,
) -> None:
    take(ledger, step(None, "2", "standing"))
    run = begin(ledger)
    firing = Firing("change", "standing", {}, "a change", {"x": TriggerItem("2")}, since="3")
    change = TriggerStep("2", "5", (firing,), items={"y": TriggerItem("1")})

    assert take(ledger, change) == ["busy"]
    state = ledger.triggers.find(KEY)
    assert state is not None
    assert (state.handled, set(ledger.triggers.items(KEY))) == ("3", {"y"})

    run.end("ingest")
    assert take(ledger, TriggerStep("3", "5", (firing,))) == ["started again"]
    state = ledger.triggers.find(KEY)
    assert state is not None
    assert (state.handled, ledger.triggers.items(KEY)["x"]) == ("5", TriggerItem("2"))


def test_what_is_no_more_is_forgotten(ledger: JobLedger) -> None:
    take(ledger, TriggerStep(None, "1", items={"x": TriggerItem("1"), "y": TriggerItem("1", "seen")}))
    take(ledger, TriggerStep("1", "2", items={"x": None}))

    assert ledger.triggers.items(KEY) == {"y": TriggerItem("1", "seen")}


def test_a_job_that_has_not_ended_is_left_alone_and_that_is_remembered(ledger: JobLedger) -> None:
    take(ledger, step(None, "6", "standing"))
    begin(ledger)

    assert take(ledger, step("6", "7", "standing")) == ["busy"]

    assert [phase.attempt for phase in ledger.phases.of_job(JOB)] == [1]
    assert [(item.occasion, item.outcome) for item in ledger.triggers.fired(KEY)] == [
        ("7/standing", "busy"),
        ("6/standing", "submitted"),
    ]


def test_a_job_of_another_request_is_refused_and_says_the_way_out(ledger: JobLedger) -> None:
    ledger.jobs.ensure(JOB, {"adapter": "files"}, actor="ann")

    assert take(ledger, step(None, "6", "standing")) == ["refused"]

    state = ledger.triggers.find(KEY)
    assert state is not None
    assert "`medkg ledger remove trials/standing`" in state.reason
    assert ledger.phases.of_job(JOB) == ()


def test_a_step_is_taken_once(ledger: JobLedger) -> None:
    assert take(ledger, step(None, "6", "standing")) == ["submitted"]

    assert take(ledger, step(None, "6", "standing")) == []
    assert take(ledger, step(None, "7", "other")) == []
    assert len(ledger.jobs.list()) == 1


def test_an_occasion_calls_once_whatever_became_of_the_rest(ledger: JobLedger) -> None:
    take(ledger, step(None, "6", "standing"))

    # As where a clock that was ahead is put right.
    assert take(ledger, TriggerStep("6", "5", step(None, "6", "standing", "other").firings)) == ["submitted"]

    assert {job.job_id for job in ledger.jobs.list()} == {"standing", "other"}


def test_of_those_who_look_at_once_one_asks(url: str) -> None:
    JobLedger.connect(url).close()
    barrier = threading.Barrier(4)
    taken: list[int] = []

    def look() -> None:
        with JobLedger.connect(url) as ledger:
            barrier.wait()
            taken.append(len(take(ledger, step(None, "6", "standing", "other"))))

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(taken) == [0, 0, 0, 2]


@pytest.mark.parametrize("killed_at", ["add_fired", "put_state"])
def test_what_is_killed_has_asked_for_nothing_and_the_next_asks_for_all(
    ledger: JobLedger, monkeypatch: pytest.MonkeyPatch, killed_at: str
) -> None:
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    wanted = step(None, "6", "standing", "other")
    with monkeypatch.context() as patch:
        patch.setattr(trigger_rows, killed_at, die)
        with pytest.raises(KeyboardInterrupt):
            take(ledger, wanted)
    assert (ledger.jobs.list(), ledger.triggers.list()) == ((), ())

    assert take(ledger, wanted) == ["submitted", "submitted"]


def test_an_id_that_no_job_can_have_stops_the_whole_step(ledger: JobLedger) -> None:
    with pytest.raises(ConfigError, match="cannot be used"):
        take(ledger, step(None, "6", "standing", "a/b"))

    assert ledger.jobs.list() == ()


def test_what_another_pipeline_did_is_found_until_it_is_dealt_with(ledger: JobLedger) -> None:
    for job_id in ("a", "b"):
        key = JobKey("papers", job_id)
        ledger.jobs.ensure(key, actor="ann")
        ledger.jobs.set_fields(key, {"ready": True}, actor="ann")
        LedgerRun(ledger, key, ("read",), f"r-{job_id}").finish()

    ended = ledger.triggers.ended_stages(KEY, "papers", "read", "")
    changed = ledger.triggers.changed_jobs(KEY, "papers", "")

    assert [item.job_id for item in ended] == [item.job_id for item in changed] == ["a", "b"]
    assert [item.fields for item in changed] == [{"ready": True}] * 2
    assert ledger.triggers.ended_stages(KEY, "papers", "read", ended[1].at, 1) == [ended[1]]
    assert ledger.triggers.ended_stages(KEY, "papers", "other", "") == []

    take(ledger, TriggerStep(None, "1", items={"a": TriggerItem(ended[0].version)}))
    assert ledger.triggers.ended_stages(KEY, "papers", "read", "") == [ended[1]]
    take(ledger, TriggerStep("1", "2", items={"a": TriggerItem(changed[0].version, "seen")}))
    (again,) = ledger.triggers.changed_jobs(KEY, "papers", "")
    assert again.job_id == "b"


def test_what_was_asked_for_long_ago_is_forgotten_where_the_trigger_has_come_past_it(
    ledger: JobLedger,
) -> None:
    take(ledger, step(None, "2000-01-01", "first"))
    (fired,) = ledger.triggers.fired(KEY)
    assert ledger.triggers.forget_fired("2999-01-01") == 0, "it stands before that, and may come to it again"
    take(ledger, step("2000-01-01", "2999-01-01", "second"))

    assert ledger.triggers.forget_fired(fired.at) == 0
    assert ledger.triggers.forget_fired("2999-01-01", is_dry=True) == 2
    assert len(ledger.triggers.fired(KEY)) == 2
    assert ledger.triggers.forget_fired("2999-01-01") == 2
    assert ledger.triggers.fired(KEY) == ()
    assert {job.job_id for job in ledger.jobs.list()} == {"first", "second"}
