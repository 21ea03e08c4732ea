from typing import Any

import pytest

from medkg_dagster.errors import LedgerError, UnknownJobError
from medkg_dagster.ledger import JobKey, JobLedger, JobStatus, Registration, StageStatus
from medkg_dagster.stage_api import QuarantinedDocument

STAGES = ("ingest", "parse")


def refused(document_id: str, message: str = "truncated") -> QuarantinedDocument:
    return QuarantinedDocument(document_id, "parse", "UnreadableDocumentError", message)


@pytest.fixture
def book(ledger: JobLedger) -> JobLedger:
    ledger.jobs.ensure(JobKey("auto", "default"), {"adapter": "files"}, actor="test")
    return ledger


def finish(book: JobLedger, stage: str, run_id: str = "r1", **changes: Any) -> None:
    book.stage_runs.begin(JobKey("auto", "default"), stage, run_id)
    book.stage_runs.finish(JobKey("auto", "default"), stage, run_id, output_count=3, succeeded=3, **changes)


def test_a_job_is_made_on_first_use_and_its_request_is_never_overwritten(book: JobLedger) -> None:
    again = book.jobs.ensure(JobKey("auto", "default"), {"adapter": "clinicaltrials"}, actor="other")
    assert again == book.jobs.get(JobKey("auto", "default"))
    assert again.request == {"adapter": "files"}
    assert again.status is JobStatus.SUBMITTED
    assert again.created_at == "2026-01-01T00:00:02.000000Z"
    assert [
        (entry.field, entry.new, entry.actor) for entry in book.jobs.history(JobKey("auto", "default"))
    ] == [("status", "submitted", "test")]


def test_an_unknown_job_names_the_closest_one(book: JobLedger) -> None:
    with pytest.raises(UnknownJobError, match=r"no ledger job 'defualt'; did you mean 'default'\?"):
        book.jobs.get(JobKey("auto", "defualt"))
    with pytest.raises(UnknownJobError, match="known: none"):
        book.jobs.set_fields(JobKey("manual", "default"), {"a": 1}, actor="test")


def test_a_job_needs_a_pipeline_and_an_id(ledger: JobLedger) -> None:
    with pytest.raises(LedgerError, match="one of them is empty"):
        ledger.jobs.ensure(JobKey("auto", ""), actor="test")


def test_every_method_that_takes_a_job_refuses_an_unknown_one(ledger: JobLedger) -> None:
    for call in (
        ledger.jobs.get,
        ledger.jobs.history,
        ledger.stage_runs.of_job,
        ledger.stage_runs.outcomes,
    ):
        with pytest.raises(UnknownJobError):
            call(JobKey("auto", "gone"))
    with pytest.raises(UnknownJobError):
        ledger.stage_runs.begin(JobKey("auto", "gone"), "parse", "r1")
    with pytest.raises(UnknownJobError):
        ledger.stage_runs.update_job_status(JobKey("auto", "gone"), STAGES)


def test_fields_are_nested_by_dotted_path_and_only_changes_reach_the_history(book: JobLedger) -> None:
    book.jobs.set_fields(JobKey("auto", "default"), {"pdf.pages": 3, "pdf.ready": False}, actor="ocr")
    job = book.jobs.set_fields(
        JobKey("auto", "default"), {"pdf.pages": 3, "pdf.ready": True}, actor="ocr", reason="second pass"
    )
    assert job.fields == {"pdf": {"pages": 3, "ready": True}}
    assert job == book.jobs.get(JobKey("auto", "default"))
    changes = [
        (entry.field, entry.old, entry.new, entry.reason)
        for entry in book.jobs.history(JobKey("auto", "default"))[1:]
    ]
    assert changes == [
        ("pdf.pages", None, 3, None),
        ("pdf.ready", None, False, None),
        ("pdf.ready", False, True, "second pass"),
    ]


