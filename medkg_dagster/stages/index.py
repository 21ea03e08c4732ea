"""The `index` stage: chunks and their vectors become searchable."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Self

from pydantic import Field, ValidationInfo, model_validator

from medkg_dagster.errors import counted
from medkg_dagster.stage_api import (
    Chunk,
    Config,
    DocumentIndexStore,
    DocumentPart,
    DocumentValues,
    EmbeddingBatch,
    ExtensionKind,
    IndexedDocument,
    IndexReceipt,
    MemoryPart,
    StageContext,
    StageRegistration,
    StoreError,
    check_extension,
)
from medkg_dagster.stage_api._default_stores import chosen_store
from medkg_dagster.stages.store_difference import compare_store, gone_meanwhile, input_hash, portions


class IndexConfig(Config):
    """Which index store is written, and with which parameters."""

    store: str | None = Field(
        default=None,
        description="The index store; by default `sqlite`, or `postgresql` with `MEDKG_DATABASE_URL` set.",
    )
    params: dict[str, Any] = Field(
        default_factory=dict, description="The store's own parameters; the store checks them."
    )

    @model_validator(mode="after")
    def _check_store(self, info: ValidationInfo) -> Self:
        check_extension(
            ExtensionKind.INDEX_STORE, *chosen_store(ExtensionKind.INDEX_STORE, self.store, self.params), info
        )
        return self


class IndexStage:
    """Writes chunks and vectors to an index store."""

    def __init__(self, config: IndexConfig) -> None:
        self._config = config

    def execute(
        self,
        ctx: StageContext,
        chunks: DocumentValues,
        embedding_batch: DocumentValues | EmbeddingBatch,
        document: DocumentValues | None = None,
    ) -> IndexReceipt:
        """Write what the store does not hold yet; the same batch again changes nothing.

        Documents, where the pipeline has them here, make those known that have no chunks.

        Raises:
            StoreError: The store cannot be opened or written, or chunks and vectors do not fit together.
        """
        name, params = chosen_store(ExtensionKind.INDEX_STORE, self._config.store, self._config.params)
        extension = ctx.extensions.find(ExtensionKind.INDEX_STORE, name)
        if isinstance(embedding_batch, EmbeddingBatch):
            embedding_batch = _by_document(embedding_batch, chunks)
        store: DocumentIndexStore = extension.open(params, ctx.home)
        with closing(store):
            if extension.keeps_documents:
                receipt = _write_difference(ctx, store, _Batch.of(chunks, embedding_batch, document))
            else:
                batch = _Batch.of(chunks, embedding_batch, document)
                marked = [chunk for name in batch.chunks for chunk in batch.chunks_of(name)]
                receipt = store.upsert(marked, embedding_batch.whole())
        ctx.succeeded += receipt.documents
        ctx.report_progress(receipt.chunks_indexed, receipt.chunks_indexed, "chunks")
        ctx.log.info(
            "%s holds %s of %s of this batch; %s removed",
            receipt.location,
            counted(receipt.chunks_indexed, "chunk"),
            counted(receipt.documents, "document"),
            counted(receipt.chunks_removed, "older chunk"),
        )
        return receipt


@dataclass(frozen=True, slots=True)
class _Batch:
    """What the index is given, by document.

    Attributes:
        chunks: The chunks of those that have some.
        vectors: Their vectors.
        documents: Those of which more is known.
        hashes: Of every document the hash of all that the index is given of it.
    """

    chunks: Mapping[str, DocumentPart]
    vectors: Mapping[str, DocumentPart]
    documents: Mapping[str, DocumentPart]
    hashes: Mapping[str, str]

    @classmethod
    def of(cls, chunks: DocumentValues, vectors: DocumentValues, documents: DocumentValues | None) -> _Batch:
        cut, embedded = chunks.by_id(), vectors.by_id()
        if lonely := sorted(cut.keys() ^ embedded.keys()):
            raise StoreError(
                f"chunks and vectors do not fit together: {lonely[0]} has only one of them; run the embed "
                "stage again"
            )
        known = {} if documents is None else documents.by_id()
        hashes = {
            name: input_hash(
                cut.get(name),
                embedded.get(name),
                rules=str(_described(known[name])) if name in known else "",
            )
            for name in cut.keys() | known.keys()
        }
        return cls(cut, embedded, known, hashes)

    def chunks_of(self, name: str) -> Sequence[Chunk]:
        """Return the chunks of a document, marked where it is invented."""
        if name not in self.chunks:
            return ()
        chunks: Sequence[Chunk] = self.chunks[name].load()
        mark = {"synthetic": True}
        invented = name in self.documents and self.documents[name].header.get("synthetic", False)
        return [chunk.model_copy(update=mark) for chunk in chunks] if invented else chunks

    @property
    def model(self) -> str:
        """What made the vectors."""
        return next((part.header["model"] for part in self.vectors.values()), "")


def _described(document: DocumentPart) -> IndexedDocument:
    """Return what the index is given of a document besides its chunks."""
    named = ("title", "source", "date", "url", "language", "phases", "synthetic")
    header = document.header
    known = {field: header[field] for field in named if field in header}
    return IndexedDocument(id=document.document_id, **known)


def _write_difference(ctx: StageContext, store: DocumentIndexStore, batch: _Batch) -> IndexReceipt:
    difference = compare_store(ctx, store.held(), batch.hashes)
    removed: Collection[str] = difference.removed
    receipts = []
    for some in portions(difference.changed):
        chunks = [chunk for name in some for chunk in batch.chunks_of(name)]
        vectors = [batch.vectors[name].load() for name in some if name in batch.vectors]
        known = [_described(batch.documents[name]) for name in some if name in batch.documents]
        receipts.append(store.apply(some, removed, chunks, EmbeddingBatch.joined(vectors), known))
        removed = ()
    gone = gone_meanwhile(ctx, difference.changed)
    current = difference.current - gone
    receipts.append(store.apply({}, {*removed, *gone}, (), EmbeddingBatch.joined(())))
    items = (part.header["items"] for name, part in batch.chunks.items() if name in current)
    return receipts[-1].model_copy(
        update={
            "documents": len(current),
            "chunks_indexed": sum(items),
            "chunks_removed": sum(receipt.chunks_removed for receipt in receipts),
            "embedding_model": batch.model,
        }
    )


def _by_document(embeddings: EmbeddingBatch, chunks: DocumentValues) -> DocumentValues:
    """Return the vectors of a whole batch by document."""
    wanted = {part.document_id: [chunk.id for chunk in part.load()] for part in chunks}
    embeddings.check({chunk for ids in wanted.values() for chunk in ids})
    rows = {chunk: row for row, chunk in enumerate(embeddings.chunk_ids)}
    parts = [
        MemoryPart(name, "embedding_batch", embeddings.of_rows([rows[one] for one in ids]), EmbeddingBatch)
        for name, ids in wanted.items()
    ]
    return DocumentValues(parts, EmbeddingBatch)


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
        streams_documents=True,
    )
