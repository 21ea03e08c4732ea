"""Tables of a PDF: rows whose cells stand below one another."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise, zip_longest

from medkg_dagster.stages.parse.pdf.lines import Line

_NUMBER = re.compile(r"[<>≤≥±+−–-]?\d[^^a-zA-Z]*$")
_LIST_MARK = re.compile(r"(?:[•●▪◦–—*-]|\[?\(?\d{1,3}[.)\]]*|\(?[a-zA-Z][.)])$")
_ENDS = (".", ";", ":", "?", "!")
MIN_ROWS = 3
MAX_HEADS = 5
MAX_BETWEEN = 3
MAX_OFF = 3.0
WRAPPED = "\n"
"""Stands between the lines of a cell."""


def tables_in(rows: Sequence[Sequence[Line]]) -> dict[int, tuple[str, ...]]:
    """Find the tables among rows of one column, from top to bottom.

    Returns:
        For each row of a table, by its place among the rows, its cells; one that is empty is "". A row whose
        cells are those of the row above going on has none: there they stand behind `WRAPPED`.
    """
    found: dict[int, tuple[str, ...]] = {}
    if sum(len(row) > 1 for row in rows) < MIN_ROWS - 1:
        return found
    cells = [_cells(row) for row in rows]
    start = behind = 0
    while start < len(rows):
        if not _is_row(cells[start]):
            start += 1
            continue
        end = _end_of_table(cells, rows, start)
        full = sum(_is_row(row) for row in cells[start:end])
        if full >= MIN_ROWS or (full == MIN_ROWS - 1 and len(cells[start]) > 2):
            start = _with_heads(cells, rows, start, behind)
            columns = _columns(cells[start:end])
            end = _with_last_lines(rows, start, end, columns)
            texts = [_in_columns(rows[number], columns) for number in range(start, end)]
            found.update(enumerate(_unwrapped(texts, rows[start:end], len(columns)), start))
            behind = end
        start = max(end, start + 1)
    return found


def _with_last_lines(
    rows: Sequence[Sequence[Line]], start: int, end: int, columns: Sequence[tuple[float, float]]
) -> int:
    """Return where a table ends with what goes on as close as its rows, in their type and columns."""
    step = max(upper[0].y0 - lower[0].y0 for upper, lower in pairwise(rows[start:end]))
    last = rows[end - 1][0]
    while end < len(rows) and rows[end - 1][0].y0 - rows[end][0].y0 <= 1.05 * step:
        first, *others = rows[end]
        same = first.font == last.font and abs(first.size - last.size) < 0.06 * last.size
        # a name beside values may be longer than others
        is_name = bool(others) and abs(first.x0 - columns[0][0]) < MAX_OFF and first.x1 < others[0].x0
        inside = all(
            any(left - MAX_OFF < part.x0 and part.x1 < right + MAX_OFF for left, right in columns)
            for part in (others if is_name else rows[end])
        )
        if not same or not inside:
            break
        end += 1
    return end


def _unwrapped(
    texts: Sequence[tuple[str, ...]], rows: Sequence[Sequence[Line]], width: int
) -> Sequence[tuple[str, ...]]:
    """Join the lines of cells that are wrapped.

    They stand closer together than rows do, and most of them fill not all of the columns. In a table whose
    groups of rows stand apart rows are close, too: but these are full, and have numbers below numbers.
    """
    steps = [upper[0].y0 - lower[0].y0 for upper, lower in pairwise(rows)]
    # heads whose lines stand between those of others are closer than lines of one cell are
    usual = [step for step in steps if step > 0.8 * rows[0][0].size]
    within = _lines_within(texts, steps, min(usual, default=0.0), width)
    within = within or _lines_within(texts, steps, min(steps), width) or _going_on(texts)
    if not within:
        return texts
    starts = [number for number in range(len(texts)) if number not in within]
    whole: list[tuple[str, ...]] = []
    for start, end in pairwise([*starts, len(texts)]):
        lines = zip_longest(*texts[start:end], fillvalue="")
        whole.append(tuple(WRAPPED.join(filter(None, cell)) for cell in lines))
        whole += [()] * (end - start - 1)
    return whole


def _lines_within(
    texts: Sequence[tuple[str, ...]], steps: Sequence[float], step: float, width: int
) -> set[int]:
    """Return the rows that go on with the one above if lines of a cell are about a step apart."""
    close = 1.15 * step
    within = {number for number, found in enumerate(steps, start=1) if found < close}
    apart = sum(found > 1.1 * close for found in steps)
    partial = sum(len(list(filter(None, texts[number]))) < width for number in within)
    above = [""] * width
    counted = False
    for number, cells in enumerate(texts):
        if number not in within:
            above = [""] * width
        for column, cell in enumerate(cells):
            counted |= bool(_NUMBER.match(cell) and _NUMBER.match(above[column]))
            above[column] = cell or above[column]
    return within if apart and not counted and partial >= 0.6 * len(within) else set()


def _going_on(texts: Sequence[tuple[str, ...]]) -> set[int]:
    """Return the rows that go on with the one above by their words, where all rows are as far apart."""
    within: set[int] = set()
    is_head = True
    first = 0
    for number, (upper, lower) in enumerate(pairwise(texts), start=1):
        # heads are the first row or two, the first over several of the second
        is_head = (
            is_head and number - len(within) < MIN_ROWS and not any(map(_NUMBER.match, (*upper, *lower)))
        )
        begins = any(cell[:1].isupper() for cell in texts[first]) and number - first < MAX_HEADS
        if begins and _goes_on(upper, lower, is_head=is_head):
            within.add(number)
        else:
            first = number
    return within


def _goes_on(upper: Sequence[str], lower: Sequence[str], *, is_head: bool) -> bool:
    """Return whether each cell of a row begins small below one that ends no sentence.

    Heads may stand on the last line of others. Rows of the same words, as of kinds of values below their
    groups, go on with nothing.
    """
    found = [(above, cell) for above, cell in zip_longest(upper, lower, fillvalue="") if cell]
    below = [(above, cell) for above, cell in found if above]
    if not below or any(
        not (cell[0].islower() or cell[0] == "(") or above.endswith(_ENDS) for above, cell in below
    ):
        return False
    if is_head:
        distinct = len({cell for _, cell in found}) == len(found)
        return distinct and (len(below) == len(found) or not upper[0])
    return len(below) == len(found) and not lower[0] and any(" " in above for above, _ in below)


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
    if len(row) == 1:
        return [(row[0].x0, row[0].x1, row[0].text)]
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
    """Return one past the last row of the table that begins at a row."""
    last = start
    end = start + 1
    between = 0
    for number in range(start + 1, len(cells)):
        if not are_near(rows, number - 1, number) or between > MAX_BETWEEN:
            break
        if _is_row(cells[number]):
            if not _aligned(cells[last], cells[number]):
                break
            last = number
            between = 0
        elif _is_wrapped(cells[last], cells[number][0]):
            if end < number:
                continue
        else:
            _, right, text = cells[number][0]
            if len(text) >= 60 or right >= cells[last][-1][1]:
                break
            # the heading of a group of rows
            between += 1
            continue
        end = number + 1
    return end


def _is_wrapped(row: Sequence[Cell], cell: Cell) -> bool:
    """Return whether a cell alone in its row goes on with one of the row above that is not its first."""
    return any(abs(cell[0] - left) < 4 for left, _, _ in row[1:])


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
    """Return the left and right edges of the columns.

    They are those of the cells in the rows that have most of them, where these stand apart; else cells that
    overlap stand in one. Cells over several columns, headings of rows and of groups, make none.
    """
    most = max(map(len, rows))
    full = [row for row in rows if len(row) == most]
    columns = [
        (min(left for left, _, _ in cells), max(right for _, right, _ in cells))
        for cells in zip(*full, strict=True)
    ]
    if len(full) >= MIN_ROWS and all(left[1] <= right[0] for left, right in pairwise(columns)):
        return columns
    spans = sorted((left, right) for row in rows if len(row) >= max(2, 0.7 * most) for left, right, _ in row)
    columns = []
    for left, right in spans:
        if columns and left < columns[-1][1]:
            columns[-1] = (columns[-1][0], max(columns[-1][1], right))
        else:
            columns.append((left, right))
    return columns


def _in_columns(row: Sequence[Line], columns: Sequence[tuple[float, float]]) -> tuple[str, ...]:
    """Return the text in each column: a part stands in the first that it covers some of, else in the nearest.

    A column further left than that of the part before it is none.
    """
    texts = [""] * len(columns)
    at = 0
    right = row[0].x0
    for line in [part for whole in row for part in _divided(whole, columns)]:
        while at + 1 < len(columns) and _apart(line, columns[at + 1]) < _apart(line, columns[at]):
            at += 1
        space = " " if texts[at] and line.x0 - right >= 0.12 * line.size else ""
        texts[at] = f"{texts[at]}{space}{line.text}"
        right = line.x1
    while texts and not texts[-1]:
        texts.pop()
    return tuple(texts)


def _divided(line: Line, columns: Sequence[tuple[float, float]]) -> Sequence[Line]:
    """Return the parts of a line that fills two columns from edge to edge with only a space between them."""
    at = bisect_left(columns, (line.x0 - MAX_OFF,))
    if at + 1 >= len(columns) or columns[at][0] - line.x0 > MAX_OFF or " " not in line.text:
        return (line,)
    (_, end), (begin, right) = columns[at : at + 2]
    if abs(line.x1 - right) > MAX_OFF:
        return (line,)
    width = (line.x1 - line.x0) / len(line.text)
    space = min(
        (place for place, character in enumerate(line.text) if character == " "),
        key=lambda place: abs(line.x0 + width * (place + 0.5) - (end + begin) / 2),
    )
    middle = line.x0 + width * (space + 0.5)
    if not end - 2 * width < middle < begin + 2 * width:
        return (line,)
    return (
        line._replace(text=line.text[:space], x1=end),
        line._replace(text=line.text[space + 1 :], x0=begin),
    )


def _apart(line: Line, column: tuple[float, float]) -> float:
    """Return how far a part of a row is from a column; 0 where they overlap."""
    return max(line.x0 - column[1], column[0] - line.x1, 0.0)
