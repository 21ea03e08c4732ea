"""Connections to the ledger's database: dialects, locking, and errors that say what to do."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError

from medkg_dagster.errors import LedgerError
from medkg_dagster.ledger.migrations import CURRENT_VERSION, migrate, stored_version

BUSY_TIMEOUT_SECONDS = 60.0
_ADVISORY_LOCK = 6_110_853_225_041
_WRITES = "medkg_writes"


def sqlite_url(file: Path) -> URL:
    """Return the URL of a SQLite file; the path may hold any character."""
    return URL.create("sqlite", database=str(file))


class Database:
    """One ledger database, migrated and ready.

    Args:
        address: A SQLAlchemy URL, for SQLite or PostgreSQL.
        now: The time to record for migrations.

    Raises:
        LedgerError: It cannot be reached, read or migrated.
    """

    def __init__(self, address: str | URL, now: str) -> None:
        url = _parse(address)
        self.place = _shown(url)
        with self.translated():
            self._engine = _engine(url, self.place)
            self._writer = self._engine.execution_options(**{_WRITES: True})
        try:
            self._prepare(now)
        except BaseException:
            self.close()
            raise

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Open a transaction that reads one consistent state."""
        with self.translated(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Open a transaction that writes; on SQLite it holds off every other writer from its start."""
        with self.translated(), self._writer.begin() as connection:
            yield connection

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Turn the database's errors into a `LedgerError` that names the ledger and the way out."""
        try:
            yield
        except (NoSuchModuleError, ImportError) as error:
            raise LedgerError(f"no driver for {self.place}: {error}; {_DRIVER_HINT}") from error
        except DBAPIError as error:
            cause = str(error.orig).strip().split("\n", maxsplit=1)[0]
            raise LedgerError(f"ledger {self.place}: {cause}{_hint(cause)}") from error
        except SQLAlchemyError as error:
            raise LedgerError(f"ledger {self.place}: {error}") from error

    def _prepare(self, now: str) -> None:
        with self.reading() as connection:
            current = stored_version(connection, self.place) == CURRENT_VERSION
        if not current:
            with self.writing() as connection:
                lock_database(connection)
                migrate(connection, self.place, now)


def lock_database(connection: Connection) -> None:
    """Hold off other writers until the transaction ends; a SQLite write transaction already does."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})")


_DRIVER_HINT = "the ledger speaks SQLite and PostgreSQL (`pip install 'medkg-dagster[postgresql]'`)"


def _parse(address: str | URL) -> URL:
    try:
        url = make_url(address)
    except ArgumentError:
        # The address may hold a password, and so may the message and traceback of the error.
        raise LedgerError(
            "the ledger's address is not a database URL; write for example postgresql://user@host/database"
        ) from None
    if url.drivername in {"postgres", "postgresql"}:
        url = url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() not in {"sqlite", "postgresql"}:
        raise LedgerError(f"no ledger on {url.get_backend_name()}: {_DRIVER_HINT}")
    return url


def _shown(url: URL) -> str:
    if url.get_backend_name() == "sqlite":
        return url.database or "in memory"
    masked = {key: "***" if "password" in key.lower() else value for key, value in url.query.items()}
    return url.set(query=masked).render_as_string(hide_password=True)


def _engine(url: URL, place: str) -> Engine:
    if url.get_backend_name() != "sqlite":
        return create_engine(url, pool_pre_ping=True)
    if url.database and url.database != ":memory:":
        folder = Path(url.database).absolute().parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LedgerError(f"ledger {place}: {error.strerror}; choose another MEDKG_HOME") from error
    engine = create_engine(url, connect_args={"timeout": BUSY_TIMEOUT_SECONDS})
    event.listen(engine, "connect", _configure_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _configure_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # the driver must not begin transactions of its own
    cursor = connection.cursor()
    try:
        _switch_to_wal(cursor)
        cursor.execute("PRAGMA synchronous=NORMAL")
        cursor.execute("PRAGMA foreign_keys=ON")
    finally:
        cursor.close()


def _switch_to_wal(cursor: sqlite3.Cursor) -> None:
    # The switch does not wait for other connections like a transaction does, so it is tried again.
    deadline = time.monotonic() + BUSY_TIMEOUT_SECONDS
    while cursor.execute("PRAGMA journal_mode").fetchone()[0] not in {"wal", "memory"}:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return  # a file system without shared memory keeps the mode it had


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _hint(cause: str) -> str:
    text = cause.lower()
    for sign, advice in _HINTS:
        if sign in text:
            return f"; {advice}"
    return ""


_HINTS = (
    ("not a database", "the file is damaged or no ledger: restore a backup, or move it aside to start anew"),
    ("malformed", "the file is damaged: restore a backup, or move it aside to start anew"),
    ("disk i/o", "check the disk; the ledger needs a local file system"),
    ("disk is full", "free some space and run again"),
    ("readonly", "make the file and its folder writable"),
    ("unable to open", "check that the folder exists and may be written"),
    ("locked", "another process holds it; stop it or run again later"),
    ("append-only", "history and audit are kept as they were written"),
)
