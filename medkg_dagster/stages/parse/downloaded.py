"""Documents from downloaded files: converted ones are read, others parsed, and records complete them."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import ValidationError

from medkg_dagster.domain.article_records import ArticleRecord
from medkg_dagster.domain.payloads import CONVERSION_FAILED, CONVERTED
from medkg_dagster.errors import UnreadableDocumentError, UnsafeDocumentError
from medkg_dagster.io.regular_files import RefusedFileError, read_regular
from medkg_dagster.stage_api import Document, DownloadedFile, Payload, PayloadFormat, hash_content
from medkg_dagster.stages.parse.article_record import plain

MAX_CONVERTED_BYTES = 512 * 1024 * 1024
_ANEW = "let the converter write it anew"
_FORMATS = {"application/pdf": PayloadFormat.PDF, "application/xml": PayloadFormat.JATS_XML}


def read_converted(file: Path) -> Document | None:
    """Read the sidecar file that a converter left; None where it left none.

    Args:
        file: The downloaded file.

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


def as_payload(payload: Payload, file: DownloadedFile, home: Path, limit: int) -> Payload:
    """Return a downloaded file as a payload of its own.

    Args:
        payload: The payload the file was downloaded for.
        file: The file.
        home: The folder for all data.
        limit: The most bytes the file may have, `max_content_bytes`.

    Raises:
        UnreadableDocumentError: The file is gone.
        UnsafeDocumentError: It is too large, or something else has come in its place.
    """
    path = home / file.path
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
            "retracted": "retracted article" if record.is_retracted else document.retracted,
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
