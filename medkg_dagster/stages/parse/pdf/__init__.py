"""PDF files: text in reading order, headings, title and DOI."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pypdfium2 as pdfium

from medkg_dagster.errors import UnreadableDocumentError, UnsafeDocumentError
from medkg_dagster.stage_api import BlockKind, Document, Payload
from medkg_dagster.stages.parse import ParseConfig
from medkg_dagster.stages.parse.document_text import DocumentText, Metadata, clean, make_document
from medkg_dagster.stages.parse.pdf.flow import CAPTION, Flow, body_size, flow_text, page_one_title
from medkg_dagster.stages.parse.pdf.layout import Page, PlacedLine, drop_furniture, reading_order
from medkg_dagster.stages.parse.pdf.lines import read_lines

_DOI = re.compile(r"\b10\.[0-9]{4,9}/[-._;()/:A-Za-z0-9]+[A-Za-z0-9)]")
_CITE = re.compile(r"cite this (?:article|paper)", re.IGNORECASE)
_NO_TITLE = re.compile(
    r"untitled|microsoft word|powerpoint|\.(?:docx?|pdf|indd|tex|dvi|qxd|rtf|xml)\b|\d+\.\.\d+"
    r"|^\W*10\.\d{4}|^\S*$",
    re.IGNORECASE,
)


def parse(payload: Payload, config: ParseConfig) -> Document:
    """Parse a PDF.

    Returns:
        The document, named by the DOI printed on its first page, else by the hash of its bytes.

    Raises:
        UnreadableDocumentError: Not a PDF, truncated, damaged, encrypted, or without a text layer.
        UnsafeDocumentError: Too many pages or too much text.
    """
    _refuse_other_formats(payload)
    pages, stated_title = _read(payload, config)
    placed = reading_order(drop_furniture(pages))
    if not placed:
        raise UnreadableDocumentError(
            f"{payload.origin}: the PDF's {len(pages)} pages hold no text, only images; run OCR on it first"
        )
    usual = body_size(placed)
    printed_title, title_lines = page_one_title(placed, usual)
    title = stated_title if _is_title(stated_title, placed) else printed_title
    builder = DocumentText(title, config.max_text_characters)
    _write(builder, flow_text(placed, usual, skip=title_lines))
    doi = find_doi([[line.text for line in page.lines] for page in pages])
    metadata = Metadata(
        id=f"DOI:{doi}" if doi else None,
        source="infores:user-supplied",
        identifiers={"DOI": doi} if doi else {},
        url=f"https://doi.org/{doi}" if doi else None,
    )
    return make_document(payload, builder, metadata)


def _refuse_other_formats(payload: Payload) -> None:
    head = payload.content[:1024]
    if not head.strip():
        raise UnreadableDocumentError(f"{payload.origin}: the file is empty, a PDF was expected")
    if b"%PDF-" not in head:
        start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
        html = start.startswith((b"<!doctype html", b"<html")) or b"<html" in start
        what = "this is HTML, perhaps a login or error page" if html else "it does not begin with %PDF"
        raise UnreadableDocumentError(f"{payload.origin}: not a PDF: {what}; fetch the file again")
    if b"%%EOF" not in payload.content[-65536:]:
        raise UnreadableDocumentError(
            f"{payload.origin}: the PDF is truncated: its end marker is missing after byte "
            f"{len(payload.content):,}; fetch the file again"
        )


def _read(payload: Payload, config: ParseConfig) -> tuple[list[Page], str]:
    try:
        pdf = pdfium.PdfDocument(payload.content)
    except pdfium.PdfiumError as error:
        reason = str(error).lower()
        if "password" in reason or "security" in reason:
            raise UnreadableDocumentError(
                f"{payload.origin}: the PDF is encrypted and needs a password; supply it decrypted"
            ) from error
        raise UnreadableDocumentError(
            f"{payload.origin}: the PDF is damaged and cannot be opened ({error}); fetch the file again"
        ) from error
    try:
        if len(pdf) > config.max_pages:
            raise UnsafeDocumentError(
                f"{payload.origin}: {len(pdf)} pages, the limit is {config.max_pages} (max_pages)"
            )
        title = clean(str(pdf.get_metadata_dict().get("Title") or ""))
        return _read_pages(pdf, payload.origin, config), title
    finally:
        pdf.close()


def _read_pages(pdf: Any, origin: str, config: ParseConfig) -> list[Page]:
    pages: list[Page] = []
    characters = 0
    for number in range(len(pdf)):
        try:
            page = pdf[number]
        except pdfium.PdfiumError as error:
            raise UnreadableDocumentError(
                f"{origin}: page {number + 1} of the PDF is damaged ({error}); fetch the file again"
            ) from error
        try:
            text_page = page.get_textpage()
            try:
                characters += text_page.count_chars()
                if characters > config.max_text_characters:
                    raise UnsafeDocumentError(
                        f"{origin}: more than {config.max_text_characters:,} characters by page {number + 1} "
                        "(max_text_characters)"
                    )
                width, height = page.get_size()
                pages.append(Page(tuple(read_lines(text_page)), width, height))
            finally:
                text_page.close()
        finally:
            page.close()
    return pages


def _is_title(stated: str, placed: Sequence[PlacedLine]) -> bool:
    """Return whether the metadata's title is one: not a file name, and printed on the first page."""
    if not stated or _NO_TITLE.search(stated):
        return False
    printed = _letters("".join(item.line.text for item in placed if item.page == 0))
    return _letters(stated) in printed


def _letters(text: str) -> str:
    return "".join(character for character in text.lower() if character.isalnum())


def find_doi(pages: Sequence[Sequence[str]]) -> str | None:
    """Return the article's own DOI, not one it cites.

    Returns:
        The DOI that page one prints, the one most pages repeat where there are several; else the one
        that stands beside "cite this article"; None where neither is there.
    """
    repeated = Counter(doi for lines in pages for doi in set(_dois(lines)))
    if pages and (own := _dois(pages[0])):
        return max(own, key=lambda doi: (repeated[doi], own.count(doi), doi))
    for lines in pages:
        for number, line in enumerate(lines):
            if _CITE.search(line) and (near := _dois(lines[max(0, number - 3) : number + 6])):
                return near[0]
    return None


def _dois(lines: Sequence[str]) -> list[str]:
    """Return the DOIs in lines; one that breaks after a dot, slash or hyphen goes on in the next line."""
    text = "\n".join(line.strip() for line in lines)
    text = re.sub(r"(10\.[0-9]{4,9}/\S*[./\-_])\n(?=[A-Za-z0-9])", r"\1", text)
    found = [match.group() for match in _DOI.finditer(text)]
    return [doi if doi.count("(") >= doi.count(")") else doi.rstrip(")") for doi in found]


def _write(builder: DocumentText, flow: Flow) -> None:
    for heading, text in flow:
        if heading:
            builder.section(text)
        else:
            builder.block(text, BlockKind.CAPTION if CAPTION.match(text) else BlockKind.PARAGRAPH)
