import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import create_engine, inspect, text
from sqlalchemy.exc import DBAPIError

from medkg_dagster.domain.gate_conditions import GateClause, GateCondition
from medkg_dagster.errors import LedgerError
from medkg_dagster.io.sql import Database, sqlite_url
from medkg_dagster.ledger import (
    LEDGER_FILE,
    GateRule,
    JobKey,
    JobLedger,
    PhaseStatus,
    Registration,
    RunIdentity,
)
from medkg_dagster.ledger.database import ledger_kind
from medkg_dagster.ledger.schema import METADATA

OLD_ROWS = {
    "ledger_jobs": """'auto', 'old', 'succeeded', NULL, '{"adapter"\\:"files"}', '{"pages"\\:3}',
        2, NULL, 't', 't'""",
    "ledger_history": "1000, 'auto', 'old', 'pages', NULL, '3', 'me', 't', NULL",
    "ledger_document_outcomes": "1, 'auto', 'old', 'parse', 'PMID:9', 'DocumentError', 'm', '', 't'",
    "ledger_stage_runs": """'auto', 'old', 'parse', 'finished', 'r0', 2, '{"document"\\:2}',
        2, 1, NULL, 't', 't'""",
    "ledger_registration_audit": "1, 't', 'plug', '1.0', 'ocr = plug:register', 'registered', 'ocr'",
}
READY = GateClause(field="ready", value=True)


LEDGER = ledger_kind("2026-01-01T00:00:00.000000Z")
CURRENT_VERSION = len(LEDGER.migrations)


def open_version(address: str | Path, version: int) -> Database:
    return Database(replace(LEDGER, migrations=LEDGER.migrations[:version], anew=None), address)


def test_the_migrated_tables_are_those_that_are_queried(tmp_path: Path) -> None:
    JobLedger.open(tmp_path).close()
    engine = create_engine(sqlite_url(tmp_path / LEDGER_FILE))
    tables = inspect(engine)
    assert set(tables.get_table_names()) == set(METADATA.tables)
    for name, table in METADATA.tables.items():
        found = {(column["name"], column["nullable"]) for column in tables.get_columns(name)}
        assert found == {(column.name, bool(column.nullable)) for column in table.columns}
    engine.dispose()


def test_a_new_ledger_is_what_the_migrations_make_one_after_the_other(tmp_path: Path) -> None:
    files = (tmp_path / "new.sqlite", tmp_path / "migrated.sqlite")
    Database(LEDGER, files[0]).close()
    open_version(files[1], CURRENT_VERSION).close()

    new, migrated = map(contents, files)

    assert new["ledger_jobs"]
    assert new == migrated


def contents(file: Path) -> dict[str, object]:
    """Return columns and rows of each table, and the statements that made each index and trigger."""
    with closing(sqlite3.connect(file)) as opened:
        parts = opened.execute("SELECT name, type, sql FROM sqlite_master").fetchall()
        return {
            name: (
                opened.execute(f"PRAGMA table_xinfo({name})").fetchall(),
                [*opened.execute(f"SELECT * FROM {name}")],
            )
            if kind == "table"
            else statement
            for name, kind, statement in parts
        }


@pytest.mark.parametrize("version", range(1, CURRENT_VERSION))
def test_an_older_ledger_is_migrated_and_keeps_its_rows(tmp_path: Path, version: int) -> None:
    file = tmp_path / LEDGER_FILE
    open_version(file, version).close()
    with closing(sqlite3.connect(file)) as old, old:
        old.execute(
            "INSERT INTO ledger_jobs (pipeline, job_id, status, phase, request, fields, attempts, error, "
            "created_at, updated_at) "
            "VALUES ('auto', 'default', 'waiting', NULL, '{}', '{\"a\":1}', 2, NULL, 't', 't')"
        )
        old.execute(
            "INSERT INTO ledger_history (pipeline, job_id, field, new, actor, at) "
            "VALUES ('auto', 'default', 'a', '1', 'me', 't')"
        )
    with JobLedger.open(tmp_path) as ledger:
        assert ledger.jobs.get(JobKey("auto", "default")).fields == {"a": 1}
        assert ledger.jobs.history(JobKey("auto", "default"))[0].new == 1
    with closing(sqlite3.connect(file)) as new:
        versions = [row[0] for row in new.execute("SELECT version FROM ledger_schema ORDER BY version")]
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            new.execute("DELETE FROM ledger_history")
    assert versions == list(range(1, CURRENT_VERSION + 1))


