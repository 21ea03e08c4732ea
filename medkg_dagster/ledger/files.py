"""What the ledger remembers of files fetched for documents."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from medkg_dagster.domain.payloads import FileRecord
from medkg_dagster.io.sql import Database
from medkg_dagster.io.times import Clock, stamp
from medkg_dagster.ledger.models import JobKey
from medkg_dagster.ledger.statements import file_rows, job_rows


class FileLedger:
    """The files of the jobs of a ledger, and the turns at the services they come from.

    Every method is one transaction and may raise `LedgerError`.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def put(self, key: JobKey, records: Iterable[FileRecord]) -> None:
        """Remember what became of files; a later record of a document takes the place of the earlier.

        Raises:
            UnknownJobError: There is no such job.
        """
        with self._database.writing() as connection:
            job_rows.get_job(connection, key, lock=True)
            file_rows.put_files(connection, key, records, stamp(self._clock))

    def of_job(self, key: JobKey) -> tuple[FileRecord, ...]:
        """Return the records of a job, by document id.

        Raises:
            UnknownJobError: There is no such job.
        """
        with self._database.reading() as connection:
            job_rows.get_job(connection, key)
            return file_rows.list_files(connection, key)

    def stored(self, urls: Sequence[str]) -> dict[str, FileRecord]:
        """Return the latest stored file of each address, whichever job fetched it."""
        with self._database.reading() as connection:
            return file_rows.stored_files(connection, urls)

    def reserve_turn(self, service: str, interval: float) -> float:
        """Take the next free turn at a service, among all who share the ledger.

        Args:
            service: What is called, for example a host name.
            interval: Seconds between two turns.

        Returns:
            Seconds until the turn comes.
        """
        with self._database.writing() as connection:
            return file_rows.reserve_turn(connection, service, interval, self._clock().timestamp())
