"""The ledger knows documents: who holds them, and what became of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from medkg_dagster.domain.holdings import (
    DocumentStatus,
    ListedItem,
    Listing,
    ListingOutcome,
    ParsedDocument,
)
from medkg_dagster.errors import LedgerError
from medkg_dagster.ledger import JobKey, JobLedger
from medkg_dagster.stage_api import QuarantinedDocument
from medkg_dagster_tests.ledger.stage_histories import LedgerRun

KEY = JobKey("auto", "default")
STAGES = ("ingest", "parse", "ir_validation")
CURRENT, QUARANTINED, SUPERSEDED, RETRACTED, WITHDRAWN = DocumentStatus


@dataclass
class Folder:
    """A folder as a source lists it: name to text; each file is the document of its name, or none."""

    ledger: JobLedger
    path: str = "/papers"
    files: dict[str, str] = field(default_factory=dict)
    unreadable: frozenset[str] = frozenset()

    def listed(self, *, is_full: bool = True, key: JobKey = KEY, **refused: str) -> ListingOutcome:
        """List it, and parse what was listed."""
        items = [
            ListedItem(id=name, origin=f"{self.path}/{name}", content_hash=text)
            for name, text in self.files.items()
        ]
        listing = Listing(
            stage="ingest",
            source="files",
            parameters={"path": self.path},
            items=tuple(items),
            is_full=is_full,
            refused=refused,
        )
        found = self.ledger.documents.record_listing(key, listing)
        parsed = [self.parsed(name) for name in self.files if name not in self.unreadable]
        self.ledger.documents.record_documents(key.pipeline, parsed)
        return found

    def parsed(self, name: str, document: str | None = None, **more: Any) -> ParsedDocument:
        return ParsedDocument(
            item=name,
            item_hash=self.files[name],
            id=document or f"DOC:{name}",
            title=f"Title of {name}",
            source="infores:user-supplied",
            url=None,
            content_hash=self.files[name],
            **more,
        )


@pytest.fixture
def folder(ledger: JobLedger) -> Folder:
    ledger.jobs.ensure(KEY, actor="test")
    return Folder(ledger, files=dict.fromkeys("abcdefghij", "v1"))


def statuses(ledger: JobLedger, names: Iterable[str]) -> list[DocumentStatus]:
    return [ledger.documents.get(f"DOC:{name}").status for name in names]


def set_aside(
    folder: Folder, name: str, status: DocumentStatus, *, passed: str = "", stage: str = STAGES[-1]
) -> None:
    """Let a run set a document aside in a stage, and let others pass."""
    run = LedgerRun(folder.ledger, KEY, STAGES)
    item = QuarantinedDocument(f"DOC:{name}", stage, "RejectedDocumentError", "a reason", "", status, False)
    run.finish(stage, quarantined=[item] if name else [], passed=[f"DOC:{one}" for one in passed])


def test_what_is_listed_and_parsed_is_current(ledger: JobLedger, folder: Folder) -> None:
    found = folder.listed()

    assert (found.current, found.new, found.changed, found.withdrawn, found.waiting) == (10, 10, 0, 0, 0)
    known = ledger.documents.get("DOC:a")
    assert (known.status, known.title, known.origin) == (CURRENT, "Title of a", "/papers/a")
    (holding,) = ledger.documents.holdings("DOC:a")
    assert (holding.pipeline, holding.source, holding.parameters) == ("auto", "files", {"path": "/papers"})
    assert ledger.documents.standing(["DOC:a", "DOC:unknown"]) == {"DOC:a": CURRENT}


def test_what_a_full_listing_lacks_is_withdrawn_whoever_asked(ledger: JobLedger, folder: Folder) -> None:
    folder.listed()
    del folder.files["a"]
    folder.files |= {"b": "v2", "k": "v1"}

    found = folder.listed(key=JobKey("auto", "another job"))

    assert (found.current, found.new, found.changed, found.withdrawn) == (10, 1, 1, 1)
    assert statuses(ledger, "abk") == [WITHDRAWN, CURRENT, CURRENT]
    assert ledger.documents.get("DOC:b").content_hash == "v2"


def test_what_is_not_full_or_empty_takes_nothing_out(ledger: JobLedger, folder: Folder) -> None:
    folder.listed()
    del folder.files["a"]
    folder.listed(is_full=False)
    folder.files = {}
    folder.listed()

    assert {one.status for one in ledger.documents.list()} == {CURRENT}


def test_more_than_a_fifth_waits_to_be_accepted_or_listed_again(ledger: JobLedger, folder: Folder) -> None:
    folder.listed()
    gone = {name: folder.files.pop(name) for name in "abc"}

    found = folder.listed()

    assert (found.withdrawn, found.waiting, found.current) == (0, 3, 10)
    assert statuses(ledger, "abc") == [CURRENT] * 3
    assert all(holding.unlisted_at for name in gone for holding in ledger.documents.holdings(f"DOC:{name}"))
    folder.files["a"] = gone["a"]
    folder.listed(is_full=False)
    assert ledger.documents.accept_unlisted("another pipeline") == ()
    assert ledger.documents.accept_unlisted("auto") == ("DOC:b", "DOC:c")
    assert statuses(ledger, "abc") == [CURRENT, WITHDRAWN, WITHDRAWN]


def test_files_that_never_became_documents_are_not_told_among_those_that_wait(
    folder: Folder,
) -> None:
    folder.files |= {"notes": "v1"}
    folder.unreadable = frozenset({"notes"})
    folder.listed()
    refused = QuarantinedDocument("notes", "parse", "ParseError", "no document", "", QUARANTINED, False)
    LedgerRun(folder.ledger, KEY, STAGES).finish("parse", quarantined=[refused], passed=[])
    for name in (*"abc", "notes"):
        del folder.files[name]

    assert folder.listed().waiting == 3


def test_two_of_ten_are_a_fifth_and_one_of_any_number_goes_too(ledger: JobLedger, folder: Folder) -> None:
    folder.listed()
    for name in "ab":
        del folder.files[name]
    assert folder.listed().withdrawn == 2
    folder.files = {"c": "v1", "d": "v1"}
    folder.listed()
    ledger.documents.accept_unlisted("auto")
    del folder.files["c"]

    assert folder.listed().withdrawn == 1


def test_what_another_request_or_pipeline_holds_stays(ledger: JobLedger, folder: Folder) -> None:
    folder.listed()
    other = Folder(ledger, "/other", {"a": "v1"})
    other.listed(key=JobKey("papers", "default"))
    del folder.files["a"]

    folder.listed()
    assert statuses(ledger, "a") == [CURRENT]
    other.files = {"z": "v1"}
    other.listed(key=JobKey("papers", "default"))

    assert statuses(ledger, "a") == [WITHDRAWN]


def test_a_file_that_cannot_be_used_any_more_stays_with_the_reason(ledger: JobLedger, folder: Folder) -> None:
    folder.listed()
    before = folder.files.pop("a")

    folder.listed(a="a: a broken gzip file")
    known = ledger.documents.get("DOC:a")
    folder.files["a"] = before
    folder.listed()

    assert (known.status, known.reason) == (QUARANTINED, "a: a broken gzip file")
    assert statuses(ledger, "a") == [CURRENT]


def test_a_file_with_another_document_in_it_supersedes_the_first(ledger: JobLedger, folder: Folder) -> None:
    folder.listed()

    ledger.documents.record_documents("auto", [folder.parsed("a", "DOC:new")])

    known = ledger.documents.get("DOC:a")
    assert (known.status, known.reason) == (SUPERSEDED, "/papers/a is DOC:new now")
    assert ledger.documents.get("DOC:new").status is CURRENT


def test_a_document_of_other_bytes_than_those_listed_is_left_out(ledger: JobLedger, folder: Folder) -> None:
    folder.listed()
    late = folder.parsed("a", "DOC:late")
    folder.files["a"] = "v2"
    folder.listed()

    ledger.documents.record_documents("auto", [late])

    assert ledger.documents.standing(["DOC:late"]) == {}


@pytest.mark.parametrize("status", [QUARANTINED, SUPERSEDED, RETRACTED])
def test_what_a_stage_sets_aside_is_not_current_until_it_lets_it_pass(
    ledger: JobLedger, folder: Folder, status: DocumentStatus
) -> None:
    folder.listed()

    set_aside(folder, "a", status, passed="bcdefghij")
    known = ledger.documents.get("DOC:a")
    set_aside(folder, "", status, passed="abcdefghij", stage="parse")
    still = statuses(ledger, "a")
    set_aside(folder, "", status, passed="abcdefghij")

    assert (known.status, known.reason) == (status, "a reason")
    assert still == [status]
    assert ledger.documents.get("DOC:a").reason is None
    assert statuses(ledger, "ab") == [CURRENT, CURRENT]


def test_of_two_forms_one_that_passes_is_enough_unless_the_other_is_retracted(
    ledger: JobLedger, folder: Folder
) -> None:
    folder.listed()

    set_aside(folder, "a", QUARANTINED, passed="a")
    assert statuses(ledger, "a") == [CURRENT]
    set_aside(folder, "a", RETRACTED, passed="a")

    assert statuses(ledger, "a") == [RETRACTED]


def test_what_is_set_aside_is_that_of_the_job_and_no_file_of_the_same_name(
    ledger: JobLedger, folder: Folder
) -> None:
    folder.listed()
    elsewhere = JobKey("auto", "elsewhere")
    other = Folder(ledger, "/other", {"a": "another text"})
    other.listed(key=elsewhere)
    ledger.jobs.ensure(elsewhere, actor="test")
    ledger.documents.record_documents("auto", [other.parsed("a", "DOC:other")])
    item = QuarantinedDocument("a", "parse", "UnreadableDocumentError", "broken")

    LedgerRun(ledger, elsewhere, STAGES).finish("parse", quarantined=[item])

    assert statuses(ledger, ["a", "other"]) == [CURRENT, QUARANTINED]


def test_one_copy_that_is_retracted_is_enough_though_another_job_lets_its_copy_pass(
    ledger: JobLedger, folder: Folder
) -> None:
    folder.listed()
    elsewhere = JobKey("auto", "elsewhere")
    ledger.jobs.ensure(elsewhere, actor="test")
    Folder(ledger, "/other", {"a": "v1"}).listed(key=elsewhere)
    set_aside(folder, "a", RETRACTED)

    LedgerRun(ledger, elsewhere, STAGES).finish(STAGES[-1], passed=["DOC:a"])

    assert statuses(ledger, "a") == [RETRACTED]


def test_a_stage_that_failed_sets_no_document_aside(ledger: JobLedger, folder: Folder) -> None:
    folder.listed()
    item = QuarantinedDocument("DOC:a", "parse", "UnreadableDocumentError", "broken")

    LedgerRun(ledger, KEY, STAGES).fail("parse", quarantined=[item])

    assert statuses(ledger, "a") == [CURRENT]


def test_what_somebody_withdrew_stays_so_whatever_is_listed_until_it_is_restored(
    ledger: JobLedger, folder: Folder
) -> None:
    folder.listed()

    (known,) = ledger.documents.withdraw(["DOC:a"], actor="ann", reason="not ours to show")
    folder.listed()
    set_aside(folder, "", CURRENT, passed="a")

    assert ledger.documents.get("DOC:a") == known
    assert (known.status, known.reason, known.decided_by) == (WITHDRAWN, "not ours to show", "ann")
    (restored,) = ledger.documents.restore(["DOC:a"])
    assert (restored.status, restored.reason, restored.decided_by) == (CURRENT, None, None)


def test_what_no_source_lists_cannot_be_restored(ledger: JobLedger, folder: Folder) -> None:
    folder.listed()
    ledger.documents.withdraw(["DOC:a"], actor="ann", reason="x")
    del folder.files["a"]
    folder.listed()

    (known,) = ledger.documents.restore(["DOC:a"])

    assert (known.status, known.reason) == (WITHDRAWN, "no source lists it any more")


def test_what_only_a_store_knows_can_be_withdrawn_and_what_nobody_knows_cannot(ledger: JobLedger) -> None:
    ledger.documents.withdraw(["DOC:old"], actor="ann", reason="x", stored={"DOC:old"})

    assert ledger.documents.get("DOC:old").status is WITHDRAWN
    for change in (
        lambda: ledger.documents.withdraw(["DOC:no"], actor="ann", reason="x"),
        lambda: ledger.documents.restore(["DOC:no"]),
        lambda: ledger.documents.get("DOC:no"),
    ):
        with pytest.raises(LedgerError, match=r"knows no document 'DOC:no'.*medkg documents list"):
            change()


def record(folder: Folder, **identifiers: dict[str, str]) -> None:
    """Let files be found to have identifiers, the later the better a form."""
    for rank, (name, some) in enumerate(identifiers.items()):
        parsed = folder.parsed(name, identifiers=some, rank=(1, rank))
        folder.ledger.documents.record_documents("auto", [parsed])


def test_of_the_forms_of_a_work_the_best_is_current_and_the_others_wait(
    ledger: JobLedger, folder: Folder
) -> None:
    folder.listed()
    record(folder, a={"DOI": "10.1/X"}, b={"DOI": "10.1/x", "PMID": "1"}, c={"PMID": "2", "PMCID": "PMC2"})

    assert statuses(ledger, "abc") == [SUPERSEDED, CURRENT, CURRENT]
    assert (
        ledger.documents.get("DOC:a").reason
        == "duplicate: it is DOC:b, which has the same DOI 10.1/x (/papers/b)"
    )
    assert [form.id for form in ledger.documents.work("DOC:a")] == ["DOC:b", "DOC:a"]
    del folder.files["b"]
    items = [ListedItem(id=name, origin=name, content_hash="v1") for name in folder.files]
    listing = Listing(
        stage="ingest", source="files", parameters={"path": "/papers"}, items=tuple(items), is_full=True
    )
    ledger.documents.record_listing(KEY, listing)
    assert statuses(ledger, "ab") == [CURRENT, WITHDRAWN]


def test_two_ids_that_turn_out_to_be_one_work_are_one_from_then_on_and_two_again_where_that_was_wrong(
    ledger: JobLedger, folder: Folder
) -> None:
    folder.listed()
    record(folder, a={"DOI": "10.1/x"}, b={"PMID": "1"})
    assert statuses(ledger, "ab") == [CURRENT, CURRENT]

    record(folder, b={"PMID": "1", "DOI": "10.1/x"}, c={"PMID": "1"})
    assert statuses(ledger, "abc") == [SUPERSEDED, SUPERSEDED, CURRENT]
    record(folder, b={"PMID": "1"})

    assert statuses(ledger, "abc") == [CURRENT, SUPERSEDED, CURRENT]


def test_what_was_split_stays_apart_until_that_is_taken_back(ledger: JobLedger, folder: Folder) -> None:
    folder.listed()
    record(folder, a={"DOI": "10.1/x"}, b={"DOI": "10.1/x"})
    set_aside(folder, "a", SUPERSEDED, passed="b")

    (known,) = ledger.documents.split(["DOC:a"], actor="ann")
    folder.listed()
    record(folder, a={"DOI": "10.1/x"}, b={"DOI": "10.1/x"})

    assert (known.status, known.apart_by) == (CURRENT, "ann")
    assert statuses(ledger, "ab") == [CURRENT, CURRENT]
    ledger.documents.restore(["DOC:a"])
    assert statuses(ledger, "ab") == [SUPERSEDED, CURRENT]


def test_what_is_retracted_or_withdrawn_in_one_form_is_so_in_all(ledger: JobLedger, folder: Folder) -> None:
    folder.listed()
    record(folder, a={"DOI": "10.1/x"}, b={"DOI": "10.1/x"})

    set_aside(folder, "a", RETRACTED, passed="b")
    assert statuses(ledger, "ab") == [RETRACTED, RETRACTED]
    assert ledger.documents.get("DOC:b").reason == "as DOC:a is: a reason"
    set_aside(folder, "", CURRENT, passed="ab")
    ledger.documents.withdraw(["DOC:a"], actor="ann", reason="not ours")

    assert statuses(ledger, "ab") == [WITHDRAWN, WITHDRAWN]


NOTICES = JobKey("notices", "default")


def hold_notice(ledger: JobLedger, *, is_one: bool = True) -> Folder:
    """Let another pipeline hold the notice of the retraction of what has the DOI 10.1/x."""
    other = Folder(ledger, "/notices", dict.fromkeys(["notice", "z"], "v1"))
    ledger.jobs.ensure(NOTICES, actor="test")
    other.listed(key=NOTICES)
    parsed = other.parsed("notice", retracts=("DOI:10.1/X",) if is_one else ())
    ledger.documents.record_documents("notices", [parsed])
    item = QuarantinedDocument("DOC:notice", STAGES[-1], "X", "a notice", "", RETRACTED, False)
    run = LedgerRun(ledger, NOTICES, STAGES)
    run.finish(STAGES[-1], quarantined=[item] if is_one else [], passed=["DOC:z"])
    return other


@pytest.mark.parametrize("notice_is_first", [True, False])
def test_a_notice_takes_out_the_article_that_it_names_whichever_comes_first(
    ledger: JobLedger, folder: Folder, notice_is_first: bool
) -> None:
    if notice_is_first:
        hold_notice(ledger)
    folder.listed()
    record(folder, a={"DOI": "10.1/x"}, b={"DOI": "10.1/x"}, c={"DOI": "10.1/other"})
    if not notice_is_first:
        hold_notice(ledger)

    assert statuses(ledger, ["notice", "z", *"abc"]) == [RETRACTED, CURRENT, RETRACTED, RETRACTED, CURRENT]
    why = "DOC:notice is the notice of its retraction (/notices/notice)"
    assert ledger.documents.get("DOC:b").reason == why
    ledger.documents.restore(["DOC:a", "DOC:b"])
    assert statuses(ledger, "ab") == [RETRACTED, RETRACTED]


def test_an_article_is_current_again_where_nothing_holds_the_notice_or_somebody_withdrew_it(
    ledger: JobLedger, folder: Folder
) -> None:
    folder.listed()
    record(folder, a={"DOI": "10.1/x"})
    notices = hold_notice(ledger)

    ledger.documents.withdraw(["DOC:notice"], actor="ann", reason="it means another article")
    assert statuses(ledger, "a") == [CURRENT]
    ledger.documents.restore(["DOC:notice"])
    hold_notice(ledger)
    assert statuses(ledger, "a") == [RETRACTED]
    del notices.files["notice"]
    notices.listed(key=NOTICES)
    assert statuses(ledger, "a") == [CURRENT]
    hold_notice(ledger)
    hold_notice(ledger, is_one=False)
    assert statuses(ledger, "a") == [CURRENT]


def test_what_has_other_identifiers_is_one_work_where_one_states_the_other_to_be_a_version(
    ledger: JobLedger, folder: Folder
) -> None:
    folder.listed()
    record(folder, a={"DOI": "10.1/preprint"}, b={"DOI": "10.1/x"})
    assert statuses(ledger, "ab") == [CURRENT, CURRENT]

    stated = folder.parsed("a", identifiers={"DOI": "10.1/preprint"}, versions=("DOI:10.1/X",), rank=(1, 0))
    ledger.documents.record_documents("auto", [stated])

    assert statuses(ledger, "ab") == [SUPERSEDED, CURRENT]
    record(folder, a={"DOI": "10.1/preprint"})
    assert statuses(ledger, "ab") == [CURRENT, CURRENT]


def test_another_form_that_another_pipeline_holds_is_the_same_work(ledger: JobLedger, folder: Folder) -> None:
    folder.listed()
    record(folder, a={"DOI": "10.1/x"})
    other = Folder(ledger, "/other", {"z": "v1"})
    other.listed(key=JobKey("papers", "default"))

    better = other.parsed("z", identifiers={"DOI": "10.1/X"}, rank=(2, 0))
    ledger.documents.record_documents("papers", [better])

    assert statuses(ledger, "az") == [SUPERSEDED, CURRENT]


def test_what_a_stage_refused_is_remembered_with_its_file(ledger: JobLedger, folder: Folder) -> None:
    folder.listed()
    set_aside(folder, "a", QUARANTINED)

    (outcome,) = ledger.stage_runs.outcomes(KEY)

    assert (outcome.document_id, outcome.origin) == ("DOC:a", "/papers/a")
    assert ledger.documents.origins(KEY, ["DOC:b", "c", "unknown"]) == {
        "DOC:b": "/papers/b",
        "c": "/papers/c",
    }


def test_what_only_a_removed_job_holds_goes_and_its_history_stays(ledger: JobLedger, folder: Folder) -> None:
    folder.listed()
    same, other = JobKey("auto", "same"), JobKey("auto", "other")
    for key in (same, other):
        ledger.jobs.ensure(key, actor="test")
    Folder(ledger, "/other", {"a": "v1", "z": "v1"}).listed(key=other)
    ledger.documents.record_documents("auto", [folder.parsed("a")])

    would_go = ledger.documents.only_of_job(other)
    gone = ledger.documents.remove_job(other, actor="ann", reason="a trial")

    assert [item.id for item in would_go] == [item.id for item in gone] == ["DOC:z"]
    assert (gone[0].status, gone[0].reason) == (WITHDRAWN, "the job auto/other was removed")
    assert statuses(ledger, "ab") == [CURRENT, CURRENT]
    last = ledger.jobs.history(other)[-1]
    assert (last.field, last.old, last.new, last.actor, last.reason) == ("documents", 1, 0, "ann", "a trial")
    folder.listed(key=same)
    assert ledger.documents.remove_job(same, actor="ann") == ()
    assert len(ledger.documents.only_of_job(KEY)) == 10


def test_a_running_job_is_not_removed(ledger: JobLedger, folder: Folder) -> None:
    folder.listed()
    LedgerRun(ledger, KEY, STAGES).begin("ingest")

    with pytest.raises(LedgerError, match="job 'auto/default' is running"):
        ledger.documents.remove_job(KEY, actor="ann")

    assert statuses(ledger, "a") == [CURRENT]


@pytest.mark.parametrize("wanted", ["DOC:a", "DOI:10.1/X", "a", "papers/a", "/papers/a"])
def test_why_a_document_is_not_shown_is_told_by_id_identifier_or_file(
    ledger: JobLedger, folder: Folder, wanted: str
) -> None:
    folder.listed()
    record(folder, a={"DOI": "10.1/x"})
    run = LedgerRun(ledger, KEY, STAGES)
    run.finish("ingest")
    item = QuarantinedDocument("DOC:a", "parse", "UnreadableDocumentError", "DOC:a: broken")
    run.finish("parse", quarantined=[item])
    run.finish("ir_validation", passed=["DOC:b"])

    (found,) = ledger.documents.explain(wanted)

    assert found.known == ledger.documents.get("DOC:a")
    assert [(one.stage, one.outcome, one.message) for one in found.stages] == [
        ("ingest", "done", None),
        ("parse", "set aside", "DOC:a: broken"),
        ("ir_validation", "not reached", None),
    ]
    assert [holding.origin for holding in found.holdings] == ["/papers/a"]


def test_why_a_file_is_no_document_at_all_is_told_too(ledger: JobLedger, folder: Folder) -> None:
    folder.listed()
    item = QuarantinedDocument("notes.docx", "ingest", "UnreadableDocumentError", "notes.docx: a Word file")
    LedgerRun(ledger, KEY, STAGES).finish("ingest", quarantined=[item])

    (found,) = ledger.documents.explain("notes.docx")

    assert found.known is None
    assert [(one.stage, one.message) for one in found.stages] == [("ingest", "notes.docx: a Word file")]
    with pytest.raises(LedgerError, match=r"knows nothing of 'none.docx'.*medkg documents list"):
        ledger.documents.explain("none.docx")


@pytest.mark.parametrize("wanted", ["a", "papers/a", "/papers/a"])
def test_why_a_document_went_is_told_by_the_file_that_is_gone(
    ledger: JobLedger, folder: Folder, wanted: str
) -> None:
    folder.listed()
    record(folder)
    del folder.files["a"]
    folder.listed()

    (found,) = ledger.documents.explain(wanted)

    assert found.known is not None
    assert (found.known.id, found.known.status) == ("DOC:a", WITHDRAWN)
    assert found.holdings == ()
    with pytest.raises(LedgerError, match="knows nothing of 'rs/a'"):
        ledger.documents.explain("rs/a")


@pytest.mark.parametrize(
    ("wanted", "meant"),
    [
        ("10.1/X", "DOC:a"),
        ("https://doi.org/10.1/x", "DOC:a"),
        ("NCT01234567", "clinicaltrials:NCT01234567"),
        ("nct01234567", "clinicaltrials:NCT01234567"),
    ],
)
def test_an_identifier_says_without_its_scheme_which_document_is_meant(
    ledger: JobLedger, folder: Folder, wanted: str, meant: str
) -> None:
    folder.listed()
    record(folder, a={"DOI": "10.1/x", "clinicaltrials": "NCT01234567"}, c={"DOI": "10.1/y"})
    study = folder.parsed("b", "clinicaltrials:NCT01234567")
    ledger.documents.record_documents("auto", [study])

    assert [one.id for one in ledger.documents.explain(wanted)] == [meant]


@pytest.mark.parametrize("wanted", ["DOC:1/article.xml", "1/article.xml", "article.xml", "DOI:10.1/x", "no"])
def test_why_is_looked_up_whatever_the_number_of_documents_and_of_files_of_one_name(
    tmp_path: Path, wanted: str
) -> None:
    plans: list[str] = []
    with JobLedger.open(tmp_path) as ledger:
        Folder(ledger, files={f"{number}/article.xml": "text" for number in range(3)}).listed()

        @event.listens_for(ledger._database._reader, "before_cursor_execute")
        def _explain(_connection: Any, cursor: Any, statement: str, parameters: Any, *_more: Any) -> None:
            if statement.startswith("SELECT"):
                plan = cursor.connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
                plans.extend(detail for *_, detail in plan)

        with suppress(LedgerError):
            ledger.documents.explain(wanted)

    # A request is one of few.
    assert {plan.split()[1] for plan in plans if plan.startswith("SCAN")} <= {"ledger_requests"}
    of_files = {plan for plan in plans if "(file=?" in plan}
    assert of_files <= {"SEARCH ledger_holdings USING INDEX ledger_holdings_by_path (file=?)"}
    assert of_files or wanted.startswith("DOC:")


def test_documents_are_found_by_status_source_text_and_pipeline(ledger: JobLedger, folder: Folder) -> None:
    folder.listed()
    ledger.documents.withdraw(["DOC:a"], actor="ann", reason="x")

    def found(**wanted: str) -> list[str]:
        return [one.id for one in ledger.documents.list(**wanted)]  # type: ignore[arg-type] # all are texts

    assert found(status="withdrawn") == ["DOC:a"]
    assert found(text="TITLE OF B") == found(text="papers/b") == ["DOC:b"]
    assert found(text="%") == []
    assert len(found(source="infores:user-supplied", pipeline="auto")) == 10
    assert len(found(pipeline="auto", job_id="default")) == len(found(job_id="default")) == 10
    assert found(pipeline="other") == found(job_id="other") == []
    assert len(ledger.documents.list(limit=3)) == 3


def test_the_work_of_a_listing_grows_with_what_is_listed_and_not_with_its_square(tmp_path: Path) -> None:
    def steps(count: int) -> int:
        with JobLedger.open(tmp_path / str(count)) as ledger:
            folder = Folder(ledger, files={f"{number:05}": "v1" for number in range(count)})
            folder.listed()
            names = [name for name in folder.files if name[-1] != "0"]
            folder.files = {name: "v2" if name[-1] == "1" else "v1" for name in names}
            counted = 0

            def count_steps() -> int:
                nonlocal counted
                counted += 1
                return 0

            with ledger._database.reading() as connection:
                driver = connection.connection.driver_connection
                assert isinstance(driver, sqlite3.Connection)
                driver.set_progress_handler(count_steps, 10)
            assert folder.listed().withdrawn == count // 10
            assert counted
            return counted

    assert steps(2400) < 3 * steps(1200)


def test_documents_are_written_by_the_hundred_and_what_is_as_it_was_is_not_written(tmp_path: Path) -> None:
    with JobLedger.open(tmp_path) as ledger:
        folder = Folder(ledger, files={f"{number:05}": "v1" for number in range(1200)})
        statements: list[str] = []

        @event.listens_for(ledger._database._writer, "before_cursor_execute")
        def _note(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
            statements.append(statement)

        folder.listed()
        when_new = len(statements)
        statements.clear()
        ledger.documents.record_documents("auto", list(map(folder.parsed, folder.files)))
        when_known = list(statements)
        statements.clear()
        ledger.documents.record_documents("auto", [folder.parsed("00007", date="2026")])

    assert when_new < 1200 / 10
    assert {statement.split()[0] for statement in when_known} == {"BEGIN", "SELECT"}
    assert len(when_known) < 10
    assert any(statement.startswith("UPDATE ledger_documents") for statement in statements)


def test_a_document_is_described_by_the_best_of_its_forms_whichever_was_parsed_last(
    ledger: JobLedger, folder: Folder
) -> None:
    """The files `a` and `b` are one document; of `c` nobody says so."""
    folder.listed()
    full = folder.parsed("a", "DOC:x", identifiers={"DOI": "10.1/x"}, rank=(2, 9))
    record = folder.parsed("b", "DOC:x", identifiers={"DOI": "10.1/y", "PMID": "1"}, rank=(1, 5))
    for some in ([full], [record], [full, record], [record, full]):
        ledger.documents.record_documents("auto", some)

    known = ledger.documents.get("DOC:x")
    assert (known.title, known.identifiers) == ("Title of a", {"DOI": "10.1/x", "PMID": "1"})
    del folder.files["a"]
    items = tuple(ListedItem(id=name, origin=name, content_hash="v1") for name in folder.files)
    parameters = {"path": "/papers"}
    listing = Listing(stage="ingest", source="files", parameters=parameters, items=items, is_full=True)
    ledger.documents.record_listing(KEY, listing)

    known = ledger.documents.get("DOC:x")
    assert (known.status, known.title, known.identifiers["DOI"]) == (CURRENT, "Title of b", "10.1/y")
