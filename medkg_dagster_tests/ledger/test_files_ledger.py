"""What the ledger remembers of files, and turns at services."""

import threading
from typing import Any

import pytest

from medkg_dagster.domain.payloads import FileRecord, FileStatus
from medkg_dagster.errors import UnknownJobError
from medkg_dagster.ledger import JobKey, JobLedger
from medkg_dagster.ledger.files import FileLedger
from medkg_dagster_tests.ledger.conftest import FakeClock

JOB = JobKey("papers", "j1")


@pytest.fixture
def files(timed: JobLedger) -> FileLedger:
    for job_id in ("j1", "j2"):
        timed.jobs.ensure(JobKey("papers", job_id), actor="test")
    return timed.files


def stored(document: str, url: str = "http://a/1.pdf", **values: Any) -> FileRecord:
    described = {
        "path": "files/ab/abc.pdf",
        "sha256": "abc",
        "size": 3_000_000_000,
        "media_type": "application/pdf",
        "etag": '"1"',
        "last_modified": "Thu, 01 Jan 2026 00:00:00 GMT",
        "attempts": 2,
        "seconds": 1.25,
    }
    return FileRecord(document_id=document, status=FileStatus.STORED, url=url, **(described | values))


def failed(document: str, url: str = "http://a/1.pdf") -> FileRecord:
    return FileRecord(
        document_id=document,
        status=FileStatus.FAILED,
        url=url,
        error_class="PermanentDownloadError",
        error="404",
        attempts=1,
    )


def test_records_come_back_as_they_were_by_document(files: FileLedger) -> None:
    records = (failed("a"), stored("b"), FileRecord(document_id="c", status=FileStatus.DEFERRED, url="u"))
    files.put(JOB, reversed(records))

    assert files.of_job(JOB) == records
    assert files.of_job(JobKey("papers", "j2")) == ()


def test_a_later_record_of_a_document_takes_the_place_of_the_earlier(files: FileLedger) -> None:
    files.put(JOB, [failed("a"), stored("b")])
    files.put(JOB, [stored("a", sha256="new")])

    assert [(record.document_id, record.sha256) for record in files.of_job(JOB)] == [
        ("a", "new"),
        ("b", "abc"),
    ]


def test_of_two_records_of_a_document_at_once_the_last_one_counts(files: FileLedger) -> None:
    files.put(JOB, [failed("a"), stored("b"), stored("a")])

    assert [record.status for record in files.of_job(JOB)] == [FileStatus.STORED, FileStatus.STORED]


def test_nothing_to_remember_is_no_error(files: FileLedger) -> None:
    files.put(JOB, [])

    assert files.of_job(JOB) == ()


def test_more_records_than_a_statement_takes_are_remembered(files: FileLedger) -> None:
    records = [stored(f"d{number:04}", url=f"http://a/{number}") for number in range(1201)]
    files.put(JOB, records)
    files.put(JOB, records)

    assert len(files.of_job(JOB)) == 1201
    assert len(files.stored([record.url for record in records])) == 1201


def test_a_file_is_found_by_its_address_whichever_job_fetched_it_last(
    files: FileLedger, clock: FakeClock
) -> None:
    files.put(JOB, [stored("a", sha256="old"), failed("b", "http://a/2.pdf")])
    clock.advance(1)
    files.put(JobKey("papers", "j2"), [stored("a", sha256="new")])

    found = files.stored(["http://a/1.pdf", "http://a/2.pdf", "http://a/3.pdf"])
    assert {url: record.sha256 for url, record in found.items()} == {"http://a/1.pdf": "new"}
    assert files.stored([]) == {}


def test_text_that_databases_refuse_is_kept_as_an_escape(files: FileLedger) -> None:
    files.put(JOB, [failed("caf\udce9\x00", "http://a/\x00").model_copy(update={"error": "\udc80"})])

    (record,) = files.of_job(JOB)
    assert (record.document_id, record.url, record.error) == (r"caf\udce9\x00", r"http://a/\x00", r"\udc80")


def test_files_belong_to_a_job(files: FileLedger) -> None:
    with pytest.raises(UnknownJobError):
        files.put(JobKey("papers", "gone"), [stored("a")])
    with pytest.raises(UnknownJobError):
        files.of_job(JobKey("papers", "gone"))


def test_turns_at_a_service_come_one_after_the_other(files: FileLedger, clock: FakeClock) -> None:
    waits = [files.reserve_turn("a.example", 0.5) for _ in range(3)]
    assert waits == pytest.approx([0, 0.5, 1.0])
    assert files.reserve_turn("b.example", 0.5) == 0

    clock.advance(10)
    assert files.reserve_turn("a.example", 0.5) == 0


def test_a_clock_that_ran_ahead_does_not_block_a_service_for_long(
    files: FileLedger, clock: FakeClock
) -> None:
    clock.advance(1e6)
    files.reserve_turn("a.example", 1)
    clock.advance(-1e6)

    assert files.reserve_turn("a.example", 1) <= 3600


def test_two_never_have_the_same_turn(files: FileLedger) -> None:
    waits: list[float] = []
    start = threading.Barrier(8)

    def reserve() -> None:
        start.wait(240)
        waits.extend(files.reserve_turn("a.example", 1) for _ in range(5))

    threads = [threading.Thread(target=reserve) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(240)

    assert sorted(waits) == pytest.approx(range(40))
