"""The tables of the SQL graph store, and how a database is opened, checked and migrated."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import (
    URL,
    Boolean,
    Column,
    Connection,
    Engine,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
    event,
    func,
    insert,
    inspect,
    make_url,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import VARCHAR
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, OperationalError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from medkg_dagster.errors import ConfigError, StoreError

SCHEMA_VERSION = 1
BUSY_SECONDS = 60.0

# Serializes the writers of one PostgreSQL database; any constant would do.
ADVISORY_LOCK = 0x6D6B6767

METADATA = MetaData()

# Identifiers sort by code point in every database, whatever its locale.
_ID = String().with_variant(VARCHAR(collation="C"), "postgresql")

VERSION = Table("graph_schema", METADATA, Column("version", Integer, nullable=False))

# Without row numbers the rows stand in the order of their keys: equal graphs are equal files, row by row.
NODES = Table(
    "nodes",
    METADATA,
    Column("id", _ID, primary_key=True),
    Column("name", Text, nullable=False),
    Column("folded_name", Text, nullable=False),
    Column("folded_id", Text, nullable=False),
    Column("category", Text, nullable=False),
    Index("nodes_by_name", "folded_name"),
    Index("nodes_by_folded_id", "folded_id"),
    sqlite_with_rowid=False,
)

# What each document says about a node; `nodes` is computed from it, so that no trace of an old text stays.
CONTRIBUTIONS = Table(
    "node_contributions",
    METADATA,
    Column("document_id", _ID, primary_key=True),
    Column("node_id", _ID, primary_key=True),
    Column("name", Text, nullable=False),
    Column("category", Text, nullable=False),
    Index("contributions_by_node", "node_id"),
    sqlite_with_rowid=False,
)

EDGES = Table(
    "edges",
    METADATA,
    Column("id", _ID, primary_key=True),
    Column("subject", _ID, nullable=False),
    Column("predicate", _ID, nullable=False),
    Column("object", _ID, nullable=False),
    Column("negated", Boolean, nullable=False),
    Column("primary_knowledge_source", String, nullable=False),
    Column("knowledge_level", String, nullable=False),
    Column("agent_type", String, nullable=False),
    Column("publications", Text, nullable=False),
    Column("supporting_text", Text, nullable=False),
    Column("document_id", _ID, nullable=False),
    Column("document_hash", String, nullable=False),
    Column("start_offset", Integer, nullable=False),
    Column("end_offset", Integer, nullable=False),
    Index("edges_by_subject", "subject"),
    Index("edges_by_object", "object"),
    Index("edges_by_document", "document_id"),
    sqlite_with_rowid=False,
)


def _create_all(connection: Connection) -> None:
    METADATA.create_all(connection)


# What brings a database of version n - 1 to version n; a new release adds to the end.
MIGRATIONS: tuple[Callable[[Connection], None], ...] = (_create_all,)


def open_engine(file: Path, url: str | None) -> tuple[Engine, str]:
    """Open a database, create its tables where they are missing, and bring them to this release's schema.

    Args:
        file: The SQLite file that is used without a URL.
        url: An SQLAlchemy URL.

    Returns:
        The engine, and where it is for people to read (without password).

    Raises:
        ConfigError: The URL is malformed or its driver is missing.
        StoreError: The database cannot be opened, is damaged, foreign, or of a newer release.
    """
    target = _parse(url) if url else URL.create("sqlite", database=str(file))
    is_file = target.get_backend_name() == "sqlite" and target.database not in {None, "", ":memory:"}
    # A password may also stand in the query part, which SQLAlchemy does not hide.
    shown = target.set(password=None, query={}).render_as_string()
    place = str(target.database) if is_file else shown
    with explained(place):
        if is_file:
            Path(str(target.database)).parent.mkdir(parents=True, exist_ok=True)
        engine = _make_engine(target)
        try:
            _migrate(engine, place)
        except BaseException:
            engine.dispose()
            raise
    return engine, place


@contextmanager
def explained(place: str) -> Iterator[None]:
    """Turn errors of the database and the file system into a `StoreError` that says what to do.

    Args:
        place: Where the database is, without password.

    Yields:
        Nothing.

    Raises:
        StoreError: Something in the block failed.
    """
    try:
        yield
    except OperationalError as error:
        raise StoreError(
            f"{place}: {error.orig}; check that the database can be reached and written and that no other "
            "program holds it, then run again: nothing half-written is left behind"
        ) from error
    except DBAPIError as error:
        if not isinstance(error.orig, sqlite3.DatabaseError):
            raise StoreError(
                f"{place}: {error.orig}; the transaction was rolled back: mend that and run again"
            ) from error
        raise StoreError(
            f"{place}: the graph is damaged ({error.orig}); move the file away together with its -wal and "
            "-shm files and run the knowledge-graph stage again, which builds it anew"
        ) from error
    except SQLAlchemyError as error:
        raise StoreError(f"{place}: {error}") from error
    except OSError as error:
        raise StoreError(f"{place}: {error.strerror or error}; choose another place") from error


def lock_writers(connection: Connection) -> None:
    """Let one writer in at a time; SQLite does so by itself (`BEGIN IMMEDIATE`)."""
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(ADVISORY_LOCK)))


def _parse(url: str) -> URL:
    try:
        target = make_url(url)
    except (ArgumentError, ValueError):
        raise ConfigError(
            "the graph's url is not an SQLAlchemy URL such as postgresql+psycopg://user@host/database"
        ) from None
    if target.get_backend_name() not in {"sqlite", "postgresql"}:
        raise ConfigError(
            f"the graph's url names {target.get_backend_name()}; use sqlite or postgresql+psycopg"
        )
    return target


def _make_engine(target: URL) -> Engine:
    try:
        if target.get_backend_name() != "sqlite":
            return create_engine(target, pool_pre_ping=True, hide_parameters=True)
        engine = create_engine(
            target, poolclass=NullPool, connect_args={"timeout": BUSY_SECONDS}, hide_parameters=True
        )
    except (NoSuchModuleError, ModuleNotFoundError) as error:
        raise ConfigError(
            f"the driver for {target.drivername} is not installed ({error}); "
            "install medkg-dagster[postgresql] or use postgresql+psycopg://"
        ) from error
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_immediate)
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, record: object) -> None:
    del record
    # Transactions are begun by `_begin_immediate`, not by the driver, which would begin them too late.
    connection.isolation_level = None
    connection.execute("PRAGMA synchronous = NORMAL")


def _begin_immediate(connection: Connection) -> None:
    mode = connection.get_execution_options().get("sqlite_begin", "IMMEDIATE")
    connection.exec_driver_sql(f"BEGIN {mode}")


def _migrate(engine: Engine, place: str) -> None:
    with engine.connect().execution_options(sqlite_begin="DEFERRED") as connection:
        if _check(connection, place) == SCHEMA_VERSION:
            return
    if engine.dialect.name == "sqlite":
        _use_wal(engine)
    with engine.begin() as connection:
        lock_writers(connection)
        found = _check(connection, place)
        for migration in MIGRATIONS[found:]:
            migration(connection)
        if found == 0:
            connection.execute(insert(VERSION).values(version=SCHEMA_VERSION))
        else:
            connection.execute(update(VERSION).values(version=SCHEMA_VERSION))


def _check(connection: Connection, place: str) -> int:
    """Return the schema version, 0 for a new database; refuse what this release must not touch."""
    tables = set(inspect(connection).get_table_names())
    if VERSION.name not in tables:
        if (tables and connection.dialect.name == "sqlite") or tables & set(METADATA.tables):
            raise StoreError(f"{place}: a database of another program; move it away or name another one")
        return 0
    version = connection.execute(select(VERSION.c.version)).scalar()
    if version is None or version > SCHEMA_VERSION:
        raise StoreError(
            f"{place}: written by a newer release (schema {version}, this release knows {SCHEMA_VERSION}); "
            "upgrade medkg-dagster, or move the graph away and run the knowledge-graph stage again"
        )
    return int(version)


def _use_wal(engine: Engine) -> None:
    # The switch to WAL does not honour the busy timeout, and two processes may make it at once.
    deadline = time.monotonic() + BUSY_SECONDS
    raw = engine.raw_connection()
    try:
        while True:
            try:
                raw.cursor().execute("PRAGMA journal_mode = WAL")
            except sqlite3.OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
            else:
                return
    finally:
        raw.close()
