import json

import pytest

from medkg_dagster.cli.ledger.changes import user_name
from medkg_dagster.domain.holdings import DocumentStatus
from medkg_dagster.domain.payloads import FileRecord, FileStatus
from medkg_dagster.ledger import JobKey, JobStatus, PhaseStatus
from medkg_dagster.stage_api import QuarantinedDocument
from medkg_dagster_tests.cli.conftest import BEHIND, FIRST, Medkg, ReviewedJob
from medkg_dagster_tests.ledger.stage_histories import LedgerRun

SET = ("ledger", "set", "reviewed/spring")
RETRY = ("ledger", "retry", "reviewed/spring", "--by", "ann", "--reason", "once more")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("3", 3),
        ("null", None),
        ('"true"', "true"),
        ('["a", 1]', ["a", 1]),
        ('{"a": {"b": 1}}', {"a": {"b": 1}}),
        ("hello world", "hello world"),
        ("2026-01-31", "2026-01-31"),
        ("a=b", "a=b"),
        ("", ""),
        ("NaN", "NaN"),
        ("True", "True"),
    ],
)
def test_a_value_is_json_where_it_can_be_else_text(
    gated_medkg: Medkg, reviewed: ReviewedJob, text: str, value: object
) -> None:
    done = gated_medkg(*SET, f"note={text}")

    assert (done.exit_code, done.output) == (0, "reviewed/spring: set note\n")
    assert reviewed.job.fields["note"] == value
    assert type(reviewed.job.fields["note"]) is type(value)


def test_every_value_is_text_where_that_is_asked_for(gated_medkg: Medkg, reviewed: ReviewedJob) -> None:
    gated_medkg(*SET, "--text", "note=true", "count=3")

    assert reviewed.job.fields == {"note": "true", "count": "3"}


def test_several_fields_change_at_once_or_none_of_them(gated_medkg: Medkg, reviewed: ReviewedJob) -> None:
    refused = gated_medkg(*SET, "note=1", "status=done")

    assert (refused.exit_code, "'status' is the job's own" in refused.stderr) == (1, True)
    assert reviewed.job.fields == {}
    gated_medkg(*SET, "review.pages=3", "review.by=ann", "--by", "ann", "--reason", "counted")
    assert reviewed.job.fields == {"review": {"pages": 3, "by": "ann"}}
    changes = reviewed.ledger.jobs.history(JobKey("reviewed", "spring"))[-2:]
    assert {(item.actor, item.reason, item.at) for item in changes} == {("ann", "counted", changes[0].at)}


def test_who_sets_a_field_is_the_user_where_nobody_else_is_named(
    gated_medkg: Medkg, reviewed: ReviewedJob
) -> None:
    gated_medkg(*SET, "note=1")

    assert reviewed.ledger.jobs.history(JobKey("reviewed", "spring"))[-1].actor == user_name()


def test_setting_what_is_set_already_says_that_nothing_changed(
    gated_medkg: Medkg, reviewed: ReviewedJob
) -> None:
    gated_medkg(*SET, "note=1")
    length = len(reviewed.ledger.jobs.history(JobKey("reviewed", "spring")))

    assert "unchanged, note" in gated_medkg(*SET, "note=1").output
    assert len(reviewed.ledger.jobs.history(JobKey("reviewed", "spring"))) == length


@pytest.mark.parametrize(
    ("assignment", "warning"),
    [
        ('review.approved="true"', "review.approved equals True: 'true' (it is text, not a boolean)"),
        ("review.approved=1", "review.approved equals True: 1 (it is a number, not a boolean)"),
        ("review.pages=many", "review.pages gte 1: 'many' (it is text, not a number)"),
        ("review.licence=0", "review.licence in ['CC0', 'CC-BY']: 0 (it is a number, not text)"),
        ('review={"approved": "yes"}', "'yes' (it is text, not a boolean)"),
    ],
)
def test_a_type_that_a_gate_cannot_make_sense_of_is_set_with_a_warning(
    gated_medkg: Medkg, reviewed: ReviewedJob, assignment: str, warning: str
) -> None:
    done = gated_medkg(*SET, assignment)

    assert done.exit_code == 0
    assert done.stderr.startswith("medkg: warning: gate 'review'")
    assert warning in done.stderr
    assert "review" in reviewed.job.fields