def test_setting_fields_to_what_they_are_changes_nothing(book: JobLedger) -> None:
    first = book.jobs.set_fields(JobKey("auto", "default"), {"a.b": [1, {"c": None}]}, actor="x")
    assert book.jobs.set_fields(JobKey("auto", "default"), {"a.b": [1, {"c": None}]}, actor="y") == first
    assert len(book.jobs.history(JobKey("auto", "default"))) == 2


def test_true_and_one_are_different_values(book: JobLedger) -> None:
    book.jobs.set_fields(JobKey("auto", "default"), {"ready": 1}, actor="x")
    assert book.jobs.set_fields(JobKey("auto", "default"), {"ready": True}, actor="x").fields["ready"] is True


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"a..b": 1}, "has an empty part"),
        ({"": 1}, "has an empty part"),
        ({"status": "succeeded"}, "'status' is the job's own"),
        ({"scalar.below": 1}, "scalar is 7, not an object"),
        ({"a": float("nan")}, "cannot be stored as JSON"),
        ({"a": object()}, "cannot be stored as JSON"),
        ({"a": {1: 2}}, "the key 1 is not a string"),
    ],
)
def test_a_bad_field_is_refused_and_nothing_of_its_batch_is_written(
    book: JobLedger, changes: dict[str, Any], message: str
) -> None:
    before = book.jobs.set_fields(JobKey("auto", "default"), {"scalar": 7}, actor="x")
    with pytest.raises(LedgerError, match=message):
        book.jobs.set_fields(JobKey("auto", "default"), {"AAA": 1, **changes}, actor="x")
    assert book.jobs.get(JobKey("auto", "default")) == before


def test_text_that_databases_refuse_is_kept_as_an_escape(book: JobLedger) -> None:
    book.stage_runs.begin(JobKey("auto", "default"), "parse", "r1")
    book.stage_runs.fail(
        JobKey("auto", "default"), "parse", "r1", "nul \x00 and \udc80", [refused("caf\udce9.txt", "\x00")]
    )
    assert book.stage_runs.of_job(JobKey("auto", "default"))[0].error == r"nul \x00 and \udc80"
    assert book.stage_runs.outcomes(JobKey("auto", "default"))[0].document_id == r"caf\udce9.txt"
    job = book.jobs.set_fields(JobKey("auto", "default"), {"name": "\x00\udc80 ö"}, actor="x")
    assert book.jobs.get(JobKey("auto", "default")) == job
    assert job.fields["name"] == "\x00\udc80 ö"


def test_a_status_is_recorded_once_with_actor_and_reason(book: JobLedger) -> None:
    book.jobs.set_status(JobKey("auto", "default"), "failed", actor="gate", error="timed out")
    job = book.jobs.set_status(JobKey("auto", "default"), "failed", actor="gate", error="timed out")
    assert (job.status, job.error) == (JobStatus.FAILED, "timed out")
    last = book.jobs.history(JobKey("auto", "default"))[-1]
    assert (last.old, last.new, last.actor, last.reason) == ("submitted", "failed", "gate", "timed out")
    assert len(book.jobs.history(JobKey("auto", "default"))) == 2
    assert book.jobs.set_status(JobKey("auto", "default"), "running", actor="x").error is None


def test_an_unknown_status_is_refused(book: JobLedger) -> None:
    with pytest.raises(LedgerError, match="did you mean 'succeeded'"):
        book.jobs.set_status(JobKey("auto", "default"), "suceeded", actor="x")
    with pytest.raises(LedgerError, match="unknown job status 'done'"):
        book.jobs.list(status="done")


def test_a_phase_change_goes_into_the_history(book: JobLedger) -> None:
    assert book.jobs.set_phase(JobKey("auto", "default"), "pdf_ready", actor="sensor").phase == "pdf_ready"
    assert book.jobs.history(JobKey("auto", "default"))[-1].field == "phase"


