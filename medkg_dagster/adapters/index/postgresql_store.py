"""Reads and writes the index in PostgreSQL."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, make_url

from medkg_dagster.adapters.index.analysis import Analyzer
from medkg_dagster.adapters.index.document_search import DocumentSearch
from medkg_dagster.adapters.index.given import GivenDocument, given_documents, portions, vectors_of
from medkg_dagster.adapters.index.postgresql_schema import POSTGRESQL_INDEX_TABLES
from medkg_dagster.adapters.index.postgresql_view import (
    CHUNK_COLUMNS,
    PostgresqlView,
    prevalent_model,
    signs_of,
)
from medkg_dagster.adapters.index.rows import DOCUMENT_COLUMNS, chunk_row, document_row
from medkg_dagster.adapters.index.term_vectors import DocumentVectors, term_vectors
from medkg_dagster.adapters.index.vector_codes import VectorCodes
from medkg_dagster.domain.chunks import index_hashes
from medkg_dagster.errors import ConfigError, StoreError
from medkg_dagster.io.sql import Database, check_address, lock_writers
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

_PASSAGES = (
    "document, place, id, document_hash, title, section, ordinal, start_offset, end_offset, text, synthetic"
)
_VECTORS = "document, place, id, scale, signs, codes"
_WRITTEN = f"number, {DOCUMENT_COLUMNS}, input_hash, passages, length, model, dimension"
_OF_DOCUMENTS = "document IN (SELECT number FROM index_documents WHERE id = ANY(%(names)s))"


class PostgresqlIndex:
    """Keeps documents, passages, terms and vectors in tables of a PostgreSQL database.

    Args:
        url: Where it is.

    Raises:
        ConfigError: The URL is malformed or of another database, or its driver is missing.
        StoreError: The database cannot be reached, or was written by a newer release.
    """

    def __init__(self, url: str) -> None:
        check_address(POSTGRESQL_INDEX_TABLES, url)
        if make_url(url).get_backend_name() == "sqlite":
            raise ConfigError(
                "the index store postgresql is given the address of SQLite; give it a URL such as "
                "postgresql://user@host/database, or use the store sqlite, which keeps a file in MEDKG_HOME"
            )
        self._database = Database(POSTGRESQL_INDEX_TABLES, url)
        self._analyzer = Analyzer()

    def upsert(self, chunks: Sequence[Chunk], embeddings: EmbeddingBatch) -> IndexReceipt:
        """Write chunks and vectors in one transaction.

        Chunks of the same documents that are not among these (of other versions, or cut otherwise) are
        removed. Writing the same chunks again changes nothing.

        Args:
            chunks: All chunks of their documents.
            embeddings: One vector for each of them, matched by chunk id.

        Raises:
            StoreError: Chunks and vectors do not fit together, or the database cannot be written.
        """
        documents = {chunk.document_id for chunk in chunks}
        return self.apply(index_hashes(documents, chunks, embeddings), (), chunks, embeddings)

    def held(self) -> Mapping[str, str]:
        """Return the documents of the index, each with the hash of what it was given of it.

        Raises:
            StoreError: The database cannot be read.
        """
        with self._database.reading() as connection:
            rows = connection.exec_driver_sql("SELECT id, input_hash FROM index_documents").all()
        return {row.id: row.input_hash for row in rows}

    def held_versions(self, document: str) -> frozenset[str] | None:
        """Return the content hashes of what the index has of a document; None where it does not hold it."""
        with self._database.reading() as connection:
            number = connection.exec_driver_sql(
                "SELECT number FROM index_documents WHERE id = %(id)s", {"id": document}
            ).scalar()
            if number is None:
                return None
            found = connection.exec_driver_sql(
                "SELECT document_hash FROM index_passages WHERE document = %(number)s",
                {"number": number},
            )
            return frozenset(found.scalars())

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
            StoreError: Chunks, vectors and documents do not fit together, or the database cannot be written.
        """
        vectors = embeddings.by_chunk(chunks)
        by_id = {chunk.id: chunk for chunk in chunks}
        gone = sorted(set(removed) - changed.keys())
        given = given_documents(changed, by_id.values(), documents)
        with self._database.writing() as connection:
            lock_writers(connection, POSTGRESQL_INDEX_TABLES.lock)
            there = _chunks_of(connection, [*gone, *changed])
            connection.exec_driver_sql(
                "DELETE FROM index_documents WHERE id = ANY(%(names)s)", {"names": gone}
            )
            _Writing(connection, self._analyzer, embeddings.model, vectors).write(given, changed, there)
        return IndexReceipt(
            store="postgresql",
            location=self._database.place,
            documents=len(changed),
            chunks_indexed=len(by_id),
            chunks_removed=sum(row[0] not in by_id for rows in there.values() for row in rows),
            embedding_model=embeddings.model,
        )

    def search(self, request: SearchRequest) -> SearchResults:
        """Find documents by words and by vector, and fuse both rankings.

        Vectors of other models than `embedding_model()` are not looked at.

        Raises:
            StoreError: The vector has the wrong length, or the database cannot be read.
        """
        if request.limit < 1:
            return SearchResults()
        with self._database.reading() as connection:
            view = PostgresqlView(connection, self._analyzer)
            return DocumentSearch(view, self._analyzer).find(request)

    def embedding_model(self) -> str | None:
        """Return the model that most of the stored vectors are of; None where there are none.

        Raises:
            StoreError: The database cannot be read.
        """
        with self._database.reading() as connection:
            return prevalent_model(connection)[0]

    def without_vectors(self) -> int:
        """Return how many documents are found by words alone, though `embedding_model()` has made vectors.

        Raises:
            StoreError: The database cannot be read.
        """
        with self._database.reading() as connection:
            model, _ = prevalent_model(connection)
            found = connection.exec_driver_sql(
                "SELECT count(*) FROM index_documents "
                "WHERE passages > 0 AND model IS DISTINCT FROM %(model)s",
                {"model": model},
            )
            return int(found.scalar_one())

    def close(self) -> None:
        """Release connections."""
        self._database.close()
        self._analyzer.close()


