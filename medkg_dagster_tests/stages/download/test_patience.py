"""How long the `download` stage waits for servers, and what it leaves for later."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from medkg_dagster.errors import DownloadsDeferredError, SourceError
from medkg_dagster.io.http import retry_after
from medkg_dagster.stage_api import ExternalCalls, FileRecord, FileStatus, InMemoryJobRecord
from medkg_dagster_tests.stages.download.download_runs import (
    context,
    record,
    record_of,
    records_of,
    run,
    stage,
)
from medkg_dagster_tests.stages.download.file_server import (
    Conversation,
    FileServer,
    in_turn,
    pdf,
    sha256,
    stalled,
    status,
    whole,
)


@pytest.fixture
def server() -> Iterator[FileServer]:
    with FileServer() as files:
        yield files


@pytest.mark.parametrize("code", [429, 503])
def test_a_server_that_asks_to_wait_is_waited_for(server: FileServer, tmp_path: Path, code: int) -> None:
    url = server.serve("/a", in_turn(status(code, Retry_After="1"), whole(pdf())))

    files, _ = run(tmp_path, [record_of(url)])

    assert len(files) == 1
    assert server.requests[1].moment - server.requests[0].moment >= 1


def test_its_other_files_wait_too_and_other_hosts_do_not(server: FileServer, tmp_path: Path) -> None:
    busy = server.serve("/a", in_turn(status(429, Retry_After="1"), whole(pdf(1))))
    same = server.serve("/b", whole(pdf(2)))
    other = server.serve("/c", whole(pdf(3)), host="127.0.0.2")

    files, _ = run(tmp_path, records_of([busy, same, other]), max_per_host=1)

    moments = {request.path: request.moment for request in server.requests}
    assert len(files) == 3
    assert moments["/c"] < moments["/b"]
    assert moments["/b"] - server.requests[0].moment >= 1


def test_a_server_that_asks_to_wait_too_long_is_left_for_later(server: FileServer, tmp_path: Path) -> None:
    urls = [server.serve(f"/{number}", status(429, Retry_After="3600")) for number in range(3)]

    with pytest.raises(DownloadsDeferredError, match="of 3 files 3 are left"):
        run(tmp_path, records_of(urls), max_per_host=1)

    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("retry_after_header", "seconds"),
    [("7", 7.0), (" 7 ", 7.0), ("", None), ("soon", None), ("-1", None), ("1.5", None)],
)
def test_waits_are_read_as_seconds(retry_after_header: str, seconds: float | None) -> None:
    assert retry_after(retry_after_header) == seconds


def test_waits_are_read_as_dates() -> None:
    now = datetime.now(UTC)

    assert 50 < (retry_after(format_datetime(now + timedelta(seconds=60), usegmt=True)) or 0) <= 60
    assert retry_after(format_datetime(now - timedelta(days=1), usegmt=True)) == 0


def test_what_is_not_there_yet_fails_the_step_so_that_it_is_tried_again(
    server: FileServer, tmp_path: Path
) -> None:
    job = InMemoryJobRecord()
    payloads = records_of([server.serve("/a", whole(pdf(1))), server.serve("/b", status(503))])
    ctx = context(tmp_path, job)

    with pytest.raises(DownloadsDeferredError) as caught:
        stage(max_attempts=2).execute(ctx, payloads=payloads)

    assert isinstance(caught.value, SourceError)
    assert (job.records["doc:0"].status, job.records["doc:1"].status) == (
        FileStatus.STORED,
        FileStatus.DEFERRED,
    )
    assert job.records["doc:1"].attempts == 2
    assert job.values == {"pdf_downloaded": False}
    assert (ctx.succeeded, ctx.quarantined) == (1, [])


def test_the_next_attempt_fetches_only_what_is_left(server: FileServer, tmp_path: Path) -> None:
    job = InMemoryJobRecord()
    urls = [
        server.serve("/a", whole(pdf(1))),
        server.serve("/b", in_turn(status(503), status(503), whole(pdf(2)))),
    ]
    with pytest.raises(DownloadsDeferredError):
        run(tmp_path, records_of(urls), job, max_attempts=2)

    files, ctx = run(tmp_path, records_of(urls), job, max_attempts=2)

    assert [file.sha256 for file in files] == [sha256(pdf(1)), sha256(pdf(2))]
    assert server.count("/a") == 1
    assert record(ctx).attempts == 3


def test_a_document_that_never_comes_is_given_up_and_the_batch_goes_on(
    server: FileServer, tmp_path: Path
) -> None:
    job = InMemoryJobRecord()
    payloads = records_of([server.serve("/a", whole(pdf())), server.serve("/b", status(503))])
    with pytest.raises(DownloadsDeferredError):
        run(tmp_path, payloads, job, max_attempts=2, give_up_after=4)

    files, ctx = run(tmp_path, payloads, job, max_attempts=2, give_up_after=4)

    assert len(files) == 1
    assert "given up after 4 attempts" in ctx.quarantined[0].message
    assert record(ctx).status is FileStatus.FAILED
    assert job.values == {"pdf_downloaded": True}


def test_a_host_that_does_not_exist_is_given_up_in_the_end(tmp_path: Path) -> None:
    with FileServer() as gone:
        url = gone.url("/a")
    job = InMemoryJobRecord()
    calls = ExternalCalls(failure_threshold=1, recovery_timeout=60)
    for attempts in (2, 3):  # one request that fails, and from then on the open circuit
        with pytest.raises(DownloadsDeferredError):
            stage(give_up_after=4).execute(context(tmp_path, job, calls), payloads=(record_of(url),))
        assert job.records["doc:1"].attempts == attempts

    ctx = context(tmp_path, job, calls)
    stage(give_up_after=4).execute(ctx, payloads=(record_of(url),))

    assert "left alone" in ctx.quarantined[0].message


def test_what_the_budget_does_not_reach_is_left_for_later(server: FileServer, tmp_path: Path) -> None:
    job = InMemoryJobRecord()
    urls = [server.serve("/quick", whole(pdf()))]
    urls += [server.serve(f"/{number}", stalled(pdf(), 100)) for number in range(4)]

    with pytest.raises(DownloadsDeferredError, match="of 5 files 4 are left"):
        run(tmp_path, records_of(urls), job, max_connections=2, budget_seconds=0.3)

    attempts = [job.records[f"doc:{number}"].attempts for number in range(5)]
    assert attempts[0] == 1
    assert sorted(attempts[1:]) in ([0, 0, 1, 1], [0, 0, 0, 1])
    assert job.records["doc:0"].status is FileStatus.STORED


def test_a_host_that_fails_is_left_alone_and_others_are_not(server: FileServer, tmp_path: Path) -> None:
    bad = [server.serve(f"/bad{number}", status(500)) for number in range(20)]
    good = [server.serve(f"/{number}", whole(pdf(number)), host="127.0.0.2") for number in range(5)]
    ctx = context(tmp_path, calls=ExternalCalls(failure_threshold=3, recovery_timeout=60))

    with pytest.raises(DownloadsDeferredError, match="of 25 files 20 are left"):
        stage(max_per_host=1, max_attempts=9).execute(ctx, payloads=records_of([*bad, *good]))

    assert sum(server.count(f"/bad{number}") for number in range(20)) == 3
    assert ctx.succeeded == 5


def test_files_that_are_missing_do_not_count_against_their_host(server: FileServer, tmp_path: Path) -> None:
    urls = [server.serve(f"/{number}", status(404)) for number in range(10)]
    urls.append(server.serve("/good", whole(pdf())))
    ctx = context(tmp_path, calls=ExternalCalls(failure_threshold=2, recovery_timeout=60))

    files = stage(max_per_host=1).execute(ctx, payloads=records_of(urls))

    assert len(files) == 1
    assert len(ctx.quarantined) == 10


def test_a_slow_host_does_not_hold_up_others(server: FileServer, tmp_path: Path) -> None:
    done = threading.Event()

    waits: list[bool] = []

    def slow(conversation: Conversation, turn: int) -> None:
        waits.append(done.wait(240))
        whole(pdf())(conversation, turn)

    def last(conversation: Conversation, turn: int) -> None:
        whole(pdf(7))(conversation, turn)
        done.set()

    urls = [server.serve(f"/slow{number}", slow) for number in range(30)]
    urls += [server.serve(f"/{number}", whole(pdf(number)), host="127.0.0.2") for number in range(10)]
    urls.append(server.serve("/last", last, host="127.0.0.2"))

    files, _ = run(tmp_path, records_of(urls), max_connections=6, max_per_host=4, read_timeout_seconds=90)

    assert len(files) == 41
    assert waits == [True] * 30


def test_no_host_and_no_run_gets_more_requests_at_once_than_allowed(
    server: FileServer, tmp_path: Path
) -> None:
    pause = threading.Event()
    together = threading.Barrier(3)

    def slow(conversation: Conversation, turn: int) -> None:
        together.wait(240)
        pause.wait(0.02)
        whole(pdf())(conversation, turn)

    urls = [server.serve(f"/{number}", slow) for number in range(12)]
    run(tmp_path / "a", records_of(urls), max_per_host=3)
    assert server.most_active == 3

    server.most_active = 0
    together = threading.Barrier(2)
    urls = [server.url(f"/{number}", f"127.0.0.{number + 1}") for number in range(12)]
    run(tmp_path / "b", records_of(urls), max_connections=2)
    assert server.most_active == 2


def test_requests_keep_the_pace_all_processes_share(server: FileServer, tmp_path: Path) -> None:
    turns: list[tuple[str, float]] = []

    def reserve(service: str, interval: float) -> float:
        turns.append((service, interval))
        return 0.05 * (len(turns) - 1)

    urls = [server.serve(f"/{number}", whole(pdf(number))) for number in range(4)]
    ctx = context(tmp_path, calls=ExternalCalls(rate_limit_per_second=20, reserve=reserve))
    started = time.monotonic()
    files = stage().execute(ctx, payloads=records_of(urls))

    assert len(files) == 4
    assert turns == [("127.0.0.1", 0.05)] * 4
    assert server.requests[-1].moment - started >= 0.15


@dataclass
class WatchedJob(InMemoryJobRecord):
    """Notes when it is told of files, and by which thread."""

    writes: list[tuple[threading.Thread, int]] = field(default_factory=list)

    def record_files(self, records: Iterable[FileRecord]) -> None:
        kept = list(records)
        self.writes.append((threading.current_thread(), len(kept)))
        InMemoryJobRecord.record_files(self, kept)


def test_the_ledger_is_told_while_files_come_in_by_one_thread(server: FileServer, tmp_path: Path) -> None:
    job = WatchedJob()

    def after_the_first_was_recorded(conversation: Conversation, turn: int) -> None:
        deadline = time.monotonic() + 240
        while "doc:0" not in job.records and time.monotonic() < deadline:
            time.sleep(0.01)
        whole(pdf(2))(conversation, turn)

    urls = [server.serve("/a", whole(pdf(1))), server.serve("/b", after_the_first_was_recorded)]
    run(tmp_path, records_of(urls), job, read_timeout_seconds=90)

    assert [count for _, count in job.writes] == [1, 1]
    assert {thread for thread, _ in job.writes} == {threading.main_thread()}


def test_progress_is_told_in_files(server: FileServer, tmp_path: Path) -> None:
    reports: list[tuple[int, int | None, str]] = []
    ctx = context(tmp_path)
    ctx.report_progress = lambda done, total, unit: reports.append((done, total, unit))
    urls = [server.serve(f"/{number}", whole(pdf(number))) for number in range(3)]

    stage().execute(ctx, payloads=records_of(urls))

    assert reports == [(1, 3, "files"), (2, 3, "files"), (3, 3, "files")]


def test_a_run_of_a_later_job_uses_what_is_stored(server: FileServer, tmp_path: Path) -> None:
    """A ledger answers for files of other jobs by address."""
    url = server.serve("/a", whole(pdf()))
    earlier = InMemoryJobRecord()
    run(tmp_path, [record_of(url)], earlier)

    class LaterJob(InMemoryJobRecord):
        def stored_files(self, urls: Sequence[str]) -> Mapping[str, FileRecord]:
            assert list(urls) == [url]
            return {url: earlier.records["doc:1"]}

    files, ctx = run(tmp_path, [record_of(url, document_id="doc:9")], LaterJob())

    assert files[0].document_id == "doc:9"
    assert server.count("/a") == 1
    assert record(ctx, "doc:9").attempts == 0
