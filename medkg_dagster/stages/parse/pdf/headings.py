"""Headings of a PDF, told by their words, their number and their type."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from medkg_dagster.stages.parse.pdf.layout import PlacedLine
from medkg_dagster.stages.parse.pdf.lines import CAPTION, LINE_END_HYPHEN, Line, is_bold
from medkg_dagster.stages.parse.pdf.names import is_name, is_workplace

_KNOWN_HEADING = re.compile(
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
    r"|purpose)\s*:?$"
)
REFERENCES = re.compile(
    r"(?:\d{1,2}\.?\s*)?(?:references(?: and notes)?|bibliography|literature cited|works cited)\s*:?$",
    re.IGNORECASE,
)
NUMBERED_HEADING = re.compile(r"(\d{1,2}(?:\.\d{1,2}){0,3})\.?\s+[A-Z]\S*(?:\s\S+){0,14}$")
_SPACED = re.compile(r"[A-Z](?: ?[A-Z]){3,}$")
MAX_HEADING_CHARACTERS = 160
MAX_KNOWN_CHARACTERS = 60
MAX_HEADING_LINES = 3
SMALLEST_HEADING = 0.85
Style = tuple[str, float]
"""The name of a font and the height of its glyphs."""


@dataclass(frozen=True, slots=True)
class Type:
    """The type that a document is set in.

    Attributes:
        size: The height of most glyphs, in points.
        style: The font and height of most text.
        bold: Whether most of the text is bold.
        usual: The styles that much of the text is in.
        headings: The styles of headings that are known by their words or numbers.
        styles: The style of each line.
        blocks: For each line how many lines of its style stand below one another with it.
    """

    size: float
    style: Style
    bold: bool
    usual: frozenset[Style]
    headings: frozenset[Style]
    styles: Sequence[Style]
    blocks: Sequence[int]


def type_of(placed: Sequence[PlacedLine]) -> Type:
    """Find which type is that of running text and which that of headings."""
    sizes: Counter[float] = Counter()
    text: Counter[Style] = Counter()
    bold = 0
    styles: list[Style] = []
    lengths: Counter[tuple[str, float]] = Counter()
    heights: dict[float, float] = {}
    for item in placed:
        words, _, _, _, _, exact, font, last_font = item.line
        lengths[font, exact] += len(words)
        height = heights.get(exact)
        if height is None:
            height = heights[exact] = round(exact * 2) / 2
        # a line in two fonts has a style that no other has
        styles.append((font if font == last_font else "", height))
    for (font, exact), length in lengths.items():
        sizes[round(exact, 1)] += length
        text[font, heights[exact]] += length
    size = max(sizes, key=lambda size: (sizes[size], size))
    style = max(text, key=lambda style: (text[style], style))
    body = {found: count for found, count in text.items() if abs(found[1] - size) < 0.1 * size}
    bold = sum(count for found, count in body.items() if is_bold(found[0])) * 2 > sum(body.values())
    # what most lines are in is no style of headings, even where a heading is in it
    much = 0.1 * text.total()
    usual = frozenset(
        found for found, count in text.items() if count > much and (bold or not is_bold(found[0]))
    )
    blocks = _blocks(placed, styles)
    known: Counter[Style] = Counter()
    for item, found, block in zip(placed, styles, blocks, strict=True):
        if block <= 2 and found[0] and found not in usual and not item.cells:
            words = item.line.text.strip()
            known[found] += 2 * is_known(words) + bool(NUMBERED_HEADING.match(words))
    headings = frozenset(found for found, count in known.items() if count >= 2)
    return Type(size, style, bold, usual, headings, styles, blocks)


def _blocks(placed: Sequence[PlacedLine], styles: Sequence[Style]) -> list[int]:
    found: list[int] = []
    start = 0
    for position in range(1, len(placed) + 1):
        if position < len(placed) and styles[position] == styles[position - 1]:
            before, item = placed[position - 1], placed[position]
            if before.column == item.column and before.line.y0 - item.line.y1 <= 0.5 * item.line.size:
                continue
        found += [position - start] * (position - start)
        start = position
    return found


@lru_cache(maxsize=1024)
def is_known(text: str) -> bool:
    """Return whether a line is a heading that many articles have."""
    if len(text) > MAX_KNOWN_CHARACTERS:
        return False
    if _SPACED.match(text):
        text = text.replace(" ", "")
    return bool(_KNOWN_HEADING.match(text.lower()))


def find_headings(placed: Sequence[PlacedLine], kind: Type, front: frozenset[int]) -> frozenset[int]:
    """Return the positions of the lines that are headings by their font, their number or their words.

    Args:
        placed: Lines in reading order.
        kind: The document's type.
        front: Positions of lines, as those between title and text, that are headings by their words alone.
    """
    found: set[int] = set()
    others: list[int] = []
    listed = False
    for position, item in enumerate(placed):
        text = item.line.text.strip()
        if len(text) > MAX_HEADING_CHARACTERS or item.cells or item.aside:
            continue
        if not is_known(text):
            if position in front or not _may_be_heading(text):
                continue
            is_large = item.line.size > kind.size * 1.12 and not text[0].islower()
            small = listed or item.line.size < kind.size * SMALLEST_HEADING
            if not is_large and (
                (small and kind.styles[position] not in kind.headings)
                or not _is_set_off(placed, position, kind)
            ):
                others.append(position)
                continue
        found.add(position)
        listed = bool(REFERENCES.match(text))
    # what is set as two headings are is one too
    again = Counter(kind.styles[position] for position in found)
    learned = {style for style, count in again.items() if count >= 2 and style[0] and style not in kind.usual}
    same = {at for at in others if kind.styles[at] in learned and kind.blocks[at] <= MAX_HEADING_LINES}
    return _whole(placed, kind, found | same)


def _whole(placed: Sequence[PlacedLine], kind: Type, found: set[int]) -> frozenset[int]:
    """Return the headings with the lines they go on in, without those that are a sentence or a name.

    A line of the same type below one that is full goes on with it. A name is that of a person where what is
    below says where they work.
    """
    whole: set[int] = set()
    end = 0
    for start in sorted(found):
        if start < end:
            continue
        end = start + 1
        while end < len(placed) and end - start < MAX_HEADING_LINES and _goes_on(placed, kind, end):
            end += 1
        last = placed[end - 1].line.text.rstrip()
        if end - start > 1 and last.endswith(".") and not is_known(placed[start].line.text.strip()):
            continue
        below = placed[end].line.text if end < len(placed) else ""
        if end - start == 1 and is_workplace(below) and is_name(last.split()):
            continue
        whole.update(range(start, end))
    return frozenset(whole)


def _goes_on(placed: Sequence[PlacedLine], kind: Type, position: int) -> bool:
    upper, item = placed[position - 1], placed[position]
    return bool(
        item.column == upper.column
        and not item.cells
        and kind.styles[position][0]
        and kind.styles[position] == kind.styles[position - 1]
        and kind.styles[position] not in kind.usual
        and item.line.text[:1].islower()
        and upper.line.y0 - item.line.y1 < 0.8 * item.line.size
    )


def _may_be_heading(text: str) -> bool:
    first = text[:1]
    if not (first.isupper() or first.isdigit()) or text.endswith((".", ",", ";", LINE_END_HYPHEN)):
        return False
    if CAPTION.match(text) or (first.isdigit() and not NUMBERED_HEADING.match(text)):
        return False
    return sum(map(str.isalpha, text)) >= 3


def _is_set_off(placed: Sequence[PlacedLine], position: int, kind: Type) -> bool:
    """Return whether a line that is no larger than the text differs from it as headings do."""
    item = placed[position]
    above = placed[position - 1] if position else None
    below = placed[position + 1] if position + 1 < len(placed) else None
    line = item.line
    text = line.text.strip()
    style, block = kind.styles[position], kind.blocks[position]
    short = line.x1 - line.x0 < 0.9 * (item.right - item.left) or item.right - item.left < 10 * line.size
    if block > MAX_HEADING_LINES or style in kind.usual:
        numbered = NUMBERED_HEADING.match(text)
        return bool(numbered and "." in numbered.group(1) and short and _is_apart(item, above))
    if style in kind.headings or (line.bold and not kind.bold and short):
        return True
    if not short or block > 2 or not _is_apart(item, above):
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
