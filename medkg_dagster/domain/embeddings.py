"""Vectors of chunks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class EmbeddingBatch:
    """The vectors of a batch of chunks.

    Attributes:
        chunk_ids: The chunks' ids, row by row.
        vectors: float32 of shape (chunks, dimension), each row of Euclidean length 1 or 0.
        model: What made them, so that vectors of different models are never compared.
        lexical: True where closeness means shared words, not shared meaning.
    """

    chunk_ids: tuple[str, ...]
    vectors: NDArray[np.float32]
    model: str
    lexical: bool

    def __len__(self) -> int:
        return len(self.chunk_ids)

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return plain NumPy arrays (no object dtype) that `from_arrays` turns back into an equal batch."""
        import numpy as np

        return {
            "chunk_ids": np.array(self.chunk_ids, dtype=np.str_),
            "vectors": np.asarray(self.vectors, dtype=np.float32),
            "model": np.array(self.model, dtype=np.str_),
            "lexical": np.array(self.lexical, dtype=np.bool_),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> EmbeddingBatch:
        """Build a batch from what `to_arrays` returned."""
        return cls(
            chunk_ids=tuple(str(chunk) for chunk in arrays["chunk_ids"]),
            vectors=arrays["vectors"],
            model=str(arrays["model"]),
            lexical=bool(arrays["lexical"]),
        )
