"""Running text out of placed PDF lines: headings, paragraphs, tables, words hyphenated at line ends."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from itertools import pairwise

from medkg_dagster.stages.parse.pdf.headings import (
    NUMBERED_HEADING,
    Type,
    find_headings,
    is_known,
    level_of,
)
from medkg_dagster.stages.parse.pdf.layout import PlacedLine
from medkg_dagster.stages.parse.pdf.lines import CAPTION, LINE_END_HYPHEN

_SENTENCE_END = (".", "?", "!", ":", ";", ".”", ".)", '."', ".]")
_LAST_WORD = re.compile(r"([^\W\d_]+)$")
_FIRST_WORD = re.compile(r"([^\W\d_]+)")
_PUNCTUATION = ".,;:!?()[]{}'\"“”‘’"
_BROKEN = re.compile(r"[^\W\d_]-$")


class Kind(Enum):
    """What a passage is."""

    HEADING = "heading"
    PARAGRAPH = "paragraph"
    CAPTION = "caption"
    TABLE = "table"
    ASIDE = "aside"


@dataclass(slots=True)
class Passage:
    """Lines that belong together.

    Attributes:
        kind: What they are.
        items: The lines in reading order.
        level: The depth of a heading.
    """

    kind: Kind
    items: list[PlacedLine] = field(default_factory=list)
    level: int = 1


def passages_of(
    placed: Sequence[PlacedLine], kind: Type, front: frozenset[int], *, skip: frozenset[int] = frozenset()
) -> list[Passage]:
    """Turn lines into headings, paragraphs, captions and tables.

    A paragraph that goes on behind a table, a caption or a page's end stays one, before what interrupts it.

    Args:
        placed: Lines in reading order.
        kind: The document's type.
        front: See `find_headings`.
        skip: Positions of lines to leave out.
    """
    flow: list[Passage] = []
    running: Passage | None = None
    before: PlacedLine | None = None
    headings = find_headings(placed, kind, front)
    for position, item in enumerate(placed):
        if position in skip:
            continue
        heading = position in headings
        last = flow[-1] if flow else None
        if last is not None and before is not None and _continues(last, before, item, heading=heading):
            last.items.append(item)
        elif (
            running is not None
            and running is not last
            and not heading
            and _resumes(running.items[-1], item, kind)
        ):
            running.items.append(item)
        else:
            flow.append(
                Passage(_kind(item, heading=heading), [item], level_of(item.line, kind) if heading else 1)
            )
            if heading:
                running = None
        last = flow[-1]
        if last.kind is Kind.PARAGRAPH and abs(last.items[0].line.size - kind.size) < 0.08 * kind.size:
            running = last
        before = item
    return flow


def _kind(item: PlacedLine, *, heading: bool) -> Kind:
    if heading:
        return Kind.HEADING
    if item.cells:
        return Kind.TABLE
    if item.aside:
        return Kind.ASIDE
    return Kind.CAPTION if CAPTION.match(item.line.text) else Kind.PARAGRAPH


def _continues(  # noqa: PLR0911 - one return for each reason to go on or not
    passage: Passage, before: PlacedLine, item: PlacedLine, *, heading: bool
) -> bool:
    """Return whether a line goes on with the passage that the line before it belongs to."""
    last, line = before.line, item.line
    if item.table or before.table:
        return item.table == before.table
    if item.aside != before.aside:
        return False
    if passage.kind is Kind.HEADING or heading:
        close = (
            before.column == item.column
            and last.y0 - line.y1 < (0.8 if line.text[:1].islower() else 0.5) * line.size
        )
        same = (last.font, last.last_font) == (line.font, line.last_font)
        same = same and abs(last.size - line.size) < 0.06 * line.size
        joined = passage.kind is Kind.HEADING and heading and same and close
        whole = (
            is_known(last.text.strip()) or is_known(line.text.strip()) or NUMBERED_HEADING.match(line.text)
        )
        # a heading that would have room for more words is no first line of two
        room = before.right - last.x1 > 0.45 * (before.right - before.left) and line.text[:1].isupper()
        return joined and not whole and not room
    if passage.items[-1] is not before:
        return False
    if last.text.endswith(LINE_END_HYPHEN):
        return True
    if abs(last.size - line.size) > 0.15 * max(last.size, line.size):
        return False
    ended = last.text.rstrip().endswith(_SENTENCE_END)
    if before.column != item.column:
        return not ended and line.text[:1].islower()
    if CAPTION.match(line.text) and ended:
        return False
    if last.y0 - line.y1 > 0.6 * line.size:
        return False
    indented = line.x0 - item.left > 0.8 * line.size and last.x0 - before.left < 0.8 * last.size
    short = before.right - last.x1 > 4 * last.size
    return not (ended and (indented or short))


def _resumes(last: PlacedLine, item: PlacedLine, kind: Type) -> bool:
    """Return whether a line goes on with a paragraph that something else interrupted."""
    if item.cells or item.aside or abs(item.line.size - kind.size) > 0.08 * kind.size:
        return False
    if last.line.text.endswith(LINE_END_HYPHEN):
        return item.line.text[:1].islower()
    return not last.line.text.rstrip().endswith(_SENTENCE_END) and item.line.text[:1].islower()


def vocabulary_of(placed: Sequence[PlacedLine]) -> frozenset[str]:
    """Words and hyphenated compounds that stand within a line, to judge hyphens at line ends by.

    The halves of a word that a line's end divides are no words.
    """
    whole = []
    is_broken = False
    for item in placed:
        text = item.line.text
        if is_broken:
            text = text.partition(" ")[2]
        is_broken = text.endswith((LINE_END_HYPHEN, "-"))
        whole.append(text.rpartition(" ")[0] if is_broken else text)
    found = {word.strip(_PUNCTUATION) for word in set(" ".join(whole).lower().split())}
    for compound in [word for word in found if "-" in word]:
        parts = compound.split("-")
        found.update(parts, map("-".join, pairwise(parts)))
    return frozenset(found)


def join_lines(lines: Sequence[str], vocabulary: frozenset[str]) -> tuple[str, int]:
    """Join the lines of a passage.

    Returns:
        The text, and how many hyphens at line ends are not in it.
    """
    parts: list[str] = []
    dropped = 0
    for line in lines:
        part = line.strip()
        last = parts[-1] if parts else ""
        soft = last.endswith(LINE_END_HYPHEN)
        if soft or (last.endswith("-") and part[:1].isalpha() and _BROKEN.match(last, len(last) - 2)):
            stem = last[:-1]
            hyphen = _hyphen(stem, part, vocabulary, soft=soft)
            dropped += not hyphen
            parts[-1] = f"{stem}{hyphen}"
            parts.append(part)
        elif part:
            if parts:
                parts.append(" ")
            parts.append(part)
    return "".join(parts).replace(LINE_END_HYPHEN, "-"), dropped


def _hyphen(stem: str, part: str, vocabulary: frozenset[str], *, soft: bool) -> str:
    """Return the hyphen where the two parts are a compound, nothing where they are one word."""
    left, right = _LAST_WORD.search(stem), _FIRST_WORD.match(part)
    if not left or not right:
        return "-"
    first, second = left.group().lower(), right.group().lower()
    if first + second in vocabulary:
        return ""
    if f"{first}-{second}" in vocabulary or right.group()[0].isupper():
        return "-"
    if not soft and first in vocabulary and second in vocabulary and len(first) > 2:
        return "-"
    return ""
