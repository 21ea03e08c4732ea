"""Metadata records of articles: title and abstract, and what they know of an article's file."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from medkg_dagster.domain.article_records import ArticleRecord, read_record
from medkg_dagster.errors import UnreadableDocumentError
from medkg_dagster.stage_api import Document, Payload
from medkg_dagster.stages.parse import ParseConfig
from medkg_dagster.stages.parse.document_text import DocumentText, Metadata, clean, make_document

_HEADINGS = frozenset({"title", "h1", "h2", "h3", "h4", "h5", "h6"})
_BLOCKS = _HEADINGS | {"p", "sec", "br", "break", "div", "ul", "ol", "li", "list", "list-item", "abstract"}
_INLINE = frozenset(
    {"a", "b", "bold", "em", "i", "italic", "sc", "small", "span", "strong", "sub", "sup", "u"}
)
# Only what surely is markup: `n <m, k> 3` and `p < 0.05` are text.
_TAG = re.compile(
    r"<(/?)(?:jats:([a-z][a-z0-9-]*)|mml:[a-z]+|("
    + "|".join(sorted(_BLOCKS | _INLINE, reverse=True))
    + r"))(?:\s+[\w:.-]+\s*=\s*[\"'][^<>]*|\s*/?)>",
    re.IGNORECASE,
)
_EXPONENT = re.compile(r"(?<=\d)<(?:jats:)?sup>\s*([-−–+]?\d+(?:\.\d+)?)\s*</(?:jats:)?sup>", re.IGNORECASE)
_OWN_HEADINGS = frozenset({"abstract", "summary"})


@dataclass(frozen=True, slots=True)
class _Piece:
    text: str
    is_heading: bool


def parse(payload: Payload, config: ParseConfig) -> Document:
    """Parse the record of an article into its title and abstract.

    Args:
        payload: One record as JSON.
        config: The stage's configuration.

    Returns:
        The document, named by the best identifier of the record.

    Raises:
        UnreadableDocumentError: The content is no record, or one with neither title nor abstract.
        UnsafeDocumentError: The text is too long.
    """
    record = describe_record(payload)
    title, pieces = plain(record.title), list(_pieces(record.abstract))
    if not title and all(piece.is_heading for piece in pieces):
        raise UnreadableDocumentError(
            f"{payload.origin}: the record {payload.id} has neither title nor abstract; fetch its full text"
        )
    builder = DocumentText(title, config.max_text_characters)
    _write_abstract(builder, pieces)
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

    Raises:
        UnreadableDocumentError: The content is no JSON object.
    """
    try:
        value = json.loads(payload.content)
    except (ValueError, RecursionError) as error:
        raise UnreadableDocumentError(
            f"{payload.origin}: the record {payload.id} is no JSON that can be read: {error}; fetch it again"
        ) from error
    if not isinstance(value, dict):
        raise UnreadableDocumentError(
            f"{payload.origin}: the record {payload.id} is no JSON object; the source must split its records"
        )
    return read_record(value)


def plain(text: str) -> str:
    """Return text without tags and character references, on one line."""
    return clean(" ".join(piece.text for piece in _pieces(text)))


def _write_abstract(builder: DocumentText, pieces: list[_Piece]) -> None:
    if not pieces:
        return
    builder.section("Abstract")
    for number, piece in enumerate(pieces):
        if not piece.is_heading:
            builder.block(piece.text)
        elif number or piece.text.rstrip(":.").lower() not in _OWN_HEADINGS:
            builder.section(piece.text, 2)


def _pieces(markup: str) -> Iterator[_Piece]:
    """Yield headings and paragraphs; inline markup is joined to its word, as in full texts."""
    if not _TAG.search(markup):
        markup = html.unescape(markup)
    tex_is_spare = "<mml:" in markup
    rest, position = _EXPONENT.sub(r"^\1", markup), 0
    parts: list[str] = []
    is_heading = in_tex = False
    for tag in _TAG.finditer(rest):
        closing, name = tag[1], (tag[2] or tag[3] or "").lower()
        parts.append("" if in_tex else rest[position : tag.start()])
        position = tag.end()
        if name == "tex-math":
            in_tex = tex_is_spare and not closing
        elif name in _BLOCKS:
            yield from _piece(parts, is_heading=is_heading)
            parts, is_heading = [], name in _HEADINGS and not closing
    parts.append(rest[position:])
    yield from _piece(parts, is_heading=is_heading)


def _piece(parts: list[str], *, is_heading: bool) -> Iterator[_Piece]:
    # Twice: services escape what publishers had escaped already.
    if text := clean(html.unescape(html.unescape("".join(parts)))):
        yield _Piece(text, is_heading)