def test_jobs_are_filtered_limited_and_ordered_by_last_change(book: JobLedger) -> None:
    book.jobs.ensure(JobKey("auto", "second"), actor="x")
    book.jobs.ensure(JobKey("manual", "default"), actor="x")
    book.jobs.set_status(JobKey("auto", "default"), "running", actor="x")
    names = [(job.pipeline, job.job_id) for job in book.jobs.list()]
    assert names == [("auto", "default"), ("manual", "default"), ("auto", "second")]
    assert [job.job_id for job in book.jobs.list("auto", "submitted")] == ["second"]
    assert len(book.jobs.list(limit=1)) == 1
    assert {job.pipeline for job in book.jobs.list(job_id="default")} == {"auto", "manual"}


def test_a_stage_goes_from_started_to_finished_with_its_counts(book: JobLedger) -> None:
    book.stage_runs.begin(JobKey("auto", "default"), "parse", "r1")
    started = book.stage_runs.of_job(JobKey("auto", "default"))[0]
    assert (started.status, started.output_count, started.finished_at) == (StageStatus.STARTED, None, None)
    assert book.jobs.get(JobKey("auto", "default")).status is JobStatus.RUNNING
    book.stage_runs.finish(
        JobKey("auto", "default"), "parse", "r1", 2, 2, [refused("a"), refused("b")], counts={"document": 2}
    )
    finished = book.stage_runs.of_job(JobKey("auto", "default"))[0]
    assert (finished.status, finished.output_count, finished.succeeded) == (StageStatus.FINISHED, 2, 2)
    assert (finished.quarantined, finished.counts) == (2, {"document": 2})
    assert finished.started_at == started.started_at < (finished.finished_at or "")
    assert [
        outcome.document_id for outcome in book.stage_runs.outcomes(JobKey("auto", "default"), "parse")
    ] == ["a", "b"]
    assert book.stage_runs.outcomes(JobKey("auto", "default"), "ingest") == ()


def test_a_second_run_of_a_stage_replaces_what_the_first_refused(book: JobLedger) -> None:
    finish(book, "parse", quarantined=[refused("a")])
    finish(book, "parse", "r2", quarantined=[refused("b")])
    assert [outcome.document_id for outcome in book.stage_runs.outcomes(JobKey("auto", "default"))] == ["b"]
    assert [run.run_id for run in book.stage_runs.of_job(JobKey("auto", "default"))] == ["r2"]


def test_recording_the_same_end_twice_changes_nothing_but_the_time(book: JobLedger) -> None:
    finish(book, "parse", quarantined=[refused("a")])
    finish(book, "parse", quarantined=[refused("a")])
    assert len(book.stage_runs.outcomes(JobKey("auto", "default"))) == 1
    assert book.jobs.get(JobKey("auto", "default")).attempts == 1


def test_a_run_that_was_overtaken_cannot_end_its_successors_stage(book: JobLedger) -> None:
    book.stage_runs.begin(JobKey("auto", "default"), "parse", "r1")
    book.stage_runs.begin(JobKey("auto", "default"), "parse", "r2")
    book.stage_runs.fail(JobKey("auto", "default"), "parse", "r1", "killed", [refused("a")])
    run = book.stage_runs.of_job(JobKey("auto", "default"))[0]
    assert (run.run_id, run.status, book.stage_runs.outcomes(JobKey("auto", "default"))) == (
        "r2",
        StageStatus.STARTED,
        (),
    )


def test_attempts_count_the_runs_that_began_a_stage(book: JobLedger) -> None:
    for stage, run_id in (("ingest", "r1"), ("parse", "r1"), ("parse", "r1"), ("ingest", "r2")):
        book.stage_runs.begin(JobKey("auto", "default"), stage, run_id)
    assert book.jobs.get(JobKey("auto", "default")).attempts == 2


