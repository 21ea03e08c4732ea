"""SQL databases: opened, migrated and locked, with errors that say what to do; SQLite or PostgreSQL."""

from __future__ import annotations

import os
import re
import sqlite3
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import Any, ClassVar

from sqlalchemy import (
    URL,
    Connection,
    Dialect,
    Engine,
    Table,
    create_engine,
    event,
    func,
    insert,
    inspect,
    make_url,
    select,
)
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.util import LRUCache

from medkg_dagster.errors import ConfigError, MedkgError
from medkg_dagster.io.interrupts import HeldInterrupts

BUSY_TIMEOUT_SECONDS = 60.0
_WRITES = "medkg_writes"
_WATCH_SECONDS = 0.02
_CACHE_KIBIBYTES = 4 << 10
_SHOWN_CHARACTERS = 80
_PORT = re.compile("[0-9]{1,5}")

Migration = Callable[[Connection], None]
"""Brings the tables one version forward."""


@dataclass(frozen=True, slots=True)
class VersionTable:
    """A row for each version that was reached.

    Attributes:
        table: It has a column `version`.
        values: What stands in its other columns.
    """

    table: Table
    values: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The table's name."""
        return self.table.name

    def read(self, connection: Connection) -> int | None:
        """Return the highest version."""
        if not inspect(connection).has_table(self.name):
            return None
        return int(connection.scalar(select(func.max(self.table.c.version))) or 0)

    def write(self, connection: Connection, version: int) -> None:
        """Add a row."""
        if version == 1:
            self.table.create(connection, checkfirst=True)
        connection.execute(insert(self.table).values(version=version, **self.values))


@dataclass(frozen=True, slots=True)
class VersionPragma:
    """Two numbers in the header of a SQLite file.

    Attributes:
        application: Tells this program's files from others.
    """

    application: int
    name: ClassVar[str] = "application_id of ours"

    def read(self, connection: Connection) -> int | None:
        """Return the file's version."""
        if connection.exec_driver_sql("PRAGMA application_id").scalar() != self.application:
            return None
        return int(connection.exec_driver_sql("PRAGMA user_version").scalar_one())

    def write(self, connection: Connection, version: int) -> None:
        """Write both numbers."""
        connection.exec_driver_sql(f"PRAGMA application_id = {self.application}")
        connection.exec_driver_sql(f"PRAGMA user_version = {version}")


@dataclass(frozen=True, slots=True)
class DatabaseKind:
    """What a database keeps, how its tables come about, and what is said where it fails.

    Attributes:
        name: What it is, in a word: `ledger`.
        error: The class of its errors.
        version: Where it says of which version it is.
        migrations: The first makes version 1, the next makes version 2 of it, and so on. A released one is
            never edited: it is what made the databases that exist.
        anew: Makes at once, where there is nothing yet, what the migrations would make one after the other.
        tables: Its tables' names.
        restore: What to do about a damaged file.
        lock: A number of its own, by which writers on PostgreSQL hold each other off.
        address_error: The class of errors of its address.
        elsewhere: How to keep it at another place.
        setting: The variable that holds its address.
        hints: What to do, by a sign in the database's message.
        shares_file: Whether other programs may have tables in the same SQLite file.
    """

    name: str
    error: type[MedkgError]
    version: VersionTable | VersionPragma
    migrations: Sequence[Migration]
    tables: Collection[str]
    restore: str
    anew: Migration | None = None
    lock: int = 0
    address_error: type[MedkgError] = ConfigError
    elsewhere: str = "choose another MEDKG_HOME"
    setting: str = ""
    hints: tuple[tuple[str, str], ...] = ()
    shares_file: bool = False


