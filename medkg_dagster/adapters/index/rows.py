"""Documents and passages as rows of an index store's tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from medkg_dagster.domain.chunks import Chunk
from medkg_dagster.domain.search import IndexedDocument

COLUMNS = "id, document_id, document_hash, title, section, ordinal, start_offset, end_offset, text, synthetic"
"""In the order of the fields of `Chunk`."""

DOCUMENT_COLUMNS = "id, title, source, date, url, language, phases, synthetic"
"""In the order of the fields of `IndexedDocument`."""


def document_row(document: IndexedDocument) -> tuple[Any, ...]:
    """Return what is stored of a document."""
    values = document.model_dump()
    return tuple((values | {"phases": " ".join(document.phases)}).values())


def document_of(row: Sequence[Any]) -> IndexedDocument:
    """Return a document from what is stored of it."""
    values = dict(zip(IndexedDocument.model_fields, row, strict=True))
    return IndexedDocument.model_validate(values | {"phases": tuple(values["phases"].split())})


def searched_text(chunk: Chunk) -> str:
    """Return what of a chunk is searched: its text, behind the heading of its section."""
    return f"{chunk.section}\n{chunk.text}"


def chunk_of(row: Sequence[Any]) -> Chunk:
    """Return a chunk from its columns."""
    return Chunk.model_validate(dict(zip(Chunk.model_fields, row, strict=True)))


def chunk_row(chunk: Chunk) -> tuple[Any, ...]:
    """Return what is stored of a chunk."""
    return tuple(chunk.model_dump().values())
