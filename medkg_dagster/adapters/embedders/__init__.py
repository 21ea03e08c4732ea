"""Embedders, and what they have in common: how a model is named, and vectors of unit length."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def model_name(embedder: str, parameters: Mapping[str, Any]) -> str:
    """Return what `Embedder.model` is: the extension and canonical JSON of what its vectors depend on."""
    text = json.dumps(parameters, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return f"{embedder}:{text}"


def of_unit_length(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return rows scaled to Euclidean length 1; a row of zeros stays one."""
    import numpy as np

    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: NDArray[np.float32] = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
    return scaled
