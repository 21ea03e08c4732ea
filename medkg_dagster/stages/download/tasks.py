"""The state of fetching one document's file."""

from __future__ import annotations

from dataclasses import dataclass, field

from medkg_dagster.domain.payloads import DownloadedFile, FileRecord, FileStatus
from medkg_dagster.stages.download.addresses.web_addresses import show
from medkg_dagster.stages.download.transfer.file_store import FileStore
from medkg_dagster.stages.download.transfer.transfers import Fetched


@dataclass(slots=True, eq=False)
class Task:
    """One document on its way to a file.

    Attributes:
        document_id: The payload's id.
        addresses: Where its file may be, in order.
        expected: The SHA-256 it must have; None for any.
        stored: The file that is there, where it is only asked whether it has changed.
        attempts: Attempts over all runs of the job.
        seconds: Time spent over all runs.
        position: The address being tried.
        tries: Attempts at it in this run.
        hops: Redirects followed in this attempt.
        url: What is asked next.
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
            sha256=fetched.sha256,
            size=fetched.size,
            media_type=fetched.media_type,
            etag=fetched.etag,
            last_modified=fetched.last_modified,
            attempts=self.attempts,
            seconds=round(self.seconds, 3),
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
    assert record.path is not None
    assert record.sha256 is not None
    assert record.size is not None
    assert record.media_type is not None
    return DownloadedFile(
        document_id=record.document_id,
        url=record.url,
        path=record.path,
        sha256=record.sha256,
        size=record.size,
        media_type=record.media_type,
    )
