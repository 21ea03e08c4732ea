"""The tables of the SQL graph store, and how a database is opened and migrated."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import (
    JSON,
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
)
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from medkg_dagster.errors import StoreError

SCHEMA_VERSION = 1
BUSY_TIMEOUT_SECONDS = 60.0
_ADVISORY_LOCK = 6_110_853_225_042

METADATA = MetaData()

VERSIONS = Table("graph_schema", METADATA, Column("version", Integer, primary_key=True))

NODES = Table(
    "nodes",
    METADATA,
    Column("id", String, primary_key=True),
    Column("name", Text, nullable=False),
    Column("category", JSON, nullable=False),
)

EDGES = Table(
    "edges",
    METADATA,
    Column("id", String, primary_key=True),
    Column("subject", String, nullable=False, index=True),
    Column("predicate", String, nullable=False),
    Column("object", String, nullable=False, index=True),
    Column("negated", Boolean, nullable=False),
    Column("primary_knowledge_source", String, nullable=False),
    Column("knowledge_level", String, nullable=False),
    Column("agent_type", String, nullable=False),
    Column("publications", JSON, nullable=False),
    Column("supporting_text", Text, nullable=False),
    Column("document_id", String, nullable=False, index=True),
    Column("document_hash", String, nullable=False),
    Column("start", Integer, nullable=False),
    Column("end", Integer, nullable=False),
)

Index("nodes_by_name", func.lower(NODES.c.name))


class GraphDatabase:
    """One graph database, migrated and ready.

    Args:
        url: A SQLAlchemy URL, for SQLite or PostgreSQL.

    Raises:
        StoreError: It cannot be reached or read, or a later release wrote it.
    """

    def __init__(self, url: str) -> None:
        try:
            address = make_url(url)
        except ArgumentError:
            # The address may hold a password, and so may the message and traceback of the error.
            raise StoreError(
                "the graph store's url is not a database URL; write for example postgresql+psycopg://user@host/graph"
            ) from None
        file = address.database if address.get_backend_name() == "sqlite" else None
        self.location = file or address.render_as_string(hide_password=True)
        with self._translated():
            self._engine = _engine(url, file)
        try:
            with self.writing() as connection:
                self._prepare(connection)
        except BaseException:
            self.close()
            raise

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Open a transaction that reads one consistent state."""
        with self._translated(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Open a transaction that holds off every other writer from its start."""
        with self._translated(), self._engine.connect() as connection:
            writer = connection.execution_options(medkg_writes=True)
            with writer.begin():
                if writer.dialect.name == "postgresql":
                    writer.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})")
                yield writer

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    def _prepare(self, connection: Connection) -> None:
        if not inspect(connection).has_table(VERSIONS.name):
            METADATA.create_all(connection)
            connection.execute(insert(VERSIONS).values(version=SCHEMA_VERSION))
            return
        version = connection.execute(select(func.max(VERSIONS.c.version))).scalar_one()
        if version != SCHEMA_VERSION:
            raise StoreError(
                f"graph {self.location}: written with schema {version}, this release reads {SCHEMA_VERSION}; "
                "install the release that wrote it, or let a run write a new graph elsewhere"
            )

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (SQLAlchemyError, ImportError) as error:
            cause = str(getattr(error, "orig", None) or error).strip().split("\n", maxsplit=1)[0]
            raise StoreError(
                f"graph {self.location}: {cause}; if the database is damaged, move it away and run the pipeline again"
            ) from error


def _engine(url: str, file: str | None) -> Engine:
    if make_url(url).get_backend_name() != "sqlite":
        return create_engine(url, pool_pre_ping=True)
    if file:
        try:
            Path(file).absolute().parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"graph {file}: {error.strerror}; choose another folder") from error
    engine = create_engine(url, connect_args={"timeout": BUSY_TIMEOUT_SECONDS})
    event.listen(engine, "connect", _configure)
    event.listen(engine, "begin", _begin)
    return engine


def _configure(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # transactions begin where `_begin` says, not where the driver guesses
    connection.execute("PRAGMA synchronous=NORMAL").close()


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get("medkg_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
