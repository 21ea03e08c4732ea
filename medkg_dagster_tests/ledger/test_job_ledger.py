from collections.abc import Sequence
from typing import Any

import pytest

from medkg_dagster.errors import ConfigError, LedgerError, UnknownJobError
from medkg_dagster.ledger import (
    JobKey,
    JobLedger,
    JobStatus,
    Registration,
    RunIdentity,
    RunStatus,
    StageStatus,
)
from medkg_dagster.stage_api import QuarantinedDocument
from medkg_dagster_tests.ledger.stage_histories import LedgerRun

KEY = JobKey("auto", "default")
STAGES = ("ingest", "parse")


def refused(document_id: str, message: str = "truncated") -> QuarantinedDocument:
    return QuarantinedDocument(document_id, "parse", "UnreadableDocumentError", message)


@pytest.fixture
def book(ledger: JobLedger) -> JobLedger:
    ledger.jobs.ensure(KEY, {"adapter": "files"}, actor="test")
    return ledger


def run(book: JobLedger, run_id: str = "r1", stages: Sequence[str] = STAGES) -> LedgerRun:
    return LedgerRun(book, KEY, stages, run_id)


def test_a_job_is_made_on_first_use_and_its_request_is_never_overwritten(book: JobLedger) -> None:
    again = book.jobs.ensure(KEY, {"adapter": "clinicaltrials"}, actor="other")
    assert again == book.jobs.get(KEY)
    assert again.request == {"adapter": "files"}
    assert again.status is JobStatus.SUBMITTED
    assert again.created_at == "2026-01-01T00:00:02.000000Z"
    assert [(entry.field, entry.new, entry.actor) for entry in book.jobs.history(KEY)] == [
        ("status", "submitted", "test")
    ]


def test_an_unknown_job_names_the_closest_one(book: JobLedger) -> None:
    with pytest.raises(UnknownJobError, match=r"no ledger job 'defualt'; did you mean 'default'\?"):
        book.jobs.get(JobKey("auto", "defualt"))
    with pytest.raises(UnknownJobError, match="known: none"):
        book.jobs.set_fields(JobKey("manual", "default"), {"a": 1}, actor="test")


def test_a_job_needs_a_pipeline_and_an_id(ledger: JobLedger) -> None:
    with pytest.raises(ConfigError, match="job id '' cannot be used"):
        ledger.jobs.ensure(JobKey("auto", ""), actor="test")
    with pytest.raises(LedgerError, match="needs a pipeline"):
        ledger.jobs.ensure(JobKey("", "default"), actor="test")


@pytest.mark.parametrize("job_id", ["x" * 300, "a" + ":" * 120, "a/b ../c", "a...b"])
def test_no_way_in_makes_a_job_of_an_id_that_is_no_file_name_and_partition_key(
    ledger: JobLedger, job_id: str
) -> None:
    key = JobKey("auto", job_id)

    with pytest.raises(ConfigError, match="letters, digits and"):
        ledger.jobs.ensure(key, actor="test")
    with pytest.raises(ConfigError, match="letters, digits and"):
        ledger.phases.submit(key, "auto", {}, actor="test")
    assert ledger.jobs.list() == ()


def test_every_method_that_takes_a_job_refuses_an_unknown_one(ledger: JobLedger) -> None:
    gone = LedgerRun(ledger, JobKey("auto", "gone"), STAGES)
    for call in (
        ledger.jobs.get,
        ledger.jobs.history,
        ledger.stage_runs.of_job,
        ledger.stage_runs.outcomes,
    ):
        with pytest.raises(UnknownJobError):
            call(JobKey("auto", "gone"))
    with pytest.raises(UnknownJobError):
        gone.start()
    with pytest.raises(UnknownJobError):
        gone.begin("parse")


def test_fields_are_nested_by_dotted_path_and_only_changes_reach_the_history(book: JobLedger) -> None:
    book.jobs.set_fields(KEY, {"pdf.pages": 3, "pdf.ready": False}, actor="ocr")
    job = book.jobs.set_fields(KEY, {"pdf.pages": 3, "pdf.ready": True}, actor="ocr", reason="second pass")
    assert job.fields == {"pdf": {"pages": 3, "ready": True}}
    assert job == book.jobs.get(KEY)
    changes = [(entry.field, entry.old, entry.new, entry.reason) for entry in book.jobs.history(KEY)[1:]]
    assert changes == [
        ("pdf.pages", None, 3, None),
        ("pdf.ready", None, False, None),
        ("pdf.ready", False, True, "second pass"),
    ]


def test_setting_fields_to_what_they_are_changes_nothing(book: JobLedger) -> None:
    first = book.jobs.set_fields(KEY, {"a.b": [1, {"c": None}]}, actor="x")
    assert book.jobs.set_fields(KEY, {"a.b": [1, {"c": None}]}, actor="y") == first
    assert len(book.jobs.history(KEY)) == 2


def test_true_and_one_are_different_values(book: JobLedger) -> None:
    book.jobs.set_fields(KEY, {"ready": 1}, actor="x")
    assert book.jobs.set_fields(KEY, {"ready": True}, actor="x").fields["ready"] is True


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
    before = book.jobs.set_fields(KEY, {"scalar": 7}, actor="x")
    with pytest.raises(LedgerError, match=message):
        book.jobs.set_fields(KEY, {"AAA": 1, **changes}, actor="x")
    assert book.jobs.get(KEY) == before


