"""The tables of the SQLite index."""

from __future__ import annotations

from functools import partial

from sqlalchemy import Connection

from medkg_dagster.errors import StoreError
from medkg_dagster.io.sql import DatabaseKind, VersionPragma

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


# What the index holds of which document, also of one without chunks. No input has the empty hash, so the next
# run writes anew what an earlier release wrote.
_VERSION_2 = (
    "CREATE TABLE documents (id TEXT PRIMARY KEY, input_hash TEXT NOT NULL) WITHOUT ROWID",
    "INSERT INTO documents SELECT DISTINCT document_id, '' FROM chunks",
)


_VERSION_3 = ("ALTER TABLE chunks ADD COLUMN synthetic INTEGER NOT NULL DEFAULT 0",)


def _execute(statements: tuple[str, ...], connection: Connection) -> None:
    for statement in statements:
        connection.exec_driver_sql(statement)


INDEX = DatabaseKind(
    name="index",
    error=StoreError,
    version=VersionPragma(0x6D6B6769),  # "mkgi"
    migrations=(partial(_execute, _VERSION_1), partial(_execute, _VERSION_2), partial(_execute, _VERSION_3)),
    tables=(),
    restore="move the file away together with its -wal and -shm files and run the index stage again, which "
    "builds it anew",
)
