"""The index in PostgreSQL at one moment, as a search asks it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from sqlalchemy import Connection

from medkg_dagster.adapters.index import vectors
from medkg_dagster.adapters.index.analysis import Analyzer
from medkg_dagster.adapters.index.postgresql_terms import PostgresqlTerms
from medkg_dagster.adapters.index.rows import DOCUMENT_COLUMNS, chunk_of, document_of, searched_text
from medkg_dagster.adapters.index.vector_codes import VectorCodes
from medkg_dagster.domain.chunks import Chunk
from medkg_dagster.domain.search import IndexedDocument, SearchFilters
from medkg_dagster.errors import StoreError

if TYPE_CHECKING:
    from numpy.typing import NDArray

OWNER_COLUMNS = ", ".join(f"owner.{name}" for name in DOCUMENT_COLUMNS.split(", "))
# In the order of the fields of `Chunk`; it is joined with its document, as `owner`.
CHUNK_COLUMNS = (
    "passage.id, owner.id, document_hash, passage.title, section, ordinal, start_offset, end_offset, text, "
    "passage.synthetic"
)
_OF_MODEL = (
    "FROM index_vectors WHERE document IN (SELECT number FROM index_documents WHERE model = %(model)s)"
)
_KEPT = "AND document IN (SELECT unnest(%(kept)s::integer[]))"


class PostgresqlView:
    """What a search asks.

    Args:
        connection: A transaction that reads the index in one state.
        analyzer: What turns text into terms.
    """

    def __init__(self, connection: Connection, analyzer: Analyzer) -> None:
        self._connection = connection
        self.terms = PostgresqlTerms(connection, analyzer)

    def passing(self, filters: SearchFilters) -> NDArray[np.bool_] | None:
        """Return which documents pass filters; None where all do."""
        if filters.is_empty:
            return None
        passing = np.zeros(self.terms.size, bool)
        condition, values = _condition(filters)
        numbers = self._rows(
            f"SELECT number FROM index_documents WHERE passages > 0 AND {condition}",  # noqa: S608 - constants
            values,
        )
        passing[[number for (number,) in numbers]] = True
        return passing

    def ids(self, documents: Iterable[int]) -> Mapping[int, str]:
        """Return the ids of documents by their numbers."""
        numbers = {"numbers": list(documents)}
        found = "SELECT number, id FROM index_documents WHERE number = ANY(%(numbers)s)"
        return {row.number: row.id for row in self._rows(found, numbers)} if numbers["numbers"] else {}

    def shown(self, places: Mapping[int, int]) -> Mapping[int, tuple[IndexedDocument, Chunk]]:
        """Return documents by their numbers, each with a passage; read the tokens of these and of titles."""
        wanted = {"numbers": list(places), "places": [place + 1 for place in places.values()]}
        rows = self._rows(
            f"SELECT owner.number, {OWNER_COLUMNS}, {CHUNK_COLUMNS} "  # noqa: S608 - constants
            "FROM unnest(%(numbers)s::integer[], %(places)s::integer[]) AS wanted (number, place) "
            "JOIN index_documents AS owner ON owner.number = wanted.number "
            "JOIN index_passages AS passage ON document = wanted.number AND passage.place = wanted.place",
            wanted,
        )
        middle = 1 + len(IndexedDocument.model_fields)
        found = {row[0]: (document_of(row[1:middle]), chunk_of(row[middle:])) for row in rows}
        texts: dict[tuple[int, int], str] = {}
        for number, (document, passage) in found.items():
            texts[number, 0] = document.title
            texts[number, 1 + places[number]] = searched_text(passage)
        self.terms.read_tokens(texts)
        return found

    def nearest(
        self, vector: NDArray[np.float32], kept: NDArray[np.bool_] | None
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return documents that are close to a vector, and the cosine of the closest passage of each.

        Of many passages those are compared number by number that have the most signs in common with it.
        """
        nothing = np.zeros(0, np.int64), np.zeros(0)
        if not self._is_comparable(vector):
            return nothing
        which = "" if kept is None else _KEPT
        values: dict[str, Any] = {"model": self._model}
        if kept is not None:
            values["kept"] = np.flatnonzero(kept).tolist()
        among = f"{_OF_MODEL} {which}"
        ((number,),) = self._rows(f"SELECT count(*) {among}", values)
        compared = max(vectors.MOST_COMPARED, number // vectors.COMPARED_ONE_IN)
        some = ""
        if number > compared:
            values |= {"signs": signs_of(VectorCodes.of(vector[None, :]))[0], "compared": compared + 1}
            some = (
                "ORDER BY bit_count(signs # %(signs)s::bit varying) FETCH FIRST %(compared)s ROWS WITH TIES"
            )
        rows = self._rows(f"SELECT document, scale, codes {among} {some}", values)
        if not rows:
            return nothing
        closeness = _codes([(scale, codes) for _, scale, codes in rows]).products(vector).astype(np.float64)
        owners = np.array([document for document, _, _ in rows], np.int64)
        documents, owner = np.unique(owners, return_inverse=True)
        best = np.full(len(documents), -np.inf)
        np.maximum.at(best, owner, closeness)
        return documents[best > 0], best[best > 0]

    def typical_closeness(self, vector: NDArray[np.float32]) -> float:
        """Return how close passages are to a vector on average; of many by those with the first ids."""
        if not self._is_comparable(vector):
            return 0.0
        rows = self._rows(
            "SELECT scale, codes FROM index_vectors JOIN index_documents ON number = document "
            "WHERE model = %(model)s ORDER BY index_vectors.id LIMIT %(most)s",
            {"model": self._model, "most": vectors.SAMPLED},
        )
        # Rounded, so that it does not depend on the order in which they are added.
        return round(float(_codes(rows).products(vector).mean()), 3)

    def closest_passage(self, document: int, vector: NDArray[np.float32]) -> int:
        """Return the place of the passage of a document that is closest to a vector."""
        rows = self._rows(
            "SELECT scale, codes FROM index_vectors WHERE document = %(document)s ORDER BY place",
            {"document": document},
        )
        return int(np.argmax(_codes(rows).products(vector)))

    @cached_property
    def _model_and_dimension(self) -> tuple[str | None, int]:
        return prevalent_model(self._connection)

    @property
    def _model(self) -> str | None:
        return self._model_and_dimension[0]

    def _is_comparable(self, vector: NDArray[np.float32]) -> bool:
        """Say whether there are vectors to compare one with.

        Raises:
            StoreError: They have another length.
        """
        model, dimension = self._model_and_dimension
        if model is not None and vector.shape != (dimension,):
            raise StoreError(
                f"the query's vector has shape {vector.shape}, those of the index ({dimension},); "
                f"embed the query with {model}"
            )
        return model is not None

    def _rows(self, statement: str, values: Mapping[str, Any]) -> Sequence[Any]:
        return self._connection.exec_driver_sql(statement, dict(values)).all()


def prevalent_model(connection: Connection) -> tuple[str | None, int]:
    """Return who made most of the vectors, and how long they are; None where there are none."""
    found = connection.exec_driver_sql(
        "SELECT model, max(dimension) FROM index_documents WHERE passages > 0 AND dimension > 0 "
        'GROUP BY model ORDER BY sum(passages) DESC, model COLLATE "C" LIMIT 1'
    ).first()
    return (None, 0) if found is None else (found[0], found[1])


def signs_of(given: VectorCodes) -> list[str]:
    """Return of each vector which of its numbers are positive, as bits are written in SQL."""
    written = ((given.codes > 0).astype(np.uint8) + ord("0")).astype(np.uint8)
    return [row.tobytes().decode() for row in written]


def _codes(rows: Sequence[Any]) -> VectorCodes:
    codes = np.frombuffer(b"".join(bytes(codes) for _, codes in rows), np.int8)
    return VectorCodes(codes.reshape(len(rows), -1), np.array([scale for scale, _ in rows], np.float32))


def _condition(filters: SearchFilters) -> tuple[str, dict[str, Any]]:
    """Return filters as SQL, and the values in it."""
    year = "CASE WHEN date ~ '^[0-9]{4}' THEN substr(date, 1, 4)::integer END"
    chosen = (
        ("source = ANY(%(sources)s)", "sources", sorted(filters.sources) or None),
        ("language = ANY(%(languages)s)", "languages", sorted(filters.languages) or None),
        ("string_to_array(phases, ' ') && %(phases)s::text[]", "phases", sorted(filters.phases) or None),
        (f"{year} >= %(since)s", "since", filters.since),
        (f"{year} <= %(until)s", "until", filters.until),
        ("synthetic = %(synthetic)s", "synthetic", filters.synthetic),
        (
            "id IN (SELECT unnest(%(documents)s::text[]))",
            "documents",
            None if filters.documents is None else sorted(filters.documents),
        ),
        (
            "NOT EXISTS (SELECT FROM unnest(%(without)s::text[]) AS gone WHERE gone = id)",
            "without",
            sorted(filters.without) or None,
        ),
    )
    used = [(condition, name, value) for condition, name, value in chosen if value is not None]
    return " AND ".join(condition for condition, _, _ in used), {name: value for _, name, value in used}
