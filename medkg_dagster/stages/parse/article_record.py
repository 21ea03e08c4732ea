"""Metadata records of articles: title and abstract, and what they know of an article's file."""

from __future__ import annotations

import html
import json
import re

from medkg_dagster.domain.article_records import ArticleRecord, read_record
from medkg_dagster.errors import UnreadableDocumentError
from medkg_dagster.stage_api import Document, Payload
from medkg_dagster.stages.parse import ParseConfig
from medkg_dagster.stages.parse.document_text import DocumentText, Metadata, clean, make_document

_BLOCK_END = re.compile(r"</(?:jats:)?(?:p|title|sec|h\d|li)\s*>|<br\s*/?>", re.IGNORECASE)
_TAG = re.compile(r"</?[A-Za-z][^<>]*>")


def parse(payload: Payload, config: ParseConfig) -> Document:
    """Parse the record of an article into its title and abstract.

    Args:
        payload: One record as JSON.
        config: The stage's configuration.

    Returns:
        The document, named by the best identifier of the record.

    Raises:
        UnreadableDocumentError: The record has neither title nor abstract.
        UnsafeDocumentError: The text is too long.
    """
    record = describe_record(payload)
    title = plain(record.title)
    paragraphs = [text for text in map(plain, _BLOCK_END.split(record.abstract)) if text]
    if not title and not paragraphs:
        raise UnreadableDocumentError(
            f"{payload.origin}: the record {payload.id} has neither title nor abstract; fetch its full text"
        )
    builder = DocumentText(title, config.max_text_characters)
    if paragraphs:
        builder.section("Abstract")
        for paragraph in paragraphs:
            builder.block(paragraph)
    metadata = Metadata(
        id=record.curie or payload.id,
        source=record.source,
        identifiers=record.identifiers,
        authors=record.authors,
        date=record.date,
        licence=record.licence,
        url=record.url,
        retracted="retracted article" if record.is_retracted else None,
    )
    return make_document(payload, builder, metadata)


def describe_record(payload: Payload) -> ArticleRecord:
    """Return what the record of an article says.

    Args:
        payload: One record as JSON.
    """
    return read_record(json.loads(payload.content))


def plain(text: str) -> str:
    """Return text without tags and character references, on one line."""
    return clean(html.unescape(_TAG.sub(" ", text)))