class _Writing:
    """One transaction that writes documents.

    Args:
        connection: The transaction; others that write wait for its end.
        analyzer: What turns text into terms.
        model: Who made the vectors.
        vectors: They, by chunk.
    """

    def __init__(
        self,
        connection: Connection,
        analyzer: Analyzer,
        model: str,
        vectors: Mapping[str, NDArray[np.float32]],
    ) -> None:
        self._connection = connection
        self._analyzer = analyzer
        self._model = model
        self._vectors = vectors

    def write(
        self,
        given: Mapping[str, GivenDocument],
        hashes: Mapping[str, str],
        there: Mapping[str, Collection[tuple[Any, ...]]],
    ) -> None:
        """Write documents; of those whose text and vectors are there, only what else is known."""
        same = self._same(given, there)
        anew = [one for name, one in given.items() if name not in same]
        names = [one.document.id for one in anew]
        for table in ("index_passages", "index_terms", "index_vectors"):
            self._connection.exec_driver_sql(f"DELETE FROM {table} WHERE {_OF_DOCUMENTS}", {"names": names})  # noqa: S608 - constants
        for name in same:
            self._describe(given[name].document, hashes[name])
        numbers = self._numbers(names)
        self._check_dimension([one for one in anew if one.chunks], names)
        for some in portions(anew):
            self._write_anew(some, numbers, hashes)

    def _same(
        self, given: Mapping[str, GivenDocument], there: Mapping[str, Collection[tuple[Any, ...]]]
    ) -> set[str]:
        """Return those documents whose text and vectors the index has as they are given."""
        alike = [
            name for name, one in given.items() if set(there.get(name, ())) == set(map(chunk_row, one.chunks))
        ]
        known = self._connection.exec_driver_sql(
            "SELECT id, title, passages, model FROM index_documents WHERE id = ANY(%(names)s)",
            {"names": alike},
        ).all()
        stored: dict[str, list[tuple[float, bytes]]] = {}
        for name, scale, codes in self._connection.exec_driver_sql(
            "SELECT owner.id, scale, codes "
            "FROM index_vectors JOIN index_documents AS owner ON number = document "
            "WHERE owner.id = ANY(%(names)s) ORDER BY document, place",
            {"names": alike},
        ):
            stored.setdefault(name, []).append((scale, bytes(codes)))
        return {
            name
            for name, title, passages, model in known
            if title == given[name].document.title
            and (model == self._model or not passages)
            and stored.get(name, []) == [vector[::2] for vector in self._codes(given[name].chunks)]
        }

    def _codes(self, chunks: Sequence[Chunk]) -> list[tuple[float, str, bytes]]:
        """Return the vectors of chunks as they are written; none where vectors have no length."""
        codes = VectorCodes.of(vectors_of(chunks, self._vectors))
        rows = zip(codes.scales.tolist(), signs_of(codes), codes.codes, strict=True)
        return [(scale, signs, row.tobytes()) for scale, signs, row in rows]

    def _describe(self, document: IndexedDocument, digest: str) -> None:
        columns = DOCUMENT_COLUMNS.split(", ")
        values = dict(zip(columns, document_row(document), strict=True)) | {"input_hash": digest}
        changes = ", ".join(f"{name} = %({name})s" for name in values if name != "id")
        self._connection.exec_driver_sql(f"UPDATE index_documents SET {changes} WHERE id = %(id)s", values)  # noqa: S608 - constants

    def _numbers(self, names: Sequence[str]) -> dict[str, int]:
        """Return the numbers of documents: those they have, and of new ones the lowest that are free."""
        known: dict[str, int] = {
            row.id: row.number
            for row in self._connection.exec_driver_sql(
                "SELECT id, number FROM index_documents WHERE id = ANY(%(names)s)", {"names": list(names)}
            )
        }
        new = [name for name in names if name not in known]
        free = self._connection.exec_driver_sql(
            "SELECT free FROM generate_series(0, (SELECT count(*) FROM index_documents) + %(many)s) AS free "
            "WHERE NOT EXISTS (SELECT FROM index_documents WHERE number = free) ORDER BY free LIMIT %(many)s",
            {"many": len(new)},
        ).scalars()
        return known | dict(zip(new, free, strict=True))

    def _check_dimension(self, written: Sequence[GivenDocument], names: Sequence[str]) -> None:
        if not written:
            return
        dimension = self._dimension(written[0].chunks)
        other = self._connection.exec_driver_sql(
            "SELECT dimension FROM index_documents WHERE model = %(model)s AND dimension <> %(dimension)s "
            "AND passages > 0 AND id <> ALL(%(names)s) LIMIT 1",
            {"model": self._model, "dimension": dimension, "names": list(names)},
        ).scalar()
        if other is not None:
            raise StoreError(
                f"model {self._model} has made vectors of length {other}, and now of length {dimension}; two "
                "different models must not share a name"
            )

    def _dimension(self, chunks: Sequence[Chunk]) -> int:
        return len(self._vectors[chunks[0].id]) if chunks else 0

    def _write_anew(
        self, some: Sequence[GivenDocument], numbers: Mapping[str, int], hashes: Mapping[str, str]
    ) -> None:
        terms = list(term_vectors(some, self._analyzer))
        columns = _WRITTEN.split(", ")
        updates = ", ".join(f"{name} = excluded.{name}" for name in columns[2:])
        self._connection.exec_driver_sql(
            f"INSERT INTO index_documents ({_WRITTEN}) VALUES ({', '.join(['%s'] * len(columns))}) "  # noqa: S608 - constants
            f"ON CONFLICT (id) DO UPDATE SET {updates}",
            [
                (
                    numbers[one.document.id],
                    *document_row(one.document),
                    hashes[one.document.id],
                    len(one.chunks),
                    of.length if one.chunks else 0,
                    self._model,
                    self._dimension(one.chunks),
                )
                for one, of in zip(some, terms, strict=True)
            ],
        )
        given = [
            (numbers[one.document.id], one, of) for one, of in zip(some, terms, strict=True) if one.chunks
        ]
        _copy(self._connection, f"index_passages ({_PASSAGES})", _passage_rows(given))
        written = ((number, place, text) for number, _, of in given for place, text in enumerate(of.passages))
        _copy(self._connection, "index_terms (document, place, terms)", written)
        vectors = (
            (number, place, chunk.id, *vector)
            for number, one, _ in given
            for place, (chunk, vector) in enumerate(
                zip(one.chunks, self._codes(one.chunks), strict=bool(self._dimension(one.chunks))), start=1
            )
        )
        _copy(self._connection, f"index_vectors ({_VECTORS})", vectors)


