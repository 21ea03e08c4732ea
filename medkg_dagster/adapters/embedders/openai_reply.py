"""The reply of an OpenAI-compatible `/embeddings` endpoint, checked."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from medkg_dagster.errors import SourceError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def read_vectors(url: str, content: bytes, *, expected: int, dimension: int | None) -> NDArray[np.float32]:
    """Read the vectors of a reply.

    Args:
        url: The endpoint, for messages.
        content: The reply.
        expected: How many texts were sent.
        dimension: The length that was asked for; None for any.

    Returns:
        float32 of shape (texts, dimension), in the order of the texts.

    Raises:
        SourceError: The reply does not fit the request.
    """
    try:
        entries = json.loads(content)["data"]
        by_index = {int(entry["index"]): entry["embedding"] for entry in entries}
        vectors = np.array([by_index[index] for index in range(expected)], dtype=np.float32)
    except (ValueError, TypeError, KeyError) as error:
        raise SourceError(
            f"{url}: the reply is not {expected} embeddings of one length ({type(error).__name__}: {error}); "
            "check base_url and model"
        ) from error
    if len(entries) != expected:
        raise SourceError(f"{url}: {len(entries)} embeddings for {expected} texts; check base_url and model")
    if vectors.ndim != 2 or vectors.shape[1] == 0 or not np.isfinite(vectors).all():
        raise SourceError(f"{url}: the embeddings are not lists of finite numbers; check base_url and model")
    if dimension is not None and vectors.shape[1] != dimension:
        raise SourceError(
            f"{url}: embeddings of length {vectors.shape[1]}, not {dimension}; check dimensions and model"
        )
    return vectors
