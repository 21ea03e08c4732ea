"""What was fetched, before anyone has understood it: payloads, files, and the attempts at these."""

from __future__ import annotations

import hashlib
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Annotated, Any

from pydantic import AfterValidator

from medkg_dagster.domain import OwnValue

CONVERTED = ".ir.json"
"""The suffix of a PDF's sidecar file with the converted document, in place of the PDF's own."""

CONVERSION_FAILED = ".ir.failed.json"
"""The same for the reason why it could not be converted."""


class PayloadFormat(StrEnum):
    """The formats `parse` understands, recognised by content."""

    STUDY_JSON = "study_json"
    JATS_XML = "jats_xml"
    PUBMED_XML = "pubmed_xml"
    PDF = "pdf"
    TEXT = "text"
    HTML = "html"
    DOCX = "docx"
    EPUB = "epub"
    ARTICLE_RECORD = "article_record"


class Payload(OwnValue):
    """One raw document as fetched.

    Attributes:
        id: Unique in its batch and stable between fetches: a CURIE where the source gives one
            (`clinicaltrials:NCT02576665`), else the origin.
        format: The format, recognised by content.
        content: The bytes as fetched; one study, one article each (an API page is split by the source).
        source: The adapter that fetched it, for example `files` or `clinicaltrials`.
        origin: The file path or URL it came from.
        synthetic: Whether it is invented, for a demonstration or a test, and no evidence.
    """

    id: str
    format: PayloadFormat
    content: bytes
    source: str
    origin: str
    synthetic: bool = False

    @property
    def content_hash(self) -> str:
        """SHA-256 (hex) of the bytes."""
        return hashlib.sha256(self.content).hexdigest()

    def header(self) -> dict[str, Any]:
        """Return what is to be known of the payload without its bytes."""
        header = self.model_dump(mode="json", exclude={"content"})
        return {**header, "content_hash": self.content_hash, "size": len(self.content)}


class FileStatus(StrEnum):
    """What became of fetching a file."""

    STORED = "stored"
    """It lies under its hash."""
    DEFERRED = "deferred"
    """Not yet: a passing fault, or no time left; a later attempt goes on."""
    FAILED = "failed"
    """It cannot be had; trying again does not help."""


def _check_inside(path: str) -> str:
    parts = PurePosixPath(path)
    if parts.is_absolute() or ".." in parts.parts:
        raise ValueError("it must stay inside the folder for all data: a relative path without '..'")
    return path


PathInside = Annotated[str, AfterValidator(_check_inside)]


class DownloadedFile(OwnValue):
    """A file that was fetched for a document and lies under its hash.

    Attributes:
        document_id: The payload's id.
        url: The address as asked for, before redirects.
        path: Where the file is, relative to the folder for all data.
        sha256: SHA-256 (hex) of its bytes; also its name.
        size: Bytes.
        media_type: By content: `application/pdf` or `application/xml`.
    """

    document_id: str
    url: str
    path: PathInside
    sha256: str
    size: int
    media_type: str

    def header(self) -> dict[str, Any]:
        """Return all of it: it is small."""
        return self.model_dump(mode="json")


class FileRecord(OwnValue):
    """What the ledger remembers of fetching the file of one document of one job.

    Attributes:
        document_id: The payload's id.
        status: What became of it.
        url: The address tried last.
        path: Where the file is, relative to the folder for all data; None unless stored.
        sha256: SHA-256 (hex) of its bytes; None unless stored.
        size: Bytes; None unless stored.
        media_type: By content; None unless stored.
        etag: The server's validator, to ask again only for what changed.
        last_modified: The server's other validator.
        attempts: Requests made for it in all, over every attempt of the job.
        seconds: Wall time spent on it in all.
        error_class: The last error's class; None where it is stored.
        error: The last error.
    """

    document_id: str
    status: FileStatus
    url: str
    path: PathInside | None = None
    sha256: str | None = None
    size: int | None = None
    media_type: str | None = None
    etag: str | None = None
    last_modified: str | None = None
    attempts: int = 0
    seconds: float = 0.0
    error_class: str | None = None
    error: str | None = None
