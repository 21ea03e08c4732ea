"""PDF lines in reading order: columns, sidebars, bands of full-width lines, rows of tables."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import count
from operator import attrgetter
from typing import NamedTuple

from medkg_dagster.stages.parse.pdf.columns import Edges, across_columns, in_reading_order
from medkg_dagster.stages.parse.pdf.furniture import Page
from medkg_dagster.stages.parse.pdf.lines import (
    CLOSE,
    LINE_END_HYPHEN,
    OPEN,
    RAISED,
    SMALL,
    Line,
    from_top,
    rows_of,
)
from medkg_dagster.stages.parse.pdf.tables import MIN_ROWS, are_near, tables_in
from medkg_dagster.stages.parse.raised import MEASURED

_LEFT, _RIGHT = attrgetter("x0"), attrgetter("x1")
_RAISED = re.compile(f"{OPEN}[^{CLOSE}]*{CLOSE}(?: ?{OPEN}[^{CLOSE}]*{CLOSE})*")
_EXPONENT = re.compile(r"[-−–+]?\d{1,3}$")
_CITATION = re.compile(r"\[?\d{1,3}(?:[ ,;–−-]+\d{1,3})*[ ,;]*\]?$|[†‡§¶]+$")
_POWER = re.compile(r"[23]$")
_NOTE_LETTER = re.compile(r"[a-z]$")
_BEFORE_LETTER = re.compile(r"[^\W\d_]{3}$|\)$")
_FIRST_WORD = re.compile(r"[^\W\d_][a-z]{2}")
_BEFORE_MARK = re.compile(r"[^\W\d_]{4}$|[.,;:!?”’\"\])]$")


class PlacedLine(NamedTuple):
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
        marked: The text with what is raised between `OPEN` and `CLOSE`; empty where nothing is.
    """

    line: Line
    page: int
    column: int
    left: float
    right: float
    cells: tuple[str, ...] = ()
    table: int = 0
    aside: bool = False
    marked: str = ""


def reading_order(pages: Sequence[Page]) -> tuple[list[PlacedLine], int]:
    """Return all lines as a reader reads them: band by band, in each column after column.

    Returns:
        The lines, and how many glyphs are left out of them as marks of citations and notes.
    """
    ordered: list[PlacedLine] = []
    column = table = marks = 0
    known: Edges = Counter()
    for page in pages:
        for group in _groups(page, known):
            rows = rows_of(group)
            left, right = min(map(_LEFT, group)), max(map(_RIGHT, group))
            cells = tables_in(rows)
            for number, row in enumerate(rows):
                if cells.get(number) == ():
                    continue
                line = _joined(row)
                marked = ""
                if OPEN in line.text:
                    marked = line.text
                    text, dropped = read_scripts(marked)
                    marks += dropped
                    line = line._replace(text=text)
                is_cell = number in cells
                table += is_cell and number - 1 not in cells
                texts = tuple(read_scripts(cell)[0] for cell in cells[number]) if is_cell else ()
                ordered.append(
                    PlacedLine(
                        line,
                        page.number,
                        column,
                        left,
                        right,
                        texts,
                        table if is_cell else 0,
                        page.aside,
                        marked,
                    )
                )
            column += 1
    return ordered, marks


def _groups(page: Page, known: Edges) -> Iterator[list[Line]]:
    """Yield the lines of a page in groups that are read one after another, tables across columns whole."""
    rows = rows_of(page.lines)
    start = 0
    if sum(len(row) > 2 for row in rows) >= MIN_ROWS:
        cells = tables_in(rows)
        starts = dict.fromkeys(n for n in cells if n - 1 not in cells or not are_near(rows, n - 1, n))
        tables = (
            range(first, next(n for n in count(first + 1) if n not in cells or n in starts))
            for first in starts
        )
        for table in across_columns(rows, tables):
            above = from_top(line for row in rows[start : table.start] for line in row)
            yield from in_reading_order(above, known)
            yield from_top(line for number in table for line in rows[number])
            start = table.stop
    rest = from_top(line for row in rows[start:] for line in row) if start else page.lines
    yield from in_reading_order(rest, known)


def _joined(parts: Sequence[Line]) -> Line:
    """Join what stands on the same line (words, superscripts, cells)."""
    if len(parts) == 1:
        return parts[0]
    main = max(parts, key=lambda part: len(part.text))
    text = ""
    before: Line | None = None
    for part in parts:
        if before is not None:
            space = " " if part.x0 - before.x1 >= 0.12 * main.size else ""
            text = f"{text.removesuffix(LINE_END_HYPHEN)}{space}"
        raised = part.size < SMALL * main.size and part.y0 > main.y0 + RAISED * main.size
        text += f"{OPEN}{part.text}{CLOSE}" if raised and OPEN not in part.text else part.text
        before = part
    whole = len(main.text) > 0.8 * len(text)
    return main._replace(
        text=text,
        x0=parts[0].x0,
        x1=max(part.x1 for part in parts),
        font=main.font if whole else parts[0].font,
        last_font=parts[-1].last_font if len(parts[-1].text) > 2 else main.last_font,
    )


def read_scripts(text: str) -> tuple[str, int]:
    """Write what is raised and small as it has to be read on one line.

    A number behind a digit is its exponent (`10^5`), and so are squares and cubes behind what is measured;
    one behind another word or a sentence is the mark of a citation or a note and no text; a letter behind a
    word is the mark of a note, too, and stays (`Death^a`); all else is joined to its word.

    Returns:
        The text, and how many glyphs of marks are not in it.
    """
    if OPEN not in text:
        return text, 0
    dropped = 0
    written = ""
    end = 0
    for match in _RAISED.finditer(text):
        written += text[end : match.start()]
        end = match.end()
        script = match.group().replace(OPEN, "").replace(CLOSE, "")
        if _EXPONENT.match(script) and written[-1:].isdigit():
            written += f"^{script}" + (" " if text[end : end + 1].isdigit() else "")
        elif not written.strip():
            # The mark of a note is no part of the first word behind it, as the number of an isotope is.
            written += script + (" " if _FIRST_WORD.match(text, end) else "")
        elif (_POWER.match(script) and MEASURED.search(written)) or (
            _NOTE_LETTER.match(script) and _BEFORE_LETTER.search(written)
        ):
            written += f"^{script}"
        elif _CITATION.match(script) and _BEFORE_MARK.search(written):
            dropped += len("".join(script.split()))
        else:
            written += script
    return written + text[end:], dropped