def test_a_ledger_from_before_gates_keeps_all_it_has_and_learns_to_wait(new_url: str) -> None:
    with closing(open_version(new_url, 2)) as old, old.writing() as connection:
        for table, values in OLD_ROWS.items():
            connection.execute(text(f"INSERT INTO {table} VALUES ({values})"))

    with JobLedger.connect(new_url) as ledger:
        job = ledger.jobs.get(JobKey("auto", "old"))
        assert (job.request, job.fields, job.attempts) == ({"adapter": "files"}, {"pages": 3}, 2)
        assert [(entry.field, entry.new) for entry in ledger.jobs.history(JobKey("auto", "old"))] == [
            ("pages", 3)
        ]
        assert [run.counts for run in ledger.stage_runs.of_job(JobKey("auto", "old"))] == [{"document": 2}]
        assert [outcome.document_id for outcome in ledger.stage_runs.outcomes(JobKey("auto", "old"))] == [
            "PMID:9"
        ]
        assert [entry.distribution for entry in ledger.registrations.list()] == ["plug"]
        assert ledger.phases.of_job(JobKey("auto", "old")) == ()
        ledger.jobs.set_fields(JobKey("auto", "old"), {"ready": True}, actor="me")
        rule = GateRule("auto__after_ready", "ready", GateCondition(clauses=(READY,)))
        phase = ledger.gates.arrive(JobKey("auto", "old"), rule, RunIdentity("r1"))
    assert (phase.status, phase.opened_by) == (PhaseStatus.DUE, "me")


def test_a_newer_ledger_is_refused_with_the_way_out(tmp_path: Path) -> None:
    file = tmp_path / LEDGER_FILE
    JobLedger.open(tmp_path).close()
    with closing(sqlite3.connect(file)) as newer, newer:
        newer.execute("INSERT INTO ledger_schema VALUES (99, 't')")
    with pytest.raises(LedgerError, match=r"newer release \(schema 99.*upgrade medkg-dagster"):
        JobLedger.open(tmp_path)


@pytest.mark.parametrize("content", [b"this is no database at all " * 100, b"%PDF-1.7" + bytes(5000)])
def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / LEDGER_FILE
    file.write_bytes(content)
    with pytest.raises(LedgerError, match=r"ledger\.sqlite: file is not a database.*restore a backup"):
        JobLedger.open(tmp_path)
    assert file.read_bytes() == content


def test_a_damaged_database_is_refused(tmp_path: Path) -> None:
    with JobLedger.open(tmp_path) as ledger:
        for number in range(200):
            ledger.jobs.ensure(JobKey("auto", f"job-{number}"), {"text": "x" * 400}, actor="x")
    file = tmp_path / LEDGER_FILE
    content = bytearray(file.read_bytes())
    for start in range(4096, len(content) - 4096, 4096):
        content[start : start + 64] = b"\xff" * 64
    file.write_bytes(content)
    with (
        pytest.raises(LedgerError, match=r"malformed; the file is damaged"),
        JobLedger.open(tmp_path) as ledger,
    ):
        ledger.jobs.list(limit=1000)


def test_a_database_with_strange_tables_of_our_names_is_refused(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / LEDGER_FILE)) as other, other:
        other.execute("CREATE TABLE ledger_jobs (id INTEGER)")
    with pytest.raises(LedgerError, match="has a table ledger_jobs but no ledger_schema"):
        JobLedger.open(tmp_path)


def test_a_home_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(LedgerError, match=r"file/home.*choose another MEDKG_HOME"):
        JobLedger.open(tmp_path / "file" / "home")


def test_a_home_may_have_any_name(tmp_path: Path) -> None:
    home = tmp_path / "a home?mode=ro #1 ö%20"
    JobLedger.open(home).close()
    assert (home / LEDGER_FILE).is_file()


def test_sqlite_is_in_wal_mode_and_synced_normally(tmp_path: Path) -> None:
    with JobLedger.open(tmp_path) as ledger, ledger._database.reading() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 1


@pytest.mark.parametrize("table", ["ledger_history", "ledger_registration_audit"])
@pytest.mark.parametrize("change", ["UPDATE {} SET at = 'never'", "DELETE FROM {}"])
def test_history_and_audit_refuse_changes(ledger: JobLedger, table: str, change: str) -> None:
    ledger.jobs.ensure(JobKey("auto", "default"), actor="x")
    ledger.registrations.record([Registration("d", "1", "e", "registered")])
    with pytest.raises(LedgerError, match="is append-only"), ledger._database.writing() as connection:
        connection.exec_driver_sql(change.format(table))


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:s3cret@127.0.0.1:1/none",
        "postgresql://me@127.0.0.1:1/none?password=s3cret",
        "postgresql://me:s3cret@[bad",
        "mysql://me:s3cret@localhost/none",
        "nosuch+driver://me:s3cret@localhost/none",
        "s3cret",
    ],
)
def test_passwords_are_never_shown(url: str) -> None:
    with pytest.raises(LedgerError) as caught:
        JobLedger.connect(url)
    shown = str(caught.value)
    cause = caught.value.__cause__
    assert "s3cret" not in shown
    assert "s3cret" not in str(cause)
    assert isinstance(cause, DBAPIError | None)


def test_other_databases_are_refused_by_name() -> None:
    with pytest.raises(LedgerError, match="is one of mysql, but the ledger speaks SQLite and PostgreSQL"):
        JobLedger.connect("mysql://localhost/x")


def test_importing_the_ledger_does_not_import_sqlalchemy() -> None:
    code = (
        "import sys, json, medkg_dagster.ledger\n"
        "print(json.dumps([name in sys.modules for name in ('sqlalchemy', 'dagster')]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [False, False]
