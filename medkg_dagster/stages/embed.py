"""The `embed` stage: every chunk gets a vector from an embedder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from pydantic import Field, ValidationInfo, model_validator

from medkg_dagster.errors import StageContractError
from medkg_dagster.stage_api import (
    Chunk,
    Config,
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
        default="hashing",
        description=(
            "The embedder: `hashing` (lexical: shared words and word parts, needs no model), "
            "`onnx` (a model folder) or `openai` (an OpenAI-compatible endpoint)."
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
    """Embeds chunks in batches."""

    def __init__(self, config: EmbedConfig) -> None:
        self._config = config

    def execute(self, ctx: StageContext, chunks: tuple[Chunk, ...]) -> EmbeddingBatch:
        """Return one vector for each chunk, in the order of the chunks; equal texts are embedded once.

        Raises:
            ConfigError: The embedder cannot be opened: an extra, a file or a variable is missing.
            SourceError: A remote embedder failed.
            StageContractError: The embedder returned vectors of the wrong number or shape.
        """
        import numpy as np

        extension = ctx.extensions.find(ExtensionKind.EMBEDDER, self._config.embedder)
        embedder: Embedder = extension.open(self._config.params, ctx.home)
        rows: dict[str, int] = {}
        for chunk in chunks:
            rows.setdefault(embedded_text(chunk), len(rows))
        texts = list(rows)
        parts: list[NDArray[np.float32]] = []
        for start in range(0, len(texts), self._config.batch_size):
            parts.append(self._embed(ctx, embedder, texts[start : start + self._config.batch_size], parts))
            ctx.report_progress(min(start + self._config.batch_size, len(texts)), len(texts), "texts")
        distinct = np.concatenate(parts) if parts else np.zeros((0, 0), dtype=np.float32)
        order = np.array([rows[embedded_text(chunk)] for chunk in chunks], dtype=np.intp)
        ctx.succeeded += len(chunks)
        ctx.log.info("embedded %d chunks (%d distinct texts) with %s", len(chunks), len(rows), embedder.model)
        return EmbeddingBatch(
            chunk_ids=tuple(chunk.id for chunk in chunks),
            vectors=distinct[order],
            model=embedder.model,
            lexical=embedder.lexical,
        )

    def _embed(
        self, ctx: StageContext, embedder: Embedder, texts: list[str], earlier: list[NDArray[np.float32]]
    ) -> NDArray[np.float32]:
        """Embed one batch and check what came back."""
        import numpy as np

        if isinstance(embedder, RemoteEmbedder):
            vectors = embedder.using(ctx.calls).embed(texts)
        else:
            vectors = ctx.calls.call(self._config.embedder, lambda: embedder.embed(texts))
        dimension = earlier[0].shape[1] if earlier else vectors.shape[-1]
        if vectors.shape != (len(texts), dimension) or not np.isfinite(vectors).all():
            raise StageContractError(
                f"embedder '{self._config.embedder}' returned an array of shape {vectors.shape} for "
                f"{len(texts)} texts; expected finite numbers of shape ({len(texts)}, {dimension})"
            )
        return vectors.astype(np.float32, copy=False)


def embedded_text(chunk: Chunk) -> str:
    """Return what is embedded of a chunk: its titles and text on lines of their own, none empty or twice."""
    parts = dict.fromkeys((chunk.title, chunk.section, chunk.text))
    return "\n".join(part for part in parts if part)


def register() -> StageRegistration:
    """Register the stage type."""
    return StageRegistration.of(
        "embed",
        EmbedStage,
        EmbedConfig,
        description="Gives every chunk a vector; by default a lexical one, made by feature hashing.",
        state_types={"embedding_batch": EmbeddingBatch},
        dependencies=("chunk",),
        kinds=("python", "numpy"),
    )
