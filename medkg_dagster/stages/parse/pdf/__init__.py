"""PDF files: text in reading order, tables, headings, references, and what page one says of the document."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from ctypes import byref, c_float
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np
import pypdfium2 as pdfium

from medkg_dagster.domain.documents import UNEXPLAINED
from medkg_dagster.errors import UnreadableDocumentError, UnsafeDocumentError, counted
from medkg_dagster.stage_api import BlockKind, Document, Payload, Reference, TextKept
from medkg_dagster.stages.parse import ParseConfig
from medkg_dagster.stages.parse.document_text import DocumentText, Metadata, clean, make_document
from medkg_dagster.stages.parse.pdf.characters import Characters, Integers, Room
from medkg_dagster.stages.parse.pdf.flow import Kind, Passage, join_lines, passages_of, vocabulary_of
from medkg_dagster.stages.parse.pdf.front import (
    find_authors,
    find_date,
    find_doi,
    find_licence,
    find_title,
    front_matter,
)
from medkg_dagster.stages.parse.pdf.furniture import Page, drop_furniture, drop_line_numbers
from medkg_dagster.stages.parse.pdf.glyphs import compose_accents, read_glyphs, without_repeats
from medkg_dagster.stages.parse.pdf.headings import REFERENCES, type_of
from medkg_dagster.stages.parse.pdf.layout import reading_order
from medkg_dagster.stages.parse.pdf.lines import (
    CLOSE,
    OPEN,
    count_glyphs,
    from_top,
    glyphs_of,
    make_lines,
    without_repeated_lines,
)
from medkg_dagster.stages.parse.pdf.reference_list import parse_references
from medkg_dagster.stages.parse.pdf.tables import WRAPPED
from medkg_dagster.stages.parse.text_kept import count_tables

LITTLE_TEXT = 500
STAMP = 60
SCANNED_SHARE = 0.7
MAX_IMAGES = 1000
_DATED = re.compile(r".*?\bAccepted\b|(?:First )?[Pp]ublished(?: online)?:")


def parse(payload: Payload, config: ParseConfig) -> Document:
    """Parse a PDF.

    Returns:
        The document, named by the DOI printed on its first page, else by the hash of its bytes.

    Raises:
        UnreadableDocumentError: Not a PDF, truncated, damaged, encrypted, or most of it without a text layer
            or in fonts that do not say what their glyphs mean.
        UnsafeDocumentError: Too many pages or too much text.
    """
    _refuse_other_formats(payload)
    source = _read(payload, config)
    left_out = source.left_out
    numbered, numbers = drop_line_numbers(source.pages)
    left_out["numbers of lines"] += numbers
    pages, furniture = drop_furniture(numbered)
    left_out["running headers, footers and page numbers"] += furniture
    read = {page.number for page in pages if page.lines}
    if not read:
        raise UnreadableDocumentError(f"{payload.origin}: {_why_empty(source)}")
    placed, marks = reading_order(pages)
    left_out["marks of citations and notes"] += marks
    kind = type_of(placed)
    title, title_lines = find_title(placed, kind, source.stated.get("Title", ""))
    builder = DocumentText(title, config.max_text_characters)
    front = front_matter(placed, kind, title_lines)
    passages = passages_of(placed, kind, front, skip=title_lines)
    printed = [[_plain(line.text) for line in page.lines] for page in source.pages if not page.aside]
    references = _write(builder, passages, vocabulary_of(placed), left_out)
    doi = find_doi(printed, " ".join(source.stated.values()))
    metadata = Metadata(
        id=f"DOI:{doi}" if doi else None,
        source="infores:user-supplied",
        identifiers={"DOI": doi} if doi else {},
        authors=find_authors(placed, title_lines, source.stated.get("Author", "")),
        date=find_date(
            [*printed[0], *(line for lines in printed[1:] for line in lines if _DATED.match(line))]
        ),
        licence=find_licence(line for lines in (printed[0], printed[-1]) for line in lines),
        url=f"https://doi.org/{doi}" if doi else None,
    )
    document = make_document(payload, builder, metadata, references=references)
    return document.model_copy(
        update={"text_kept": _kept(document, source, len(source.wordless - (read - source.scanned)))}
    )


def _plain(text: str) -> str:
    return text.replace(OPEN, "").replace(CLOSE, "") if OPEN in text else text


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


@dataclass(slots=True)
class _Source:
    """What was read of a PDF.

    Attributes:
        count: How many pages it has.
        stated: Its own metadata.
        pages: The lines of its pages, those of each direction for themselves.
        found: How many glyphs it has.
        codes: Their codes, as they are before anything is done with them.
        garbled: How many of them have no meaning.
        images: How many pages have an image.
        wordless: The numbers of the pages that show something, and have no or little text.
        scanned: Those of them that images fill, with no more text than a stamp.
        left_out: Glyphs that are in none of the lines, by reason.
        room: Where PDFium writes what it is asked.
    """

    count: int
    stated: Mapping[str, str]
    room: Room = field(default_factory=Room)
    pages: list[Page] = field(default_factory=list)
    found: int = 0
    codes: list[Integers] = field(default_factory=list)
    garbled: int = 0
    images: int = 0
    wordless: set[int] = field(default_factory=set)
    scanned: set[int] = field(default_factory=set)
    left_out: Counter[str] = field(default_factory=Counter)


def _read(payload: Payload, config: ParseConfig) -> _Source:
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
                f"{payload.origin}: {counted(len(pdf), 'page')}, the limit is {config.max_pages} (max_pages)"
            )
        stated = {name: clean(str(value or "")) for name, value in pdf.get_metadata_dict().items()}
        source = _Source(len(pdf), stated)
        for number in range(len(pdf)):
            _read_page(pdf, number, payload.origin, config, source)
        return source
    finally:
        pdf.close()


def _read_page(pdf: Any, number: int, origin: str, config: ParseConfig, source: _Source) -> None:
    try:
        page = pdf[number]
    except pdfium.PdfiumError as error:
        raise UnreadableDocumentError(
            f"{origin}: page {number + 1} of the PDF is damaged ({error}); fetch the file again"
        ) from error
    try:
        text_page = page.get_textpage()
        try:
            characters = Characters(text_page, source.room)
            if source.found + characters.count > config.max_text_characters:
                raise UnsafeDocumentError(
                    f"{origin}: more than {config.max_text_characters:,} characters by page {number + 1} "
                    "(max_text_characters)"
                )
            directions = read_glyphs(characters, page.get_bbox(), exactly=number == 0)
            found = sum(map(len, directions))
            source.found += found
            if found < LITTLE_TEXT:
                _note_pictures(page, number, found, source)
            for rank, there in enumerate(directions):
                source.codes.append(there.codes)
                source.garbled += there.count_meaningless()
                glyphs = without_repeats(there)
                source.left_out["printed twice"] += len(there) - len(glyphs)
                mended = compose_accents(glyphs)
                lines, repeated = without_repeated_lines(make_lines(mended, characters))
                source.left_out["printed twice"] += repeated
                source.pages.append(
                    Page(tuple(from_top(lines)), mended.width, mended.height, number, rank > 0)
                )
        finally:
            text_page.close()
    finally:
        page.close()


def _note_pictures(page: Any, number: int, found: int, source: _Source) -> None:
    """Note whether a page with little text shows something else, and whether it is a scan with a stamp."""
    images = list(islice(page.get_objects([pdfium.raw.FPDF_PAGEOBJ_IMAGE]), MAX_IMAGES))
    source.images += bool(images)
    if images or (not found and any(page.get_objects())):
        source.wordless.add(number)
    if found < STAMP and sum(map(_area, images)) > SCANNED_SHARE * page.get_width() * page.get_height():
        source.scanned.add(number)


def _area(image: Any) -> float:
    """Return how much of its page an image takes, in square points."""
    left, bottom, right, top = sides = [c_float() for _ in range(4)]
    pdfium.raw.FPDFPageObj_GetBounds(image.raw, *map(byref, sides))
    return float((right.value - left.value) * (top.value - bottom.value))


def _why_empty(source: _Source) -> str:
    """Return why nothing can be read of a PDF, and what to do."""
    pages = f"no text in {counted(source.count, 'page')} of the PDF"
    if source.images:
        return f"{pages}, only images; run OCR on it first"
    if source.wordless:
        return f"{pages}, only drawings, as letters turned to outlines are; run OCR on it first"
    return f"{pages}, or anything at all; fetch it again or in another form"


def _write(
    builder: DocumentText, passages: Sequence[Passage], vocabulary: frozenset[str], left_out: Counter[str]
) -> tuple[Reference, ...]:
    """Write the passages; return the references, which are no part of the text."""
    references: tuple[Reference, ...] = ()
    position = 0
    while position < len(passages):
        passage = passages[position]
        position += 1
        if passage.kind is Kind.TABLE:
            rows = [[join_lines(c.split(WRAPPED), vocabulary) for c in item.cells] for item in passage.items]
            builder.table([text for text, _ in cells] for cells in rows)
            left_out["hyphens at line ends"] += sum(hyphens for cells in rows for _, hyphens in cells)
            continue
        text, hyphens = join_lines([item.line.text for item in passage.items], vocabulary)
        left_out["hyphens at line ends"] += hyphens
        if passage.kind is not Kind.HEADING:
            builder.block(text, BlockKind.CAPTION if passage.kind is Kind.CAPTION else BlockKind.PARAGRAPH)
            continue
        builder.section(text, passage.level)
        if REFERENCES.match(text) and not references:
            references, passages = _listed(passages, position, vocabulary, left_out)
    return references


def _listed(
    passages: Sequence[Passage], start: int, vocabulary: frozenset[str], left_out: Counter[str]
) -> tuple[tuple[Reference, ...], Sequence[Passage]]:
    """Return the references that begin at a passage, and the passages without them.

    The list goes on to the next heading; tables and captions in it are none of it.
    """
    end = next((at for at in range(start, len(passages)) if passages[at].kind is Kind.HEADING), len(passages))
    listed = [passage for passage in passages[start:end] if passage.kind is Kind.PARAGRAPH]
    items = [item for passage in listed for item in passage.items]
    references, used, reasons = parse_references(items, vocabulary)
    if not references:
        return (), passages
    left_out.update(reasons)
    others = [passage for passage in passages[start:end] if passage.kind is not Kind.PARAGRAPH]
    rest = [Passage(Kind.PARAGRAPH, items[used:])] if used < len(items) else []
    return references, [*passages[:start], *others, *rest, *passages[end:]]


def _kept(document: Document, source: _Source, wordless: int) -> TextKept:
    """Compare the glyphs of the pages, as they were before anything was done with them, with the text.

    Args:
        document: The document.
        source: What was read.
        wordless: How many pages have nothing but furniture to be read, and show something.
    """
    texts = (document.title, document.text, *(reference.text for reference in document.references))
    there = count_glyphs(np.concatenate(source.codes))
    lost = (there - glyphs_of("\n".join(texts))).total()
    left_out = {reason: count for reason, count in sorted(source.left_out.items()) if count > 0}
    if lost > sum(left_out.values()):
        left_out[UNEXPLAINED] = lost - sum(left_out.values())
    found = there.total()
    return TextKept(
        found=found,
        kept=found - sum(left_out.values()),
        left_out=left_out,
        tables=count_tables(document),
        pages=source.count,
        pages_without_text=wordless,
        glyphs_without_meaning=min(source.garbled, found),
    )
