"""Reads and writes the index: documents and passages in SQLite, their terms and vectors beside it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from sqlalchemy import Connection

from medkg_dagster.adapters.index.analysis import Analyzer
from medkg_dagster.adapters.index.document_search import DocumentSearch
from medkg_dagster.adapters.index.given import GivenDocument, given_documents, portions, vectors_of
from medkg_dagster.adapters.index.made_vectors import made_vectors
from medkg_dagster.adapters.index.reembedding import Embed, Reembedded, Reembedding
from medkg_dagster.adapters.index.rows import (
    COLUMNS,
    DOCUMENT_COLUMNS,
    chunk_of,
    chunk_row,
    document_of,
    document_row,
)
from medkg_dagster.adapters.index.segment_file import DocumentTerms
from medkg_dagster.adapters.index.segments import FOLDER_NAME, Segments
from medkg_dagster.adapters.index.sqlite_schema import INDEX
from medkg_dagster.adapters.index.sqlite_view import SqliteView
from medkg_dagster.adapters.index.vector_codes import VectorCodes
from medkg_dagster.adapters.index.vectors import prevalent_model, without_vectors
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
    from numpy.typing import NDArray

    from medkg_dagster.adapters.index.snapshot import Snapshot

FILE_NAME = "index.sqlite"

# A look at a moment whose segments have gone meanwhile is taken again, at most so often.
_LOOKS = 20

Found = TypeVar("Found")


class SqliteIndex:
    """Keeps documents and their passages in `<home>/index.sqlite`, terms and vectors in `index.segments`.

    Both are opened at first use; a search does not create them.
    """

    def __init__(self, home: Path) -> None:
        self._path = home / FILE_NAME
        self._database: Database | None = None
        self._segments = Segments(home / FOLDER_NAME)
        self._analyzer = Analyzer()

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
        gone = set(removed) - changed.keys()
        given = given_documents(changed, by_id.values(), documents)
        with self._open().writing() as transaction:
            connection = _driver(transaction)
            there = _chunks_of(connection, gone | changed.keys())
            rows = dict.fromkeys(chunk_row(chunk) for chunk in by_id.values())
            anew = self._differing(connection, given, there, embeddings.model, vectors)
            self._segments.take_out(connection, gone | anew.keys())
            _remove_chunks(connection, [number for row, number in there.items() if row not in rows])
            _add_chunks(connection, [row for row in rows if row not in there])
            connection.executemany("DELETE FROM documents WHERE id = ?", ((name,) for name in gone))
            _write_documents(connection, changed, given.values())
            self._write_terms(connection, anew.values(), embeddings.model, vectors)
            self._segments.merge(connection)
        self._sweep()
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
        return self._looking(
            lambda connection, snapshot: DocumentSearch(
                SqliteView(connection, snapshot), self._analyzer
            ).find(request)
        )

    def embedding_model(self) -> str | None:
        """Return the model that most of the stored vectors are of; None where there are none.

        Raises:
            StoreError: The file cannot be read.
        """
        if not self._path.exists():
            return None
        return self._looking(lambda _, snapshot: prevalent_model(snapshot))

    def without_vectors(self) -> int:
        """Return how many documents are found by words alone, though `embedding_model()` has made vectors.

        Raises:
            StoreError: The file cannot be read.
        """
        return self._looking(lambda _, snapshot: without_vectors(snapshot)) if self._path.exists() else 0

    def reembed(
        self, model: str, embed: Embed | None, tell: Callable[[int, int], None] = lambda *_: None
    ) -> Reembedded:
        """Give all documents the vectors of a model; those that have them keep them.

        Vectors are made while others search and write; then all are put in place in one transaction. Where
        the process is killed before that, what it made is used by the next that asks for the same.

        Args:
            model: The model's name.
            embed: Makes its vectors; None where it makes none.
            tell: Is told how many of how many documents have vectors.

        Raises:
            StoreError: The index cannot be read or written, or another process does the same.
        """
        if not self._path.exists():
            return Reembedded(0, 0, 0)
        with made_vectors(self._path.parent, model) as made:
            work = Reembedding(self._segments, model, made, embed, tell)
            done = None
            for _ in range(_LOOKS):  # what others write meanwhile needs vectors, too
                work.make(self._reading)
                with self._open().writing() as transaction:
                    done = work.write(_driver(transaction))
                if done is not None:
                    break
        self._sweep()
        if done is None:
            raise StoreError(
                "others write to the index all the time; run the command again when they are done"
            )
        return done

    def close(self) -> None:
        """Release the file."""
        if self._database is not None:
            self._database.close()
            self._database = None
        self._analyzer.close()

    def _sweep(self) -> None:
        """Remove the files that no segment has any more; nobody else writes meanwhile."""
        with self._open().reading() as transaction:
            if not self._segments.strangers(_driver(transaction)):
                return
        with self._open().writing() as transaction:
            for file in self._segments.strangers(_driver(transaction)):
                file.unlink(missing_ok=True)

    def _looking(self, look: Callable[[sqlite3.Connection, Snapshot], Found]) -> Found:
        """Look at the index at one moment; at a later one where segments are merged away meanwhile."""
        for _ in range(_LOOKS):
            with self._open().reading() as transaction, suppress(FileNotFoundError):
                connection = _driver(transaction)
                return look(connection, self._segments.snapshot(connection))
        raise StoreError(f"{self._path.with_name(FOLDER_NAME)} lacks a file; {INDEX.restore}")

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._open().reading() as transaction:
            yield _driver(transaction)

    def _open(self) -> Database:
        if self._database is None:
            self._database = Database(INDEX, self._path)
            self._adopt()
        return self._database

    def _adopt(self) -> None:
        """Write the terms of what an earlier release has written; its vectors come with the next run."""
        assert self._database is not None
        unread = "segment IS NULL AND EXISTS (SELECT 1 FROM chunks WHERE document_id = documents.id)"
        find = f"SELECT {DOCUMENT_COLUMNS} FROM documents WHERE {unread} LIMIT 200"  # noqa: S608 - constants
        with self._database.reading() as transaction:
            if _driver(transaction).execute(find).fetchone() is None:
                return
        with self._database.writing() as transaction:
            connection = _driver(transaction)
            while found := connection.execute(find).fetchall():
                documents = [document_of(row) for row in found]
                rows = _chunks_of(connection, [document.id for document in documents])
                given = given_documents({one.id: "" for one in documents}, map(chunk_of, rows), documents)
                self._write_terms(connection, given.values(), "", {})
            self._segments.merge(connection)

    def _differing(
        self,
        connection: sqlite3.Connection,
        given: Mapping[str, GivenDocument],
        there: Mapping[tuple[Any, ...], int],
        model: str,
        vectors: Mapping[str, NDArray[np.float32]],
    ) -> dict[str, GivenDocument]:
        """Return those documents whose terms or vectors are other ones than the index has."""
        rows: dict[str, set[tuple[Any, ...]]] = {}
        for row in there:
            rows.setdefault(row[1], set()).add(row)
        titles = {
            name: title
            for name in given
            for (title,) in connection.execute("SELECT title FROM documents WHERE id = ?", (name,))
        }
        alike = [
            name
            for name, one in given.items()
            if name in rows
            and titles.get(name) == one.document.title
            and rows[name] == {chunk_row(chunk) for chunk in one.chunks}
        ]
        held = self._segments.vectors(connection, alike)
        same = {
            name
            for name in alike
            if name in held
            and held[name][0] == model
            and held[name][1].is_same(VectorCodes.of(vectors_of(given[name].chunks, vectors)))
        }
        return {name: one for name, one in given.items() if name not in same}

    def _write_terms(
        self,
        connection: sqlite3.Connection,
        given: Iterable[GivenDocument],
        model: str,
        vectors: Mapping[str, NDArray[np.float32]],
    ) -> None:
        """Write the terms and vectors of documents that have chunks."""
        for documents in portions(one for one in given if one.chunks):
            known, tokens, sizes = self._analyzer.encode(text for one in documents for text in one.texts)
            chunks = [chunk for one in documents for chunk in one.chunks if chunk.id in vectors]
            terms = DocumentTerms(
                known,
                tokens,
                sizes,
                np.array([len(one.texts) for one in documents], np.int64),
                vectors_of(chunks, vectors),
            )
            self._segments.add(connection, [one.document.id for one in documents], terms, model)


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
    connection.executemany("DELETE FROM chunks WHERE number = ?", ((number,) for number in numbers))


def _add_chunks(connection: sqlite3.Connection, rows: Iterable[tuple[Any, ...]]) -> None:
    connection.executemany(
        f"INSERT INTO chunks ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - a constant
        rows,
    )


def _write_documents(
    connection: sqlite3.Connection, hashes: Mapping[str, str], given: Iterable[GivenDocument]
) -> None:
    names = f"{DOCUMENT_COLUMNS}, input_hash"
    updates = ", ".join(f"{name} = excluded.{name}" for name in names.split(", ")[1:])
    connection.executemany(
        f"INSERT INTO documents ({names}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) "  # noqa: S608 - constants
        f"ON CONFLICT (id) DO UPDATE SET {updates}",
        ((*document_row(one.document), hashes[one.document.id]) for one in given),
    )
    connection.executemany(
        "UPDATE documents SET segment = NULL, place = NULL WHERE id = ? AND NOT EXISTS "
        "(SELECT 1 FROM chunks WHERE document_id = documents.id)",
        ((name,) for name in hashes),
    )
