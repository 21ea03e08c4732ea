"""Reads and writes the tables of the SQLite index: FTS5 (BM25), and vectors."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection

from medkg_dagster.adapters.index.document_search import (
    COLUMNS,
    DOCUMENT_COLUMNS,
    document_row,
    prevalent_model,
    search_documents,
)
from medkg_dagster.adapters.index.sqlite_schema import INDEX
from medkg_dagster.domain.chunks import index_hashes
from medkg_dagster.errors import StoreError
from medkg_dagster.io.sql import Database
from medkg_dagster.stage_api import (
    Chunk,
    EmbeddingBatch,
    IndexedDocument,
    IndexReceipt,
    SearchRequest,
    SearchResults,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FILE_NAME = "index.sqlite"


class SqliteIndex:
    """Keeps chunks, full text and vectors in `<home>/index.sqlite`.

    The file is opened at first use; a search does not create it.
    """

    def __init__(self, home: Path) -> None:
        self._path = home / FILE_NAME
        self._database: Database | None = None

    def upsert(self, chunks: Sequence[Chunk], embeddings: EmbeddingBatch) -> IndexReceipt:
        """Write chunks and vectors in one transaction.

        Chunks of the same documents that are not among these (of other versions, or cut otherwise) are
        removed. Writing the same chunks again changes nothing.

        Args:
            chunks: All chunks of their documents.
            embeddings: One vector for each of them, matched by chunk id.

        Raises:
            StoreError: Chunks and vectors do not fit together, or the file cannot be written.
        """
        documents = {chunk.document_id for chunk in chunks}
        return self.apply(index_hashes(documents, chunks, embeddings), (), chunks, embeddings)

    def held(self) -> Mapping[str, str]:
        """Return the documents of the index, each with the hash of what it was given of it.

        Raises:
            StoreError: The file cannot be read.
        """
        if not self._path.exists():
            return {}
        with self._open().reading() as transaction:
            return dict(_driver(transaction).execute("SELECT id, input_hash FROM documents").fetchall())

    def held_versions(self, document: str) -> frozenset[str] | None:
        """Return the content hashes of what the index has of a document; None where it does not hold it."""
        if not self._path.exists():
            return None
        with self._open().reading() as transaction:
            connection = _driver(transaction)
            if connection.execute("SELECT 1 FROM documents WHERE id = ?", (document,)).fetchone() is None:
                return None
            found = connection.execute("SELECT document_hash FROM chunks WHERE document_id = ?", (document,))
            return frozenset(digest for (digest,) in found)

    def apply(
        self,
        changed: Mapping[str, str],
        removed: Collection[str],
        chunks: Sequence[Chunk],
        embeddings: EmbeddingBatch,
        documents: Sequence[IndexedDocument] = (),
    ) -> IndexReceipt:
        """Write some documents and take others out, in one transaction.

        Args:
            changed: The documents to write, also those without chunks, each with the hash of its input.
            removed: The documents to take out, known or not.
            chunks: All chunks of the changed documents.
            embeddings: One vector for each of them, matched by chunk id.
            documents: What else is known of the changed documents; of others, what their chunks say.

        Raises:
            StoreError: Chunks, vectors and documents do not fit together, or the file cannot be written.
        """
        vectors = embeddings.by_chunk(chunks)
        by_id = {chunk.id: chunk for chunk in chunks}
        if strange := {chunk.document_id for chunk in chunks} - changed.keys():
            raise StoreError(f"chunks of {min(strange)}, which is not among the changed documents")
        gone = set(removed) - changed.keys()
        with self._open().writing() as transaction:
            connection = _driver(transaction)
            there = _chunks_of(connection, gone | changed.keys())
            rows = dict.fromkeys(tuple(chunk.model_dump().values()) for chunk in by_id.values())
            _remove_chunks(connection, [number for row, number in there.items() if row not in rows])
            _add_chunks(connection, [row for row in rows if row not in there])
            _write_vectors(connection, embeddings, vectors)
            connection.executemany("DELETE FROM documents WHERE id = ?", ((name,) for name in gone))
            _write_documents(connection, changed, chunks, documents)
        return IndexReceipt(
            store="sqlite",
            location=FILE_NAME,
            documents=len(changed),
            chunks_indexed=len(by_id),
            chunks_removed=sum(row[0] not in by_id for row in there),
            embedding_model=embeddings.model,
        )

    def search(self, request: SearchRequest) -> SearchResults:
        """Find documents by words and by vector, and fuse both rankings.

        Vectors of other models than `embedding_model()` are not looked at.

        Raises:
            StoreError: The vector has the wrong length, or the file cannot be read.
        """
        if request.limit < 1 or not self._path.exists():
            return SearchResults()
        with self._open().reading() as transaction:
            return search_documents(_driver(transaction), request)

    def embedding_model(self) -> str | None:
        """Return the model that most of the stored vectors are of; None for an empty or missing index.

        Raises:
            StoreError: The file cannot be read.
        """
        if not self._path.exists():
            return None
        with self._open().reading() as transaction:
            row = prevalent_model(_driver(transaction))
        return None if row is None else str(row[1])

    def close(self) -> None:
        """Release the file."""
        if self._database is not None:
            self._database.close()
            self._database = None

    def _open(self) -> Database:
        if self._database is None:
            self._database = Database(INDEX, self._path)
        return self._database


def _driver(transaction: Connection) -> sqlite3.Connection:
    """Return SQLite's own connection: vectors pass through it by the hundred thousand."""
    connection = transaction.connection.driver_connection
    assert isinstance(connection, sqlite3.Connection)
    return connection


