"""`medkg changes`: what came and went, and why."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import pytest

from medkg_dagster.adapters.graph.sql_store import SqlGraph
from medkg_dagster.cli.changes import moment
from medkg_dagster.ledger import JobKey, JobLedger
from medkg_dagster_tests.cli.conftest import Medkg
from medkg_dagster_tests.end_to_end.shipped_pipeline import Home, write_article

NOW = datetime(2026, 3, 8, 12, tzinfo=UTC)


@pytest.fixture
def runs(home: Path) -> Iterator[Home]:
    made = Home(home)
    with closing(made.ledger):
        yield made


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("7d", "2026-03-01T12:00:00.000000Z"),
        ("90m", "2026-03-08T10:30:00.000000Z"),
        ("2026-03-01T01:00+01:00", "2026-03-01T00:00:00.000000Z"),
    ],
)
def test_a_time_or_how_long_ago_is_understood(text: str, meant: str) -> None:
    assert moment(text, NOW) == meant


@pytest.mark.parametrize("text", ["yesterday", "7", "-1d", "1e9w", "9999999999999w"])
def test_what_is_no_time_is_refused_with_examples(text: str) -> None:
    with pytest.raises(click.UsageError, match=r"is no time; write 2026-03-01, .* 7d"):
        moment(text, NOW)


def test_edges_and_documents_that_came_and_went_are_shown_with_the_cause(
    medkg: Medkg, runs: Home, tmp_path: Path
) -> None:
    folder = tmp_path / "articles"
    for number in (1, 2):
        write_article(folder, number)
    runs.run(folder)
    first = json.loads(medkg("changes", "--since", "1d", "--json").stdout)
    since = max(edge["at"] for edge in first["edges"])
    write_article(folder, 1, retracted=True)
    write_article(folder, 2, version=2)
    runs.run(folder)

    described = json.loads(medkg("changes", "--since", since, "--json").stdout)
    shown = medkg("changes", "--since", "1d").stdout

    assert {edge["why"] for edge in first["edges"]} == {"new document"}
    later = [edge for edge in described["edges"] if edge["at"] > since]
    went = [edge for edge in later if edge["document_id"] == "PMID:1"]
    assert {edge["sign"] for edge in went} == {"-"}
    assert {edge["why"] for edge in went} == {"retracted: PMID:1: retracted: it is a retracted article"}
    changed = [edge for edge in later if edge["document_id"] == "PMID:2"]
    assert {edge["sign"] for edge in changed} == {"+", "-"}
    assert {edge["why"] for edge in changed} == {"its text changed"}
    told = [(item["document_id"], item["change"], item["status"]) for item in described["documents"]]
    assert ("PMID:1", "status", "retracted") in told
    assert "edges came or went" in shown
    assert medkg("changes", "--since", "1d", "--limit", "1").stdout.count("--limit 1 reached") == 2


def test_what_another_configuration_makes_of_a_document_is_told_from_a_change_of_its_text(
    medkg: Medkg, home: Path, runs: Home, tmp_path: Path
) -> None:
    folder = write_article(tmp_path / "articles", 1).parent
    runs.run(folder)
    with closing(SqlGraph(home / "graph.sqlite")) as graph:
        graph.apply({"PMID:1": "as other stages make it"}, (), {}, ())

    described = json.loads(medkg("changes", "--since", "1h", "--json").stdout)

    assert {edge["why"] for edge in described["edges"] if edge["sign"] == "-"} == {
        "the stages make something else of it"
    }


def test_what_was_forgotten_is_told_and_what_explains_the_present_stays(
    medkg: Medkg, runs: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "articles"
    for version in range(3):
        for number in (1, 2):
            write_article(folder, number, version=version)
        runs.run(folder)
    write_article(folder, 1, retracted=True)
    runs.run(folder)
    before = changes(medkg)
    monkeypatch.setenv("MEDKG_CHANGES_DAYS", "0")

    dry = json.loads(medkg("state", "prune", "--dry-run", "--json").stdout)["changes"]
    unchanged = changes(medkg)
    pruned = json.loads(medkg("state", "prune", "--json").stdout)["changes"]
    left = changes(medkg)
    shown = medkg("changes", "--since", "2000-01-01").stdout
    recent = medkg("changes", "--since", left["complete_from"]["edges"]).stdout
    again = json.loads(medkg("state", "prune", "--json").stdout)["changes"]

    assert unchanged == before
    assert before["complete_from"]["documents"] <= before["documents"][-1]["at"]
    assert dry["documents"] == pruned["documents"] == len(before["documents"]) - 2
    assert dry["edges"] == pruned["edges"] > 0
    latest = {change["document_id"]: change for change in reversed(before["documents"])}
    assert {change["document_id"]: change for change in left["documents"]} == latest
    assert {edge["document_id"] for edge in left["edges"]} == {"PMID:2"}
    assert left["complete_from"] == dict.fromkeys(("documents", "edges"), pruned["before"])
    for kind in ("documents", "edges"):
        assert f"of {kind}, before {pruned['before']} at most the latest change of each" in shown
    assert "at most the latest" not in recent
    assert (again["documents"], again["edges"]) == (0, 0)
    assert json.loads(medkg("why", "PMID:1", "--json").stdout)[0]["known"]["status"] == "retracted"


def test_what_is_left_of_changes_is_as_much_as_there_are_documents(
    medkg: Medkg, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("medkg_dagster.ledger.documents._AT_ONCE", 3)
    names = ["PMID:1", "PMID:2"]
    with JobLedger.open(home) as book:
        book.jobs.ensure(JobKey("auto", "default"), actor="ann")
        for _ in range(20):
            book.documents.withdraw(names, actor="ann", reason="wrong", stored=names)
    monkeypatch.setenv("MEDKG_CHANGES_DAYS", "0")
    medkg("state", "prune")

    assert sorted(change["document_id"] for change in changes(medkg)["documents"]) == names


def changes(medkg: Medkg) -> Any:
    return json.loads(medkg("changes", "--since", "2000-01-01", "--json").stdout)
