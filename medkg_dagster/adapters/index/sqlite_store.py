"""Reads and writes the tables of the SQLite index: FTS5 (BM25), and vectors."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection

from medkg_dagster.adapters.index.ranking import full_text_query, nearest
from medkg_dagster.adapters.index.sqlite_schema import INDEX
from medkg_dagster.domain.chunks import index_hashes
from medkg_dagster.errors import StoreError
from medkg_dagster.io.sql import Database
from medkg_dagster.stage_api import Chunk, EmbeddingBatch, IndexReceipt, SearchHit

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FILE_NAME = "index.sqlite"

# Reciprocal rank fusion: a chunk at rank r of a list gains weight / (60 + r).
_RRF_K = 60
_CANDIDATES = 100
# Lexical vectors see little that BM25 does not: they break ties and find spelling variants, no more.
_LEXICAL_WEIGHT = 0.05

# In the order of the fields of `Chunk`.
_COLUMNS = (
    "id, document_id, document_hash, title, section, ordinal, start_offset, end_offset, text, synthetic"
)


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
    ) -> IndexReceipt:
        """Write some documents and take others out, in one transaction.

        Args:
            changed: The documents to write, also those without chunks, each with the hash of its input.
            removed: The documents to take out, known or not.
            chunks: All chunks of the changed documents.
            embeddings: One vector for each of them, matched by chunk id.

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
            connection.executemany(
                """
                INSERT INTO documents (id, input_hash) VALUES (?, ?) ON CONFLICT (id) DO UPDATE
                SET input_hash = excluded.input_hash WHERE input_hash <> excluded.input_hash
                """,
                changed.items(),
            )
        return IndexReceipt(
            store="sqlite",
            location=FILE_NAME,
            documents=len(changed),
            chunks_indexed=len(by_id),
            chunks_removed=sum(row[0] not in by_id for row in there),
            embedding_model=embeddings.model,
        )

    def search(self, query: str, vector: NDArray[np.float32] | None, limit: int) -> tuple[SearchHit, ...]:
        """Find chunks by words and by vector, and fuse both rankings.

        Args:
            query: Any text.
            vector: The query's vector, made by `embedding_model()`; None searches words only. Vectors of
                other models are not looked at.
            limit: How many chunks to return at most.

        Returns:
            The best chunks, the best first; equal ones in the order of their ids.

        Raises:
            StoreError: The vector has the wrong length, or the file cannot be read.
        """
        if limit < 1 or not self._path.exists():
            return ()
        with self._open().reading() as transaction:
            connection = _driver(transaction)
            depth = max(_CANDIDATES, limit)
            by_words = _full_text_ranks(connection, query, depth)
            weight, by_vector = _vector_ranks(connection, vector, depth)
            scores = _fuse(by_words, by_vector, weight)
            found = _load(connection, scores)
        hits = [
            SearchHit(chunk, scores[number], by_words.get(number), by_vector.get(number))
            for number, chunk in found.items()
        ]
        return tuple(sorted(hits, key=lambda hit: (-hit.score, hit.chunk.id))[:limit])

    def embedding_model(self) -> str | None:
        """Return the model that most of the stored vectors are of; None for an empty or missing index.

        Raises:
            StoreError: The file cannot be read.
        """
        if not self._path.exists():
            return None
        with self._open().reading() as transaction:
            row = _prevalent_model(_driver(transaction))
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
    statement = f"SELECT {_COLUMNS}, number FROM chunks WHERE document_id = ?"  # noqa: S608 - a constant
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
        f"INSERT INTO chunks ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - a constant
        rows,
    )
    connection.execute(
        """
        INSERT INTO full_text (rowid, title, section, text)
        SELECT number, title, section, text FROM searched WHERE number > ?
        """,
        (last,),
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


def _full_text_ranks(connection: sqlite3.Connection, query: str, depth: int) -> dict[int, int]:
    expression = full_text_query(query)
    if expression is None:
        return {}
    rows = connection.execute(
        """
        SELECT found.rowid, chunks.id FROM
            (SELECT rowid, rank FROM full_text WHERE full_text MATCH ? ORDER BY rank LIMIT ?) AS found
            JOIN chunks ON chunks.number = found.rowid
        ORDER BY found.rank, chunks.id
        """,
        (expression, depth),
    )
    return {number: rank for rank, (number, _) in enumerate(rows, start=1)}


def _prevalent_model(connection: sqlite3.Connection) -> tuple[int, str, bool, int] | None:
    row = connection.execute(
        """
        SELECT models.number, models.model, models.lexical, models.dimension
        FROM models JOIN vectors ON vectors.model = models.number
        GROUP BY models.number ORDER BY count(*) DESC, models.model LIMIT 1
        """
    ).fetchone()
    return None if row is None else (row[0], row[1], bool(row[2]), row[3])


def _vector_ranks(
    connection: sqlite3.Connection, vector: NDArray[np.float32] | None, depth: int
) -> tuple[float, dict[int, int]]:
    """Return the weight of the vector ranking, and the rank of each chunk in it."""
    prevalent = None if vector is None else _prevalent_model(connection)
    if vector is None or prevalent is None:
        return 0.0, {}
    number, model, lexical, dimension = prevalent
    if vector.shape != (dimension,):
        raise StoreError(
            f"the query's vector has shape {vector.shape}, those of the index ({dimension},); embed the "
            f"query with {model}"
        )
    rows = connection.execute("SELECT chunk, vector FROM vectors WHERE model = ?", (number,))
    ranked = {chunk: rank for rank, chunk in enumerate(nearest(rows, vector, depth), start=1)}
    return (_LEXICAL_WEIGHT if lexical else 1.0), ranked


def _fuse(by_words: dict[int, int], by_vector: dict[int, int], weight: float) -> dict[int, float]:
    scores = {number: 1.0 / (_RRF_K + rank) for number, rank in by_words.items()}
    for number, rank in by_vector.items():
        scores[number] = scores.get(number, 0.0) + weight / (_RRF_K + rank)
    return scores


def _load(connection: sqlite3.Connection, numbers: Iterable[int]) -> dict[int, Chunk]:
    statement = f"SELECT {_COLUMNS} FROM chunks WHERE number = ?"  # noqa: S608 - the columns are a constant
    rows = {number: connection.execute(statement, (number,)).fetchone() for number in numbers}
    return {
        number: Chunk.model_validate(dict(zip(Chunk.model_fields, row, strict=True)))
        for number, row in rows.items()
    }
