"""The `index` stage: chunks and their vectors become searchable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from operator import attrgetter
from typing import Any, Self

from pydantic import Field, ValidationInfo, model_validator

from medkg_dagster.domain.chunks import index_hashes
from medkg_dagster.stage_api import (
    Chunk,
    Config,
    Document,
    DocumentIndexStore,
    EmbeddingBatch,
    ExtensionKind,
    IndexReceipt,
    StageContext,
    StageRegistration,
    check_extension,
)
from medkg_dagster.stages.store_difference import compare_store, gone_meanwhile


class IndexConfig(Config):
    """Which index store is written, and with which parameters."""

    store: str = Field(
        default="sqlite",
        description="The index store, for example `sqlite` (one file, full text and vectors).",
    )
    params: dict[str, Any] = Field(
        default_factory=dict, description="The store's own parameters; the store checks them."
    )

    @model_validator(mode="after")
    def _check_store(self, info: ValidationInfo) -> Self:
        check_extension(ExtensionKind.INDEX_STORE, self.store, self.params, info)
        return self


class IndexStage:
    """Writes chunks and vectors to an index store."""

    def __init__(self, config: IndexConfig) -> None:
        self._config = config

    def execute(
        self,
        ctx: StageContext,
        chunks: tuple[Chunk, ...],
        embedding_batch: EmbeddingBatch,
        document: tuple[Document, ...] | None = None,
    ) -> IndexReceipt:
        """Write what the store does not hold yet, in one transaction; the same batch again changes nothing.

        Documents, where the pipeline has them here, make those known that have no chunks.

        Raises:
            StoreError: The store cannot be opened or written, or chunks and vectors do not fit together.
        """
        extension = ctx.extensions.find(ExtensionKind.INDEX_STORE, self._config.store)
        documents = {*(chunk.document_id for chunk in chunks), *(item.id for item in document or ())}
        invented = {item.id for item in document or () if item.synthetic}
        chunks = tuple(
            chunk.model_copy(update={"synthetic": True}) if chunk.document_id in invented else chunk
            for chunk in chunks
        )
        store: DocumentIndexStore = extension.open(self._config.params, ctx.home)
        with closing(store):
            if extension.keeps_documents:
                given = index_hashes(documents, chunks, embedding_batch)
                receipt = _write_difference(ctx, store, given, chunks, embedding_batch)
            else:
                receipt = store.upsert(chunks, embedding_batch)
        ctx.succeeded += receipt.documents
        ctx.report_progress(receipt.chunks_indexed, receipt.chunks_indexed, "chunks")
        ctx.log.info(
            "%s holds %d chunks of %d documents of this batch; %d older chunks removed",
            receipt.location,
            receipt.chunks_indexed,
            receipt.documents,
            receipt.chunks_removed,
        )
        return receipt


def _write_difference(
    ctx: StageContext,
    store: DocumentIndexStore,
    given: Mapping[str, str],
    chunks: Sequence[Chunk],
    embeddings: EmbeddingBatch,
) -> IndexReceipt:
    difference = compare_store(ctx, store.held(), given)
    new = [chunk for chunk in chunks if chunk.document_id in difference.changed]
    vectors = embeddings.of_chunks({chunk.id for chunk in new})
    receipt = store.apply(difference.changed, difference.removed, new, vectors)
    if gone := gone_meanwhile(ctx, difference.changed):
        store.apply({}, gone, (), vectors.of_chunks(()))
    current = difference.current - gone
    held = len({chunk.id for chunk in chunks if chunk.document_id in current})
    return receipt.model_copy(update={"documents": len(current), "chunks_indexed": held})


def register() -> StageRegistration:
    """Register the stage type."""
    return StageRegistration.of(
        "index",
        IndexStage,
        IndexConfig,
        description="Writes chunks and vectors to an index: full text (BM25) and vectors side by side.",
        state_types={"index_receipt": IndexReceipt},
        output_counter=attrgetter("chunks_indexed"),
        dependencies=("chunk", "embed"),
        optional_dependencies=("parse",),
        kinds=("python", "sqlite"),
    )
