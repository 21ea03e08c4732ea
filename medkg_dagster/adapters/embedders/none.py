"""The default embedder: it makes no vectors, so that documents are searched by their words alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pydantic import model_validator

from medkg_dagster.adapters.embedders import model_name
from medkg_dagster.stage_api import Config, Extension, ExtensionKind

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class NoneParameters(Config):
    """The embedder `none` has no parameters."""

    @model_validator(mode="before")
    @classmethod
    def _refuse(cls, parameters: Any) -> Any:
        """Refuse parameters, which are those of another embedder that is not named."""
        if isinstance(parameters, dict) and parameters:
            raise ValueError(
                f"it makes no vectors and takes no parameters, but has {', '.join(map(repr, parameters))}; "
                "name the embedder that these are of, such as `embedder: hashing`, or leave them out"
            )
        return parameters


class NoneEmbedder:
    """Makes vectors of length 0."""

    lexical = True
    model = model_name("none", {})

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return float32 of shape (texts, 0)."""
        import numpy as np

        return np.zeros((len(texts), 0), dtype=np.float32)


NONE = Extension(
    kind=ExtensionKind.EMBEDDER,
    name="none",
    description="No vectors: search is by words, which ranks better than lexical vectors do.",
    config_model=NoneParameters,
    build=lambda _parameters, _home: NoneEmbedder(),
)
