"""The `embed` stage: every chunk gets a vector from an embedder, where one is chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Self

from pydantic import Field, ValidationInfo, model_validator

from medkg_dagster.domain.chunks import embedded_text
from medkg_dagster.errors import StageContractError, counted
from medkg_dagster.stage_api import (
    Chunk,
    Config,
    DocumentContext,
    Embedder,
    EmbeddingBatch,
    ExtensionKind,
    RemoteEmbedder,
    StageContext,
    StageRegistration,
    check_extension,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class EmbedConfig(Config):
    """Which embedder makes the vectors, and with which parameters."""

    embedder: str = Field(
        default="none",
        description=(
            "The embedder: `none` (no vectors, search by words), `hashing` (lexical: shared words and word "
            "parts, needs no model), `sentence-transformers` or `onnx` (a model folder), or `openai` (an "
            "OpenAI-compatible endpoint)."
        ),
    )
    params: dict[str, Any] = Field(
        default_factory=dict,
        description="The embedder's own parameters, for example `dimension`; the embedder checks them.",
    )
    batch_size: int = Field(
        default=64,
        ge=1,
        le=2048,
        description="How many texts the embedder gets at once; one request of a remote embedder.",
    )

    @model_validator(mode="after")
    def _check_embedder(self, info: ValidationInfo) -> Self:
        check_extension(ExtensionKind.EMBEDDER, self.embedder, self.params, info)
        return self


class EmbedStage:
    """Embeds the chunks of some documents at once."""

    def __init__(self, config: EmbedConfig) -> None:
        self._config = config
        self._opened: Embedder | None = None

    def prepare(self, ctx: StageContext) -> None:
        """Open the embedder.

        Raises:
            ConfigError: It cannot be opened: an extra, a file or a variable is missing.
        """
        if self._opened is None:
            extension = ctx.extensions.find(ExtensionKind.EMBEDDER, self._config.embedder)
            self._opened = extension.open(self._config.params, ctx.home)

    def fingerprints(self, ctx: StageContext) -> Mapping[str, str]:
        """Return the model, which names its settings and the hash of its file."""
        self.prepare(ctx)
        return {"model": self._embedder.model}

    @property
    def _embedder(self) -> Embedder:
        assert self._opened is not None
        return self._opened

    def execute(
        self, ctx: DocumentContext, chunks: Sequence[tuple[Chunk, ...]]
    ) -> tuple[EmbeddingBatch, ...]:
        """Return for each document one vector for each chunk; equal texts are embedded once.

        Raises:
            SourceError: A remote embedder failed.
            StageContractError: The embedder returned vectors of the wrong number or shape.
        """
        import numpy as np

        rows: dict[str, int] = {}
        for chunk in (chunk for one in chunks for chunk in one):
            rows.setdefault(embedded_text(chunk), len(rows))
        texts = list(rows)
        parts: list[NDArray[np.float32]] = []
        for start in range(0, len(texts), self._config.batch_size):
            parts.append(self._embed(ctx, texts[start : start + self._config.batch_size], parts))
        distinct = np.concatenate(parts) if parts else np.zeros((0, 0), dtype=np.float32)
        return tuple(
            EmbeddingBatch(
                chunk_ids=tuple(chunk.id for chunk in one),
                vectors=distinct[np.array([rows[embedded_text(chunk)] for chunk in one], dtype=np.intp)],
                model=self._embedder.model,
                lexical=self._embedder.lexical,
            )
            for one in chunks
        )

    def _embed(
        self, ctx: DocumentContext, texts: list[str], earlier: list[NDArray[np.float32]]
    ) -> NDArray[np.float32]:
        """Embed one batch and check what came back."""
        import numpy as np

        embedder = self._embedder
        if isinstance(embedder, RemoteEmbedder):
            vectors = embedder.using(ctx.calls).embed(texts)
        else:
            vectors = ctx.calls.call(self._config.embedder, lambda: embedder.embed(texts))
        dimension = earlier[0].shape[1] if earlier else vectors.shape[-1]
        if vectors.shape != (len(texts), dimension) or not np.isfinite(vectors).all():
            raise StageContractError(
                f"embedder '{self._config.embedder}' returned an array of shape {vectors.shape} for "
                f"{counted(len(texts), 'text')}; expected finite numbers of shape ({len(texts)}, {dimension})"
            )
        return vectors.astype(np.float32, copy=False)


def register() -> StageRegistration:
    """Register the stage type."""
    return StageRegistration.of(
        "embed",
        EmbedStage,
        EmbedConfig,
        description="Gives every chunk a vector where an embedder is chosen; by default there are none.",
        state_types={"embedding_batch": EmbeddingBatch},
        output_counter=attrgetter("vector_count"),
        dependencies=("chunk",),
        kinds=("python", "numpy"),
        per_document=True,
        batch=32,
    )
