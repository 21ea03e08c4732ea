"""The documents whose passages are closest to a vector."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from medkg_dagster.adapters.index.vector_codes import unlike_signs
from medkg_dagster.errors import StoreError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from medkg_dagster.adapters.index.segment import Segment
    from medkg_dagster.adapters.index.snapshot import Snapshot

MOST_COMPARED = 4_000
COMPARED_ONE_IN = 100
"""Of more passages than the first, only those with the most signs alike are compared number by number: so
many, or one in so many of the second."""

SAMPLED = 1_000
"""From so many passages it is seen how close they are on average."""

_NOT_LOOKED_AT = np.iinfo(np.uint16).max


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """A segment with vectors of the model that is asked for.

    Attributes:
        segment: The segment.
        base: The number of its first document.
        looked_at: Which of its documents are looked at; None for all.
    """

    segment: Segment
    base: int
    looked_at: NDArray[np.bool_] | None

    @property
    def number(self) -> int:
        """How many vectors are looked at."""
        passages = np.diff(self.segment.vector_starts)
        return int(passages.sum() if self.looked_at is None else passages[self.looked_at].sum())

    def unlike(self, vector: NDArray[np.float32]) -> NDArray[np.uint16]:
        """Return of each vector how many of its signs are other ones than those of a vector."""
        counts = unlike_signs(self.segment.signs, vector)
        if self.looked_at is not None:
            counts[~np.repeat(self.looked_at, np.diff(self.segment.vector_starts))] = _NOT_LOOKED_AT
        return counts

    def rows(self) -> NDArray[np.int64]:
        """Return the rows of all vectors that are looked at."""
        if self.looked_at is None:
            return np.arange(len(self.segment.vectors))
        return np.flatnonzero(np.repeat(self.looked_at, np.diff(self.segment.vector_starts)))

    def closest(
        self, rows: NDArray[np.int64], vector: NDArray[np.float32]
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return the documents that some rows are of, and how close the closest of each is."""
        documents = np.searchsorted(self.segment.vector_starts, rows, side="right") - 1
        firsts = np.flatnonzero(np.diff(documents, prepend=-1))
        closeness = self.segment.vectors.of_rows(rows).products(vector).astype(np.float64)
        best = np.maximum.reduceat(closeness, firsts) if len(rows) else closeness
        return documents[firsts] + self.base, best


def nearest_documents(
    snapshot: Snapshot, vector: NDArray[np.float32], kept: NDArray[np.bool_] | None, limit: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the documents with the passages closest to a vector.

    Of many passages those are compared number by number that have the most signs in common with it.

    Args:
        snapshot: The documents; those whose vectors are of another model than most are left out.
        vector: The query's vector, of length 1.
        kept: Which documents are looked at; None for all.
        limit: How many to return; more where the last ones are equally close.

    Returns:
        Numbers of documents, and the cosine of the closest passage of each. Documents with a cosine of 0 or
        less are left out.

    Raises:
        StoreError: The vector has the wrong length.
    """
    parts = _parts(snapshot, vector, kept)
    number = sum(part.number for part in parts)
    compared = max(MOST_COMPARED, number // COMPARED_ONE_IN)
    if number > compared:
        unlike = [part.unlike(vector) for part in parts]
        most = np.partition(np.concatenate(unlike), compared)[compared]
        rows = [np.flatnonzero(each <= most) for each in unlike]
    else:
        rows = [part.rows() for part in parts]
    found = [part.closest(some, vector) for part, some in zip(parts, rows, strict=True)]
    documents = np.concatenate([np.zeros(0, np.int64), *(documents for documents, _ in found)])
    closeness = np.concatenate([np.zeros(0), *(closeness for _, closeness in found)])
    chosen = closeness > 0
    if np.count_nonzero(chosen) > limit:
        chosen = closeness >= max(np.partition(closeness, -limit)[-limit], np.finfo(np.float64).tiny)
    return documents[chosen], closeness[chosen]


def typical_closeness(snapshot: Snapshot, vector: NDArray[np.float32]) -> float:
    """Return how close passages are to a vector on average, whatever a filter lets pass; of many by a sample.

    Models differ in how close any two texts are: of some no cosine is below 0.7.

    Raises:
        StoreError: The vector has the wrong length.
    """
    parts = _parts(snapshot, vector, None)
    step = 1 + sum(part.number for part in parts) // SAMPLED
    found = [part.segment.vectors.of_rows(part.rows()[::step]).products(vector) for part in parts]
    # Rounded, so that it does not depend on the order in which they are added.
    return round(float(np.concatenate(found).mean()), 3) if found else 0.0


def _parts(snapshot: Snapshot, vector: NDArray[np.float32], kept: NDArray[np.bool_] | None) -> list[_Part]:
    model = prevalent_model(snapshot)
    parts = []
    for base, each in zip(snapshot.bases.tolist(), snapshot.segments, strict=False):
        segment = each.segment
        if each.model != model or not len(segment.vectors):
            continue
        if vector.shape != (segment.dimension,):
            raise StoreError(
                f"the query's vector has shape {vector.shape}, those of the index "
                f"({segment.dimension},); embed the query with {model}"
            )
        looked_at = each.kept
        if kept is not None:
            passing = kept[base : base + segment.documents]
            looked_at = passing if looked_at is None else looked_at & passing
        parts.append(_Part(segment, base, looked_at))
    return parts


def closest_passage(snapshot: Snapshot, document: int, vector: NDArray[np.float32]) -> int:
    """Return the place of the passage of a document that is closest to a vector."""
    which, place = snapshot.place(document)
    return int(np.argmax(snapshot.segments[which].segment.vectors_of(place).products(vector)))


def without_vectors(snapshot: Snapshot) -> int:
    """Return how many documents have passages without vectors of the prevalent model."""
    model = prevalent_model(snapshot)
    others = (each for each in snapshot.segments if each.model != model)
    return sum(each.segment.documents if each.kept is None else int(each.kept.sum()) for each in others)


def prevalent_model(snapshot: Snapshot) -> str | None:
    """Return who made most of the vectors; None where there are none."""
    counts: dict[str, int] = {}
    for each in snapshot.segments:
        if each.segment.dimension:
            passages = np.diff(each.segment.vector_starts)
            number = int(passages[each.kept].sum() if each.kept is not None else passages.sum())
            counts[each.model] = counts.get(each.model, 0) + number
    counts = {model: number for model, number in counts.items() if number}
    return min(counts, key=lambda model: (-counts[model], model), default=None)
