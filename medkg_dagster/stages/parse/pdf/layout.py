"""Reading order of PDF pages: columns, sidebars, bands of full-width lines, running headers and footers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import median

from medkg_dagster.stages.parse.pdf.lines import LINE_END_HYPHEN, Line

_DIGITS = re.compile(r"\d+")
_PAGE_NUMBER = re.compile(r"(?:page\s*)?\d{1,4}(?:\s*(?:of|/)\s*\d{1,4})?$", re.IGNORECASE)
MARGIN_SHARE = 0.1
MIN_COLUMN_LINES = 6
MIN_COLUMN_WIDTH_SHARE = 0.22


@dataclass(frozen=True, slots=True)
class Page:
    """The lines of one page and its size in points."""

    lines: tuple[Line, ...]
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class PlacedLine:
    """A line in reading order.

    Attributes:
        line: The line.
        page: The page, from 0.
        column: Counts columns over all pages; lines of one number stand below one another.
        left: The left edge of its column.
        right: The right edge of its column.
    """

    line: Line
    page: int
    column: int
    left: float
    right: float


def drop_furniture(pages: Sequence[Page]) -> list[Page]:
    """Remove page numbers, and running headers and footers: lines at the edge that several pages repeat."""
    seen = Counter(
        key for page in pages for key in {_key(line) for line in page.lines if _in_margin(line, page)}
    )
    needed = max(2, min(3, len(pages) - 1))
    repeated = {key for key, count in seen.items() if count >= needed}

    def stays(line: Line, page: Page) -> bool:
        return not _in_margin(line, page) or not (
            _key(line) in repeated or (len(pages) > 1 and _PAGE_NUMBER.match(line.text))
        )

    return [replace(page, lines=tuple(line for line in page.lines if stays(line, page))) for page in pages]


def _key(line: Line) -> str:
    return _DIGITS.sub("#", " ".join(line.text.split())).lower()


def _in_margin(line: Line, page: Page) -> bool:
    return line.y0 > page.height * (1 - MARGIN_SHARE) or line.y1 < page.height * MARGIN_SHARE


def reading_order(pages: Sequence[Page]) -> list[PlacedLine]:
    """Return all lines as a reader reads them: band by band, in each the left column before the right."""
    ordered: list[PlacedLine] = []
    column = 0
    for number, page in enumerate(pages):
        for group in _columns(page):
            lines = _joined(group)
            if not lines:
                continue
            left, right = min(line.x0 for line in lines), max(line.x1 for line in lines)
            ordered += [PlacedLine(line, number, column, left, right) for line in lines]
            column += 1
    return ordered


def _columns(page: Page) -> list[list[Line]]:
    gutter = find_gutter(page)
    if gutter is None:
        return _blocks_of_stream(page.lines)
    wide = sorted((line for line in page.lines if _crosses(line, gutter)), key=lambda line: -line.middle)
    groups: list[list[Line]] = []
    rest = [line for line in page.lines if not _crosses(line, gutter)]
    for line in wide:
        above = [other for other in rest if other.middle > line.middle]
        if above and any(abs(other.middle - line.middle) > line.size * 0.5 for other in above):
            groups += _sides(above, gutter)
            rest = [other for other in rest if other.middle <= line.middle]
            groups.append([])
        if not groups:
            groups.append([])
        groups[-1].append(line)
    return [*groups, *_sides(rest, gutter)]


def _blocks_of_stream(lines: Sequence[Line]) -> list[list[Line]]:
    """Cut a page without columns where its content stream jumps up or aside, so that sidebars stay whole."""
    blocks: list[list[Line]] = []
    for line in lines:
        if not blocks or _jumps(blocks[-1], line):
            blocks.append([line])
        else:
            blocks[-1].append(line)
    return blocks


def _jumps(block: Sequence[Line], line: Line) -> bool:
    last = block[-1]
    if _same_row([last], line):
        return False
    left, right = min(other.x0 for other in block), max(other.x1 for other in block)
    return line.middle > last.middle + 2 * line.size or min(right, line.x1) <= max(left, line.x0)


def _sides(lines: Sequence[Line], gutter: float) -> list[list[Line]]:
    left = [line for line in lines if (line.x0 + line.x1) / 2 < gutter]
    right = [line for line in lines if (line.x0 + line.x1) / 2 >= gutter]
    return [left, right]


def _crosses(line: Line, gutter: float) -> bool:
    return line.x0 < gutter - 3 and line.x1 > gutter + 3


def find_gutter(page: Page) -> float | None:
    """Return where the gap between two columns stands, in points from the left; None for one column."""
    best: tuple[float, float] | None = None
    start, stop = int(page.width * 0.35), int(page.width * 0.65)
    for position in range(start, stop, 2):
        gutter = float(position)
        left = [line for line in page.lines if line.x1 <= gutter + 3]
        right = [line for line in page.lines if line.x0 >= gutter - 3]
        if min(len(left), len(right)) < MIN_COLUMN_LINES or not _is_text(left, right, page):
            continue
        crossing = len(page.lines) - len(left) - len(right)
        balance = min(len(left), len(right)) - crossing
        # among equally good places the one nearest the middle
        score = balance - abs(gutter / page.width - 0.5)
        if best is None or score > best[0]:
            best = (score, gutter)
    return best[1] if best else None


def _is_text(left: Sequence[Line], right: Sequence[Line], page: Page) -> bool:
    """Return whether both sides hold lines of prose; the cells of a table are narrower."""
    narrow = page.width * MIN_COLUMN_WIDTH_SHARE
    return all(median(line.x1 - line.x0 for line in side) >= narrow for side in (left, right))


def _joined(lines: Iterable[Line]) -> list[Line]:
    """Join what stands on the same line (words, superscripts, cells), from top to bottom."""
    rows: list[list[Line]] = []
    for line in sorted(lines, key=lambda line: (-line.middle, line.x0)):
        if rows and _same_row(rows[-1], line):
            rows[-1].append(line)
        else:
            rows.append([line])
    return [_row(sorted(row, key=lambda line: line.x0)) for row in rows]


def _same_row(row: Sequence[Line], line: Line) -> bool:
    main = max(row, key=lambda other: (other.size, other.x1 - other.x0))
    overlap = min(main.y1, line.y1) - max(main.y0, line.y0)
    return overlap > 0.55 * min(main.y1 - main.y0, line.y1 - line.y0)


def _row(parts: Sequence[Line]) -> Line:
    main = max(parts, key=lambda part: len(part.text))
    text = parts[0].text
    for before, part in pairwise(parts):
        gap = part.x0 - before.x1
        text = text.removesuffix(LINE_END_HYPHEN) if part is not parts[-1] else text
        text += ("" if gap < 0.12 * main.size else " ") + part.text
    return Line(
        text=text,
        x0=parts[0].x0,
        x1=max(part.x1 for part in parts),
        y0=main.y0,
        y1=main.y1,
        size=main.size,
        bold=main.bold,
    )