def test_a_job_settles_from_its_stages(book: JobLedger) -> None:
    assert book.stage_runs.update_job_status(JobKey("auto", "default"), STAGES).status is JobStatus.SUBMITTED
    finish(book, "ingest")
    assert book.stage_runs.update_job_status(JobKey("auto", "default"), STAGES).status is JobStatus.RUNNING
    book.stage_runs.begin(JobKey("auto", "default"), "parse", "r1")
    book.stage_runs.fail(JobKey("auto", "default"), "parse", "r1", "BatchFailedError: all of them")
    failed = book.stage_runs.update_job_status(JobKey("auto", "default"), STAGES)
    assert (failed.status, failed.error) == (JobStatus.FAILED, "parse: BatchFailedError: all of them")
    finish(book, "parse", "r2")
    succeeded = book.stage_runs.update_job_status(JobKey("auto", "default"), STAGES)
    assert (succeeded.status, succeeded.error) == (JobStatus.SUCCEEDED, None)
    statuses = [
        entry.new for entry in book.jobs.history(JobKey("auto", "default")) if entry.field == "status"
    ]
    assert statuses == ["submitted", "running", "failed", "running", "succeeded"]


def test_settling_twice_changes_nothing(book: JobLedger) -> None:
    for stage in STAGES:
        finish(book, stage)
    first = book.stage_runs.update_job_status(JobKey("auto", "default"), STAGES)
    assert book.stage_runs.update_job_status(JobKey("auto", "default"), STAGES) == first


def test_a_second_run_is_not_finished_after_its_first_stage(book: JobLedger) -> None:
    for stage in STAGES:
        finish(book, stage)
    finish(book, "ingest", "r2")
    assert (
        book.stage_runs.update_job_status(
            JobKey("auto", "default"), STAGES, run_id="r2", selected=STAGES
        ).status
        is JobStatus.RUNNING
    )
    assert (
        book.stage_runs.update_job_status(
            JobKey("auto", "default"), STAGES, run_id="r2", selected=["ingest"]
        ).status
        is JobStatus.SUCCEEDED
    )


def test_the_audit_of_registrations_does_not_repeat_itself(ledger: JobLedger) -> None:
    good = Registration("plug", "1.0", "ocr = plug:register", "registered", "ocr")
    other = Registration("more", "1.0", "tag = more:register", "registered", "tag")
    assert len(ledger.registrations.record([good, other, good])) == 2
    assert ledger.registrations.record([good, other]) == ()
    assert [(entry.distribution, entry.outcome) for entry in ledger.registrations.list()] == [
        ("more", "registered"),
        ("plug", "registered"),
    ]
    assert len(ledger.registrations.list(limit=1)) == 1


@pytest.mark.parametrize(
    ("now", "change"),
    [
        (Registration("plug", "1.1", "ocr = plug:register", "registered", "ocr"), "version 1.0 -> 1.1"),
        (
            Registration("plug", "1.0", "ocr = plug:register", "registered", "ocr", record_hash="b"),
            "same version, other files",
        ),
        (Registration("plug", "1.0", "ocr = plug:register", "rejected", "ocr", record_hash="a"), ""),
    ],
)
def test_the_audit_says_how_a_plugin_has_changed(ledger: JobLedger, now: Registration, change: str) -> None:
    before = Registration("plug", "1.0", "ocr = plug:register", "registered", "ocr", record_hash="a")
    ledger.registrations.record([before])

    (entry,) = ledger.registrations.record([now])

    assert (entry.outcome, entry.change) == (now.outcome, change)


def test_a_plugin_that_is_gone_is_recorded_once_and_again_when_it_is_back(ledger: JobLedger) -> None:
    plug = Registration("plug", "1.0", "ocr = plug:register", "discovered")
    ledger.registrations.record([plug])

    assert [entry.outcome for entry in ledger.registrations.record([])] == ["removed"]
    assert ledger.registrations.record([]) == ()
    assert [entry.outcome for entry in ledger.registrations.record([plug])] == ["discovered"]


def test_rows_outlive_the_ledger_that_wrote_them(tmp_path: Any) -> None:
    with JobLedger.open(tmp_path) as first:
        first.jobs.ensure(JobKey("auto", "default"), {"n": 1}, actor="x")
    with JobLedger.open(tmp_path) as second:
        assert second.jobs.get(JobKey("auto", "default")).request == {"n": 1}
