"""All documents of an index get the vectors of another model, at once for whoever searches."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from medkg_dagster.adapters.index.made_vectors import MadeVectors
from medkg_dagster.adapters.index.rows import COLUMNS, chunk_of
from medkg_dagster.adapters.index.segments import Segments
from medkg_dagster.adapters.index.vector_codes import VectorRows
from medkg_dagster.domain.chunks import Chunk, embedded_text
from medkg_dagster.errors import StoreError, counted

if TYPE_CHECKING:
    from numpy.typing import NDArray

_AT_ONCE = 64
"""So many documents, and so many texts of them, are embedded at once."""

Embed = Callable[[Sequence[str]], "NDArray[np.float32]"]


@dataclass(frozen=True, slots=True)
class Reembedded:
    """What was done.

    Attributes:
        documents: How many documents got other vectors.
        chunks: How many chunks these have.
        made: How many vectors were made; the others were made before the work was ended.
    """

    documents: int
    chunks: int
    made: int


@dataclass(slots=True)
class Reembedding:
    """Documents whose vectors are of another model, and those that are made for them.

    Attributes:
        segments: The index's.
        model: Who makes the vectors.
        made: What was made.
        embed: Makes vectors of texts; None where the model makes none.
        tell: Is told how many of how many documents have vectors.
        number: How many vectors were made.
    """

    segments: Segments
    model: str
    made: MadeVectors
    embed: Embed | None
    tell: Callable[[int, int], None]
    number: int = 0

    def make(self, reading: Callable[[], AbstractContextManager[sqlite3.Connection]]) -> None:
        """Make the vectors that are missing.

        Args:
            reading: Begins a transaction that reads; none is held while vectors are made.
        """
        if self.embed is None:
            return
        with reading() as connection:
            others = self.segments.of_other_models(connection, self.model)
            names = [name for _, some in others for name in some]
        for begin in range(0, len(names), _AT_ONCE):
            self.tell(begin, len(names))
            some = names[begin : begin + _AT_ONCE]
            with reading() as connection:
                found = [chunk for name in some for chunk in _chunks(connection, name)]
            lacking = [chunk for chunk in found if chunk.id not in self.made]
            if lacking:
                self.made.keep([chunk.id for chunk in lacking], self._vectors(self.embed, lacking))
                self.number += len(lacking)
        self.tell(len(names), len(names))

    def _vectors(self, embed: Embed, chunks: Sequence[Chunk]) -> NDArray[np.float32]:
        """Make the vectors of chunks, and check them."""
        texts = [embedded_text(chunk) for chunk in chunks]
        parts = [embed(texts[begin : begin + _AT_ONCE]) for begin in range(0, len(texts), _AT_ONCE)]
        shapes = {part.shape[1:] for part in parts}
        is_finite = all(np.isfinite(part).all() for part in parts)
        if len(shapes) > 1 or sum(map(len, parts)) != len(texts) or not is_finite:
            raise StoreError(
                f"{self.model} returned arrays of {[part.shape for part in parts]} for "
                f"{counted(len(texts), 'text')}; expected finite numbers, a row for each; choose another one"
            )
        return np.concatenate(parts)

    def write(self, connection: sqlite3.Connection) -> Reembedded | None:
        """Give the documents their vectors; None where some are missing, then nothing is changed."""
        some = list(self.segments.of_other_models(connection, self.model))
        chunks = {number: _chunk_ids(connection, names) for number, names in some}
        if self.embed and any(chunk not in self.made for ids in chunks.values() for chunk in ids):
            return None
        for number, names in some:
            rows = self.made.rows(chunks[number]) if self.embed else (VectorRows.all_of(_NO_VECTORS),)
            self.segments.replace(connection, number, names, rows, self.model)
        self.segments.merge(connection)
        return Reembedded(sum(len(names) for _, names in some), sum(map(len, chunks.values())), self.number)


_NO_VECTORS = np.zeros((0, 0), np.float32)
_BY_DOCUMENT = "FROM chunks WHERE document_id = ? ORDER BY ordinal, id"


def _chunks(connection: sqlite3.Connection, name: str) -> Iterator[Chunk]:
    rows = connection.execute(f"SELECT {COLUMNS} {_BY_DOCUMENT}", (name,)).fetchall()
    return map(chunk_of, rows)


def _chunk_ids(connection: sqlite3.Connection, names: Iterable[str]) -> list[str]:
    statement = f"SELECT id {_BY_DOCUMENT}"
    return [chunk for name in names for (chunk,) in connection.execute(statement, (name,))]