class Database:
    """One database, migrated and ready.

    Args:
        kind: What it keeps.
        address: A SQLite file, or a SQLAlchemy URL for SQLite or PostgreSQL.

    Attributes:
        place: Where it is, as it may be shown.
        is_read_only: Whether it is a file that this process may read and not write.

    Raises:
        MedkgError: Of the kind's classes: it cannot be reached, read or migrated.
    """

    def __init__(self, kind: DatabaseKind, address: str | Path) -> None:
        self._kind = kind
        url = sqlite_url(address) if isinstance(address, Path) else _parse(kind, address)
        self.place = _shown(url)
        file = _file_of(url)
        self.is_read_only = file is not None and _is_read_only(file)
        with self.explained():
            engine = self._engine(url)
            one_moment = {"isolation_level": "REPEATABLE READ"} if engine.name == "postgresql" else {}
            self._reader = engine.execution_options(**one_moment)
            self._writer = engine.execution_options(**{_WRITES: True})
        try:
            self._prepare()
        except BaseException:
            self.close()
            raise

    def reading(self) -> AbstractContextManager[Connection]:
        """Open a transaction that reads one consistent state."""
        return self._transaction(self._reader)

    def writing(self) -> AbstractContextManager[Connection]:
        """Open a transaction that writes; on SQLite it holds off every other writer from its start."""
        return self._transaction(self._writer)

    @contextmanager
    def watching(self, channel: str) -> Iterator[Callable[[float], None]]:
        """Give a function that waits until somebody writes, at most so many seconds.

        It takes up what was written since it returned last, or was given. SQLite counts the writes of other
        connections; PostgreSQL is told of what its triggers notify a channel of.

        Args:
            channel: The channel.
        """
        with self.explained():
            pooled = self._writer.raw_connection()
            try:
                connection: Any = pooled.driver_connection
                if self._writer.dialect.name == "sqlite":
                    yield _write_counter(connection)
                else:
                    connection.autocommit = True
                    connection.execute(f"LISTEN {channel}")
                    yield partial(_wait_for_notice, connection)
            finally:
                pooled.invalidate()  # one that listens is of no use to others

    def close(self) -> None:
        """Close every connection."""
        self._writer.dispose()

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Turn the database's errors into the kind's own, which name the place and the way out."""
        kind = self._kind
        try:
            yield
        except (NoSuchModuleError, ImportError) as error:
            raise kind.address_error(f"no driver for {self.place}: {error}; {_drivers(kind)}") from error
        except self._driver_errors() as error:
            cause = str(error.orig if isinstance(error, DBAPIError) else error).strip()
            cause = cause.split("\n", maxsplit=1)[0]
            raise kind.error(f"{kind.name} {self.place}: {cause}{_hint(kind, cause)}") from error
        except UnicodeEncodeError as error:  # what was typed or named in bytes that are not UTF-8
            text = ascii(error.object[:_SHOWN_CHARACTERS])
            raise kind.error(
                f"{kind.name} {self.place}: {text} is not UTF-8 text; it can be neither stored nor found"
            ) from error
        except SQLAlchemyError as error:
            raise kind.error(f"{kind.name} {self.place}: {error}") from error

    def _driver_errors(self) -> tuple[type[Exception], ...]:
        """Return what databases raise, also where a driver is used without SQLAlchemy, as for COPY."""
        engine: Engine | None = getattr(self, "_writer", None)
        loaded: Any = None if engine is None else engine.dialect.loaded_dbapi
        return (DBAPIError, sqlite3.Error, *(() if loaded is None else (loaded.Error,)))

    @contextmanager
    def _transaction(self, engine: Engine) -> Iterator[Connection]:
        held = HeldInterrupts()
        with self.explained(), held, engine.begin() as connection, held.let_through():
            yield connection

    def _engine(self, url: URL) -> Engine:
        if url.get_backend_name() != "sqlite":
            return _postgresql_engine(url)
        if url.database and url.database != ":memory:":
            try:
                Path(url.database).absolute().parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                kind = self._kind
                raise kind.error(f"{kind.name} {self.place}: {error.strerror}; {kind.elsewhere}") from error
        return _sqlite_engine(url)

    def _prepare(self) -> None:
        with self.reading() as connection:
            is_current = self._stored_version(connection) == len(self._kind.migrations)
        if self._writer.dialect.name == "sqlite" and not self.is_read_only:
            self._switch_to_wal()
        if is_current:
            return
        with self.writing() as connection:
            lock_writers(connection, self._kind.lock)
            version = self._stored_version(connection)  # another process may have been faster
            anew = self._kind.anew if version == 0 else None
            for reached, migration in enumerate(self._kind.migrations[version:], start=version + 1):
                if anew is None:
                    migration(connection)
                self._kind.version.write(connection, reached)
            if anew is not None:
                anew(connection)

    def _stored_version(self, connection: Connection) -> int:
        """Return the version, 0 for a new database; refuse what this release must not touch."""
        kind = self._kind
        version = kind.version.read(connection)
        if version is None:
            present = set(inspect(connection).get_table_names())
            is_alone = connection.dialect.name == "sqlite" and not kind.shares_file
            if strangers := sorted(present if is_alone else present & set(kind.tables)):
                raise kind.error(
                    f"{self.place} has a table {strangers[0]} but no {kind.version.name}: it is of another "
                    f"program, or only part of a {kind.name}; move it away, or {kind.elsewhere}"
                )
            return 0
        if version > len(kind.migrations):
            raise kind.error(
                f"{kind.name} {self.place} was written by a newer release (schema {version}, this one knows "
                f"{len(kind.migrations)}); upgrade medkg-dagster, or {kind.elsewhere}"
            )
        return version

    def _switch_to_wal(self) -> None:
        # The switch does not wait for other connections like a transaction does, so it is tried again.
        deadline = time.monotonic() + BUSY_TIMEOUT_SECONDS
        with self.explained():
            connection = self._writer.raw_connection()
            try:
                cursor = connection.cursor()
                while cursor.execute("PRAGMA journal_mode").fetchone()[0] not in {"wal", "memory"}:
                    try:
                        cursor.execute("PRAGMA journal_mode=WAL")
                    except sqlite3.OperationalError as error:
                        if "locked" not in str(error) or time.monotonic() > deadline:
                            raise
                        time.sleep(0.01)
                    else:
                        return  # a file system without shared memory keeps the mode it had
            finally:
                connection.close()


def _wait_for_notice(connection: Any, seconds: float) -> None:
    for _ in connection.notifies(timeout=seconds, stop_after=1):
        pass


def _write_counter(connection: sqlite3.Connection) -> Callable[[float], None]:
    def count() -> int:
        return int(connection.execute("PRAGMA data_version").fetchone()[0])

    seen = count()

    def wait(seconds: float) -> None:
        nonlocal seen
        until = time.monotonic() + seconds
        while (found := count()) == seen and time.monotonic() < until:
            time.sleep(min(_WATCH_SECONDS, seconds))
        seen = found

    return wait


def check_address(kind: DatabaseKind, address: str) -> None:
    """Refuse an address that cannot be one of a database that lasts, without reaching for it.

    Args:
        kind: What it keeps.
        address: A SQLAlchemy URL.

    Raises:
        MedkgError: Of the kind's `address_error`; the address, which may hold a password, is not shown.
    """
    url = _parse(kind, address)
    named = url.database or ""
    if url.get_backend_name() == "sqlite" and (
        not named or ":memory:" in named or url.query.get("mode") == "memory" or "mode=memory" in named
    ):
        raise kind.address_error(
            f"{_address_of(kind)} is SQLite in memory, which each process would have its own of; name a "
            "file, for example sqlite:////data/file.sqlite"
        )


def _address_of(kind: DatabaseKind) -> str:
    return f"the {kind.name}'s address" + (f" ({kind.setting})" if kind.setting else "")


def sqlite_url(file: Path) -> URL:
    """Return the URL of a SQLite file; the path may hold any character."""
    return URL.create("sqlite", database=str(file))


def sqlite_file(address: str) -> Path | None:
    """Return the file that a URL names; None for a server, a SQLite URI, and for what is no URL."""
    try:
        url = make_url(address)
    except (ArgumentError, ValueError):
        return None
    is_file = url.get_backend_name() == "sqlite" and "uri" not in url.query
    return Path(url.database or "") if is_file else None


def _file_of(url: URL) -> Path | None:
    is_file = url.get_backend_name() == "sqlite" and "uri" not in url.query
    return Path(url.database) if is_file and url.database not in {None, "", ":memory:"} else None


def readable_uri(file: Path) -> str:
    """Return the URI under which SQLite opens a file, also where it or its folder may not be written."""
    if not _is_read_only(file):
        return f"{file.absolute().as_uri()}?mode=rw"
    # Where no process has written lately, SQLite could not make the files beside it that it reads by.
    mode = "mode=ro" if file.with_name(f"{file.name}-wal").exists() else "immutable=1"
    return f"{file.absolute().as_uri()}?{mode}"


def _is_read_only(file: Path) -> bool:
    return file.is_file() and not (os.access(file, os.W_OK) and os.access(file.parent, os.W_OK))


def lock_writers(connection: Connection, lock: int) -> None:
    """Hold off who takes the same lock until the transaction ends; on SQLite any write transaction does."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({lock})")


