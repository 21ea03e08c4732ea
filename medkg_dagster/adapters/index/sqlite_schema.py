"""The file of the SQLite index: its tables, and how it is opened, checked and migrated."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from medkg_dagster.errors import StoreError

SCHEMA_VERSION = 1
APPLICATION_ID = 0x6D6B6769  # "mkgi"; tells this file from other programs' databases
BUSY_SECONDS = 60.0

_VERSION_1 = (
    """
    CREATE TABLE models (
        number INTEGER PRIMARY KEY,
        model TEXT NOT NULL UNIQUE,
        lexical INTEGER NOT NULL,
        dimension INTEGER NOT NULL
    )
    """,
    """
    CREATE TABLE chunks (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        document_id TEXT NOT NULL,
        document_hash TEXT NOT NULL,
        title TEXT NOT NULL,
        section TEXT NOT NULL,
        ordinal INTEGER NOT NULL,
        start_offset INTEGER NOT NULL,
        end_offset INTEGER NOT NULL,
        text TEXT NOT NULL
    )
    """,
    "CREATE INDEX chunks_by_document ON chunks (document_id)",
    """
    CREATE TABLE vectors (
        chunk INTEGER PRIMARY KEY REFERENCES chunks (number) ON DELETE CASCADE,
        model INTEGER NOT NULL REFERENCES models (number),
        vector BLOB NOT NULL
    )
    """,
    "CREATE INDEX vectors_by_model ON vectors (model)",
    """
    CREATE VIRTUAL TABLE full_text USING fts5 (
        title, section, text,
        content = 'chunks', content_rowid = 'number',
        tokenize = 'porter unicode61 remove_diacritics 2'
    )
    """,
    # The weights are those of title, section heading and text.
    "INSERT INTO full_text (full_text, rank) VALUES ('rank', 'bm25(2.0, 1.0, 1.0)')",
    """
    CREATE TRIGGER chunk_inserted AFTER INSERT ON chunks BEGIN
        INSERT INTO full_text (rowid, title, section, text)
        VALUES (new.number, new.title, new.section, new.text);
    END
    """,
    """
    CREATE TRIGGER chunk_deleted AFTER DELETE ON chunks BEGIN
        INSERT INTO full_text (full_text, rowid, title, section, text)
        VALUES ('delete', old.number, old.title, old.section, old.text);
    END
    """,
    """
    CREATE TRIGGER chunk_updated AFTER UPDATE ON chunks BEGIN
        INSERT INTO full_text (full_text, rowid, title, section, text)
        VALUES ('delete', old.number, old.title, old.section, old.text);
        INSERT INTO full_text (rowid, title, section, text)
        VALUES (new.number, new.title, new.section, new.text);
    END
    """,
)

# What brings a file of version n - 1 to version n; a new release adds to the end.
MIGRATIONS: tuple[tuple[str, ...], ...] = (_VERSION_1,)


def open_index(path: Path) -> sqlite3.Connection:
    """Open the index file, create it where it is missing, and bring it to this release's schema.

    Args:
        path: The file.

    Returns:
        A connection in autocommit mode; transactions are begun explicitly.

    Raises:
        StoreError: The file cannot be opened, is damaged, foreign, or of a newer release.
    """
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
        try:
            _prepare(connection, path)
        except BaseException:
            connection.close()
            raise
        return connection


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn errors of SQLite and the file system into a `StoreError` that says what to do.

    Args:
        path: The index file.

    Yields:
        Nothing.

    Raises:
        StoreError: Something in the block failed.
    """
    try:
        yield
    except sqlite3.OperationalError as error:
        raise StoreError(
            f"{path}: {error}; check that the folder is writable, that the disk is not full and that no "
            "other program holds the file, then run again: nothing half-written is left behind"
        ) from error
    except sqlite3.DatabaseError as error:
        raise StoreError(
            f"{path}: the index is damaged ({error}); move the file away together with its -wal and -shm "
            "files and run the index stage again, which builds it anew"
        ) from error
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror or error}; choose another MEDKG_HOME") from error


@contextmanager
def transaction(connection: sqlite3.Connection, kind: str) -> Iterator[None]:
    """Run a block in one transaction: all of it is written, or nothing.

    Args:
        connection: A connection in autocommit mode.
        kind: `DEFERRED` to read, `IMMEDIATE` to write.

    Yields:
        Nothing.
    """
    connection.execute(f"BEGIN {kind}")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = NORMAL")
    if _check(connection, path) == SCHEMA_VERSION:
        return
    _use_wal(connection)
    with transaction(connection, "IMMEDIATE"):
        for statements in MIGRATIONS[_check(connection, path) :]:
            for statement in statements:
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _check(connection: sqlite3.Connection, path: Path) -> int:
    """Return the file's schema version, 0 for a new file; refuse what this release must not touch."""
    application = int(connection.execute("PRAGMA application_id").fetchone()[0])
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    tables = int(connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0])
    if application != APPLICATION_ID and tables:
        raise StoreError(f"{path}: a database of another program; move it away or choose another MEDKG_HOME")
    if version > SCHEMA_VERSION:
        raise StoreError(
            f"{path}: written by a newer release (schema {version}, this release knows {SCHEMA_VERSION}); "
            "upgrade medkg-dagster, or move the file away and run the index stage again"
        )
    return version


def _use_wal(connection: sqlite3.Connection) -> None:
    # The switch to WAL does not honour the busy timeout, and two processes may make it at once.
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return
