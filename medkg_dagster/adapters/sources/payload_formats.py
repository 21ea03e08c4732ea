"""Recognises what a fetched file is by its content, and splits it into one payload per document."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, NoReturn

from medkg_dagster.adapters.sources.citation_formats import CitationFormat, read_citations, recognise
from medkg_dagster.adapters.sources.other_formats import name_other_format
from medkg_dagster.domain.article_records import is_article_record, read_record, split_records
from medkg_dagster.domain.payloads import Payload, PayloadFormat
from medkg_dagster.errors import (
    DocumentError,
    RejectedDocumentError,
    UnreadableDocumentError,
    UnsafeDocumentError,
)

_NCT_ID = re.compile(r"NCT[0-9]{8}")
_PDF_HEADER = re.compile(rb"%PDF-\d\.\d")
_PDF_HEADER_WITHIN = 1024
_SPACE = b" \t\r\n"
_XML_START = re.compile(rb"<(\?xml|!DOCTYPE|!--|[A-Za-z_][\w.:-]*[\s/>])", re.IGNORECASE)
_HTML_START = re.compile(
    rb"(<\?xml[^>]*>\s*)?(<!--(?:(?!-->).)*+-->\s*+)*+(<!doctype\s+html|<html[\s>])",
    re.IGNORECASE | re.DOTALL,
)
_PROMISES_NO_HTML = re.compile(r"\.(?:pdf|n?xml|jsonl?|docx|epub)(?:\.gz)?$", re.IGNORECASE)
_ZIP = b"PK\x03\x04"
_OLD_OFFICE = b"\xd0\xcf\x11\xe0"
_ENCRYPTED_PACKAGE = "EncryptedPackage".encode("utf-16-le")
_JSON_START = re.compile(rb"\{\s*[\"}]|\[\s*[\[{\"\]]")
_OLD_STUDIES = frozenset(
    {"FullStudiesResponse", "StudyFieldsResponse", "FullStudy", "Study", "ProtocolSection"}
)
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_UNICODE_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_BINARY_MARKS = (
    (_ZIP, "a ZIP archive; unpack it and name the folder"),
    (b"PK\x05\x06", "an empty ZIP archive"),
    (b"\x1f\x8b", "a gzip file inside a gzip file; unpack it first"),
    (b"BZh", "a bzip2 file; unpack it first"),
    (b"\xfd7zXZ\x00", "an xz file; unpack it first"),
    (b"\x28\xb5\x2f\xfd", "a zstd file; unpack it first"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive; unpack it and name the folder"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (_OLD_OFFICE, "an old Office document; save it as .docx, PDF or text"),
    (b"SQLite format 3\x00", "an SQLite database"),
    (b"\x7fELF", "a program"),
)

_ZIPPED_DOCUMENTS = (
    (b"application/epub+zip", PayloadFormat.EPUB),
    (b"word/document", PayloadFormat.DOCX),
)
_ZIPPED_MARKS = (
    (b"xl/workbook.xml", "an Excel workbook; export its records as JSON, XML, RIS or BibTeX"),
    (b"ppt/presentation.xml", "a PowerPoint presentation; save it as PDF"),
    (b"application/vnd.oasis.opendocument", "an OpenDocument file; save it as .docx, PDF or text"),
)


@dataclass(frozen=True, slots=True)
class Refused:
    """A part of a file that is no document.

    Attributes:
        document_id: The id to quarantine it under.
        error: Why.
    """

    document_id: str
    error: DocumentError


def split_content(name: str, origin: str, content: bytes, source: str) -> Iterator[Payload | Refused]:
    """Recognise a file and yield one payload per document in it.

    Args:
        name: The file's name relative to what was asked for; the id of documents without a better one.
        origin: The path or URL, for the record.
        content: The file's bytes.
        source: The adapter's name.

    Yields:
        Payloads in file order, and the parts that are refused.

    Raises:
        DocumentError: The whole file is refused; the message begins with its name.
    """
    start = content[:4096].removeprefix(codecs.BOM_UTF8).lstrip(_SPACE)
    if not content.strip():
        raise RejectedDocumentError(f"{name}: the file is empty")
    whole = partial(Payload, id=name, content=content, source=source, origin=origin)
    if form := _whole_format(name, start, content):
        yield whole(format=form)
    elif _XML_START.match(start) or _is_utf16_xml(content):
        yield from _split_xml(name, origin, content, source)
    elif _JSON_START.match(start):
        if _is_json_lines(content):
            yield from _split_lines(name, origin, content, source)
        else:
            yield from _split_json(name, origin, load_json(name, content), source)
    elif (header := _PDF_HEADER.search(content, 0, _PDF_HEADER_WITHIN)) and b"obj" in content[header.end() :]:
        yield whole(format=PayloadFormat.PDF)
    else:
        text = _checked_text(name, content)
        if kind := recognise(text):
            yield from _split_citations(name, origin, kind, text, source)
        elif other := name_other_format(name, text):
            raise UnreadableDocumentError(f"{name}: {other}")
        else:
            yield whole(format=PayloadFormat.TEXT)


def _split_citations(
    name: str, origin: str, kind: CitationFormat, text: str, source: str
) -> Iterator[Payload | Refused]:
    """Yield one payload per citation; one without an identifier is named by its place in the file."""
    try:
        for number, record in enumerate(read_citations(kind, text), start=1):
            place = f"{name}#{number}"
            if not record.get("title") and not read_record(record).identifiers:
                reason = f"{place}: {kind} with neither title nor identifier"
                yield Refused(place, UnreadableDocumentError(reason))
                continue
            yield _article_payload(place, origin, record, source)
    except UnreadableDocumentError as error:
        yield Refused(name, UnreadableDocumentError(f"{name}: {error}"))


def _is_json_lines(content: bytes) -> bool:
    """Whether a file is JSON Lines: its first line is a whole object, and another one begins with one."""
    first, _, rest = content.removeprefix(codecs.BOM_UTF8).lstrip(_SPACE).partition(b"\n")
    if not rest.lstrip(_SPACE).startswith(b"{"):
        return False
    try:
        return isinstance(json.loads(first), dict)
    except (ValueError, RecursionError):
        return False


def _split_lines(name: str, origin: str, content: bytes, source: str) -> Iterator[Payload | Refused]:
    """Yield the documents of JSON Lines; a file that has none at all is refused once."""
    refused: list[Refused] = []
    found = False
    for number, line in enumerate(content.removeprefix(codecs.BOM_UTF8).splitlines(), start=1):
        place = f"{name}#{number}"
        try:
            if line.strip():
                yield from _split_json(place, origin, load_json(place, line), source)
                found = True
        except DocumentError as error:
            refused.append(Refused(place, error))
    if refused and not found:
        raise refused[0].error
    yield from refused


def _split_json(name: str, origin: str, value: Any, source: str) -> Iterator[Payload | Refused]:
    records = split_records(value)
    if records is None:
        yield from split_studies(name, origin, value, source)
        return
    for number, record in enumerate(records, start=1):
        place = name if len(records) == 1 else f"{name}#{number}"
        try:
            is_study = isinstance(record, dict) and "protocolSection" in record
            make = study_payload if is_study else _record_payload
            yield make(place, origin, record, source)
        except DocumentError as error:
            yield Refused(place, error)


def _record_payload(name: str, origin: str, record: Any, source: str) -> Payload:
    if not is_article_record(record):
        raise UnreadableDocumentError(f"{name}: no record of an article: it has neither identifier nor title")
    return _article_payload(name, origin, record, source)


def _article_payload(name: str, origin: str, record: Mapping[str, Any], source: str) -> Payload:
    return Payload(
        id=read_record(record).curie or name,
        format=PayloadFormat.ARTICLE_RECORD,
        content=_canonical_json(name, record),
        source=source,
        origin=origin,
    )


def _canonical_json(name: str, value: Any) -> bytes:
    """Return JSON with its keys sorted, so that equal values have equal bytes."""
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise UnreadableDocumentError(f"{name}: holds half a character (a lone surrogate)") from error


def load_json(name: str, content: bytes) -> Any:
    """Parse JSON with errors that say where.

    Args:
        name: What is parsed, for messages.
        content: UTF-8, or UTF-16/32 with a byte order mark.

    Raises:
        UnreadableDocumentError: Truncated, mis-encoded or not JSON.
        UnsafeDocumentError: Nested too deeply to be read.
    """
    try:
        return json.loads(content.removeprefix(codecs.BOM_UTF8), parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise UnreadableDocumentError(
            f"{name}: JSON that ends too early or is broken at line {error.lineno}, column {error.colno}: "
            f"{error.msg}; fetch it again"
        ) from error
    except RecursionError as error:
        raise UnsafeDocumentError(f"{name}: JSON that is nested too deeply to be read") from error
    except UnicodeDecodeError as error:
        raise UnreadableDocumentError(
            f"{name}: JSON that is not valid UTF-8 at byte {error.start}; convert it to UTF-8"
        ) from error
    except ValueError as error:
        raise UnreadableDocumentError(f"{name}: JSON with a value that cannot be used: {error}") from error


def split_studies(name: str, origin: str, value: Any, source: str) -> Iterator[Payload | Refused]:
    """Yield one payload per ClinicalTrials.gov v2 study: a study, an array of them, or an API page.

    Yields:
        Payloads in order, and the items that are no studies.

    Raises:
        UnreadableDocumentError: The value holds no study at all.
        RejectedDocumentError: The value is an empty list of studies.
    """
    page = isinstance(value, dict) and isinstance(value.get("studies"), list)
    if not page and not isinstance(value, list):
        yield study_payload(name, origin, value, source)
        return
    items = value["studies"] if page else value
    if not items:
        raise RejectedDocumentError(f"{name}: JSON with an empty list of studies")
    if not any(isinstance(item, dict) and "protocolSection" in item for item in items):
        _refuse_json(name, items)
    for number, item in enumerate(items, start=1):
        place = f"{name}#{number}"
        try:
            yield study_payload(place, origin, item, source)
        except DocumentError as error:
            yield Refused(place, error)


def study_payload(name: str, origin: str, study: Any, source: str) -> Payload:
    """Make the payload of one study: keys sorted, so that the same study always has the same bytes.

    Returns:
        The payload, its id `clinicaltrials:NCT...`.

    Raises:
        UnreadableDocumentError: It is no study, has no NCT id, or holds text that is no Unicode.
    """
    if not isinstance(study, dict) or not isinstance(study.get("protocolSection"), dict):
        _refuse_json(name, study)
    identification = study["protocolSection"].get("identificationModule")
    nct_id = identification.get("nctId") if isinstance(identification, dict) else None
    if not isinstance(nct_id, str) or not _NCT_ID.fullmatch(nct_id):
        raise UnreadableDocumentError(
            f"{name}: a study without a valid NCT id "
            f"(protocolSection.identificationModule.nctId is {nct_id!r})"
        )
    return Payload(
        id=f"clinicaltrials:{nct_id}",
        format=PayloadFormat.STUDY_JSON,
        content=_canonical_json(f"{name}: {nct_id}", study),
        source=source,
        origin=origin,
    )


def _split_xml(name: str, origin: str, content: bytes, source: str) -> Iterator[Payload]:
    from medkg_dagster.adapters.sources.xml_records import find_records

    records = find_records(name, content)
    for number, record in enumerate(records, start=1):
        place = name if len(records) == 1 else f"{name}#{number}"
        yield Payload(
            id=f"PMID:{record.pmid}" if record.pmid else place,
            format=record.format,
            content=record.content,
            source=source,
            origin=origin,
        )


def _whole_format(name: str, start: bytes, content: bytes) -> PayloadFormat | None:
    """Return the format of a file that is one document by its first bytes; None where it has to be looked at.

    Raises:
        UnreadableDocumentError: It is binary and no document, or HTML where its name promises something else.
    """
    if content.startswith(_ZIP):
        names = content[:8192] + content[-65_536:]
        if form := next((form for mark, form in _ZIPPED_DOCUMENTS if mark in names), None):
            return form
    _refuse_known_binary(name, content)
    if _PDF_HEADER.match(content):
        return PayloadFormat.PDF
    if not _HTML_START.match(start):
        return None
    if _PROMISES_NO_HTML.search(name):
        raise UnreadableDocumentError(
            f"{name}: an HTML page, not {_promise(name)}; it may be an error or login page saved in its place"
        )
    return PayloadFormat.HTML


def _refuse_known_binary(name: str, content: bytes) -> None:
    if content.startswith(_OLD_OFFICE) and _ENCRYPTED_PACKAGE in content:
        raise UnreadableDocumentError(f"{name}: an encrypted Office document; supply it decrypted")
    if content.startswith(_ZIP):
        for mark, what in _ZIPPED_MARKS:
            if mark in content[:8192] or mark in content[-65_536:]:
                raise UnreadableDocumentError(f"{name}: {what}, not {_promise(name)}")
    for mark, what in _BINARY_MARKS:
        if content.startswith(mark):
            raise UnreadableDocumentError(f"{name}: {what}, not {_promise(name)}")


def _checked_text(name: str, content: bytes) -> str:
    encoding = next((encoding for mark, encoding in _UNICODE_MARKS if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        if b"\x00" in content:
            raise UnreadableDocumentError(f"{name}: binary content of no known format") from error
        raise UnreadableDocumentError(
            f"{name}: text that is not valid {encoding.upper()} at byte {error.start}; convert it to UTF-8 "
            f"(for example iconv -f latin1 -t utf-8)"
        ) from error
    if control := _CONTROL.search(text):
        raise UnreadableDocumentError(
            f"{name}: binary content of no known format (control character U+{ord(control[0]):04X} "
            f"at position {control.start()})"
        )
    return text.removeprefix("\ufeff")


def _is_utf16_xml(content: bytes) -> bool:
    if not content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return False
    start = content[:256].decode("utf-16", errors="ignore").lstrip()
    return bool(_XML_START.match(start.encode()))


def _promise(name: str) -> str:
    return "a PDF" if name.lower().endswith(".pdf") else "a document of a known format"


def _refuse_json(name: str, value: Any = None) -> NoReturn:
    first = value[0] if isinstance(value, list) and value else value
    if isinstance(first, dict) and not _OLD_STUDIES.isdisjoint(first):
        raise UnreadableDocumentError(
            f"{name}: studies in the shape of ClinicalTrials.gov's first API, now closed; fetch them again "
            "by the source clinicaltrials or from https://clinicaltrials.gov/api/v2/studies"
        )
    raise UnreadableDocumentError(
        f"{name}: JSON, but no ClinicalTrials.gov v2 study (no protocolSection) and no record of an article "
        "(no DOI, PMID or PMCID); other JSON is not read"
    )


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")
