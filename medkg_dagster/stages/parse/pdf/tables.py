"""Tables of a PDF: rows whose cells stand below one another."""

from __future__ import annotations

import re
from collections.abc import Sequence

from medkg_dagster.stages.parse.pdf.lines import Line

_LIST_MARK = re.compile(r"(?:[•●▪◦–—*-]|\[?\(?\d{1,3}[.)\]]*|\(?[a-zA-Z][.)])$")
MIN_ROWS = 3
MAX_HEADS = 3
MAX_BETWEEN = 3


def tables_in(rows: Sequence[Sequence[Line]]) -> dict[int, tuple[str, ...]]:
    """Find the tables among rows of one column, from top to bottom.

    Returns:
        For each row of a table, by its place among the rows, its cells; one that is empty is "".
    """
    cells = [_cells(row) for row in rows]
    found: dict[int, tuple[str, ...]] = {}
    start = behind = 0
    while start < len(rows):
        end = _end_of_table(cells, rows, start)
        full = sum(_is_row(row) for row in cells[start:end])
        if full >= MIN_ROWS or (full == MIN_ROWS - 1 and len(cells[start]) > 2):
            start = _with_heads(cells, rows, start, behind)
            columns = _columns(cells[start:end])
            found.update((number, _in_columns(cells[number], columns)) for number in range(start, end))
            behind = end
        start = max(end, start + 1)
    return found


def _with_heads(cells: Sequence[list[Cell]], rows: Sequence[Sequence[Line]], start: int, behind: int) -> int:
    """Return where a table begins with the heads of its columns, which are not always in line with them."""
    for _ in range(MAX_HEADS):
        above = start - 1
        if above < behind or not _is_row(cells[above]) or not are_near(rows, above, start):
            break
        if sum(len(text) for _, _, text in cells[above]) > 120:
            break
        start = above
    return start


def are_near(rows: Sequence[Sequence[Line]], upper: int, lower: int) -> bool:
    """Return whether two rows are as close as those of one table."""
    line = rows[lower][0]
    return rows[upper][0].y0 - line.y1 < 2 * line.size


Cell = tuple[float, float, str]
"""Left edge, right edge and text."""


def _cells(row: Sequence[Line]) -> list[Cell]:
    """Return the cells of a row: its parts, those that only a space divides joined."""
    cells: list[Cell] = []
    for line in row:
        if cells and line.x0 - cells[-1][1] < 0.7 * line.size:
            left, right, text = cells[-1]
            space = " " if line.x0 - right >= 0.12 * line.size else ""
            cells[-1] = (left, max(right, line.x1), f"{text}{space}{line.text}")
        else:
            cells.append((line.x0, line.x1, line.text))
    return cells


def _end_of_table(cells: Sequence[list[Cell]], rows: Sequence[Sequence[Line]], start: int) -> int:
    """Return one past the last row of the table that begins at a row; the row itself where none does."""
    if not _is_row(cells[start]):
        return start
    last = start
    for number in range(start + 1, len(cells)):
        if not are_near(rows, number - 1, number) or number - last > MAX_BETWEEN + 1:
            break
        if _is_row(cells[number]):
            if not _aligned(cells[last], cells[number]):
                break
            last = number
        elif not _is_between(cells[last], cells[number][0]):
            break
    return last + 1


def _is_between(row: Sequence[Cell], cell: Cell) -> bool:
    """Return whether a cell alone in its row is one that is wrapped, or the heading of a group of rows."""
    left, right, text = cell
    wrapped = any(abs(left - column) < 4 for column, _, _ in row[1:])
    return wrapped or (len(text) < 60 and right < row[-1][1])


def _is_row(cells: Sequence[Cell]) -> bool:
    return len(cells) > 2 or (len(cells) == 2 and not _LIST_MARK.match(cells[0][2].strip()))


def _aligned(upper: Sequence[Cell], lower: Sequence[Cell]) -> bool:
    """Return whether two rows have cells below one another: left edges, right edges or middles agree."""
    if len(upper) < 2 or len(lower) < 2:
        return False
    shared = 0
    at = 0
    for left, right, _ in lower:
        while at < len(upper) and upper[at][1] < left - 3:
            at += 1
        if at < len(upper):
            above_left, above_right, _ = upper[at]
            offsets = (left - above_left, right - above_right, (left + right - above_left - above_right) / 2)
            shared += min(map(abs, offsets)) < 4
    return shared >= 2 and shared >= 0.5 * min(len(upper), len(lower))


def _columns(rows: Sequence[Sequence[Cell]]) -> list[tuple[float, float]]:
    """Return the left and right edges of the columns: cells that overlap stand in one.

    Cells over several columns, headings of rows and of groups, make none.
    """
    most = max(map(len, rows))
    spans = sorted((left, right) for row in rows if len(row) >= max(2, 0.7 * most) for left, right, _ in row)
    columns: list[tuple[float, float]] = []
    for left, right in spans:
        if columns and left < columns[-1][1]:
            columns[-1] = (columns[-1][0], max(columns[-1][1], right))
        else:
            columns.append((left, right))
    return columns


def _in_columns(cells: Sequence[Cell], columns: Sequence[tuple[float, float]]) -> tuple[str, ...]:
    texts = [""] * len(columns)
    at = 0
    for left, right, text in cells:
        middle = (left + right) / 2
        while at + 1 < len(columns) and columns[at + 1][0] <= (left if len(cells) > 1 else middle):
            at += 1
        texts[at] = f"{texts[at]} {text}".strip()
    while texts and not texts[-1]:
        texts.pop()
    return tuple(texts)
