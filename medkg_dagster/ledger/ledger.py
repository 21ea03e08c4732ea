"""The job ledger's front door."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from medkg_dagster.io.times import Clock, stamp, utc_now
from medkg_dagster.settings import Settings

if TYPE_CHECKING:
    from medkg_dagster.io.sql import Database
    from medkg_dagster.ledger.alerts import AlertLedger
    from medkg_dagster.ledger.documents import DocumentLedger
    from medkg_dagster.ledger.figures import FigureLedger
    from medkg_dagster.ledger.files import FileLedger
    from medkg_dagster.ledger.gates import GateLedger
    from medkg_dagster.ledger.jobs import JobTable
    from medkg_dagster.ledger.phases import PhaseLedger
    from medkg_dagster.ledger.registrations import RegistrationLedger
    from medkg_dagster.ledger.runs import RunLedger
    from medkg_dagster.ledger.stage_runs import StageRunLedger
    from medkg_dagster.ledger.triggers import TriggerLedger

LEDGER_FILE = "ledger.sqlite"


class JobLedger:
    """Jobs, their history, stage runs and documents, in SQLite or PostgreSQL.

    Every method is one transaction and may be repeated without changing anything further. Several
    processes may write at once. Close the ledger, or use it as a context manager.

    Every method may raise `LedgerError`; those that take a job raise `UnknownJobError` where there is none.
    """

    def __init__(self, database: Database, clock: Clock = utc_now) -> None:
        self._database = database
        self._clock = clock

    @classmethod
    def open(cls, home: Path, clock: Clock = utc_now) -> JobLedger:
        """Open the ledger of a home folder, made and migrated as needed.

        Args:
            home: The folder for all data (`MEDKG_HOME`).
            clock: Gives the time, with a time zone.
        """
        from medkg_dagster.io.sql import Database
        from medkg_dagster.ledger.database import ledger_kind

        return cls(Database(ledger_kind(stamp(clock)), home / LEDGER_FILE), clock)

    @classmethod
    def connect(cls, url: str, clock: Clock = utc_now) -> JobLedger:
        """Open the ledger behind a SQLAlchemy URL, for SQLite or PostgreSQL, made and migrated as needed.

        Args:
            url: For example `postgresql://user@host/database`; a password in it is never shown.
            clock: Gives the time, with a time zone.
        """
        from medkg_dagster.io.sql import Database
        from medkg_dagster.ledger.database import ledger_kind

        return cls(Database(ledger_kind(stamp(clock)), url), clock)

    @classmethod
    def of(cls, settings: Settings, clock: Clock = utc_now) -> JobLedger:
        """Open the ledger of a deployment, made and migrated as needed.

        Args:
            settings: Says where it is.
            clock: Gives the time, with a time zone.
        """
        cls.check_address(settings)
        return (
            cls.connect(settings.ledger_url, clock) if settings.ledger_url else cls.open(settings.home, clock)
        )

    @staticmethod
    def check_address(settings: Settings) -> None:
        """Refuse a deployment whose `MEDKG_LEDGER_URL` cannot be right; nothing is opened."""
        if settings.ledger_url is None:
            return
        # Loading definitions calls this, and SQLAlchemy takes half a second of processor time to import.
        from medkg_dagster.io.sql import check_address
        from medkg_dagster.ledger.database import ledger_kind

        check_address(ledger_kind(""), settings.ledger_url)

    @staticmethod
    def exists(settings: Settings) -> bool:
        """Say whether a deployment has a ledger, without making one."""
        JobLedger.check_address(settings)
        if settings.ledger_url is None:
            return (settings.home / LEDGER_FILE).is_file()
        from medkg_dagster.io.sql import sqlite_file

        file = sqlite_file(settings.ledger_url)
        return file is None or file.is_file()

    @property
    def place(self) -> str:
        """Where the ledger is, as it may be shown."""
        return self._database.place

    @property
    def is_read_only(self) -> bool:
        """Whether this process may read the ledger and not write to it."""
        return self._database.is_read_only

    @property
    def figures(self) -> FigureLedger:
        """How much of what there is, over all jobs."""
        from medkg_dagster.ledger.figures import FigureLedger

        return FigureLedger(self._database)

    @property
    def jobs(self) -> JobTable:
        """The jobs, and their history."""
        from medkg_dagster.ledger.jobs import JobTable

        return JobTable(self._database, self._clock)

    @property
    def runs(self) -> RunLedger:
        """The runs of jobs: at work, and how they ended."""
        from medkg_dagster.ledger.runs import RunLedger

        return RunLedger(self._database, self._clock)

    @property
    def stage_runs(self) -> StageRunLedger:
        """The latest run of each stage, and the documents it refused."""
        from medkg_dagster.ledger.stage_runs import StageRunLedger

        return StageRunLedger(self._database, self._clock)

    @property
    def registrations(self) -> RegistrationLedger:
        """The audit of plugin registrations."""
        from medkg_dagster.ledger.registrations import RegistrationLedger

        return RegistrationLedger(self._database, self._clock)

    @property
    def phases(self) -> PhaseLedger:
        """The phases of jobs: submitting, starting, cancelling, and beginning anew."""
        from medkg_dagster.ledger.phases import PhaseLedger

        return PhaseLedger(self._database, self._clock)

    @property
    def gates(self) -> GateLedger:
        """The gates that jobs wait at: opening them, and going through."""
        from medkg_dagster.ledger.gates import GateLedger

        return GateLedger(self._database, self._clock)

    @property
    def triggers(self) -> TriggerLedger:
        """What asks for jobs by itself: how far it has come, and what it asked for."""
        from medkg_dagster.ledger.triggers import TriggerLedger

        return TriggerLedger(self._database, self._clock)

    @property
    def alerts(self) -> AlertLedger:
        """What people are told of outside: what there is to tell, and whether it was."""
        from medkg_dagster.ledger.alerts import AlertLedger

        return AlertLedger(self._database, self._clock)

    @property
    def files(self) -> FileLedger:
        """The files fetched for the documents of jobs."""
        from medkg_dagster.ledger.files import FileLedger

        return FileLedger(self._database, self._clock)

    @property
    def documents(self) -> DocumentLedger:
        """The documents, and which requests hold them."""
        from medkg_dagster.ledger.documents import DocumentLedger

        return DocumentLedger(self._database, self._clock)

    def watching(self) -> AbstractContextManager[Callable[[float], None]]:
        """Give a function that waits until something in the ledger changes, at most so many seconds."""
        from medkg_dagster.ledger.migrations import CHANNEL

        return self._database.watching(CHANNEL)

    def close(self) -> None:
        """Close every connection."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