@pytest.mark.parametrize(
    "assignment", ["review.approved=false", "review.pages=0", "review.licence=GPL", "other=x"]
)
def test_a_value_of_the_right_type_is_set_without_a_warning(
    gated_medkg: Medkg, reviewed: ReviewedJob, assignment: str
) -> None:
    del reviewed
    assert gated_medkg(*SET, assignment).stderr == ""


@pytest.mark.parametrize("wrong", ["note", "=1", "a..b=1"])
def test_what_is_no_assignment_is_refused(gated_medkg: Medkg, reviewed: ReviewedJob, wrong: str) -> None:
    assert gated_medkg(*SET, wrong).exit_code in {1, 2}
    assert gated_medkg(*SET, "note=1", "note=2").exit_code == 2
    assert reviewed.job.fields == {}


def test_a_failed_stage_is_tried_again_with_its_phase(gated_medkg: Medkg, reviewed: ReviewedJob) -> None:
    reviewed.ledger.phases.take_due(FIRST, "sensor")
    reviewed.run_stages("ingest", "parse", fail=True)
    done = gated_medkg(*RETRY)

    assert done.output == "reviewed/spring: reviewed is due, attempt 2\n"
    assert (reviewed.job.status, reviewed.job.error) == (JobStatus.SUBMITTED, None)
    last = reviewed.ledger.jobs.history(JobKey("reviewed", "spring"))[-1]
    assert (last.actor, last.reason) == ("ann", "once more")


def test_a_stage_that_failed_behind_a_gate_is_tried_again_without_the_first_phase(
    gated_medkg: Medkg, reviewed: ReviewedJob
) -> None:
    reviewed.wait_at_the_gate()
    gated_medkg("gate", "approve", "spring", "review", "--reason", "x")
    reviewed.go_through()
    reviewed.run_stages("ir_validation", run_id="r2", fail=True)

    assert gated_medkg(*RETRY).output == f"reviewed/spring: {BEHIND} is due, attempt 2\n"
    assert reviewed.phase.status is PhaseStatus.DUE


@pytest.mark.parametrize("closed", ["rejected", "timed out"])
def test_a_closed_gate_is_waited_for_once_more(
    gated_medkg: Medkg, reviewed: ReviewedJob, closed: str
) -> None:
    reviewed.wait_at_the_gate()
    if closed == "rejected":
        gated_medkg("gate", "reject", "spring", "review", "--reason", "x")
    else:
        reviewed.time_out()

    assert gated_medkg(*RETRY).output == "reviewed/spring waits at gate 'review' once more\n"
    assert (reviewed.phase.attempt, reviewed.job.status) == (2, JobStatus.WAITING)


def test_a_submitted_waiting_or_succeeded_job_is_not_tried_again(
    gated_medkg: Medkg, reviewed: ReviewedJob
) -> None:
    assert "has not been started yet" in gated_medkg(*RETRY).stderr
    reviewed.wait_at_the_gate()
    assert "waits at gate 'review'" in gated_medkg(*RETRY).stderr
    gated_medkg("gate", "approve", "spring", "review", "--reason", "x")
    reviewed.go_through()
    reviewed.run_stages("ir_validation", run_id="r2")
    assert reviewed.job.status is JobStatus.SUCCEEDED
    refused = gated_medkg(*RETRY)

    assert (refused.exit_code, "succeeded" in refused.stderr) == (1, True)
    assert reviewed.phase.attempt == 1


def test_a_running_job_is_tried_again_by_force_only(gated_medkg: Medkg, reviewed: ReviewedJob) -> None:
    LedgerRun(reviewed.ledger, reviewed.key, ("ingest", "parse")).begin("ingest")
    for command in (RETRY, (*RETRY, "--phase", FIRST)):
        refused = gated_medkg(*command)
        assert (refused.exit_code, "is running; stop its run" in refused.stderr) == (1, True)

    assert gated_medkg(*RETRY, "--force").output == "reviewed/spring: reviewed is due, attempt 2\n"


def test_a_named_phase_is_repeated_after_success_too(gated_medkg: Medkg, reviewed: ReviewedJob) -> None:
    reviewed.wait_at_the_gate()
    gated_medkg("gate", "approve", "spring", "review", "--reason", "x")
    reviewed.go_through()
    reviewed.run_stages("ir_validation", run_id="r2")

    assert f"{BEHIND} is due, attempt 2" in gated_medkg(*RETRY, "--phase", BEHIND).output


