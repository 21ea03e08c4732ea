"""The documents whose passages are closest to a vector."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from medkg_dagster.errors import StoreError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from medkg_dagster.adapters.index.snapshot import Snapshot


def nearest_documents(
    snapshot: Snapshot, vector: NDArray[np.float32], kept: NDArray[np.bool_] | None, limit: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the documents with the passages closest to a vector.

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
    model = prevalent_model(snapshot)
    closeness = np.zeros(snapshot.size)
    for base, each in zip(snapshot.bases.tolist(), snapshot.segments, strict=False):
        segment = each.segment
        if each.model != model or not len(segment.vectors):
            continue
        if vector.shape != segment.vectors.shape[1:]:
            raise StoreError(
                f"the query's vector has shape {vector.shape}, those of the index "
                f"{segment.vectors.shape[1:]}; embed the query with {model}"
            )
        passages = np.diff(segment.document_starts) - 1
        having = np.flatnonzero(passages)
        firsts = (segment.document_starts[:-1] - np.arange(segment.documents))[having]
        best = np.maximum.reduceat(segment.vectors @ vector, firsts)
        if each.kept is not None:
            best = np.where(each.kept[having], best, 0)
        closeness[base + having] = best
    if kept is not None:
        closeness[~kept] = 0
    found = np.flatnonzero(closeness > 0)
    if len(found) > limit:
        least = np.partition(closeness[found], -limit)[-limit]
        found = found[closeness[found] >= least]
    return found, closeness[found]


def closest_passage(snapshot: Snapshot, document: int, vector: NDArray[np.float32]) -> int:
    """Return the place of the passage of a document that is closest to a vector."""
    which, place = snapshot.place(document)
    segment = snapshot.segments[which].segment
    first, last = segment.document_starts[place : place + 2] - (place, place + 1)
    return int(np.argmax(segment.vectors[first:last] @ vector))


def without_vectors(snapshot: Snapshot) -> int:
    """Return how many documents have passages without vectors of the prevalent model."""
    model = prevalent_model(snapshot)
    others = (each for each in snapshot.segments if each.model != model)
    return sum(each.segment.documents if each.kept is None else int(each.kept.sum()) for each in others)


def prevalent_model(snapshot: Snapshot) -> str | None:
    """Return who made most of the vectors; None where there are none."""
    counts: dict[str, int] = {}
    for each in snapshot.segments:
        if each.segment.vectors.shape[1]:
            passages = np.diff(each.segment.document_starts) - 1
            number = int(passages[each.kept].sum() if each.kept is not None else passages.sum())
            counts[each.model] = counts.get(each.model, 0) + number
    counts = {model: number for model, number in counts.items() if number}
    return min(counts, key=lambda model: (-counts[model], model), default=None)
