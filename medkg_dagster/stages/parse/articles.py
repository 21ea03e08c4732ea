"""Articles: their metadata records, and documents from downloaded files, which records complete.

A record gives title and abstract. Of a downloaded file, what a converter wrote is read; else it is parsed.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from medkg_dagster.domain.article_records import ArticleRecord, read_record
from medkg_dagster.domain.payloads import CONVERSION_FAILED, CONVERTED
from medkg_dagster.errors import UnreadableDocumentError, UnsafeDocumentError
from medkg_dagster.io.regular_files import RefusedFileError, read_regular
from medkg_dagster.stage_api import Document, DownloadedFile, Payload, PayloadFormat, hash_content
from medkg_dagster.stages.parse import ParseConfig
from medkg_dagster.stages.parse.document_text import DocumentText, Metadata, clean, make_document
from medkg_dagster.stages.parse.study_record import leaves
from medkg_dagster.stages.parse.text_kept import with_text_kept

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
_MARKUP = re.compile(r"</?[A-Za-z][^<>]{0,300}>")
_TEXT_FIELDS = frozenset({"title", "display_name", "abstract", "abstractText"})
_OWN_HEADINGS = frozenset({"abstract", "summary"})
MAX_CONVERTED_BYTES = 512 * 1024 * 1024
_ANEW = "let the converter write it anew"
_FORMATS = {"application/pdf": PayloadFormat.PDF, "application/xml": PayloadFormat.JATS_XML}


@dataclass(frozen=True, slots=True)
class _Piece:
    text: str
    is_heading: bool


def parse(payload: Payload, config: ParseConfig) -> Document:
    """Parse the record of an article into its title and abstract.

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
        retracted=record.retracted,
        versions=record.versions,
        retracts=record.retracts,
    )
    texts = [_MARKUP.sub(" ", html.unescape(html.unescape(text))) for text in (record.title, record.abstract)]
    others = (str(leaf) for path, leaf in leaves(json.loads(payload.content)) if path not in _TEXT_FIELDS)
    return with_text_kept(
        make_document(payload, builder, metadata), {"": " ".join(texts), "metadata": " ".join(others)}
    )


def describe_record(payload: Payload) -> ArticleRecord:
    """Return what the record of an article says.

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


def read_converted(file: Path) -> Document | None:
    """Read the sidecar file that a converter left; None where it left none.

    Raises:
        UnreadableDocumentError: The converter could not convert it, or left what is no valid document.
    """
    converted = file.with_suffix(CONVERTED)
    content = _read_sidecar(converted)
    if content is None:
        _refuse_failed(file)
        return None
    try:
        document = Document.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise UnreadableDocumentError(f"{converted.name}: {place}: {first['msg']}; {_ANEW}") from error
    if problem := _broken(document):
        raise UnreadableDocumentError(f"{converted.name}: {problem}; {_ANEW}")
    return document


def _read_sidecar(path: Path) -> bytes | None:
    """Read what a converter wrote; None where it wrote nothing."""
    try:
        return read_regular(path, MAX_CONVERTED_BYTES, within=path.parent)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UnreadableDocumentError(f"{path.name}: cannot be read: {error.strerror}; {_ANEW}") from error


def as_payload(payload: Payload, file: DownloadedFile, path: Path, limit: int) -> Payload:
    """Return a downloaded file as a payload of its own.

    Args:
        payload: The payload the file was downloaded for.
        file: The file.
        path: Where it lies.
        limit: The most bytes the file may have, `max_content_bytes`.

    Raises:
        UnreadableDocumentError: The file is gone.
        UnsafeDocumentError: It is too large, or something else has come in its place.
    """
    try:
        content = read_regular(path, limit, within=path.parent, option="max_content_bytes")
    except RefusedFileError as error:
        raise UnsafeDocumentError(f"{file.path}: is not read: {error.strerror}") from error
    except OSError as error:
        raise UnreadableDocumentError(
            f"{file.path}: {error.strerror or error}; run the download again"
        ) from error
    return Payload(
        id=payload.id,
        format=_FORMATS[file.media_type],
        content=content,
        source=payload.source,
        origin=file.url,
        synthetic=payload.synthetic,
    )


def complete(document: Document, record: ArticleRecord) -> Document:
    """Return a document with what its record knows better than its file.

    Args:
        document: The document as parsed; its text and every offset stay.
        record: What the record says.
    """
    title = plain(record.title) or document.title
    return document.model_copy(
        update={
            "id": record.curie or document.id,
            "source": record.source,
            "identifiers": {**document.identifiers, **record.identifiers},
            "title": title,
            "authors": record.authors or document.authors,
            "date": record.date or document.date,
            "licence": record.licence or document.licence,
            "url": record.url or document.url,
            "retracted": record.retracted or document.retracted,
            "versions": tuple(dict.fromkeys((*document.versions, *record.versions))),
            "retracts": tuple(dict.fromkeys((*document.retracts, *record.retracts))),
            "content_hash": hash_content(title, document.text),
        }
    )


def _refuse_failed(file: Path) -> None:
    failed = file.with_suffix(CONVERSION_FAILED)
    content = _read_sidecar(failed)
    if content is None:
        return
    try:
        said = json.loads(content)
    except ValueError as error:
        raise UnreadableDocumentError(
            f"{failed.name} is no JSON: {error}; remove it to convert again"
        ) from error
    message = said.get("message") if isinstance(said, dict) else None
    raise UnreadableDocumentError(f"{file.name} could not be converted: {message or 'no reason given'}")


def _broken(document: Document) -> str | None:
    """Say what of the contract a converted document breaks."""
    if not document.text.strip():
        return "text is empty"
    position = 0
    for number, section in enumerate(document.sections):
        if not 0 <= section.start <= section.end <= len(document.text):
            return f"sections.{number} reaches from {section.start} to {section.end}, outside the text"
        if section.start < position:
            return f"sections.{number} begins before the one before it ends"
        position = section.start
        for index, block in enumerate(section.blocks):
            if not position <= block.start <= block.end <= section.end:
                return (
                    f"sections.{number}.blocks.{index} does not follow the one before it inside its section"
                )
            position = block.end
    if document.content_hash != hash_content(document.title, document.text):
        return "content_hash is not the hash of title and text (see hash_content)"
    return None
