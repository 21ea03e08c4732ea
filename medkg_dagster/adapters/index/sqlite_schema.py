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

_LIGATURES = {
    "\ufb00": "ff",
    "\ufb01": "fi",
    "\ufb02": "fl",
    "\ufb03": "ffi",
    "\ufb04": "ffl",
    "\ufb06": "st",
}


def _folded(row: str) -> str:
    """Return the expressions of a row's searched columns, ligatures as the letters they stand for."""
    columns = []
    for name in ("title", "section", "text"):
        expression = f"{row}.{name}"
        for ligature, letters in _LIGATURES.items():
            expression = f"replace({expression}, '{ligature}', '{letters}')"
        columns.append(expression)
    return ", ".join(columns)


_FORGET = f"""
    INSERT INTO full_text (full_text, rowid, title, section, text)
    VALUES ('delete', old.number, {_folded("old")});
"""  # noqa: S608 - made of constants of this module, as all below
_ADD = f"INSERT INTO full_text (rowid, title, section, text) VALUES (new.number, {_folded('new')});"  # noqa: S608

# The text stays as written; what is searched has no ligatures.
_VERSION_4 = (
    "DROP TRIGGER chunk_inserted",
    "DROP TRIGGER chunk_deleted",
    "DROP TRIGGER chunk_updated",
    "DROP TABLE full_text",
    f"""
    CREATE VIEW searched (number, title, section, text) AS
    SELECT number, {_folded("chunks")} FROM chunks
    """,  # noqa: S608
    """
    CREATE VIRTUAL TABLE full_text USING fts5 (
        title, section, text,
        content = 'searched', content_rowid = 'number',
        tokenize = 'porter unicode61 remove_diacritics 2'
    )
    """,
    "INSERT INTO full_text (full_text, rank) VALUES ('rank', 'bm25(2.0, 1.0, 1.0)')",
    f"CREATE TRIGGER chunk_inserted AFTER INSERT ON chunks BEGIN {_ADD} END",
    f"CREATE TRIGGER chunk_deleted AFTER DELETE ON chunks BEGIN {_FORGET} END",
    f"CREATE TRIGGER chunk_updated AFTER UPDATE ON chunks BEGIN {_FORGET} {_ADD} END",
    "INSERT INTO full_text (full_text) VALUES ('rebuild')",
)

# A row that a trigger writes is a transaction of its own to FTS5, which then writes and merges a tree for it.
# The store writes the words of many chunks at once.
_VERSION_5 = ("DROP TRIGGER chunk_inserted", "DROP TRIGGER chunk_deleted", "DROP TRIGGER chunk_updated")

# An earlier release was not given what documents are searched by: the next run writes them anew.
_VERSION_6 = (
    "ALTER TABLE documents ADD COLUMN title TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE documents ADD COLUMN source TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE documents ADD COLUMN date TEXT",
    "ALTER TABLE documents ADD COLUMN url TEXT",
    "ALTER TABLE documents ADD COLUMN language TEXT",
    "ALTER TABLE documents ADD COLUMN phases TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE documents ADD COLUMN synthetic INTEGER NOT NULL DEFAULT 0",
    """
    UPDATE documents SET input_hash = '', (title, synthetic) = (
        SELECT coalesce(max(title), ''), coalesce(max(synthetic), 0)
        FROM chunks WHERE document_id = documents.id
    )
    """,
)

# Terms and vectors are in segments, files beside this one. What an earlier release wrote has none yet.
_VERSION_7 = (
    "DROP TABLE full_text",
    "DROP VIEW searched",
    "DROP TABLE vectors",
    "DROP TABLE models",
    "ALTER TABLE documents ADD COLUMN segment INTEGER",
    "ALTER TABLE documents ADD COLUMN place INTEGER",
    "UPDATE documents SET input_hash = ''",
    "CREATE INDEX documents_by_place ON documents (segment, place)",
    """
    CREATE TABLE segments (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        model TEXT NOT NULL,
        dimension INTEGER NOT NULL,
        documents INTEGER NOT NULL,
        gone BLOB NOT NULL
    )
    """,
)

# Segments are laid out otherwise. The terms are written anew from the chunks, the vectors by the next run.
_VERSION_8 = (
    "DELETE FROM segments",
    "UPDATE documents SET input_hash = '', segment = NULL, place = NULL",
)


def _execute(statements: tuple[str, ...], connection: Connection) -> None:
    for statement in statements:
        connection.exec_driver_sql(statement)


INDEX = DatabaseKind(
    name="index",
    error=StoreError,
    version=VersionPragma(0x6D6B6769),  # "mkgi"
    migrations=tuple(
        partial(_execute, statements)
        for statements in (
            _VERSION_1,
            _VERSION_2,
            _VERSION_3,
            _VERSION_4,
            _VERSION_5,
            _VERSION_6,
            _VERSION_7,
            _VERSION_8,
        )
    ),
    tables=(),
    restore="move the file away together with its -wal and -shm files and the folder index.segments, and run "
    "the index stage again, which builds it anew",
)
