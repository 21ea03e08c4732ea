"""The segments of an index: written beside its tables, known by them, merged so that they stay few."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from medkg_dagster.adapters.index.segment import Segment
from medkg_dagster.adapters.index.segment_file import DocumentTerms, write_segment
from medkg_dagster.adapters.index.segment_merge import Part, merge_segments
from medkg_dagster.adapters.index.snapshot import OpenSegment, Snapshot
from medkg_dagster.adapters.index.vector_codes import VectorCodes, VectorRows
from medkg_dagster.errors import StoreError

if TYPE_CHECKING:
    from numpy.typing import NDArray

FOLDER_NAME = "index.segments"
# So many segments of about a size become one.
_MERGED_AT_ONCE = 8
_SMALLEST_SIZE = 200


@dataclass(frozen=True, slots=True)
class _Row:
    """What the tables say of a segment: its number, who made its vectors, and which documents are gone."""

    number: int
    model: str
    dimension: int
    documents: int
    gone: bytes

    @property
    def kept(self) -> NDArray[np.bool_]:
        """Which of its documents are still there."""
        bits = np.unpackbits(np.frombuffer(self.gone, np.uint8), count=self.documents)
        return ~bits.astype(bool)

    @property
    def tier(self) -> tuple[str, int]:
        """Which segments it is merged with: those of the same model and about the same size."""
        size = max(1, int(self.kept.sum()) // _SMALLEST_SIZE)
        return self.model, int(math.log(size, _MERGED_AT_ONCE) + 1e-9)


class Segments:
    """Reads and writes the segments of an index.

    A file is named by the number of its segment, which is never given again. It is there before the
    transaction that tells of it ends, and stays until one that does not is over.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: dict[int, Segment] = {}
        self._rows: tuple[_Row, ...] = ()
        self._snapshot = Snapshot((), 0, 0)

    def snapshot(self, connection: sqlite3.Connection) -> Snapshot:
        """Return the documents as a transaction sees them.

        Raises:
            FileNotFoundError: A segment is gone: another process has merged it meanwhile.
        """
        rows = tuple(_rows(connection))
        if rows != self._rows:
            self._open = {row.number: self._open.get(row.number) or self._read(row.number) for row in rows}
            segments = [
                OpenSegment(
                    row.number,
                    self._open[row.number],
                    kept if not (kept := row.kept).all() else None,
                    row.model,
                )
                for row in rows
            ]
            documents = sum(int(row.kept.sum()) for row in rows)
            lengths = (self._open[row.number].lengths[row.kept] for row in rows)
            self._snapshot = Snapshot(segments, documents, sum(int(each.sum()) for each in lengths))
            self._rows = rows
        return self._snapshot

    def add(
        self, connection: sqlite3.Connection, names: Sequence[str], terms: DocumentTerms, model: str
    ) -> None:
        """Write the terms of some documents as a segment.

        Raises:
            StoreError: The file cannot be written, or the model had vectors of another length.
        """
        dimension = terms.vectors.shape[1]
        self._check(connection, model, dimension)
        self._write(connection, names, model, dimension, lambda file: write_segment(file, terms))

    def _check(self, connection: sqlite3.Connection, model: str, dimension: int) -> None:
        other = connection.execute(
            "SELECT dimension FROM segments WHERE model = ? AND dimension <> ?", (model, dimension)
        ).fetchone()
        if other:
            raise StoreError(
                f"model {model} has made vectors of length {other[0]}, and now of length {dimension}; two "
                "different models must not share a name"
            )

    def _write(
        self,
        connection: sqlite3.Connection,
        names: Sequence[str],
        model: str,
        dimension: int,
        write: Callable[[Path], None],
    ) -> None:
        number = connection.execute(
            "INSERT INTO segments (model, dimension, documents, gone) VALUES (?, ?, ?, ?) RETURNING number",
            (model, dimension, len(names), bytes(-(-len(names) // 8))),
        ).fetchone()[0]
        try:
            write(self._file(number))
        except OSError as error:
            raise StoreError(
                f"cannot write to {self._folder}: {error.strerror}; check disk and permissions"
            ) from error
        connection.executemany(
            "UPDATE documents SET segment = ?, place = ? WHERE id = ?",
            ((number, place, name) for place, name in enumerate(names)),
        )

    def take_out(self, connection: sqlite3.Connection, names: Iterable[str]) -> None:
        """Mark documents as gone from the segments they are in."""
        gone: dict[int, list[int]] = {}
        for name in names:
            found = connection.execute(
                "SELECT segment, place FROM documents WHERE id = ? AND segment IS NOT NULL", (name,)
            ).fetchone()
            if found:
                gone.setdefault(found[0], []).append(found[1])
        for row in _rows(connection):
            if row.number in gone:
                kept = row.kept
                kept[gone[row.number]] = False
                packed = np.packbits(~kept).tobytes()
                connection.execute("UPDATE segments SET gone = ? WHERE number = ?", (packed, row.number))

    def merge(self, connection: sqlite3.Connection) -> None:
        """Make one segment of many of a size, and anew those of which most is gone.

        Raises:
            StoreError: A file cannot be read or written.
        """
        for _ in range(64):  # each round leaves fewer or fuller segments
            chosen = _to_merge(list(_rows(connection)))
            if not chosen:
                return
            self._merge(connection, chosen)

    def _merge(self, connection: sqlite3.Connection, rows: Sequence[_Row]) -> None:
        parts, names = [], []
        for row in rows:
            places = np.flatnonzero(row.kept)
            if len(places):
                parts.append(Part(self._read(row.number), places))
            names += _names(connection, row.number)
        connection.executemany("DELETE FROM segments WHERE number = ?", ((row.number,) for row in rows))
        if names:
            model, dimension = rows[0].model, max(row.dimension for row in rows)
            self._write(connection, names, model, dimension, lambda file: merge_segments(file, parts))

    def of_other_models(
        self, connection: sqlite3.Connection, model: str
    ) -> Iterator[tuple[int, Sequence[str]]]:
        """Yield the numbers of segments whose vectors are not a model's, each with its documents in order."""
        for row in _rows(connection):
            if row.model != model and row.kept.any():
                yield row.number, _names(connection, row.number)

    def replace(
        self,
        connection: sqlite3.Connection,
        number: int,
        names: Sequence[str],
        vectors: Sequence[VectorRows],
        model: str,
    ) -> None:
        """Write a segment anew with other vectors.

        Args:
            connection: A transaction that writes.
            number: The segment.
            names: Its documents, in order.
            vectors: Theirs, in order.
            model: Who made them.

        Raises:
            StoreError: A file cannot be read or written, or the model had vectors of another length.
        """
        (row,) = (row for row in _rows(connection) if row.number == number)
        parts = [Part(self._read(number), np.flatnonzero(row.kept))]
        connection.execute("DELETE FROM segments WHERE number = ?", (number,))
        dimension = max(each.dimension for each in vectors)
        self._check(connection, model, dimension)
        self._write(connection, names, model, dimension, lambda file: merge_segments(file, parts, vectors))

    def vectors(
        self, connection: sqlite3.Connection, names: Iterable[str]
    ) -> Mapping[str, tuple[str, VectorCodes]]:
        """Return the vectors of some documents with the model that made them."""
        found = {}
        models = {row.number: row.model for row in _rows(connection)}
        for name in names:
            row = connection.execute(
                "SELECT segment, place FROM documents WHERE id = ? AND segment IS NOT NULL", (name,)
            ).fetchone()
            if row:
                segment = self._open.get(row[0]) or self._read(row[0])
                self._open[row[0]] = segment
                found[name] = (models[row[0]], segment.vectors_of(row[1]))
        return found

    def strangers(self, connection: sqlite3.Connection) -> list[Path]:
        """Return the files that no segment has: of earlier segments, or of writers that were killed."""
        known = {str(row.number) for row in _rows(connection)}
        files = self._folder.glob("*") if self._folder.is_dir() else ()
        return [file for file in files if file.name not in known]

    def _file(self, number: int) -> Path:
        return self._folder / str(number)

    def _read(self, number: int) -> Segment:
        return Segment(self._file(number))


def _names(connection: sqlite3.Connection, segment: int) -> list[str]:
    """Return the documents that a segment still has, in order."""
    found = connection.execute("SELECT id FROM documents WHERE segment = ? ORDER BY place", (segment,))
    return [name for (name,) in found]


def _rows(connection: sqlite3.Connection) -> Iterable[_Row]:
    rows = connection.execute(
        "SELECT number, model, dimension, documents, gone FROM segments ORDER BY number"
    )
    return [_Row(*row) for row in rows]


def _to_merge(rows: Sequence[_Row]) -> Sequence[_Row]:
    """Return segments that are to become one; none where all are as they are to be."""
    for row in rows:
        if 2 * int(row.kept.sum()) < row.documents or not row.kept.any():
            return [row]
    tiers: dict[tuple[str, int], list[_Row]] = {}
    for row in rows:
        tiers.setdefault(row.tier, []).append(row)
    return next((tier for tier in tiers.values() if len(tier) >= _MERGED_AT_ONCE), ())
