"""Plain text: encoding by BOM or strict UTF-8, first line as title, blank lines between paragraphs."""

from __future__ import annotations

import codecs
import re

from medkg_dagster.errors import UnreadableDocumentError
from medkg_dagster.stage_api import Document, Payload
from medkg_dagster.stages.parse import ParseConfig
from medkg_dagster.stages.parse.document_text import DocumentText, Metadata, list_items, make_document
from medkg_dagster.stages.parse.text_kept import with_text_kept

_MARKDOWN_HEADING = re.compile(r"(#{1,6})\s+(\S.*)$")
_LIST_ITEM = re.compile(r"(?:[-*•‣–]|\d{1,2}[.)])\s+(?=\S)")
_UNDERLINE = re.compile(r"(?:={3,}|-{3,})$")
MAX_TITLE_CHARACTERS = 300
MAX_HEADING_CHARACTERS = 80


def parse(payload: Payload, config: ParseConfig) -> Document:
    """Parse a text file.

    Raises:
        UnreadableDocumentError: The bytes are not UTF-8, nor UTF-16 with a byte order mark, or empty.
        UnsafeDocumentError: The text is too long.
    """
    text = decode(payload.content, payload.origin)
    lines = text.splitlines()
    title, rest = _title(lines)
    builder = DocumentText(title, config.max_text_characters)
    paragraph: list[str] = []
    for number, line in enumerate([*rest, ""]):
        stripped = line.strip()
        following = rest[number + 1].strip() if number + 1 < len(rest) else ""
        alone = not paragraph and not following
        level = _heading_level(stripped, alone=alone)
        if level or not stripped:
            _flush(builder, paragraph)
            paragraph = []
        if level:
            match = _MARKDOWN_HEADING.match(stripped)
            builder.section(_heading(match) if match else stripped, level)
        elif stripped:
            paragraph.append(stripped)
    document = make_document(payload, builder, Metadata(id=None, source="infores:user-supplied"))
    return with_text_kept(document, {"": text})


def decode(content: bytes, origin: str) -> str:
    """Decode text strictly.

    Raises:
        UnreadableDocumentError: The message names the offset of the first byte that does not fit.
    """
    if content.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        encoding = "utf-32"
    elif content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    else:
        encoding = "utf-8-sig"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        label = "UTF-8" if encoding == "utf-8-sig" else encoding.upper()
        line = content.count(b"\n", 0, error.start) + 1
        raise UnreadableDocumentError(
            f"{origin}:{line}: not {label} text at byte offset {error.start} ({error.reason}); "
            "convert the file to UTF-8"
        ) from error
    if (offset := text.find("\x00")) >= 0:
        raise UnreadableDocumentError(
            f"{origin}: a NUL character at offset {offset}: this is binary, or UTF-16 without a byte order "
            "mark; convert the file to UTF-8"
        )
    return text


def _title(lines: list[str]) -> tuple[str, list[str]]:
    for number, line in enumerate(lines):
        if stripped := line.strip():
            match = _MARKDOWN_HEADING.match(stripped)
            title = _heading(match) if match else stripped
            if len(title) > MAX_TITLE_CHARACTERS:
                return "", lines[number:]
            rest = lines[number + 1 :]
            if rest and _UNDERLINE.match(rest[0].strip()):
                rest = rest[1:]
            return title, rest
    return "", []


def _heading(match: re.Match[str]) -> str:
    """Return a heading's text without the marks that may close it."""
    text = match.group(2)
    return text.rstrip("#").rstrip() or text[0]


def _heading_level(line: str, *, alone: bool) -> int:
    if match := _MARKDOWN_HEADING.match(line):
        return max(1, len(match.group(1)) - 1)
    letters = [character for character in line if character.isalpha()]
    capitals = (
        len(letters) >= 4
        and all(not character.islower() for character in letters)
        and len(line) <= MAX_HEADING_CHARACTERS
        and not line.endswith((".", ";", ","))
        and not _LIST_ITEM.match(line)
    )
    return 1 if capitals and (alone or line.isascii()) else 0


def _flush(builder: DocumentText, lines: list[str]) -> None:
    """Add a paragraph; its list items are blocks of their own."""
    for kind, parts in list_items(lines):
        builder.block(" ".join(parts), kind)
