"""What one job holds, or what a clock that was ahead has written, keeps no other job from going on."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from medkg_dagster.errors import LedgerError
from medkg_dagster.ledger import JobKey, JobLedger, JobStatus, PhaseStatus, RunIdentity, RunStatus
from medkg_dagster.ledger.encoding import MAX_CHARACTERS, MAX_DEPTH
from medkg_dagster.ledger.schema import METADATA
from medkg_dagster_tests.ledger.conftest import FakeClock
from medkg_dagster_tests.ledger.gated_jobs import BEHIND, FIRST, PIPELINE, TIMEOUT, GatedJob, gate
from medkg_dagster_tests.ledger.stage_histories import LedgerRun

Sql = Callable[[str], None]

BAD = JobKey(PIPELINE, "bad")
DEEP = '{"ready":' * 900 + "true" + "}" * 900
UNREADABLE = {
    "fields nested 900 deep": f"UPDATE ledger_jobs SET fields = '{DEEP}'",
    "fields longer than a column may be": (
        f"""UPDATE ledger_jobs SET fields = '{{"ready":"{"x" * MAX_CHARACTERS}"}}'"""
    ),
    "a number of 5,000 digits": f"""UPDATE ledger_jobs SET fields = '{{"ready":{"9" * 5000}}}'""",
    "a request that is no JSON": "UPDATE ledger_jobs SET request = 'no JSON', fields = '{\"ready\":1}'",
    "a request that is no object": "UPDATE ledger_jobs SET request = '[]', fields = '{\"ready\":1}'",
    "a status that there is not": "UPDATE ledger_jobs SET status = 'tired', fields = '{\"ready\":1}'",
    "no row": "DELETE FROM ledger_jobs",
}


@pytest.fixture
def sql(timed: JobLedger) -> Sql:
    """Runs a statement on the rows of the job `bad`, as an outsider does."""

    def run(statement: str) -> None:
        with timed._database.writing() as connection:
            connection.exec_driver_sql(f"{statement} WHERE job_id = 'bad'")

    return run


@pytest.fixture
def jobs(timed: JobLedger, clock: FakeClock) -> dict[str, GatedJob]:
    """Jobs that wait at one gate."""
    jobs = {name: GatedJob(timed, clock, job_id=name) for name in ("bad", "good", "late")}
    for job in jobs.values():
        job.submit()
        job.arrive()
    return jobs


def status(ledger: JobLedger, phase: str = BEHIND) -> dict[str, PhaseStatus]:
    return {
        name: item.status
        for name in ("good", "late")
        for item in ledger.phases.of_job(JobKey(PIPELINE, name))
        if item.phase == phase
    }


@pytest.mark.parametrize("statement", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_a_job_that_cannot_be_read_is_marked_and_the_others_go_on(
    timed: JobLedger, clock: FakeClock, jobs: dict[str, GatedJob], sql: Sql, statement: str
) -> None:
    sql("UPDATE ledger_phases SET stirred = 1")
    sql(statement)
    jobs["good"].set()
    clock.advance(2)

    review = timed.gates.review(PIPELINE, gate())

    assert (review.opened, list(review.problems)) == (1, ["bad"])
    marked = {item.job_id: item.observed or "" for item in timed.gates.waiting()}
    assert marked["bad"].startswith("cannot be judged: ")
    assert timed.gates.review(PIPELINE, gate()).looked == 0

    clock.advance(TIMEOUT)
    timed.gates.review(PIPELINE, gate())

    assert status(timed) == {"good": PhaseStatus.DUE, "late": PhaseStatus.TIMED_OUT}
    assert not timed.gates.waiting()
    assert {job.job_id for job in timed.jobs.list()} >= {"good", "late"}
    assert [phase.job_id for phase in jobs["good"].take()] == ["good"]


@pytest.mark.parametrize("column", ["decision", "closed_as", "baseline"])
def test_a_phase_that_cannot_be_read_stops_nobody(
    timed: JobLedger, clock: FakeClock, jobs: dict[str, GatedJob], sql: Sql, column: str
) -> None:
    sql(f"UPDATE ledger_phases SET {column} = 'perhaps', stirred = 1")
    jobs["good"].set()
    clock.advance(2)

    assert timed.gates.review(PIPELINE, gate()).opened == 1
    assert "perhaps" in str([item.problem for item in timed.gates.waiting()]) or column == "baseline"
    assert status(timed)["good"] is PhaseStatus.DUE


@pytest.mark.parametrize("table", ["ledger_jobs", "ledger_phases", "ledger_runs", "ledger_stage_runs"])
def test_whatever_stands_in_a_column_is_read_or_refused_in_words_and_stops_nobody(
    timed: JobLedger, clock: FakeClock, jobs: dict[str, GatedJob], table: str
) -> None:
    run = LedgerRun(timed, BAD, ("ingest",), "r1", job_name=FIRST)
    run.start(("ingest",))
    run.begin("ingest")
    named = timed.jobs, timed.runs, timed.phases, timed.stage_runs
    keys = METADATA.tables[table].primary_key.columns.keys()
    with timed._database.reading() as connection:
        before, *_ = connection.exec_driver_sql(f"SELECT * FROM {table} WHERE job_id = 'bad'").mappings()
    for column in {*before}.difference(keys):
        for written in ("perhaps", "", -1, b"\xff\xfe\x00"):
            clock.advance(2)
            with suppress(LedgerError):  # which a trigger or the type of a column refuses
                put(timed, table, {name: before[name] for name in keys}, column, written)
            for look in (named[0].get, named[0].history, *(ledger.of_job for ledger in named[1:])):
                with suppress(LedgerError):
                    str(look(BAD))
            assert {job.job_id for job in timed.jobs.list()} == {"bad", "good", "late"}
            timed.gates.review(PIPELINE, gate())
            with suppress(LedgerError):
                timed.runs.end(BAD, run.identity, RunStatus.FAILED, "killed")
            put(timed, table, {name: before[name] for name in keys}, column, before[column])

    jobs["good"].set()
    clock.advance(2)
    timed.gates.review(PIPELINE, gate())

    assert status(timed)["good"] is PhaseStatus.DUE


def put(ledger: JobLedger, table: str, key: Mapping[str, Any], column: str, value: Any) -> None:
    where = " AND ".join(f"{name} = :{name}" for name in key)
    with ledger._database.writing() as connection:
        connection.execute(
            text(f"UPDATE {table} SET {column} = :value WHERE {where}"), {**key, "value": value}
        )


def test_what_cannot_be_read_is_not_written_over_and_no_run_works_with_it(
    timed: JobLedger, jobs: dict[str, GatedJob], sql: Sql
) -> None:
    sql(UNREADABLE["fields nested 900 deep"])

    with pytest.raises(LedgerError, match=r"papers/bad.*cannot be read.*64 levels.*medkg ledger cancel"):
        jobs["bad"].set(1, path="pages")
    with pytest.raises(LedgerError, match="cannot be read"):
        timed.runs.begin(BAD, RunIdentity("r9", job_name=FIRST))

    assert timed.jobs.get(BAD).status is JobStatus.FAILED
    assert "64 levels" in str(timed.jobs.get(BAD).error)
    assert "64 levels" in str(timed.jobs.history(BAD)[-2:])
    with timed._database.reading() as connection:
        assert connection.exec_driver_sql(
            "SELECT fields FROM ledger_jobs WHERE job_id = 'bad'"
        ).scalar_one() == (DEEP)


TOO_MUCH = r"nested deeper than 64 levels|characters long, more than"


def nested(depth: int) -> Any:
    value: Any = True
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "changes",
    [
        {"ready": nested(MAX_DEPTH + 1)},
        {"ready": nested(100_000)},
        {".".join(["a"] * (MAX_DEPTH + 1)): True},
        {"ready": "x" * MAX_CHARACTERS},
    ],
    ids=["a deep value", "a value deeper than the stack", "a deep path", "a long value"],
)
def test_what_is_too_deep_or_too_long_is_refused_where_it_comes_in(
    timed: JobLedger, jobs: dict[str, GatedJob], changes: dict[str, Any]
) -> None:
    with pytest.raises(LedgerError, match=TOO_MUCH):
        timed.jobs.set_fields(BAD, changes, actor="ann")
    assert jobs["bad"].job.fields == {}


@pytest.mark.parametrize("value", [nested(MAX_DEPTH), nested(100_000), "x" * MAX_CHARACTERS])
def test_so_is_a_request(timed: JobLedger, value: Any) -> None:
    with pytest.raises(LedgerError, match=TOO_MUCH):
        timed.phases.submit(JobKey(PIPELINE, "new"), FIRST, {"params": value}, actor="ann")
    assert not timed.jobs.list()


def test_what_a_clock_that_was_ahead_has_written_holds_for_no_longer_than_it_may(
    timed: JobLedger, clock: FakeClock, jobs: dict[str, GatedJob]
) -> None:
    clock.advance(86_400)
    jobs["good"].review()
    ahead = GatedJob(timed, clock, job_id="ahead")
    ahead.submit()
    ahead.arrive()
    opened = GatedJob(timed, clock, job_id="opened")
    opened.submit()
    opened.arrive()
    opened.approve()
    assert [phase.job_id for phase in opened.take("a starter that is gone")] == ["opened"]
    clock.now -= timedelta(seconds=86_400)
    clock.advance(-10)

    ahead.set(1, path="pages")
    assert ahead.review().looked == 1
    (taken,) = opened.take("another")

    assert (taken.starter, taken.attempt) == ("another", 2)
    clock.advance(TIMEOUT)
    assert ahead.review().timed_out >= 1
    assert ahead.phase.status is PhaseStatus.TIMED_OUT


def test_a_watch_ends_when_somebody_else_writes(url: str) -> None:
    with JobLedger.connect(url) as ledger, JobLedger.connect(url) as other:
        other.phases.submit(BAD, FIRST, {}, actor="ann")
        with ledger.watching() as wait:
            other.phases.plan_work(BAD, "work", actor="ann")
            start = time.monotonic()
            wait(600.0)
            wait(0.01)  # nothing has been written since
    assert time.monotonic() - start < 300.0


def test_jobs_at_a_gate_that_was_renamed_are_moved_to_another(
    timed: JobLedger, clock: FakeClock, jobs: dict[str, GatedJob]
) -> None:
    renamed = gate()
    renamed = type(renamed)("papers__after_signed", "signed", renamed.condition)
    jobs["late"].set()
    ahead = GatedJob(timed, clock, job_id="ahead")
    ahead.submit()
    ahead.approve(reason="read")

    moved = timed.gates.move(PIPELINE, "ready", renamed, job_id=None, actor="ann", reason="renamed")

    assert {phase.job_id: (phase.gate, phase.status) for phase in moved} == {
        "ahead": ("signed", PhaseStatus.EXPECTED),
        "bad": ("signed", PhaseStatus.WAITING),
        "good": ("signed", PhaseStatus.WAITING),
        "late": ("signed", PhaseStatus.DUE),
    }
    assert {phase.gate for phase in timed.phases.open()} - {None} == {"signed"}
    assert jobs["good"].job.phase == "signed"
    assert jobs["good"].gate_history()[-1][1:] == ("moved to signed", "ann")
    jobs["good"].set()
    clock.advance(2)
    assert timed.gates.review(PIPELINE, renamed).opened == 1
    assert timed.gates.move(PIPELINE, "ready", renamed, job_id=None, actor="ann", reason="again") == ()
