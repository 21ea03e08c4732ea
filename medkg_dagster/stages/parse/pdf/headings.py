"""Headings of a PDF, told by their words, their number and their type."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from medkg_dagster.stages.parse.pdf.layout import PlacedLine
from medkg_dagster.stages.parse.pdf.lines import LINE_END_HYPHEN, Line, is_bold

KNOWN_HEADING = re.compile(
    r"(?:(?:\d{1,2}|[ivx]{1,4})\.?\s*)?(?:abstract|summary|background|introduction"
    r"|(?:(?:materials?|patients?|subjects|participants) (?:and|&) )?methods?(?: (?:and|&) materials?)?"
    r"|methods/design|study design|statistical (?:analysis|methods)|experimental(?: section| procedures)?"
    r"|results?|findings|(?:results? (?:and|&) )?discussion|conclusions?|discussion and conclusions?"
    r"|limitations|references(?: and notes)?|bibliography|literature cited|acknowledge?ments?|keywords?"
    r"|key ?words|abbreviations(?: used)?|supporting information|supplementary (?:materials?|data"
    r"|information)"
    r"|competing interests?|conflicts? of interests?|declaration of (?:conflicting|competing) interests?"
    r"|disclosures?|author['’?]?s?['’?]? (?:contributions?|details|information)|funding|grant information"
    r"|data availability(?: statement)?"
    r"|ethics statement|endnotes?|footnotes?|appendix|case reports?|case presentation|objectives?"
    r"|purpose)\s*:?$",
    re.IGNORECASE,
)
REFERENCES = re.compile(
    r"(?:\d{1,2}\.?\s*)?(?:references(?: and notes)?|bibliography|literature cited|works cited)\s*:?$",
    re.IGNORECASE,
)
NUMBERED_HEADING = re.compile(r"(\d{1,2}(?:\.\d{1,2}){0,3})\.?\s+[A-Z]\S*(?:\s\S+){0,14}$")
_SPACED = re.compile(r"[A-Z](?: ?[A-Z]){3,}$")
CAPTION = re.compile(r"(?:table|figure|fig\.|box|scheme|plate)\s*S?(?:\d+|[IVX]+)\b", re.IGNORECASE)
MAX_HEADING_CHARACTERS = 160
Style = tuple[str, float]
"""The name of a font and the height of its glyphs."""


@dataclass(frozen=True, slots=True)
class Type:
    """The type that most of a document is set in, and that of its headings.

    Attributes:
        size: The height of most glyphs, in points.
        style: The font and height of most text.
        bold: Whether most of the text is bold.
        usual: The styles that much of the text is in.
        headings: The styles of headings that are known by their words or numbers.
    """

    size: float
    style: Style
    bold: bool
    usual: frozenset[Style]
    headings: frozenset[Style]


def style_of(line: Line) -> Style:
    """Return the style of a line that is set in one font, else one that no other line has."""
    return (line.font if line.font == line.last_font else "", round(line.size * 2) / 2)


def type_of(placed: Sequence[PlacedLine]) -> Type:
    """Find which type is that of running text and which that of headings."""
    sizes: Counter[float] = Counter()
    styles: Counter[Style] = Counter()
    for item in placed:
        sizes[round(item.line.size, 1)] += len(item.line.text)
        styles[item.line.font, round(item.line.size * 2) / 2] += len(item.line.text)
    size = max(sizes, key=lambda size: (sizes[size], size))
    style = max(styles, key=lambda style: (styles[style], style))
    body = [item.line for item in placed if abs(item.line.size - size) < 0.1 * size]
    bold = sum(len(line.text) for line in body if line.bold) * 2 > sum(len(line.text) for line in body)
    # what most lines are in is no style of headings, even where a heading is in it
    usual = frozenset(
        found
        for found, count in styles.items()
        if count > 0.1 * styles.total() and (bold or not is_bold(found[0]))
    )
    known: Counter[Style] = Counter()
    for item, height in zip(placed, heights(placed), strict=True):
        text = item.line.text.strip()
        if height <= 2 and not item.cells and style_of(item.line)[0]:
            known[style_of(item.line)] += 2 * is_known(text) + bool(NUMBERED_HEADING.match(text))
    return Type(
        size,
        style,
        bold,
        usual,
        frozenset(found for found, n in known.items() if n >= 2 and found not in usual),
    )


def heights(placed: Sequence[PlacedLine]) -> list[int]:
    """Return for each line how many lines of its style stand below one another with it."""
    found: list[int] = []
    start = 0
    for position, (before, item) in enumerate(pairwise((*placed, None)), start=1):
        close = item is not None and before is not None and before.column == item.column
        if (
            not close
            or before is None
            or item is None
            or style_of(before.line) != style_of(item.line)
            or before.line.y0 - item.line.y1 > 0.5 * item.line.size
        ):
            found += [position - start] * (position - start)
            start = position
    return found


def is_known(text: str) -> bool:
    """Return whether a line is a heading that many articles have."""
    if _SPACED.match(text):
        text = text.replace(" ", "")
    return bool(KNOWN_HEADING.match(text))


def find_headings(placed: Sequence[PlacedLine], kind: Type, front: frozenset[int]) -> frozenset[int]:
    """Return the positions of the lines that are headings by their font, their number or their words.

    Args:
        placed: Lines in reading order.
        kind: The document's type.
        front: Positions of lines, as those between title and text, that are headings by their words alone.
    """
    found = _find(placed, kind, front)
    again = Counter(style_of(placed[position].line) for position in found)
    learned = {style for style, count in again.items() if count >= 2 and style[0] and style not in kind.usual}
    return _find(placed, replace(kind, headings=kind.headings | learned), front)


def _find(placed: Sequence[PlacedLine], kind: Type, front: frozenset[int]) -> frozenset[int]:
    found: set[int] = set()
    listed = False
    tall = heights(placed)
    for position, item in enumerate(placed):
        text = item.line.text.strip()
        if item.cells or item.aside or len(text) > MAX_HEADING_CHARACTERS or sum(map(str.isalpha, text)) < 3:
            continue
        known = is_known(text)
        if not known and (position in front or not _may_be_heading(text)):
            continue
        above = placed[position - 1] if position else None
        below = placed[position + 1] if position + 1 < len(placed) else None
        is_large = item.line.size > kind.size * 1.12 and not text[0].islower()
        if not (known or is_large):
            if (listed or item.line.size < kind.size * 0.93) and style_of(item.line) not in kind.headings:
                continue
            if not _is_set_off(item, above, below, kind, tall[position]):
                continue
        found.add(position)
        listed = bool(REFERENCES.match(text))
    return frozenset(found)


def _may_be_heading(text: str) -> bool:
    if not text[0].isalnum() or CAPTION.match(text) or text.endswith((",", ";", LINE_END_HYPHEN)):
        return False
    return (text[0].isupper() or bool(NUMBERED_HEADING.match(text))) and not text.endswith(".")


def _is_set_off(
    item: PlacedLine, above: PlacedLine | None, below: PlacedLine | None, kind: Type, height: int
) -> bool:
    """Return whether a line that is no larger than the text differs from it as headings do."""
    line = item.line
    text = line.text.strip()
    style = style_of(line)
    short = line.x1 - line.x0 < 0.9 * (item.right - item.left) or item.right - item.left < 10 * line.size
    if height > 3 or style in kind.usual:
        numbered = NUMBERED_HEADING.match(text)
        return bool(numbered and "." in numbered.group(1) and short and _is_apart(item, above))
    if style in kind.headings or (line.bold and not kind.bold and short):
        return True
    if not short or height > 2 or not _is_apart(item, above):
        return False
    follows = below is not None and below.column == item.column and line.y0 - below.line.y1 < 1.2 * line.size
    if not follows or below is None:
        return False
    own = style[0] not in {"", kind.style[0]} and below.line.font == kind.style[0]
    capitals = text.isupper() and sum(map(str.isalpha, text)) > 3
    return (own and abs(line.x0 - below.line.x0) < 3 * line.size) or capitals


def _is_apart(item: PlacedLine, above: PlacedLine | None) -> bool:
    return (
        above is None or above.column != item.column or above.line.y0 - item.line.y1 > 0.35 * item.line.size
    )


def level_of(line: Line, kind: Type) -> int:
    """Return the depth of a heading by its number, else by whether it stands among the main ones."""
    match = NUMBERED_HEADING.match(line.text.strip())
    if match:
        return match.group(1).count(".") + 1
    return 1 if is_known(line.text.strip()) or line.size > kind.size * 1.12 else 2
