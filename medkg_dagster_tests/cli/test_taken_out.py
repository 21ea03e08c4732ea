"""What commands let go of is in no store from then on, in whatever form it was written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from medkg_dagster.cli.follow import follow
from medkg_dagster.domain.holdings import DocumentStatus
from medkg_dagster_tests.cli.conftest import Medkg
from medkg_dagster_tests.end_to_end.shipped_pipeline import Home, shipped, write_article, write_full_text

DOI = "10.5555/both"


@pytest.fixture
def ran(home: Path) -> Iterator[Home]:
    found = Home(home)
    with closing(found.ledger):
        yield found


def test_what_only_a_removed_job_said_of_a_document_goes_where_another_holds_it_in_another_form(
    ran: Home, medkg: Medkg, tmp_path: Path
) -> None:
    write_full_text(tmp_path / "full", DOI, pmid=1)
    write_article(tmp_path / "records", 1)
    write_article(tmp_path / "records", 2)
    for job in ("records", "full"):
        ran.run(tmp_path / job, job)

    assert medkg("ledger", "remove", "full").exit_code == 0

    assert ran.shown() == {"PMID:2"}
    assert ran.ledger.documents.get("PMID:1").status is DocumentStatus.CURRENT
    assert "lags: not in it yet" in medkg("why", "PMID:1").stdout
    ran.run(tmp_path / "records", "records")
    assert ran.shown() == {"PMID:1", "PMID:2"}


def test_a_copy_that_another_job_holds_stays_where_the_job_that_wrote_it_is_removed(
    ran: Home, medkg: Medkg, tmp_path: Path
) -> None:
    for job in ("one", "two"):
        write_article(tmp_path / job, 1)
        ran.run(tmp_path / job, job)

    assert medkg("ledger", "remove", "one").exit_code == 0

    assert ran.shown() == {"PMID:1"}


def test_what_is_withdrawn_in_one_form_is_gone_in_the_form_that_was_shown(
    ran: Home, medkg: Medkg, tmp_path: Path
) -> None:
    write_full_text(tmp_path / "papers", DOI)
    write_article(tmp_path / "papers", 1, doi=DOI)
    write_article(tmp_path / "papers", 2)
    ran.run(tmp_path / "papers")
    assert ran.shown() == {f"DOI:{DOI}", "PMID:2"}

    assert medkg("documents", "withdraw", "PMID:1").exit_code == 0

    assert ran.shown() == {"PMID:2"}


def test_what_was_split_stays_apart_in_later_runs_until_it_is_restored(
    ran: Home, medkg: Medkg, tmp_path: Path
) -> None:
    write_full_text(tmp_path / "papers", DOI)
    write_article(tmp_path / "papers", 1, doi=DOI)
    ran.run(tmp_path / "papers")
    assert ran.shown() == {f"DOI:{DOI}"}

    assert medkg("documents", "split", "PMID:1").exit_code == 0

    for _ in range(2):
        ran.run(tmp_path / "papers")
        assert ran.shown() == {f"DOI:{DOI}", "PMID:1"}
    medkg("documents", "restore", "PMID:1")
    ran.run(tmp_path / "papers")
    assert ran.shown() == {f"DOI:{DOI}"}


def test_what_is_listed_no_more_goes_once_that_is_accepted_also_where_another_form_is_held(
    ran: Home, medkg: Medkg, tmp_path: Path
) -> None:
    full_text = write_full_text(tmp_path / "full", DOI, pmid=1)
    gone = [full_text, write_article(tmp_path / "full", 3)]
    write_article(tmp_path / "full", 4)
    write_article(tmp_path / "records", 1)
    for job in ("records", "full"):
        ran.run(tmp_path / job, job)
    for file in gone:
        file.unlink()
    ran.run(tmp_path / "full", "full")
    dry = medkg("documents", "withdraw", "--accept", "auto", "--dry-run").stdout
    assert ("PMID:3" in dry, "PMID:1" in dry, "1 document would go" in dry) == (True, False, True)
    assert ran.shown() == {"PMID:1", "PMID:3", "PMID:4"}

    said = medkg("documents", "withdraw", "--accept", "auto").stdout

    assert ran.shown() == {"PMID:4"}
    assert ("PMID:3" in said, "PMID:1" in said) == (True, False)


def test_a_run_says_at_its_end_what_waits_for_somebodys_word_and_what_another_job_brings(
    ran: Home, tmp_path: Path
) -> None:
    full_text = write_full_text(tmp_path / "full", DOI, pmid=1)
    gone = [write_article(tmp_path / "full", number) for number in (3, 4)]
    write_article(tmp_path / "records", 1)
    for job in ("records", "full"):
        ran.run(tmp_path / job, job)
    plan = shipped()[1]
    said: list[str] = []

    def run() -> list[str]:
        said.clear()
        ran.run(tmp_path / "full", "full")
        assert follow(ran.ledger, plan, "full", said.append) == 0
        return said[said.index("auto/full succeeded") + 1 :]

    assert run() == []
    for file in gone:
        file.rename(tmp_path / file.name)
    (waiting,) = run()
    assert waiting.startswith("  2 documents are listed no more")
    assert "`medkg documents withdraw --accept auto --dry-run`" in waiting
    for file in gone:
        (tmp_path / file.name).rename(file)
    full_text.unlink()
    (left,) = run()
    assert "a form that auto/records holds: `medkg run auto --job-id records` brings them" in left
