"""The index in SQLite at one moment: rows of its file, terms and vectors of its segments."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from medkg_dagster.adapters.index.rows import COLUMNS, DOCUMENT_COLUMNS, chunk_of, document_of
from medkg_dagster.adapters.index.snapshot import Snapshot
from medkg_dagster.adapters.index.vectors import closest_passage, nearest_documents, typical_closeness
from medkg_dagster.domain.chunks import Chunk
from medkg_dagster.domain.search import IndexedDocument, SearchFilters

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ANY_OF = "IN (SELECT value FROM json_each(?))"
_ANY_ID = f"id {_ANY_OF}"


@dataclass(frozen=True, slots=True)
class SqliteView:
    """What a search asks.

    Attributes:
        connection: A transaction that reads the index.
        terms: What is in its segments at that moment.
    """

    connection: sqlite3.Connection
    terms: Snapshot

    def ids(self, documents: Iterable[int]) -> Mapping[int, str]:
        """Return the ids of documents by their numbers."""
        known = self.terms.ids
        for number in documents:
            if number not in known:
                (known[number],) = self._row("id", number)
        return known

    def shown(self, places: Mapping[int, int]) -> Mapping[int, tuple[IndexedDocument, Chunk]]:
        """Return documents by their numbers, each with a passage."""
        found = {}
        for number, place in places.items():
            document = document_of(self._row(DOCUMENT_COLUMNS, number))
            row = self.connection.execute(
                f"SELECT {COLUMNS} FROM chunks WHERE document_id = ? "  # noqa: S608 - a constant
                "ORDER BY ordinal, id LIMIT 1 OFFSET ?",
                (document.id, place),
            ).fetchone()
            found[number] = document, chunk_of(row)
        return found

    def _row(self, columns: str, number: int) -> tuple[Any, ...]:
        which, place = self.terms.place(number)
        row: tuple[Any, ...] = self.connection.execute(
            f"SELECT {columns} FROM documents WHERE segment = ? AND place = ?",  # noqa: S608 - a constant
            (self.terms.segments[which].number, place),
        ).fetchone()
        return row

    def nearest(
        self, vector: NDArray[np.float32], kept: NDArray[np.bool_] | None
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return documents that are close to a vector, and the cosine of the closest passage of each."""
        return nearest_documents(self.terms, vector, kept, self.terms.size)

    def typical_closeness(self, vector: NDArray[np.float32]) -> float:
        """Return how close passages are to a vector on average."""
        return typical_closeness(self.terms, vector)

    def closest_passage(self, document: int, vector: NDArray[np.float32]) -> int:
        """Return the place of the passage of a document that is closest to a vector."""
        return closest_passage(self.terms, document, vector)

    def passing(self, filters: SearchFilters) -> NDArray[np.bool_] | None:
        """Return which documents pass the filters; None where all do."""
        gone = self._numbers(_ANY_ID, [json.dumps(sorted(filters.without))]) if filters.without else []
        wanted = filters.model_copy(update={"without": frozenset()})
        if wanted.is_empty and not gone:
            return None
        passing = np.full(self.terms.size, wanted.is_empty)
        if not wanted.is_empty:
            passing[self._numbers(*_condition(wanted))] = True
        passing[gone] = False
        return passing

    def _numbers(self, condition: str, values: Sequence[Any]) -> list[int]:
        """Return the numbers of the documents for which a condition holds."""
        bases = {
            each.number: base
            for each, base in zip(self.terms.segments, self.terms.bases.tolist(), strict=False)
        }
        rows = self.connection.execute(
            f"SELECT segment, place FROM documents WHERE segment IS NOT NULL AND {condition}",  # noqa: S608 - made of constants
            values,
        )
        return [bases[segment] + place for segment, place in rows]


def _condition(filters: SearchFilters) -> tuple[str, list[Any]]:
    """Return filters as SQL, and the values in it."""
    year = "CAST(substr(date, 1, 4) AS INTEGER)"
    phase = "EXISTS (SELECT 1 FROM json_each(?) WHERE instr(' ' || phases || ' ', ' ' || value || ' '))"
    chosen: Iterable[tuple[str, Any, Any]] = (
        (f"source {_ANY_OF}", filters.sources or None, json.dumps(sorted(filters.sources))),
        (f"language {_ANY_OF}", filters.languages or None, json.dumps(sorted(filters.languages))),
        (phase, filters.phases or None, json.dumps(sorted(filters.phases))),
        (f"{year} >= ?", filters.since, filters.since),
        (f"{year} <= ?", filters.until, filters.until),
        ("synthetic = ?", filters.synthetic, filters.synthetic),
        (_ANY_ID, filters.documents, json.dumps(sorted(filters.documents or ()))),
    )
    used = [(condition, value) for condition, wanted, value in chosen if wanted is not None]
    if filters.since is not None or filters.until is not None:
        used.append(("date GLOB ?", "[0-9][0-9][0-9][0-9]*"))
    return " AND ".join(condition for condition, _ in used), [value for _, value in used]
