"""The rows of a table, every cell in its column: XHTML tables, OASIS tables and arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from medkg_dagster.stages.parse.xml import Element

_ROWS = frozenset({"tr", "row"})
_CELLS = frozenset({"td", "th", "entry"})
_MAX_COLUMNS = 200
"""Spans count up to this column, so that a short row costs little under a wide one."""


def read_rows(table: Element, read_cell: Callable[[Element], str]) -> Iterator[list[str]]:
    """Yield the texts of each row's cells; what a cell spans besides its own place is empty.

    Rows of a table inside a cell are part of that cell's text.

    Args:
        table: A `table`, `tgroup` or `array`.
        read_cell: Returns the text of a cell.
    """
    spanned: dict[int, int] = {}
    columns: dict[str, int] = {}
    for row in _rows(table, columns):
        above, spanned = spanned, {column: left - 1 for column, left in spanned.items() if left > 1}
        cells: list[str] = []
        for cell in row:
            if cell.tag not in _CELLS:
                continue
            _skip_spanned(cells, above)
            width, below = _span(cell, columns)
            place = range(len(cells), min(len(cells) + width, _MAX_COLUMNS))
            spanned.update(dict.fromkeys(place, below) if below else {})
            cells += [read_cell(cell), *[""] * (len(place) - 1)]
        yield cells


def _skip_spanned(cells: list[str], above: dict[int, int]) -> None:
    """Leave the places empty that cells of rows above span."""
    while len(cells) in above:
        cells.append("")


def _rows(table: Element, columns: dict[str, int]) -> Iterator[Element]:
    for child in table:
        if child.tag in _ROWS:
            yield child
        elif child.tag == "tgroup":
            columns.clear()
            yield from _rows(child, columns)
        elif child.tag == "colspec":
            columns[child.get("colname", "")] = len(columns)
        elif isinstance(child.tag, str):
            yield from _rows(child, columns)


def _span(cell: Element, columns: dict[str, int]) -> tuple[int, int]:
    """Return how many columns a cell spans, and how many rows below its own."""
    first, last = columns.get(cell.get("namest", "")), columns.get(cell.get("nameend", ""))
    width = last - first + 1 if first is not None and last is not None else _number(cell.get("colspan"), 1)
    below = _number(cell.get("morerows"), 0) or _number(cell.get("rowspan"), 1) - 1
    return max(1, width), max(0, below)


def _number(text: str | None, default: int) -> int:
    text = (text or "").strip()
    return min(int(text), 10_000) if text.isascii() and text.isdecimal() and len(text) < 6 else default