def _passage_rows(given: Iterable[tuple[int, GivenDocument, DocumentVectors]]) -> Iterable[tuple[Any, ...]]:
    for number, one, _ in given:
        for place, chunk in enumerate(one.chunks, start=1):
            name, _, *others = chunk_row(chunk)
            yield (number, place, name, *others)


def _copy(connection: Connection, into: str, rows: Iterable[tuple[Any, ...]]) -> None:
    """Write rows by PostgreSQL's COPY, which takes a fifth of the time of an insert."""
    driver: Any = connection.connection.driver_connection
    with driver.cursor() as cursor, cursor.copy(f"COPY {into} FROM STDIN") as copying:
        for row in rows:
            copying.write_row(row)


def _chunks_of(connection: Connection, names: Sequence[str]) -> dict[str, list[tuple[Any, ...]]]:
    """Return the chunks of some documents as rows."""
    found: dict[str, list[tuple[Any, ...]]] = {}
    for row in connection.exec_driver_sql(
        f"SELECT {CHUNK_COLUMNS} FROM index_passages AS passage "  # noqa: S608 - constants
        "JOIN index_documents AS owner ON owner.number = document "
        "WHERE owner.id = ANY(%(names)s)",
        {"names": list(names)},
    ):
        found.setdefault(row[1], []).append(tuple(row))
    return found