def _drivers(kind: DatabaseKind) -> str:
    return f"the {kind.name} speaks SQLite and PostgreSQL (`pip install 'medkg-dagster[postgresql]'`)"


def _parse(kind: DatabaseKind, address: str) -> URL:
    try:
        url = make_url(address)
    except (ArgumentError, ValueError):
        # The address may hold a password, and so may the message and traceback of the error.
        raise kind.address_error(
            f"{_address_of(kind)} is not a database URL; write for example postgresql://user@host/database"
        ) from None
    ports = [port for given in url.normalized_query.get("port", ()) for port in given.split(",") if port]
    if url.port is not None:
        # SQLAlchemy takes any number, in the digits of any script.
        ports.append(str(url.port) if f":{url.port}" in address else "")
    if not all(_PORT.fullmatch(port) and 0 < int(port) < 65_536 for port in ports):
        raise kind.address_error(f"{_address_of(kind)} has a port that is no number from 1 to 65535")
    # Dagster's storage needs psycopg2 named; the same variable may name the database for both.
    if url.drivername in {"postgres", "postgresql", "postgresql+psycopg2"}:
        url = url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() not in {"sqlite", "postgresql"}:
        raise kind.address_error(
            f"{_address_of(kind)} is one of {url.get_backend_name()}, but {_drivers(kind)}"
        )
    return url