def _chunks_of(connection: sqlite3.Connection, documents: Iterable[str]) -> dict[tuple[Any, ...], int]:
    """Return the chunks of some documents as rows, each with its number."""
    statement = f"SELECT {COLUMNS}, number FROM chunks WHERE document_id = ?"  # noqa: S608 - a constant
    found = (row for name in documents for row in connection.execute(statement, (name,)))
    return {row[:-1]: row[-1] for row in found}


def _remove_chunks(connection: sqlite3.Connection, numbers: Sequence[int]) -> None:
    chosen = (json.dumps(numbers),)
    connection.execute(
        """
        INSERT INTO full_text (full_text, rowid, title, section, text)
        SELECT 'delete', number, title, section, text FROM searched
        WHERE number IN (SELECT value FROM json_each(?))
        """,
        chosen,
    )
    connection.execute("DELETE FROM chunks WHERE number IN (SELECT value FROM json_each(?))", chosen)


def _add_chunks(connection: sqlite3.Connection, rows: Iterable[tuple[Any, ...]]) -> None:
    (last,) = connection.execute("SELECT coalesce(max(number), 0) FROM chunks").fetchone()
    connection.executemany(
        f"INSERT INTO chunks ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - a constant
        rows,
    )
    connection.execute(
        """
        INSERT INTO full_text (rowid, title, section, text)
        SELECT number, title, section, text FROM searched WHERE number > ?
        """,
        (last,),
    )


def _write_documents(
    connection: sqlite3.Connection,
    hashes: Mapping[str, str],
    chunks: Iterable[Chunk],
    documents: Iterable[IndexedDocument],
) -> None:
    said = {
        chunk.document_id: IndexedDocument(id=chunk.document_id, title=chunk.title, synthetic=chunk.synthetic)
        for chunk in chunks
    }
    known = said | {document.id: document for document in documents}
    rows = (known.get(name, IndexedDocument(id=name)) for name in hashes)
    connection.executemany(
        f"INSERT OR REPLACE INTO documents ({DOCUMENT_COLUMNS}, input_hash) "  # noqa: S608 - a constant
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        ((*document_row(one), hashes[one.id]) for one in rows),
    )


def _write_vectors(
    connection: sqlite3.Connection, embeddings: EmbeddingBatch, vectors: dict[str, NDArray[np.float32]]
) -> None:
    if vectors:
        connection.execute(
            "INSERT INTO models (model, lexical, dimension) VALUES (?, ?, ?) ON CONFLICT (model) DO NOTHING",
            (embeddings.model, embeddings.lexical, embeddings.vectors.shape[1]),
        )
        number, dimension = connection.execute(
            "SELECT number, dimension FROM models WHERE model = ?", (embeddings.model,)
        ).fetchone()
        if dimension != embeddings.vectors.shape[1]:
            raise StoreError(
                f"model {embeddings.model} has made vectors of length {dimension}, and now of length "
                f"{embeddings.vectors.shape[1]}; two different models must not share a name"
            )
        connection.executemany(
            """
            INSERT INTO vectors (chunk, model, vector)
            SELECT number, ?, ? FROM chunks WHERE id = ?
            ON CONFLICT (chunk) DO UPDATE SET model = excluded.model, vector = excluded.vector
            WHERE (model, vector) IS NOT (excluded.model, excluded.vector)
            """,
            ((number, vector.astype("<f4").tobytes(), chunk) for chunk, vector in vectors.items()),
        )
    connection.execute("DELETE FROM models WHERE number NOT IN (SELECT model FROM vectors)")
