"""What `medkg metrics` tells of a ledger."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import Connection
from starlette.testclient import TestClient

from medkg_dagster.domain.gate_conditions import GateClause, GateCondition
from medkg_dagster.domain.payloads import FileRecord, FileStatus
from medkg_dagster.ledger import (
    GateApproach,
    GateDecision,
    GateRule,
    JobKey,
    JobLedger,
    Registration,
    RunStatus,
    StageStatus,
)
from medkg_dagster.ledger.statements import figure_rows
from medkg_dagster.monitoring import exposition as told
from medkg_dagster.monitoring.families import FAMILIES
from medkg_dagster.plugins.events import Refusal
from medkg_dagster.service.metrics import make_metrics_app
from medkg_dagster.settings import Settings
from medkg_dagster.stage_api import QuarantinedDocument
from medkg_dagster_tests.cli.conftest import Medkg
from medkg_dagster_tests.ledger.conftest import FakeClock
from medkg_dagster_tests.ledger.stage_histories import LedgerRun

KEY = JobKey("papers", "spring")
BAD = QuarantinedDocument("PMID:9", "parse", "UnreadableDocumentError", "truncated at byte 7")
RULE = GateRule(
    "papers__after_review", "review", GateCondition(clauses=(GateClause(field="ok", value=True),))
)
PARSE = {"pipeline": "papers", "stage": "parse", "type": "parse", "origin": "built-in"}


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def book(home: Path, clock: FakeClock) -> Iterator[JobLedger]:
    """A ledger with a submitted job."""
    with JobLedger.open(home, clock=clock) as opened:
        opened.jobs.ensure(KEY, actor="test")
        yield opened


def values(medkg: Medkg) -> dict[str, dict[frozenset[tuple[str, str]], float]]:
    """Return what is printed: by name, the value by labels."""
    done = medkg("metrics", "--once")
    assert done.exit_code == 0, done.output
    return parsed(done.output)


def parsed(text: str) -> dict[str, dict[frozenset[tuple[str, str]], float]]:
    found: dict[str, dict[frozenset[tuple[str, str]], float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, {})[frozenset(sample.labels.items())] = sample.value
    return found


def of(labels: dict[str, str], **more: str) -> frozenset[tuple[str, str]]:
    return frozenset({**labels, **more}.items())


def test_every_metric_is_there_with_its_meaning_also_where_nothing_is_yet(medkg: Medkg, home: Path) -> None:
    output = medkg("metrics", "--once").output

    for family in FAMILIES:
        assert f"# HELP {family.shown} {family.help}" in output
        assert f"# TYPE {family.shown} {family.kind}" in output
    assert not home.exists()


def test_runs_of_stages_are_counted_by_type_and_origin(
    medkg: Medkg, book: JobLedger, clock: FakeClock
) -> None:
    run = LedgerRun(book, KEY, ("parse", "chunk"))
    for attempt, fails in enumerate((True, False, False)):
        run.run_id = f"r{attempt}"
        book.stage_runs.begin(KEY, "parse", run.identity, stage_type="parse", origin="built-in")
        clock.advance(10)
        if fails:
            run.stop("parse", StageStatus.FAILED)
        else:
            counts = {"reused": 1, "computed": 2}
            run.end("parse", succeeded=3, quarantined=[BAD], counts=counts)
    book.stage_runs.begin(KEY, "chunk", run.identity, stage_type="chunk", origin="lab-plugin")

    found = values(medkg)

    runs = found["medkg_stage_runs_total"]
    assert (runs[of(PARSE, outcome="failed")], runs[of(PARSE, outcome="finished")]) == (1, 2)
    assert found["medkg_stage_seconds_total"] == {of(PARSE): 30}
    documents = found["medkg_stage_documents_total"]
    assert documents == {of(PARSE, outcome="succeeded"): 6, of(PARSE, outcome="quarantined"): 2}
    memo = found["medkg_stage_memo_total"]
    assert memo == {of(PARSE, outcome="reused"): 2, of(PARSE, outcome="computed"): 4}
    last = found["medkg_stage_last_success_timestamp_seconds"]
    assert last == {of(PARSE): clock.now.timestamp()}
    quarantined = found["medkg_quarantined_documents"]
    assert quarantined == {
        of({"pipeline": "papers", "stage": "parse", "error_class": "UnreadableDocumentError"}): 1
    }


def test_a_stage_whose_process_was_killed_has_failed_once(
    medkg: Medkg, book: JobLedger, clock: FakeClock
) -> None:
    run = LedgerRun(book, KEY, ("parse",))
    run.start()
    book.stage_runs.begin(KEY, "parse", run.identity, stage_type="parse", origin="built-in")
    clock.advance(5)
    for _ in range(2):
        book.runs.end(KEY, run.identity, RunStatus.FAILED, "killed")

    found = values(medkg)

    assert found["medkg_stage_runs_total"][of(PARSE, outcome="failed")] == 1
    assert found["medkg_stage_seconds_total"][of(PARSE)] == 5


def wait_at_gate(book: JobLedger, job_id: str) -> JobKey:
    key = JobKey("papers", job_id)
    book.jobs.ensure(key, actor="test")
    run = LedgerRun(book, key, ("parse",), gates=[GateApproach(RULE, frozenset({"parse"}))])
    run.finish("parse")
    return key


def test_gates_tell_who_waits_for_how_long_and_how_waits_ended(
    medkg: Medkg, book: JobLedger, clock: FakeClock
) -> None:
    keys = [wait_at_gate(book, name) for name in ("opened", "approved", "rejected", "waiting")]
    clock.advance(60)
    book.jobs.set_fields(keys[0], {"ok": True}, actor="me")
    book.gates.review("papers", RULE)
    book.gates.decide(keys[1], RULE, GateDecision.APPROVED, actor="me", reason="known")
    book.gates.decide(keys[2], RULE, GateDecision.REJECTED, actor="me", reason="wrong")

    found = values(medkg)

    gate = {"pipeline": "papers", "gate": "review"}
    ended = {of(gate, outcome=outcome): 1.0 for outcome in ("opened", "approved", "rejected")}
    assert found["medkg_gate_outcomes_total"] == ended
    assert found["medkg_gate_wait_seconds_total"] == dict.fromkeys(ended, 60.0)
    place = of({"pipeline": "papers", "phase": "papers__after_review"})
    assert found["medkg_gate_waiting"][place] == 1
    long_ago = (datetime.now(UTC) - datetime(2026, 1, 1, tzinfo=UTC)).total_seconds()
    assert found["medkg_gate_oldest_waiting_seconds"][place] == pytest.approx(long_ago, abs=3600)
    assert found["medkg_phases_due"][place] == 2
    assert found["medkg_jobs"][of({"pipeline": "papers", "status": "waiting"})] >= 1


def test_downloads_are_counted_by_class_of_error(medkg: Medkg, book: JobLedger) -> None:
    gone = FileRecord(
        document_id="PMID:1",
        status=FileStatus.FAILED,
        url="http://a/1",
        error_class="PermanentDownloadError",
        error="404",
    )
    stored = FileRecord(
        document_id="PMID:2", status=FileStatus.STORED, url="http://a/2", path="files/x", sha256="x", size=1
    )
    for records in ([gone, stored], [gone]):
        book.files.put(KEY, records)

    found = values(medkg)["medkg_downloads_total"]

    papers = {"pipeline": "papers"}
    assert found == {
        of(papers, outcome="failed", error_class="PermanentDownloadError"): 2,
        of(papers, outcome="stored", error_class=""): 1,
    }


def test_plugins_are_those_of_the_last_load(medkg: Medkg, book: JobLedger) -> None:
    refused = Registration("lab", "1", "ocr = lab:ocr", "rejected", "ocr", refusal=Refusal.TOO_SLOW)
    book.registrations.record([refused])
    assert values(medkg)["medkg_plugins"] == {
        of({"origin": "lab", "outcome": "rejected", "reason": "too slow"}): 1
    }

    medkg("check")
    found = values(medkg)

    plugins = found["medkg_plugins"]
    assert plugins[of({"origin": "built-in", "outcome": "registered", "reason": ""})] > 20
    assert plugins[of({"origin": "lab", "outcome": "removed", "reason": ""})] == 1
    for name in ("medkg_plugin_discovery_seconds", "medkg_plugin_resolution_seconds"):
        assert found[name][of({"origin": "built-in"})] > 0
    stage = {"pipeline": "auto", "stage": "parse", "type": "parse", "origin": "built-in"}
    assert found["medkg_stage_resolution_seconds"][of(stage)] > 0


def test_the_daemon_is_known_from_dagsters_own_file(medkg: Medkg, home: Path) -> None:
    history = home / "dagster" / "history"
    history.mkdir(parents=True)
    with closing(sqlite3.connect(history / "runs.db")) as runs, runs:
        runs.execute(
            "CREATE TABLE daemon_heartbeats (daemon_type TEXT, daemon_id TEXT, timestamp TEXT, body TEXT)"
        )
        runs.execute("INSERT INTO daemon_heartbeats VALUES ('SENSOR', 'd', '2026-01-01 00:00:00.5', '')")

    found = values(medkg)["medkg_daemon_heartbeat_timestamp_seconds"]

    assert found == {frozenset(): datetime(2026, 1, 1, tzinfo=UTC).timestamp() + 0.5}


def test_labels_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(told, "MOST_SERIES", 3)
    many: dict[tuple[str, ...], float] = {("p", f"error{number}"): float(number) for number in range(10)}
    many["p", "e" * 500] = 100.0

    assert told.bounded(many, is_sum=True) == [
        (("other", "other"), sum(range(9))),
        (("p", "e" * 100), 100),
        (("p", "error9"), 9),
    ]
    assert told.bounded(many, is_sum=False)[0] == (("other", "other"), 8)


COUNTS: list[tuple[Callable[[Connection], object], str]] = [
    (figure_rows.count_jobs, "USING COVERING INDEX ledger_jobs_by_status"),
    (figure_rows.count_documents, "USING COVERING INDEX "),
    (figure_rows.count_quarantined, "USING COVERING INDEX ledger_outcomes_by_status"),
    # Indexes of those alone that wait or are due.
    (figure_rows.waiting_since, "USING INDEX ledger_phases_waiting"),
    (figure_rows.due_since, "USING INDEX ledger_phases_due"),
]


@pytest.mark.parametrize(("counted", "how"), COUNTS)
def test_what_grows_with_jobs_and_documents_is_counted_by_an_index_alone(
    book: JobLedger, counted: Callable[[Connection], object], how: str
) -> None:
    """The rows themselves, with titles and requests, are hundred times as much to read."""
    statements: list[str] = []
    with book._database.reading() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        driver.set_trace_callback(statements.append)
        counted(connection)
        driver.set_trace_callback(None)
        queries = [text for text in statements if "SELECT" in text]
        plan = [row[3] for query in queries for row in driver.execute(f"EXPLAIN QUERY PLAN {query}")]

    looks = [step for step in plan if re.match("SCAN|SEARCH", step)]
    assert len(looks) == len(queries)
    assert all(how in look for look in looks)


def test_it_is_served_under_its_own_names_alone(home: Path, repository: Path) -> None:
    JobLedger.open(home).close()
    settings = Settings(home=home, config=repository / "config")
    app = make_metrics_app(settings, home / "dagster", hosts={"127.0.0.1"})
    with TestClient(app, base_url="http://127.0.0.1") as client:
        answer = client.get("/metrics")
        strange = client.get("/metrics", headers={"host": "evil.example"})
        foreign = client.get("/metrics", headers={"origin": "http://evil.example"})
        (home / "ledger.sqlite").write_bytes(b"no database " * 500)
        damaged = client.get("/metrics")

    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    assert parsed(answer.text)["medkg_build_info"]
    assert (strange.status_code, foreign.status_code, damaged.status_code) == (421, 403, 503)
    assert "medkg_jobs" not in strange.text + foreign.text


def test_documents_are_counted_by_status(medkg: Medkg, book: JobLedger) -> None:
    with book._database.writing() as connection:
        for number, status in enumerate(("current", "withdrawn", "current", "apart")):
            values = f"'PMID:{number}', 't', 's', 'o', 'h', '{status}', 't', 't'"
            names = "id, title, source, origin, content_hash, status, since, changed_at"
            connection.exec_driver_sql(f"INSERT INTO ledger_documents ({names}) VALUES ({values})")

    found = values_of_documents(medkg)

    assert found == {"current": 2, "withdrawn": 1, "apart": 1}


def values_of_documents(medkg: Medkg) -> dict[str, float]:
    found = values(medkg)["medkg_documents"]
    return {dict(labels)["status"]: count for labels, count in found.items()}
