"""What people and programs outside write in SQL is recorded, and counts like what this package writes."""

from collections.abc import Callable
from typing import Any

import pytest

from medkg_dagster.errors import LedgerError
from medkg_dagster.ledger import JobKey, JobLedger, PhaseStatus, Review
from medkg_dagster_tests.docs.markdown import code_blocks
from medkg_dagster_tests.ledger.conftest import FakeClock
from medkg_dagster_tests.ledger.gated_jobs import PIPELINE, GatedJob, gate

Sql = Callable[[str], None]

SET_FIELD = {
    "sqlite": "UPDATE ledger_jobs SET fields = json_set(fields, '$.ready', json('true')) WHERE job_id = 'j1'",
    "postgresql": (
        "UPDATE ledger_jobs SET fields = jsonb_set(fields::jsonb, '{ready}', 'true') WHERE job_id = 'j1'"
    ),
}


@pytest.fixture
def job(timed: JobLedger, clock: FakeClock) -> GatedJob:
    """A job that waits at its gate."""
    gated = GatedJob(timed, clock)
    gated.submit()
    gated.arrive()
    return gated


@pytest.fixture
def sql(timed: JobLedger) -> Sql:
    """Runs a statement as an outsider does, who knows nothing of this package."""

    def run(statement: str) -> None:
        with timed._database.writing() as connection:
            connection.exec_driver_sql(statement)

    return run


@pytest.fixture
def set_ready(timed: JobLedger, sql: Sql) -> Callable[[], None]:
    """Sets the field `ready` of the job in SQL."""
    with timed._database.reading() as connection:
        statement = SET_FIELD[connection.dialect.name]
    return lambda: sql(statement)


DOCUMENTED = {"sqlite": "sql", "postgresql": "pgsql"}


@pytest.mark.parametrize("fields", ["{}", '{"review":{"pages":3}}', '{"review":{"approved":"no"}}'])
def test_the_statement_of_the_guide_opens_a_gate(
    timed: JobLedger, clock: FakeClock, sql: Sql, fields: str
) -> None:
    with timed._database.reading() as connection:
        language = DOCUMENTED[connection.dialect.name]
    (statement,) = (block.text for block in code_blocks(language) if "UPDATE ledger_jobs" in block.text)
    job = GatedJob(timed, clock, gate(field="review.approved"), "spring")
    job.submit()
    job.arrive()
    sql(write(fields).replace("j1", "spring"))
    assert job.review().opened == 0

    sql(statement.replace("'reviewed'", f"'{PIPELINE}'"))

    assert job.review().opened == 1
    assert job.job.fields["review"]["approved"] is True


def write(value: str) -> str:
    return f"UPDATE ledger_jobs SET fields = '{value}' WHERE job_id = 'j1'"


def test_a_field_set_in_sql_opens_the_gate_at_the_next_look(
    job: GatedJob, set_ready: Callable[[], None]
) -> None:
    assert job.review() == Review(0, 0, 0)
    set_ready()

    assert job.review() == Review(1, 1, 0)
    assert job.phase.opened_by is not None
    assert job.phase.opened_by.startswith("sql")
    assert job.phase.status is PhaseStatus.DUE


def test_a_change_in_sql_is_recorded_with_both_versions_and_the_time(
    job: GatedJob, set_ready: Callable[[], None]
) -> None:
    job.set(3, path="pages")
    before = job.job.updated_at
    set_ready()

    last = job.ledger.jobs.history(JobKey(PIPELINE, "j1"))[-1]
    assert (last.field, last.old, last.new) == ("fields", {"pages": 3}, {"pages": 3, "ready": True})
    assert last.actor.startswith("sql")
    assert len(last.at) == len(before)
    assert job.job.updated_at == last.at > before


def test_who_set_the_field_is_told_apart_from_who_changed_others_in_sql(job: GatedJob, sql: Sql) -> None:
    job.set(by="ocr")
    sql(write('{"ready": true, "pages": 4}'))
    job.review()

    assert job.phase.opened_by == "ocr"


def test_a_field_set_through_this_package_is_recorded_once(job: GatedJob) -> None:
    job.set(by="ocr")

    assert [(item.field, item.actor) for item in job.ledger.jobs.history(JobKey(PIPELINE, "j1"))][-1] == (
        "ready",
        "ocr",
    )
    assert "fields" not in {item.field for item in job.ledger.jobs.history(JobKey(PIPELINE, "j1"))}


def test_writing_the_fields_as_they_are_changes_nothing(job: GatedJob, sql: Sql) -> None:
    job.set(1)
    job.review()
    length = len(job.ledger.jobs.history(JobKey(PIPELINE, "j1")))
    sql("UPDATE ledger_jobs SET fields = fields")

    assert job.review() == Review(0, 0, 0)
    assert len(job.ledger.jobs.history(JobKey(PIPELINE, "j1"))) == length


@pytest.mark.parametrize(
    "value", ["", "not json", '{"ready": true', "[true]", "true", "null", '"ready"', "7", "{ready: true}"]
)
def test_sql_that_writes_no_json_object_is_refused_and_writes_nothing(
    job: GatedJob, sql: Sql, value: str
) -> None:
    job.set(1)
    before = job.job

    with pytest.raises(LedgerError):
        sql(write(value))

    assert job.job == before
    assert job.review() == Review(1, 0, 0)


@pytest.mark.usefixtures("job")
def test_sql_that_writes_null_is_refused(sql: Sql) -> None:
    with pytest.raises(LedgerError):
        sql("UPDATE ledger_jobs SET fields = NULL WHERE job_id = 'j1'")


def test_a_statement_over_many_jobs_stirs_and_records_each_of_them(
    timed: JobLedger, clock: FakeClock, sql: Sql
) -> None:
    jobs = [GatedJob(timed, clock, job_id=f"j{number}") for number in range(3)]
    for one in jobs:
        one.submit()
        one.arrive()
    sql("UPDATE ledger_jobs SET fields = '{\"ready\": true}'")
    clock.advance(2)

    assert timed.gates.review(PIPELINE, gate()) == Review(3, 3, 0)
    assert [timed.jobs.history(JobKey(PIPELINE, one.job_id))[-2].field for one in jobs] == ["fields"] * 3


def test_other_columns_changed_in_sql_stir_nothing(job: GatedJob, sql: Sql) -> None:
    sql("UPDATE ledger_jobs SET error = 'looked at'")

    assert job.review() == Review(0, 0, 0)


def test_a_change_in_sql_after_a_change_here_is_seen_by_the_next_change_here(job: GatedJob, sql: Sql) -> None:
    job.set(1, path="pages")
    sql(write('{"pages": 2}'))
    job.set("x", path="language")

    fields: dict[str, Any] = dict(job.job.fields)
    assert fields == {"pages": 2, "language": "x"}


def test_an_escaped_nul_that_a_stage_wrote_stays_readable_after_a_change(job: GatedJob) -> None:
    job.set("\x00 and \udc80", path="title")
    job.set(True)

    assert job.job.fields == {"title": "\x00 and \\udc80", "ready": True}
    assert job.review().opened == 1


def test_a_number_beyond_all_floats_does_not_keep_others_from_being_looked_at(
    job: GatedJob, sql: Sql
) -> None:
    sql(write('{"ready": 1e999}'))
    assert job.review() == Review(1, 0, 0)

    job.set(True)

    assert job.review() == Review(1, 1, 0)
