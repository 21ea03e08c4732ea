"""What is deleted, retracted or withdrawn is in no store any more, whatever ran before."""

import shutil
from pathlib import Path

import pytest
from dagster import TableMetadataValue

from medkg_dagster.domain.holdings import DocumentStatus
from medkg_dagster.ledger import JobKey
from medkg_dagster_tests.end_to_end.shipped_pipeline import (
    AutoPipeline,
    rows_of,
    write_article,
    write_full_text,
)


@pytest.fixture
def auto(tmp_path: Path) -> AutoPipeline:
    return AutoPipeline.compiled(tmp_path / "home")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in (1, 2, 3):
        write_article(tmp_path / "articles", number)
    return tmp_path / "articles"


def held(auto: AutoPipeline) -> set[str]:
    """Return the documents that index and graph hold, which must be the same."""
    chunks = rows_of(auto.home / "index.sqlite", "SELECT DISTINCT document_id FROM chunks")
    edges = rows_of(auto.home / "graph.sqlite", "SELECT DISTINCT document_id FROM edges")
    assert sorted(chunks) == sorted(edges)
    return {name for (name,) in chunks}


def status(auto: AutoPipeline, number: int) -> tuple[DocumentStatus, str | None]:
    with auto.ledger() as ledger:
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
    clean = AutoPipeline.compiled(tmp_path / "clean")
    clean.run(folder)
    assert auto.rows() == clean.rows()


def test_two_of_three_retracted_is_how_things_are_and_no_failure(auto: AutoPipeline, folder: Path) -> None:
    auto.run(folder)
    for number in (1, 2):
        write_article(folder, number, retracted=True)

    assert auto.run(folder).success
    assert held(auto) == {"PMID:3"}


def test_all_of_them_retracted_leaves_nothing(auto: AutoPipeline, folder: Path) -> None:
    auto.run(folder)
    for number in (1, 2, 3):
        write_article(folder, number, retracted=True)

    assert auto.run(folder).success
    assert not any(auto.rows())


def test_an_article_that_comes_back_is_there_again(auto: AutoPipeline, folder: Path) -> None:
    auto.run(folder)
    before = auto.rows()
    write_article(folder, 1, retracted=True)
    (folder / "2.xml").unlink()
    auto.run(folder)
    write_article(folder, 1)
    write_article(folder, 2)

    auto.run(folder)

    assert auto.rows() == before
    assert status(auto, 1) == status(auto, 2) == (DocumentStatus.CURRENT, None)


def test_an_empty_folder_fails_the_run_and_takes_nothing_out(auto: AutoPipeline, folder: Path) -> None:
    auto.run(folder)
    before = auto.rows()
    for file in folder.iterdir():
        file.unlink()

    assert not auto.run(folder, check=False).success
    assert auto.rows() == before


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


def test_what_another_folder_holds_too_stays(auto: AutoPipeline, folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(folder, other)
    auto.run(folder)
    auto.run(other)
    (folder / "1.xml").unlink()

    auto.run(folder)
    assert held(auto) == {"PMID:1", "PMID:2", "PMID:3"}
    (other / "1.xml").unlink()
    auto.run(other)

    assert held(auto) == {"PMID:2", "PMID:3"}


def test_a_file_that_is_damaged_now_is_out_with_the_reason(auto: AutoPipeline, folder: Path) -> None:
    auto.run(folder)
    (folder / "1.xml").write_text("<PubmedArticleSet><Pubmed")

    auto.run(folder)

    assert held(auto) == {"PMID:2", "PMID:3"}
    assert status(auto, 1)[0] is DocumentStatus.QUARANTINED
    assert "1.xml" in (status(auto, 1)[1] or "")


def test_a_note_that_says_something_else_stands_in_place_of_what_it_said(
    auto: AutoPipeline, folder: Path
) -> None:
    note = folder / "note.txt"
    note.write_text("A note\n\nNivolumab was associated with colitis in two patients with melanoma.\n")
    auto.run(folder)
    (first,) = held(auto) - {"PMID:1", "PMID:2", "PMID:3"}
    note.write_text("A note\n\nIpilimumab was associated with colitis in three patients with melanoma.\n")

    auto.run(folder)

    (second,) = held(auto) - {"PMID:1", "PMID:2", "PMID:3"}
    assert second != first
    with auto.ledger() as ledger:
        assert ledger.documents.get(first).status is DocumentStatus.SUPERSEDED
        assert ledger.documents.get(first).reason == f"{note} is {second} now"


def test_the_full_text_takes_the_place_of_a_citation_in_whichever_order_and_job(
    auto: AutoPipeline, tmp_path: Path
) -> None:
    citations = write_article(tmp_path / "citations", 1, doi="10.5555/twin").parent
    write_article(citations, 2)
    auto.run(citations)
    assert held(auto) == {"PMID:1", "PMID:2"}

    auto.run(write_full_text(tmp_path / "full_texts", "10.5555/TWIN").parent)

    assert held(auto) == {"DOI:10.5555/TWIN", "PMID:2"}
    assert status(auto, 1)[0] is DocumentStatus.SUPERSEDED
    write_article(citations, 1, doi="10.5555/twin", retracted=True)
    auto.run(citations)
    assert held(auto) == {"PMID:2"}


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