def test_quarantined_documents_are_worked_on_again_where_a_stage_refused_them_first(
    gated_medkg: Medkg, reviewed: ReviewedJob
) -> None:
    reviewed.wait_at_the_gate()
    superseded = ("RejectedDocumentError", "same", "", DocumentStatus.SUPERSEDED, False)
    refused = [
        QuarantinedDocument("a.txt", "parse", "UnreadableDocumentError", "garbled"),
        QuarantinedDocument("b.txt", "parse", *superseded),
    ]
    assert "no stage of reviewed/spring holds a quarantined" in gated_medkg(*RETRY, "--quarantined").stderr
    LedgerRun(reviewed.ledger, reviewed.key, ("parse",), run_id="r2").finish("parse", quarantined=refused)

    done = gated_medkg(*RETRY, "--quarantined")

    assert done.output == f"reviewed/spring: {FIRST} is due, attempt 2\n"
    assert reviewed.ledger.stage_runs.asked_again(reviewed.key, "parse") == {"a.txt"}
    LedgerRun(reviewed.ledger, reviewed.key, ("parse",), run_id="r3").finish("parse")
    assert reviewed.ledger.stage_runs.asked_again(reviewed.key, "parse") == frozenset()
    both = gated_medkg(*RETRY, "--quarantined", "--phase", BEHIND)
    assert "--quarantined names the phase itself" in both.stderr


def test_a_phase_whose_gate_the_job_has_not_come_to_is_refused(
    gated_medkg: Medkg, reviewed: ReviewedJob
) -> None:
    reviewed.run_stages("ingest", "parse", fail=True)
    refused = gated_medkg(*RETRY, "--phase", BEHIND)

    assert refused.exit_code == 1
    assert "has not come to gate 'review': parse not finished; start reviewed again first" in refused.stderr


def test_an_unknown_phase_is_refused_by_name(gated_medkg: Medkg, reviewed: ReviewedJob) -> None:
    reviewed.run_stages("ingest", fail=True)

    assert f"did you mean '{BEHIND}'" in gated_medkg(*RETRY, "--phase", f"{BEHIND}x").stderr


def record(document: str, status: FileStatus) -> FileRecord:
    if status is FileStatus.STORED:
        stored = {"path": "files/ab/abc.pdf", "sha256": "abcdef" * 10, "size": 123_456}
        return FileRecord.model_validate(
            {"document_id": document, "status": status, "url": "http://a/1.pdf", **stored}
        )
    return FileRecord(document_id=document, status=status, url="http://a/2.pdf", error="404 Not Found")


def test_files_are_listed_and_counted(gated_medkg: Medkg, reviewed: ReviewedJob) -> None:
    assert gated_medkg("ledger", "files", "spring").output == "no files were asked for\n"
    reviewed.ledger.files.put(
        JobKey("reviewed", "spring"), [record("DOI:1", FileStatus.STORED), record("DOI:2", FileStatus.FAILED)]
    )
    shown = gated_medkg("ledger", "files", "spring").output
    for expected in ("DOI:1", "stored", "123456", "abcdefabcdef ", "404 Not Found", "http://a/2.pdf"):
        assert expected in shown
    described = json.loads(gated_medkg("ledger", "files", "spring", "--json").stdout)
    assert [item["sha256"] for item in described] == ["abcdef" * 10, None]
    assert "files: 1 failed, 1 stored" in gated_medkg("ledger", "show", "spring").output
    assert len(json.loads(gated_medkg("ledger", "show", "spring", "--json").stdout)["files"]) == 2


def test_a_job_is_shown_with_its_phases(gated_medkg: Medkg, reviewed: ReviewedJob) -> None:
    reviewed.wait_at_the_gate()
    shown = gated_medkg("ledger", "show", "spring").output
    for expected in (BEHIND, "review ", "waiting", "review.approved equals True: absent"):
        assert expected in shown
    gated_medkg("gate", "approve", "spring", "review", "--by", "ann", "--reason", "read it")
    assert "approved: read it" in gated_medkg("ledger", "show", "spring").output
    described = json.loads(gated_medkg("ledger", "show", "spring", "--json").stdout)
    assert [(phase["phase"], phase["status"]) for phase in described["phases"]] == [
        (FIRST, "started"),
        (BEHIND, "due"),
    ]
    (listed,) = json.loads(gated_medkg("ledger", "list", "--json").stdout)
    assert [phase["opened_by"] for phase in listed["phases"]] == ["ann", "ann"]
