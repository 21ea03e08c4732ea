"""What is deleted, retracted or withdrawn is in no store any more, whatever ran before."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from dagster import TableMetadataValue

from medkg_dagster.domain.holdings import DocumentStatus
from medkg_dagster.errors import BatchInterruptedError, PermanentSourceError
from medkg_dagster.ledger import JobKey, JobLedger
from medkg_dagster_tests.end_to_end.shipped_pipeline import (
    AutoPipeline,
    Home,
    rows_of,
    write_article,
    write_full_text,
    write_notice,
)


@pytest.fixture
def auto(tmp_path: Path) -> AutoPipeline:
    return AutoPipeline.compiled(tmp_path / "home")


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    home = Home(tmp_path / "home")
    with closing(home.ledger):
        yield home


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in (1, 2, 3):
        write_article(tmp_path / "articles", number)
    return tmp_path / "articles"


def held(run: AutoPipeline | Home) -> set[str]:
    """Return the documents that index and graph hold, which must be the same."""
    chunks = rows_of(run.folder / "index.sqlite", "SELECT DISTINCT document_id FROM chunks")
    edges = rows_of(run.folder / "graph.sqlite", "SELECT DISTINCT document_id FROM edges")
    assert sorted(chunks) == sorted(edges)
    return {name for (name,) in chunks}


def status(run: AutoPipeline | Home, number: int) -> tuple[DocumentStatus, str | None]:
    with JobLedger.open(run.folder) as ledger:
        known = ledger.documents.get(f"PMID:{number}")
    return known.status, known.reason


def test_a_deleted_and_a_retracted_article_are_gone_after_the_next_run(
    auto: AutoPipeline, folder: Path, tmp_path: Path
) -> None:
    auto.run(folder)
    assert held(auto) == {"PMID:1", "PMID:2", "PMID:3"}
    (folder / "1.xml").unlink()
    write_article(folder, 2, retracted=True)

    result = auto.run(folder)

    assert held(auto) == {"PMID:3"}
    assert status(auto, 1) == (DocumentStatus.WITHDRAWN, "no source lists it any more")
    assert status(auto, 2)[0] is DocumentStatus.RETRACTED
    assert "retracted article" in (status(auto, 2)[1] or "")
    ingested = result.asset_materializations_for_node("auto__stages.ingest")[0].metadata
    assert {name: ingested[f"documents_{name}"].value for name in ("current", "changed", "withdrawn")} == {
        "current": 2,
        "changed": 1,
        "withdrawn": 1,
    }
    assert (
        result.asset_materializations_for_node("auto__stages.kg")[0].metadata["documents_withdrawn"].value
        == 2
    )
    with auto.ledger() as ledger:
        counts = {run.stage: run.counts for run in ledger.stage_runs.of_job(JobKey("auto", "default"))}
    assert counts["index"]["documents_withdrawn"] == 2
    clean = Home(tmp_path / "clean")
    with closing(clean.ledger):
        clean.run(folder)
    assert auto.rows() == clean.rows()


def test_two_of_three_retracted_is_how_things_are_and_no_failure(home: Home, folder: Path) -> None:
    home.run(folder)
    for number in (1, 2):
        write_article(folder, number, retracted=True)

    home.run(folder)

    assert held(home) == {"PMID:3"}


def test_all_of_them_retracted_leaves_nothing(home: Home, folder: Path) -> None:
    home.run(folder)
    for number in (1, 2, 3):
        write_article(folder, number, retracted=True)

    home.run(folder)

    assert not any(home.rows())


def test_an_article_that_comes_back_is_there_again(home: Home, folder: Path) -> None:
    home.run(folder)
    before = home.rows()
    write_article(folder, 1, retracted=True)
    (folder / "2.xml").unlink()
    home.run(folder)
    write_article(folder, 1)
    write_article(folder, 2)

    home.run(folder)

    assert home.rows() == before
    assert status(home, 1) == status(home, 2) == (DocumentStatus.CURRENT, None)


def test_an_empty_folder_fails_the_run_and_takes_nothing_out(home: Home, folder: Path) -> None:
    home.run(folder)
    before = home.rows()
    for file in folder.iterdir():
        file.unlink()

    with pytest.raises(PermanentSourceError, match=r"found no documents.*`medkg ledger remove auto/default`"):
        home.run(folder)

    assert home.rows() == before


def test_more_than_a_fifth_waits_for_somebodys_word(auto: AutoPipeline, folder: Path) -> None:
    auto.run(folder)
    before = auto.rows()
    for number in (1, 2):
        (folder / f"{number}.xml").unlink()

    result = auto.run(folder)

    assert auto.rows() == before
    shown = result.asset_materializations_for_node("auto__stages.ingest")[0].metadata
    assert (shown["documents_withdrawn"].value, shown["documents_waiting"].value) == (0, 2)
    with auto.ledger() as ledger:
        assert ledger.documents.accept_unlisted("auto") == ("PMID:1", "PMID:2")
    auto.run(folder)
    assert held(auto) == {"PMID:3"}


def test_what_another_folder_holds_too_stays(home: Home, folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(folder, other)
    home.run(folder)
    home.run(other)
    (folder / "1.xml").unlink()

    home.run(folder)
    assert held(home) == {"PMID:1", "PMID:2", "PMID:3"}
    (other / "1.xml").unlink()
    home.run(other)

    assert held(home) == {"PMID:2", "PMID:3"}


def test_a_file_that_is_damaged_now_is_out_with_the_reason(home: Home, folder: Path) -> None:
    home.run(folder)
    (folder / "1.xml").write_text("<PubmedArticleSet><Pubmed")

    home.run(folder)

    assert held(home) == {"PMID:2", "PMID:3"}
    assert status(home, 1)[0] is DocumentStatus.QUARANTINED
    assert "1.xml" in (status(home, 1)[1] or "")


def test_a_note_that_says_something_else_stands_in_place_of_what_it_said(home: Home, folder: Path) -> None:
    note = folder / "note.txt"
    note.write_text("A note\n\nNivolumab was associated with colitis in two patients with melanoma.\n")
    home.run(folder)
    (first,) = held(home) - {"PMID:1", "PMID:2", "PMID:3"}
    note.write_text("A note\n\nIpilimumab was associated with colitis in three patients with melanoma.\n")

    home.run(folder)

    (second,) = held(home) - {"PMID:1", "PMID:2", "PMID:3"}
    assert second != first
    superseded = home.ledger.documents.get(first)
    assert superseded.status is DocumentStatus.SUPERSEDED
    assert superseded.reason == f"{note} is {second} now"


def test_the_full_text_takes_the_place_of_a_citation_in_whichever_order_and_job(
    home: Home, tmp_path: Path
) -> None:
    citations = write_article(tmp_path / "citations", 1, doi="10.5555/twin").parent
    write_article(citations, 2)
    home.run(citations)
    assert held(home) == {"PMID:1", "PMID:2"}

    home.run(write_full_text(tmp_path / "full_texts", "10.5555/TWIN").parent)

    assert held(home) == {"DOI:10.5555/TWIN", "PMID:2"}
    assert status(home, 1)[0] is DocumentStatus.SUPERSEDED
    write_article(citations, 1, doi="10.5555/twin", retracted=True)
    home.run(citations)
    assert held(home) == {"PMID:2"}


def test_what_was_made_is_shown_as_tables_with_the_names_of_files(auto: AutoPipeline, folder: Path) -> None:
    write_article(folder, 2, retracted=True)

    result = auto.run(folder)

    parsed = result.asset_materializations_for_node("auto__stages.parse")[0].metadata
    checked = result.asset_materializations_for_node("auto__stages.ir_validation")[0].metadata
    lines = str(parsed["document_preview"].value).splitlines()
    assert lines[0].startswith("| file | id | source | title |")
    assert lines[2].startswith("| 1.xml | PMID:1 | infores:pubmed | Article 1, version 0 |")
    counts = [checked[f"documents_{name}"].value for name in ("succeeded", "quarantined", "retracted")]
    assert counts == [2, 0, 1]
    refused = checked["quarantined"]
    assert isinstance(refused, TableMetadataValue)
    assert [record.data["file"] for record in refused.records] == ["2.xml"]


@pytest.mark.parametrize("notice_is_first", [True, False])
def test_the_notice_of_another_job_takes_an_article_out_for_as_long_as_it_is_there(
    home: Home, folder: Path, tmp_path: Path, notice_is_first: bool
) -> None:
    notices = tmp_path / "notices"
    write_article(notices, 8)
    notice = write_notice(notices, 9, retracts=2)
    jobs = {"notices": notices, "articles": folder}
    for job_id in jobs if notice_is_first else reversed(jobs):
        home.run(jobs[job_id], job_id)

    assert held(home) == {"PMID:1", "PMID:3", "PMID:8"}
    assert status(home, 2) == (
        DocumentStatus.RETRACTED,
        f"PMID:9 is the notice of its retraction ({notice})",
    )
    notice.unlink()
    for job_id, path in jobs.items():
        home.run(path, job_id)
    assert held(home) == {"PMID:1", "PMID:2", "PMID:3", "PMID:8"}


def cut(file: Path) -> None:
    """Let a file end too early."""
    file.write_text(file.read_text()[:-60])


def garble(file: Path) -> None:
    """Let a text be decoded wrongly."""
    file.write_text(file.read_text().replace("This is", "\N{REPLACEMENT CHARACTER}" * 9))


@pytest.mark.parametrize("spoil", [cut, garble], ids=["parser", "validation"])
def test_a_fault_of_a_documents_new_version_takes_the_old_one_out_with_the_reason(
    home: Home, folder: Path, spoil: Callable[[Path], None]
) -> None:
    home.run(folder)
    before = home.rows()
    spoil(folder / "1.xml")

    home.run(folder)

    assert held(home) == {"PMID:2", "PMID:3"}
    now, reason = status(home, 1)
    assert now is DocumentStatus.QUARANTINED
    assert reason
    write_article(folder, 1)
    home.run(folder)
    assert home.rows() == before
    assert status(home, 1) == (DocumentStatus.CURRENT, None)


def test_a_passing_fault_at_a_documents_new_version_keeps_the_old_one(home: Home, folder: Path) -> None:
    home.run(folder)
    before = home.rows()
    write_article(folder, 1, version=1)
    service = {"base_url": "http://127.0.0.1:1", "model": "any", "api_key": None, "max_attempts": 1}
    away = {"embedder": "openai", "params": service}

    with pytest.raises(BatchInterruptedError, match="PMID:1"):
        home.run(folder, configured={"embed": away})

    assert home.rows() == before
    assert status(home, 1) == (DocumentStatus.CURRENT, None)
    home.run(folder)
    assert held(home) == {"PMID:1", "PMID:2", "PMID:3"}
    assert home.rows() != before
