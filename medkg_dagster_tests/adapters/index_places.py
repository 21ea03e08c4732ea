"""Where an index may be kept, and what is there, whatever keeps it."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine

from medkg_dagster.adapters.index.postgresql_store import PostgresqlIndex
from medkg_dagster.adapters.index.sqlite_store import FILE_NAME, SqliteIndex

Index = SqliteIndex | PostgresqlIndex

_TABLES = ("index_documents", "index_passages", "index_terms", "index_vectors")


@dataclass(frozen=True)
class IndexPlace:
    """A place of one index.

    Attributes:
        home: The folder for all data.
        url: The database; None for SQLite.
    """

    home: Path
    url: str | None = None

    def open(self) -> Index:
        """Open the index."""
        return SqliteIndex(self.home) if self.url is None else PostgresqlIndex(self.url)

    def content(self) -> list[Any]:
        """Return all that is there, row by row."""
        if self.url is None:
            with closing(sqlite3.connect(self.home / FILE_NAME)) as connection:
                return list(connection.iterdump())
        return [self._rows(f"SELECT * FROM {table} ORDER BY 1, 2") for table in _TABLES]

    def texts(self) -> list[str]:
        """Return the texts of all passages in order."""
        if self.url is None:
            with closing(sqlite3.connect(self.home / FILE_NAME)) as connection:
                found = connection.execute("SELECT text FROM chunks ORDER BY document_id, ordinal")
                return [text for (text,) in found]
        rows = self._rows(
            "SELECT text FROM index_passages JOIN index_documents AS owner ON number = document "
            "ORDER BY owner.id, ordinal"
        )
        return [text for (text,) in rows]

    def _rows(self, statement: str) -> Sequence[Any]:
        assert self.url is not None
        engine = create_engine(self.url)
        with engine.connect() as connection:
            rows = [tuple(row) for row in connection.exec_driver_sql(statement)]
        engine.dispose()
        return rows
