"""The state of fetching each document's file, and what became of it: for ledger, log and materialization."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from medkg_dagster.domain.payloads import DownloadedFile, FileRecord, FileStatus
from medkg_dagster.errors import counted
from medkg_dagster.stage_api import StageContext, Stopwatch
from medkg_dagster.stages.download import MEBIBYTE
from medkg_dagster.stages.download.addresses import show
from medkg_dagster.stages.download.file_store import FileStore
from medkg_dagster.stages.download.transfers import Fetched

LEDGER_SECONDS = 1.0


@dataclass(slots=True, eq=False)
class Task:
    """One document on its way to a file.

    Attributes:
        document_id: The payload's id.
        addresses: Where its file may be, in order.
        expected: The SHA-256 it must have; None for any.
        stored: The file that is there, where the request only asks whether it has changed.
        attempts: Attempts over all runs of the job.
        seconds: Time spent over all runs.
        position: The address being tried.
        tries: Attempts at it in this run.
        hops: Redirects followed in this attempt.
        url: The next address to request.
        admitted: Whether the host's next turn was taken for it already.
        passing: The last fault of this run that may pass.
        failure: The last error of this run.
    """

    document_id: str
    addresses: tuple[str, ...]
    expected: str | None = None
    stored: FileRecord | None = None
    attempts: int = 0
    seconds: float = 0.0
    position: int = 0
    tries: int = 0
    hops: int = 0
    url: str = field(init=False)
    admitted: bool = False
    passing: Exception | None = None
    failure: Exception | None = None

    def __post_init__(self) -> None:
        self.url = self.addresses[0]

    @property
    def address(self) -> str:
        """The address being tried, as given."""
        return self.addresses[self.position]

    def restart(self) -> None:
        """Ask the address itself again, not what it redirected to."""
        self.url, self.hops, self.admitted = self.address, 0, False

    def advance(self) -> bool:
        """Go on to the next address; say whether there is one."""
        if self.position + 1 == len(self.addresses):
            return False
        self.position += 1
        self.tries = 0
        self.restart()
        return True

    def stored_record(self, store: FileStore, fetched: Fetched) -> FileRecord:
        """Return the record of a file that came."""
        return FileRecord(
            document_id=self.document_id,
            status=FileStatus.STORED,
            url=show(self.address),
            path=store.locate(fetched.sha256, fetched.media_type),
            attempts=self.attempts,
            seconds=round(self.seconds, 3),
            **asdict(fetched),
        )

    def unstored_record(self, status: FileStatus, error: Exception) -> FileRecord:
        """Return the record of a file that did not come."""
        return FileRecord(
            document_id=self.document_id,
            status=status,
            url=show(self.address),
            attempts=self.attempts,
            seconds=round(self.seconds, 3),
            error_class=type(error).__name__,
            error=str(error),
        )


def downloaded(record: FileRecord) -> DownloadedFile:
    """Return the file of a record with status `stored`."""
    return DownloadedFile(**{name: getattr(record, name) for name in DownloadedFile.model_fields})


@dataclass(frozen=True, slots=True)
class Ending:
    """What became of one document's file in this run.

    Attributes:
        record: What the ledger remembers.
        error: Why there is no file; None where there is one.
        is_reused: Whether it was there already.
    """

    record: FileRecord
    error: Exception | None = None
    is_reused: bool = False


class Bookkeeping:
    """Collects endings and hands them on now and then; used by one thread.

    Args:
        ctx: The surroundings of the run.
        store: Flushed to disk before the ledger is updated.
        total: Documents that have an address.
        progress_seconds: Seconds between two lines of the log.
    """

    def __init__(self, ctx: StageContext, store: FileStore, total: int, progress_seconds: float) -> None:
        self._ctx = ctx
        self._store = store
        self._total = total
        self._progress_seconds = progress_seconds
        self._watch = Stopwatch()
        self._unrecorded: list[FileRecord] = []
        self._next_record = time.monotonic() + LEDGER_SECONDS
        self._next_line = time.monotonic() + progress_seconds
        self.endings: dict[str, Ending] = {}

    def end(self, ending: Ending, *, is_known: bool = False) -> None:
        """Take note of what became of a document.

        Args:
            ending: What became of it.
            is_known: Whether the ledger says so already.
        """
        self.endings[ending.record.document_id] = ending
        if not is_known:
            self._unrecorded.append(ending.record)
        self._ctx.report_progress(len(self.endings), self._total, "files")

    def tick(self, received: int) -> None:
        """Write to ledger and log where it is time."""
        now = time.monotonic()
        if now >= self._next_record:
            self.flush()
            self._next_record = time.monotonic() + LEDGER_SECONDS
        if now >= self._next_line:
            self._next_line = now + self._progress_seconds
            self._ctx.log.info(
                "%s: %d of %s, %.1f MiB in %.0f s",
                self._ctx.stage,
                len(self.endings),
                counted(self._total, "file"),
                received / MEBIBYTE,
                self._watch.seconds,
            )

    def flush(self) -> None:
        """Record in the ledger what it lacks; files first, so that it names none that is not on disk."""
        self._store.flush()
        if self._unrecorded:
            self._ctx.job.record_files(self._unrecorded)
            self._unrecorded = []

    def describe(self, document_ids: Sequence[str], received: int) -> None:
        """Show figures and the table of files, in the documents' order."""
        seconds = self._watch.seconds
        endings = [self.endings[document_id] for document_id in document_ids]
        stored = [ending for ending in endings if ending.error is None]
        reused = sum(ending.is_reused for ending in stored)
        deferred = sum(ending.record.status is FileStatus.DEFERRED for ending in endings)
        describe = self._ctx.describe
        describe("files_downloaded", len(stored) - reused)
        describe("files_reused", reused)
        describe("files_deferred", deferred)
        describe("bytes_downloaded", received)
        describe("bytes_per_second", round(received / seconds) if seconds else 0)
        describe("files", [_row(ending) for ending in endings])
        self._ctx.log.info(
            "%s: %s fetched, %d were there, %d left for later, %d cannot be had; %.1f MiB in %.1f s",
            self._ctx.stage,
            counted(len(stored) - reused, "file"),
            reused,
            deferred,
            len(endings) - len(stored) - deferred,
            received / MEBIBYTE,
            seconds,
        )


def _row(ending: Ending) -> dict[str, str | int | float | None]:
    record = ending.record
    return {
        "document": record.document_id,
        "url": record.url,
        "status": "reused" if ending.is_reused else record.status.value,
        "bytes": record.size,
        "sha256": record.sha256,
        "seconds": record.seconds,
        "attempts": record.attempts,
        "error": record.error,
    }
