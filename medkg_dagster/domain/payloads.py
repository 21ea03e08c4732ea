"""What a source fetched, before anyone has understood it."""

from __future__ import annotations

from enum import StrEnum

from medkg_dagster.domain.value import Value


class PayloadFormat(StrEnum):
    """The formats `parse` understands, recognised by content."""

    STUDY_JSON = "study_json"
    JATS_XML = "jats_xml"
    PUBMED_XML = "pubmed_xml"
    PDF = "pdf"
    TEXT = "text"
    ARTICLE_RECORD = "article_record"


class Payload(Value):
    """One raw document as fetched.

    Attributes:
        id: Unique in its batch and stable between fetches: a CURIE where the source gives one
            (`clinicaltrials:NCT02576665`), else the origin.
        format: The format, recognised by content.
        content: The bytes as fetched; one study, one article each (an API page is split by the source).
        source: The adapter that fetched it, for example `files` or `clinicaltrials`.
        origin: The file path or URL it came from.
    """

    id: str
    format: PayloadFormat
    content: bytes
    source: str
    origin: str
