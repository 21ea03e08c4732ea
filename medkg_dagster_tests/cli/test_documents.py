"""`medkg documents`: what is held and shown, and taking documents out of the stores at once."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from medkg_dagster.domain.holdings import ListedItem, Listing, ParsedDocument
from medkg_dagster.ledger import JobKey, JobLedger
from medkg_dagster.stage_api import QuarantinedDocument
from medkg_dagster_tests.cli.conftest import TEXTS, Medkg
from medkg_dagster_tests.ledger.stage_histories import LedgerRun

NAMES = (*TEXTS, "PMID:3")


def list_files(ledger: JobLedger, *names: str, synthetic: tuple[str, ...] = (), content: str = "h") -> None:
    """Let the pipeline `auto` hold a file for each document."""
    items = tuple(
        ListedItem(id=f"{name[5:]}.xml", origin=f"papers/{name[5:]}.xml", content_hash="h") for name in names
    )
    parsed = [
        ParsedDocument(
            item=f"{name[5:]}.xml",
            item_hash="h",
            id=name,
            title=TEXTS.get(name, ("Another", ""))[0],
            source="infores:pubmed",
            url=None,
            content_hash=content,
            synthetic=name in synthetic,
        )
        for name in names
    ]
    listing = Listing(
        stage="ingest", source="files", parameters={"path": "papers"}, items=items, is_full=True
    )
    ledger.documents.record_listing(JobKey("auto", "default"), listing)
    ledger.documents.record_documents("auto", parsed)


@pytest.fixture
def ledger(indexed_home: Path, graph_home: Path) -> Iterator[JobLedger]:
    """A ledger that knows three documents; the index holds two of them, the graph one."""
    assert indexed_home == graph_home
    with JobLedger.open(indexed_home) as opened:
        list_files(opened, *NAMES)
        yield opened


def ids(medkg: Medkg, *options: str) -> list[str]:
    return [item["id"] for item in json.loads(medkg("documents", "list", "--json", *options).stdout)]


@pytest.mark.usefixtures("ledger")
def test_documents_are_listed_with_their_files(medkg: Medkg) -> None:
    shown = medkg("documents", "list").stdout.splitlines()

    assert [line.split()[:3] for line in shown[:2]] == [
        ["DOCUMENT", "STATUS", "FILE"],
        ["PMID:1", "current", "1.xml"],
    ]
    assert shown[-1] == "3 documents"
    assert medkg("documents", "list", "--limit", "1").stdout.endswith(
        "1 document; --limit 1 reached, there may be more\n"
    )
    assert ids(medkg, "--text", "dabrafenib") == ["PMID:1"]
    assert (
        ids(medkg, "--status", "retracted")
        == ids(medkg, "--source", "x")
        == ids(medkg, "--pipeline", "x")
        == []
    )


def test_what_was_set_aside_before_it_was_a_document_is_counted_beside_the_list(
    ledger: JobLedger, medkg: Medkg
) -> None:
    items = (ListedItem(id="broken.pdf", origin="other/broken.pdf", content_hash="h"),)
    listing = Listing(stage="ingest", source="files", parameters={"path": "other"}, items=items, is_full=True)
    key = ledger.jobs.ensure(JobKey("auto", "other"), actor="ann").key
    ledger.documents.record_listing(key, listing)
    refused = QuarantinedDocument("broken.pdf", "parse", "UnreadableDocumentError", "broken.pdf: cut")
    LedgerRun(ledger, key, ("parse",)).finish("parse", quarantined=[refused])

    for options in ((), ("--status", "quarantined"), ("--job", "auto/other")):
        assert "1 file or record was set aside" in medkg("documents", "list", *options).stderr
    for options in (("--status", "current"), ("--pipeline", "x"), ("--text", "a")):
        assert medkg("documents", "list", *options).stderr == ""


@pytest.mark.usefixtures("ledger")
def test_a_document_is_shown_with_who_holds_it_and_where_it_is(medkg: Medkg) -> None:
    shown = medkg("documents", "show", "PMID:1").stdout
    described = json.loads(medkg("documents", "show", "PMID:2", "--json").stdout)

    assert "in index.sqlite and graph.sqlite" in shown
    assert "auto" in shown
    assert described["stores"] == ["index.sqlite"]
    assert [held["origin"] for held in described["holdings"]] == ["papers/2.xml"]


@pytest.mark.usefixtures("ledger")
def test_a_withdrawn_document_is_found_no_more_and_a_restored_one_after_the_next_run(medkg: Medkg) -> None:
    done = medkg("documents", "withdraw", "PMID:1", "--reason", "not ours", "--by", "ann")

    assert done.stdout == "PMID:1  Dabrafenib in melanoma\n  withdrawn: not ours\n"
    assert "nothing found" in medkg("search", "dabrafenib").stdout
    assert medkg("graph", "MESH:C561627").exit_code == 1
    assert json.loads(medkg("documents", "show", "PMID:1", "--json").stdout)["stores"] == []
    again = medkg("documents", "restore", "PMID:1")
    assert again.stdout.splitlines() == [
        "PMID:1  Dabrafenib in melanoma",
        "  current",
        "the next run writes them to the stores: `medkg run auto`",
    ]


def test_what_waits_to_be_withdrawn_goes_by_the_named_command(medkg: Medkg, ledger: JobLedger) -> None:
    list_files(ledger, "PMID:3")
    assert "dabrafenib" in medkg("search", "dabrafenib").stdout.lower()

    done = medkg("documents", "withdraw", "--accept", "auto")

    assert done.stdout.count("withdrawn: no source lists it any more") == 2
    assert ids(medkg, "--status", "withdrawn") == ["PMID:1", "PMID:2"]
    searched = medkg("search", "dabrafenib").stderr
    assert "is current: 2 documents are withdrawn" in searched
    assert "`medkg documents list` shows which and why" in searched
    assert medkg("documents", "withdraw", "--accept", "auto").stdout == "there are none\n"


def test_a_document_that_only_a_store_knows_can_be_withdrawn(medkg: Medkg, indexed_home: Path) -> None:
    JobLedger.open(indexed_home).close()

    assert medkg("documents", "withdraw", "PMID:1").exit_code == 0
    assert ids(medkg) == ["PMID:1"]
    assert "nothing found" in medkg("search", "dabrafenib").stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("withdraw",), "name documents, or a pipeline with --accept, or take --synthetic"),
        (
            ("withdraw", "PMID:1", "--accept", "auto"),
            "name documents, or a pipeline with --accept, or take --synthetic",
        ),
        (("withdraw", "PMID:1", "--synthetic"), "name documents, or a pipeline with --accept"),
        (("restore",), "name documents, or take --synthetic"),
        (("withdraw", "PMID:99"), "the ledger knows no document 'PMID:99'"),
        (("restore", "PMID:99"), "the ledger knows no document 'PMID:99'"),
        (("show", "PMID:99"), "the ledger knows no document 'PMID:99'"),
    ],
)
@pytest.mark.usefixtures("ledger")
def test_what_cannot_be_done_is_said(medkg: Medkg, arguments: tuple[str, ...], said: str) -> None:
    done = medkg("documents", *arguments)

    assert done.exit_code != 0
    assert said in done.stderr
    assert ids(medkg, "--status", "current") == list(NAMES)


def test_without_a_ledger_there_are_no_documents_and_none_is_made(medkg: Medkg, home: Path) -> None:
    assert "there is no ledger yet in" in medkg("documents", "list").stderr
    assert not home.exists()


def test_what_is_invented_goes_at_one_word_and_comes_back_at_another(medkg: Medkg, ledger: JobLedger) -> None:
    list_files(ledger, *NAMES, synthetic=("PMID:1", "PMID:3"))

    done = medkg("documents", "withdraw", "--synthetic")

    assert done.stdout.count("withdrawn, synthetic: invented, no evidence") == 2
    assert ids(medkg, "--status", "current") == ["PMID:2"]
    assert "nothing found" in medkg("search", "dabrafenib").stdout
    assert medkg("documents", "withdraw", "--synthetic").stdout == "there are none\n"
    assert medkg("documents", "restore", "--synthetic").stdout.count("current, synthetic") == 2


def test_why_names_the_file_the_stages_and_the_store_that_lags(medkg: Medkg, ledger: JobLedger) -> None:
    shown = medkg("why", "1.xml").stdout
    list_files(ledger, *NAMES, content="changed")
    (described,) = json.loads(medkg("why", "PMID:2", "--json").stdout)
    ledger.documents.withdraw(["PMID:2"], actor="ann", reason="not ours")

    assert shown.startswith("PMID:1  Dabrafenib in melanoma\n  current, since ")
    assert "index.sqlite: in it\n  graph.sqlite: in it" in shown
    assert described["stores"] == {
        "index.sqlite": "lags: another version of it",
        "graph.sqlite": "lags: not in it yet",
    }
    gone = medkg("why", "2.xml").stdout
    assert "withdrawn" in gone
    assert "not ours" in gone
    assert "index.sqlite: lags: still in it" in gone
    assert "graph.sqlite: not in it" in gone
    assert "knows nothing of 'none'" in medkg("why", "none").stderr


def test_a_removed_job_takes_what_only_it_holds_out_of_the_stores(medkg: Medkg, ledger: JobLedger) -> None:
    ledger.jobs.ensure(JobKey("auto", "default"), actor="test")

    would = medkg("ledger", "remove", "default", "--dry-run").stdout
    assert "dabrafenib" in medkg("search", "dabrafenib").stdout.lower()
    done = medkg("ledger", "remove", "auto/default", "--by", "ann")

    assert would.endswith("3 documents would go with auto/default\n")
    assert done.stdout.endswith("3 documents are gone with auto/default\n")
    assert "is current: 3 documents are withdrawn" in medkg("search", "dabrafenib").stderr
    assert ids(medkg, "--status", "withdrawn") == list(NAMES)
    assert "documents" in medkg("ledger", "show", "default").stdout
