"""`medkg state prune` on what real runs have left."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from medkg_dagster.ledger import JobKey, JobLedger
from medkg_dagster_tests.cli.conftest import Medkg
from medkg_dagster_tests.end_to_end.shipped_pipeline import AutoPipeline, write_article


def age(home: Path) -> None:
    """Let everything be of ten days ago."""
    then = time.time() - 10 * 24 * 3600
    for path in home.rglob("*"):
        if path.is_file():
            os.utime(path, (then, then))


def computed(auto: AutoPipeline) -> dict[str, int]:
    with auto.ledger() as book:
        runs = book.stage_runs.of_job(JobKey("auto", "default"))
    return {run.stage: run.counts["computed"] for run in runs if "computed" in run.counts}


def prune(medkg: Medkg, *arguments: str) -> Any:
    return json.loads(medkg("state", "prune", "--json", *arguments).stdout)


def test_after_it_a_run_works_on_nothing_again_and_what_was_replaced_is_gone(
    medkg: Medkg, home: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "articles"
    for number in range(2):
        write_article(folder, number)
    (folder / "broken.pdf").write_bytes(b"%PDF-1.4 cut")
    auto = AutoPipeline.compiled(home)
    auto.run(folder)
    first = prune(medkg)
    for number in range(2):
        write_article(folder, number, version=1)
    auto.run(folder)
    age(home)

    dry = prune(medkg, "--dry-run")
    shown = medkg("state", "prune").stdout
    again = prune(medkg)
    rows = auto.rows()
    auto.run(folder)

    assert first["shards"]["files"] == first["over_budget"]["files"] == 0
    assert dry["shards"]["files"] > 0
    assert "GONE" in shown
    assert f"{dry['shards']['size']:,}" in shown
    assert again["shards"]["files"] == again["archives"]["files"] == again["remembered"]["files"] == 0
    assert again["needed"] == dry["needed"]
    assert set(computed(auto).values()) == {0}
    assert auto.rows() == rows
    assert "nothing to remove" in medkg("state", "prune").stdout


def test_what_is_only_remembered_has_a_budget(
    medkg: Medkg, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "articles"
    write_article(folder, 1)
    auto = AutoPipeline.compiled(home)
    auto.run(folder)
    write_article(folder, 1, version=1)
    auto.run(folder)
    age(home)
    kept = prune(medkg, "--grace", "2w")
    monkeypatch.setenv("MEDKG_MEMO_BYTES", "0")

    gone = prune(medkg, "--grace", "2w")

    assert kept["remembered"]["files"] > 0
    assert gone["over_budget"] == kept["remembered"]


@pytest.mark.parametrize("text", ["1", "soon", "-1d", "99999999999w"])
def test_what_is_no_length_of_time_is_refused(medkg: Medkg, text: str) -> None:
    refused = medkg("state", "prune", f"--grace={text}")

    assert refused.exit_code == 2
    assert "is no length of time; write for example 90m, 12h or 7d" in refused.output


def test_a_ledger_without_jobs_is_taken_for_the_wrong_one(medkg: Medkg, home: Path) -> None:
    JobLedger.open(home).close()

    refused = medkg("state", "prune")

    assert refused.exit_code == 1
    assert "the ledger knows no job" in refused.stderr


def test_the_state_of_a_job_that_is_removed_goes_with_it(medkg: Medkg, home: Path, tmp_path: Path) -> None:
    write_article(tmp_path / "articles", 1)
    auto = AutoPipeline.compiled(home)
    auto.run(tmp_path / "articles")
    age(home)
    assert prune(medkg)["needed"]["files"] > 0

    medkg("ledger", "remove", "default", "--dry-run")
    assert prune(medkg)["needed"]["files"] > 0
    medkg("ledger", "remove", "default")

    assert list((home / "state").rglob("*.state.zip")) == []
    assert prune(medkg)["needed"]["files"] == 0


def why(medkg: Medkg, name: str) -> dict[str, dict[str, Any]]:
    """Return by stage what is told of the work on a document."""
    (described,) = json.loads(medkg("why", name, "--json").stdout)
    return {verdict["stage"]: verdict["work"] for verdict in described["stages"]}


def test_why_tells_under_which_key_work_is_remembered_and_why_it_was_done(
    medkg: Medkg, home: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "articles"
    for number in (1, 2):
        write_article(folder, number)
    auto = AutoPipeline.compiled(home)
    auto.run(folder)
    first = why(medkg, "1.xml")
    write_article(folder, 1, version=1)
    write_article(folder, 3)
    auto.run(folder, {"chunk": {"config": {"max_characters": 900}}})
    changed, same, new = (why(medkg, f"{number}.xml") for number in (1, 2, 3))

    assert first["ingest"] is first["kg"] is None
    assert {first[stage]["because"] for stage in ("parse", "ir_validation", "chunk", "extract")} == {
        "it is new here"
    }
    assert (changed["parse"]["because"], changed["parse"]["is_reused"]) == (
        "what it is made of changed",
        False,
    )
    assert (same["parse"]["because"], same["parse"]["is_reused"]) == ("", True)
    assert new["parse"]["because"] == "it is new here"
    assert {work["chunk"]["because"] for work in (changed, same, new)} == {"config changed"}
    before, after = (work["parse"]["key"].split("/") for work in (first, changed))
    assert before[0] == after[0]
    assert before[1] != after[1]
    before, after = (work["chunk"]["key"].split("/") for work in (why(medkg, "2.xml"), same))
    assert before == after
    assert first["chunk"]["key"].split("/")[0] != after[0]
    shown = medkg("why", "1.xml").stdout
    assert f"{changed['parse']['key'][:8]}/" in shown
    assert "computed, config changed" in shown