def _shown(url: URL) -> str:
    if url.get_backend_name() == "sqlite":
        return url.database or "in memory"
    # A password may also stand in the query part, which SQLAlchemy does not hide.
    return url.set(password=None, query={}).render_as_string()


@cache
def _sqlite_dialect() -> tuple[Dialect, LRUCache[Any, Any]]:
    """Return what all SQLite databases of the process share, and the statements that it has compiled.

    SQLAlchemy has both anew for each engine, and a run, which opens databases often and for little, would
    spend most of that time on compiling the same statements.
    """
    engine = create_engine("sqlite://")
    with engine.connect():  # reads of which version SQLite is
        return engine.dialect, LRUCache(500)


def _sqlite_engine(url: URL) -> Engine:
    dialect, compiled = _sqlite_dialect()
    arguments, options = dialect.create_connect_args(url)
    file = _file_of(url)
    if file is not None and _is_read_only(file):
        arguments, options["uri"] = [readable_uri(file)], True
    connect = partial(dialect.connect, *arguments, **{**options, "timeout": BUSY_TIMEOUT_SECONDS})
    pool = dialect.get_dialect_pool_class(url)(connect, dialect=dialect)
    shared = {"compiled_cache": compiled}
    engine = Engine(pool, dialect, url, hide_parameters=True, execution_options=shared)
    event.listen(engine, "connect", _configure_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


@lru_cache(maxsize=16)
def _first_engine(url: URL) -> tuple[Engine, LRUCache[Any, Any]]:
    """Return the first engine for a server, and the statements that all engines for it have compiled."""
    return create_engine(url, pool_pre_ping=True), LRUCache(500)


def _postgresql_engine(url: URL) -> Engine:
    # What was learned of the server with the first connection is shared too; connections are not.
    first, compiled = _first_engine(url)
    shared = {"compiled_cache": compiled}
    return Engine(
        first.pool.recreate(), first.dialect, first.url, hide_parameters=True, execution_options=shared
    )


def _configure_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # the driver must not begin transactions of its own
    connection.execute("PRAGMA synchronous=NORMAL")
    # A step opens several: with 32 MiB for each, 5,000 studies take 30 MB more and no second less.
    connection.execute(f"PRAGMA cache_size=-{_CACHE_KIBIBYTES}")
    connection.execute("PRAGMA foreign_keys=ON")


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _hint(kind: DatabaseKind, cause: str) -> str:
    signs = (
        *kind.hints,
        ("not a database", f"the file is damaged or no {kind.name}: {kind.restore}"),
        ("malformed", f"the file is damaged: {kind.restore}"),
        ("disk i/o", f"check the disk; the {kind.name} needs a local file system"),
        ("disk is full", "free some space and run again"),
        ("readonly", "make the file and its folder writable"),
        ("unable to open", "check that the folder exists and may be written"),
        ("locked", "another process holds it; stop it or run again later"),
        ("connect", "check that the server runs and its address; nothing half-written is left behind"),
    )
    return next((f"; {advice}" for sign, advice in signs if sign in cause.lower()), "")
