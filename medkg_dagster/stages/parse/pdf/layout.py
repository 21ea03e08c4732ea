"""PDF lines in reading order: columns, sidebars, bands of full-width lines, rows of tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from medkg_dagster.stages.parse.pdf.columns import in_reading_order
from medkg_dagster.stages.parse.pdf.furniture import Page
from medkg_dagster.stages.parse.pdf.lines import LINE_END_HYPHEN, MARK, SMALL, Line, rows_of
from medkg_dagster.stages.parse.pdf.tables import tables_in


@dataclass(frozen=True, slots=True)
class PlacedLine:
    """A line in reading order.

    Attributes:
        line: The line.
        page: The page, from 0.
        column: Counts columns over all pages; lines of one number stand below one another.
        left: The left edge of its column.
        right: The right edge of its column.
        cells: The cells of a row of a table; empty where the line is running text.
        table: Counts tables, for a row of one.
        aside: Whether it is read in another direction than most of its page.
    """

    line: Line
    page: int
    column: int
    left: float
    right: float
    cells: tuple[str, ...] = ()
    table: int = 0
    aside: bool = False


def reading_order(pages: Sequence[Page]) -> list[PlacedLine]:
    """Return all lines as a reader reads them: band by band, in each column after column."""
    ordered: list[PlacedLine] = []
    column = table = 0
    known: Counter[int] = Counter()
    for page in pages:
        for group in in_reading_order(page.lines, known):
            rows = rows_of(group)
            left, right = min(row[0].x0 for row in rows), max(line.x1 for row in rows for line in row)
            cells = tables_in(rows)
            for number, row in enumerate(rows):
                table += number in cells and number - 1 not in cells
                ordered.append(
                    PlacedLine(
                        _joined(row),
                        page.number,
                        column,
                        left,
                        right,
                        cells.get(number, ()),
                        table if number in cells else 0,
                        page.aside,
                    )
                )
            column += 1
    return ordered


def _joined(parts: Sequence[Line]) -> Line:
    """Join what stands on the same line (words, superscripts, cells)."""
    if len(parts) == 1:
        return parts[0]
    main = max(parts, key=lambda part: len(part.text))
    return Line(
        text=join_texts(parts, main.size),
        plain=_plain(parts, main),
        x0=parts[0].x0,
        x1=max(part.x1 for part in parts),
        y0=main.y0,
        y1=main.y1,
        size=main.size,
        font=main.font if len(main.text) > 0.8 * sum(len(part.text) for part in parts) else parts[0].font,
        last_font=parts[-1].last_font if len(parts[-1].text) > 2 else main.last_font,
    )


def _plain(parts: Sequence[Line], main: Line) -> str:
    """Return the texts of parts of one line with a mark for those that are smaller than the others."""
    return " ".join(MARK if part.size < SMALL * main.size else part.plain or part.text for part in parts)


def join_texts(parts: Sequence[Line], size: float) -> str:
    """Return the texts of parts of one line, with a space where a gap is between them."""
    joined = parts[0].text
    for before, part in pairwise(parts):
        space = " " if part.x0 - before.x1 >= 0.12 * size else ""
        joined = f"{joined.removesuffix(LINE_END_HYPHEN)}{space}{part.text}"
    return joined
