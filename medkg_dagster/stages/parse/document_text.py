"""Builds a document's text, sections and blocks together, so that every offset is exact.

The convention of `Document.text`, the same for every format:

* The text begins with the title as the only block of a first section called `Title`, so that a mention
  in the title has offsets like any other. That section prints no heading; its name is a label.
* Every other section with a title prints it as a line of its own, then its blocks.
* Headings, paragraphs, captions and tables are separated by a blank line, neighbouring list items by a
  line break. A table's rows stand on lines, its cells are separated by tabs.
* Nothing else is in the text: it is in Unicode NFC, has no control characters but line breaks and tabs, and
  outside tables every run of white space is one space.
* A heading with nothing behind it, not even a deeper section, is text too: the only block of its section. One
  that the parser adds by itself is left out then.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from medkg_dagster.errors import UnreadableDocumentError, UnsafeDocumentError
from medkg_dagster.stage_api import (
    Annotation,
    Block,
    BlockKind,
    Document,
    Payload,
    Reference,
    Section,
    hash_content,
)
from medkg_dagster.stages.parse.languages import language_of

TITLE_SECTION = "Title"

# C0 and C1 controls, soft hyphen, zero-width and bidirectional marks, BOM, noncharacters: never content.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff"
    "\ufdd0-\ufdef\ufff9-\ufffb\ufffe\uffff]"
)
_SURROGATE = re.compile("[\ud800-\udfff]")


def clean(text: str) -> str:
    """Return text as one line in NFC, without control characters, white space runs as one space.

    Args:
        text: Any text; a lone surrogate becomes U+FFFD.

    Returns:
        The cleaned text; cleaning it again changes nothing.
    """
    line = " ".join(text.split())
    # nothing that is to go can be printed, and most text is searched for it far quicker by this question
    if not line.isprintable():
        visible = _SURROGATE.sub("\ufffd", _INVISIBLE.sub("", text))
        line = " ".join(visible.split())
    return unicodedata.normalize("NFC", line)


@dataclass(slots=True)
class _OpenSection:
    title: str
    level: int
    in_source: bool = False
    is_heading_alone: bool = False
    blocks: list[tuple[BlockKind, str]] = field(default_factory=list)


@dataclass(slots=True)
class DocumentText:
    """Collects sections and blocks in reading order and lays them out.

    Attributes:
        title: The document's title.
        max_characters: The most characters the text may have.
    """

    title: str
    max_characters: int
    _sections: list[_OpenSection] = field(default_factory=list)
    _characters: int = 0

    def __post_init__(self) -> None:
        self.title = clean(self.title)
        if self.title:
            self._sections.append(_OpenSection(TITLE_SECTION, 1))
            self.block(self.title)

    def section(self, title: str, level: int = 1, *, in_source: bool = True) -> None:
        """Begin a section; the blocks that follow belong to it.

        Args:
            title: The heading; empty where the source has none.
            level: Depth, 1 at the top.
            in_source: Whether the heading is the source's own.
        """
        heading = clean(title)
        self._count(heading)
        self._sections.append(_OpenSection(heading, level, in_source))

    def block(self, text: str, kind: BlockKind = BlockKind.PARAGRAPH) -> None:
        """Add a block; empty text adds nothing.

        Args:
            text: The text; white space is normalised.
            kind: What it is.
        """
        self._append(clean(text), kind)

    def table(self, rows: Iterable[Iterable[str]]) -> None:
        """Add a table, its rows on lines and its cells separated by tabs; an empty one adds nothing."""
        lines = []
        for row in rows:
            line = "\t".join(map(clean, row)).rstrip("\t")
            if line.strip():
                lines.append(line)
                self._count(line)
        self._append("\n".join(lines), BlockKind.TABLE)

    def _append(self, text: str, kind: BlockKind) -> None:
        if not text:
            return
        if kind is not BlockKind.TABLE:
            self._count(text)
        if not self._sections or (self.title and len(self._sections) == 1 and self._sections[0].blocks):
            self._sections.append(_OpenSection("", 1))
        self._sections[-1].blocks.append((kind, text))

    def _count(self, text: str) -> None:
        self._characters += len(text) + 2
        if self._characters > self.max_characters + 2:
            raise UnsafeDocumentError(
                f"the text has more than {self.max_characters:,} characters; raise max_text_characters"
            )

    def layout(self) -> tuple[str, tuple[Section, ...]]:
        """Return the text and its sections; every offset points into the text."""
        parts: list[str] = []
        position = 0
        previous: BlockKind | None = None

        def put(text: str, kind: BlockKind | None) -> tuple[int, int]:
            nonlocal position, previous
            if parts:
                items = kind is BlockKind.LIST_ITEM and previous is BlockKind.LIST_ITEM
                separator = "\n" if items else "\n\n"
                parts.append(separator)
                position += len(separator)
            parts.append(text)
            start, position, previous = position, position + len(text), kind
            return start, position

        sections = []
        for number, section in enumerate(self._kept()):
            spans = []
            if section.title and not (number == 0 and self.title):
                spans.append(put(section.title, None))
            blocks = []
            for kind, text in section.blocks:
                start, end = put(text, kind)
                spans.append((start, end))
                blocks.append(Block(kind=kind, start=start, end=end))
            if section.is_heading_alone:
                blocks.append(Block(kind=BlockKind.PARAGRAPH, start=spans[0][0], end=spans[0][1]))
            sections.append(
                Section(
                    title=section.title,
                    level=section.level,
                    start=spans[0][0],
                    end=spans[-1][1],
                    blocks=tuple(blocks),
                )
            )
        return "".join(parts), tuple(sections)

    def _kept(self) -> list[_OpenSection]:
        kept: list[_OpenSection] = []
        level_below = 0
        for section in reversed(self._sections):
            section.is_heading_alone = not section.blocks and level_below <= section.level
            if section.blocks or (section.title and (section.in_source or not section.is_heading_alone)):
                kept.append(section)
                level_below = section.level
        return kept[::-1]


@dataclass(frozen=True, slots=True)
class Metadata:
    """What a parser knows about a document besides its text.

    Attributes:
        id: The document's CURIE; None gives `sha256:` of the payload's content.
        source: infores CURIE.
        identifiers: Identifiers by prefix.
        authors: Names in source order; empty and repeated names are left out.
        date: ISO 8601, as precise as the source.
        licence: Licence URL or text.
        url: Landing page.
        annotations: Concepts the source assigned; repeated ones are left out.
        retracted: Why it must not be used as evidence.
        versions: CURIEs of what it states to be versions of itself.
        retracts: CURIEs of the articles whose retraction it is the notice of.
        study_type: What its registry says a study is.
        phases: The phases of a study, as its registry codes them.
        language: Its language, as the source writes it.
    """

    id: str | None
    source: str
    identifiers: Mapping[str, str] = field(default_factory=dict)
    authors: Iterable[str] = ()
    date: str | None = None
    licence: str | None = None
    url: str | None = None
    annotations: Iterable[Annotation] = ()
    retracted: str | None = None
    versions: Iterable[str] = ()
    retracts: Iterable[str] = ()
    study_type: str | None = None
    phases: Iterable[str] = ()
    language: str | None = None


_BULLET = re.compile(r"[*•‣▪▫●○■□◦➢✓·]\s+(?=\S)")
_DASH = re.compile(r"[-–—]\s+(?=\S)")
_NUMBER = re.compile(r"\(?(\d{1,2}|[a-zA-Z]|[ivx]{1,4})([.)])\s+(?=\S)")
_ENDS_PART = (".", ":", ";", "?", "!")
Item = tuple[BlockKind, list[str]]


def list_items(lines: Iterable[str]) -> list[Item]:
    """Return a paragraph's blocks, line by line: one that begins with a mark of a list begins an item.

    Only marks that are nothing else are taken off. A number or a letter may be of the sentence that the line
    before began ("week 12. Thereafter"), or of a name ("H. pylori"), a dash a minus, so that these stay.
    """
    kept = list(filter(None, map(str.strip, lines)))
    dashed = [line[match.end()] for line in kept if (match := _DASH.match(line))]
    dash_is_bullet = not all(map(str.isdigit, dashed))
    items: list[Item] = []
    enumerator = ""
    for number, line in enumerate(kept):
        begins_part = number == 0 or kept[number - 1].endswith(_ENDS_PART)
        in_list = bool(items) and items[-1][0] is BlockKind.LIST_ITEM
        if match := _BULLET.match(line):
            items.append((BlockKind.LIST_ITEM, [line[match.end() :]]))
        elif (match := _DASH.match(line)) and (begins_part or in_list or len(dashed) > 1):
            items.append((BlockKind.LIST_ITEM, [line[match.end() :] if dash_is_bullet else line]))
        elif (match := _NUMBER.match(line)) and _begins_item(match, enumerator, begins_part):
            items.append((BlockKind.LIST_ITEM, [line]))
            enumerator = match[1]
        elif items:
            items[-1][1].append(line)
        else:
            items.append((BlockKind.PARAGRAPH, [line]))
    return items


def _begins_item(match: re.Match[str], before: str, begins_part: bool) -> bool:
    """Whether a number or letter is that of an item: behind the last one, or where a part may begin."""
    value = match[1]
    if value.isdigit() and before.isdigit():
        return int(value) == int(before) + 1
    if len(value) == len(before) == 1 and ord(value) == ord(before) + 1:
        return True
    is_genus = value.isalpha() and match[2] == "." and match.string[match.end()].islower()
    return begins_part and not (is_genus and value.isupper())


def make_document(
    payload: Payload, builder: DocumentText, metadata: Metadata, *, references: Iterable[Reference] = ()
) -> Document:
    """Lay out the text and make the document.

    Raises:
        UnreadableDocumentError: The payload has neither a title nor any text.
    """
    text, sections = builder.layout()
    if not text:
        raise UnreadableDocumentError(f"{payload.origin}: the {payload.format.value} holds no text at all")
    return Document(
        id=metadata.id or f"sha256:{hashlib.sha256(payload.content).hexdigest()}",
        source=metadata.source,
        identifiers=dict(metadata.identifiers),
        title=builder.title,
        authors=tuple(dict.fromkeys(name for name in map(clean, metadata.authors) if name)),
        date=metadata.date,
        licence=clean(metadata.licence or "") or None,
        url=metadata.url,
        text=text,
        sections=sections,
        annotations=tuple(dict.fromkeys(metadata.annotations)),
        references=tuple(references),
        retracted=metadata.retracted,
        content_hash=hash_content(builder.title, text),
        format=payload.format,
        versions=tuple(dict.fromkeys(metadata.versions)),
        retracts=tuple(dict.fromkeys(metadata.retracts)),
        synthetic=payload.synthetic,
        study_type=metadata.study_type,
        phases=tuple(dict.fromkeys(metadata.phases)),
        language=language_of(metadata.language),
    )