def test_text_that_databases_refuse_is_kept_as_an_escape(book: JobLedger) -> None:
    run(book).fail("parse", "nul \x00 and \udc80", quarantined=[refused("caf\udce9.txt", "\x00")])
    assert book.stage_runs.of_job(KEY)[0].error == r"nul \x00 and \udc80"
    assert book.stage_runs.outcomes(KEY)[0].document_id == r"caf\udce9.txt"
    job = book.jobs.set_fields(KEY, {"name": "\x00\udc80 ö"}, actor="x")
    assert book.jobs.get(KEY) == job
    assert job.fields["name"] == "\x00\\udc80 ö"


def test_a_status_is_recorded_once_with_actor_and_reason(book: JobLedger) -> None:
    for _ in range(2):
        job = book.runs.end(KEY, RunIdentity("r1"), RunStatus.FAILED, "timed out")
        assert (job.status, job.error) == (JobStatus.FAILED, "timed out")
    last = book.jobs.history(KEY)[-1]
    assert (last.old, last.new, last.actor, last.reason) == ("submitted", "failed", "run r1", "timed out")
    assert len(book.jobs.history(KEY)) == 2
    run(book, "r2").start()
    assert book.jobs.get(KEY).error is None


def test_an_unknown_status_is_refused(book: JobLedger) -> None:
    with pytest.raises(LedgerError, match="did you mean 'succeeded'"):
        book.jobs.list(status="suceeded")
    with pytest.raises(LedgerError, match="unknown job status 'done'"):
        book.jobs.list(status="done")


def test_jobs_are_filtered_limited_and_ordered_by_last_change(book: JobLedger) -> None:
    book.jobs.ensure(JobKey("auto", "second"), actor="x")
    book.jobs.ensure(JobKey("manual", "default"), actor="x")
    run(book).start()
    names = [(job.pipeline, job.job_id) for job in book.jobs.list()]
    assert names == [("auto", "default"), ("manual", "default"), ("auto", "second")]
    assert [job.job_id for job in book.jobs.list("auto", "submitted")] == ["second"]
    assert len(book.jobs.list(limit=1)) == 1
    assert {job.pipeline for job in book.jobs.list(job_id="default")} == {"auto", "manual"}


def test_a_stage_goes_from_started_to_finished_with_its_counts(book: JobLedger) -> None:
    first = run(book)
    first.begin("parse")
    started = book.stage_runs.of_job(KEY)[0]
    assert (started.status, started.output_count, started.finished_at) == (StageStatus.STARTED, None, None)
    assert book.jobs.get(KEY).status is JobStatus.RUNNING
    first.end(
        "parse", output_count=2, succeeded=2, quarantined=[refused("a"), refused("b")], counts={"document": 2}
    )
    finished = book.stage_runs.of_job(KEY)[0]
    assert (finished.status, finished.output_count, finished.succeeded) == (StageStatus.FINISHED, 2, 2)
    assert (finished.quarantined, finished.counts) == (2, {"document": 2})
    assert finished.started_at == started.started_at < (finished.finished_at or "")
    assert [outcome.document_id for outcome in book.stage_runs.outcomes(KEY, "parse")] == ["a", "b"]
    assert book.stage_runs.outcomes(KEY, "ingest") == ()


def test_a_second_run_of_a_stage_replaces_what_the_first_refused(book: JobLedger) -> None:
    run(book).finish("parse", quarantined=[refused("a")])
    run(book, "r2").finish("parse", quarantined=[refused("b")])
    assert [outcome.document_id for outcome in book.stage_runs.outcomes(KEY)] == ["b"]
    assert [item.run_id for item in book.stage_runs.of_job(KEY)] == ["r2"]


def test_recording_the_same_end_twice_changes_nothing_but_the_time(book: JobLedger) -> None:
    for _ in range(2):
        run(book).finish("parse", quarantined=[refused("a")])
    assert len(book.stage_runs.outcomes(KEY)) == 1
    assert book.jobs.get(KEY).attempts == 1


def test_a_run_that_was_overtaken_cannot_end_its_successors_stage(book: JobLedger) -> None:
    first, second = run(book), run(book, "r2")
    first.begin("parse")
    second.begin("parse")
    first.stop("parse", StageStatus.FAILED, "killed", quarantined=[refused("a")])
    item = book.stage_runs.of_job(KEY)[0]
    assert (item.run_id, item.status, book.stage_runs.outcomes(KEY)) == ("r2", StageStatus.STARTED, ())


def test_attempts_count_the_runs_that_began(book: JobLedger) -> None:
    for run_id in ("r1", "r1", "r2", "r1"):
        for stage in STAGES:
            run(book, run_id).begin(stage)
    assert book.jobs.get(KEY).attempts == 2


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
        first.jobs.ensure(KEY, {"n": 1}, actor="x")
    with JobLedger.open(tmp_path) as second:
        assert second.jobs.get(KEY).request == {"n": 1}
