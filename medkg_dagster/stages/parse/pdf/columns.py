"""Columns of a PDF page: where running text stands in columns they are read one after another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from itertools import pairwise
from operator import attrgetter
from statistics import median

from medkg_dagster.stages.parse.pdf.lines import CAPTION, Line, rows_of

MAX_DEPTH = 12
MAX_EDGES = 24
MIN_LINES = 3
MIN_SHORT_LINES = 2
MIN_LONG_LINES = 6
MAX_REGULAR = 4
WINDOW = 16
MAX_CAPTION_ROWS = 3
_TOP, _BOTTOM = attrgetter("y1"), attrgetter("y0")


def in_reading_order(
    lines: Sequence[Line], known: Edges, depth: int = 0, regular: set[int] | None = None
) -> list[list[Line]]:
    """Return the lines in groups that are read one after another, each from top to bottom.

    A page is cut where a gap between two blocks of prose goes down without a line across it: what is above,
    the left block, the right block, what is below; and each of them again. Cells of tables are no prose.

    Args:
        lines: The lines of a page from top to bottom.
        known: Where right columns of the pages before begin; those of this page are added.
        depth: How many cuts the lines come from.
        regular: Where further columns begin if they are as wide as those that were cut; such are added.
    """
    regular = set() if regular is None else regular
    gap = _widest_gap(lines, known, regular) if depth < MAX_DEPTH and len(lines) >= 2 else None
    if gap is None:
        return [list(lines)] if lines else []
    known[round(gap.edge / 3)] += 1
    bands = [part for band in _bands(gap.left, gap.right) for part in band]
    start = min(line.x0 for line in gap.left)
    regular |= {round((start + count * (gap.edge - start)) / 3) for count in range(2, MAX_REGULAR + 1)}
    return [
        group
        for part in (gap.above, *bands, gap.below)
        for group in in_reading_order(part, known, depth + 1, regular)
    ]


def across_columns(rows: Sequence[Sequence[Line]], tables: Iterable[range]) -> list[range]:
    """Return the tables of a page that stand across its columns, each with its caption.

    Args:
        rows: The rows of the page.
        tables: Where tables are among them.
    """
    left = min(row[0].x0 for row in rows)
    width = max(line.x1 for row in rows for line in row) - left
    found = []
    for table in tables:
        lines = [line for number in table for line in rows[number]]
        x0, x1 = min(line.x0 for line in lines), max(line.x1 for line in lines)
        cells = median(len(rows[number]) for number in table)
        if cells < 3 or x0 > left + 0.15 * width or x1 < left + 0.8 * width or _has_prose(lines):
            continue
        start = table.start
        for above in range(start - 1, max(-1, start - 1 - MAX_CAPTION_ROWS), -1):
            if CAPTION.match(rows[above][0].text):
                start = above
                break
        found.append(range(start, table.stop))
    return found


def _has_prose(lines: Sequence[Line]) -> bool:
    places: dict[int, list[Line]] = {}
    for line in lines:
        places.setdefault(round(line.x0 / 3), []).append(line)
    return any(len(found) > 2 and _is_prose(found, MIN_LINES) for found in places.values())


Edges = Counter[int]
"""How often right columns begin at a place, in steps of three points."""


@dataclass(frozen=True, slots=True)
class _Gap:
    edge: float
    above: list[Line]
    left: list[Line]
    right: list[Line]
    below: list[Line]


def _widest_gap(lines: Sequence[Line], known: Edges, regular: Set[int]) -> _Gap | None:
    """Return the gap that divides most lines."""
    best: tuple[float, float, float, list[Line], list[Line]] | None = None
    expected = {key for key, count in known.items() if count}
    for near in regular:
        expected |= {near - 1, near, near + 1}
    beyond = _beyond(lines)
    for edge in [*_edges(lines, expected), *beyond]:
        for left, right in _sides(lines, edge):
            score = min(len(left), len(right))
            if best is not None and score < best[0]:
                continue
            wide = edge - max(line.x1 for line in left)
            alone = round(edge / 3) in expected or (edge in beyond and _is_prose(left, MIN_LONG_LINES))
            few = 1 if alone else MIN_SHORT_LINES
            if (best is None or (score, wide) > best[:2]) and _are_columns(left, right, few):
                best = (score, wide, edge, left, right)
    if best is None:
        return None
    edge, left, right = best[2:]
    inside = set(map(id, (*left, *right)))
    top = max(side[0].y0 + side[0].y1 for side in (left, right))
    rest = [line for line in lines if id(line) not in inside]
    return _Gap(
        edge=edge,
        above=[line for line in rest if line.y0 + line.y1 > top],
        left=left,
        right=right,
        below=[line for line in rest if line.y0 + line.y1 <= top],
    )


def _bands(left: Sequence[Line], right: Sequence[Line]) -> list[tuple[list[Line], list[Line]]]:
    """Cut two columns where both begin anew in another size, as at a list of references below the text."""
    marked = [(line, True) for line in left] + [(line, False) for line in right]
    marked.sort(key=lambda item: -item[0].y1)
    cuts = [0]
    low = marked[0][0].y0
    for position, (line, _) in enumerate(marked):
        if low - line.y1 > 0.6 * line.size:
            above, below = marked[max(0, position - WINDOW) : position], marked[position : position + WINDOW]
            sizes = [(_size(above, side), _size(below, side)) for side in (True, False)]
            if all(upper and lower and abs(upper - lower) > 0.1 * upper for upper, lower in sizes):
                cuts.append(position)
        low = min(low, line.y0)
    return [
        ([line for line, side in band if side], [line for line, side in band if not side])
        for start, end in pairwise([*cuts, len(marked)])
        if (band := marked[start:end])
    ]


def _size(marked: Sequence[tuple[Line, bool]], wanted: bool) -> float:
    return median([line.size for line, side in marked if side is wanted] or [0.0])


def _beyond(lines: Sequence[Line]) -> list[float]:
    """Return where few lines begin to the right of a column, as where a text ends in the next one."""
    if len(lines) < MIN_LONG_LINES:
        return []
    end = sorted(line.x1 for line in lines)[len(lines) * 3 // 5]
    return [min(found)] if (found := [line.x0 for line in lines if line.x0 > end + 0.8 * line.size]) else []


def _edges(lines: Sequence[Line], known: Set[int]) -> list[float]:
    """Return where lines begin one below another, or where columns began before; where most do first."""
    near: dict[int, list[float]] = {}
    for line in lines:
        near.setdefault(round(line.x0 / 3), []).append(line.x0)
    leftmost = min(line.x0 for line in lines) + 20
    counts = Counter({key: len(found) for key, found in near.items() if min(found) > leftmost})
    return [
        min(near[key])
        for key, count in counts.most_common(MAX_EDGES)
        if count >= MIN_SHORT_LINES or key in known
    ]


def _sides(ordered: Sequence[Line], edge: float) -> list[tuple[list[Line], list[Line]]]:
    """Return what stands left and right of a line down from each line across it to the next."""
    found: list[tuple[list[Line], list[Line]]] = []
    left: list[Line] = []
    right: list[Line] = []
    for line in ordered:
        if line.x0 >= edge - 3:
            right.append(line)
        elif line.x1 <= edge + 1:
            left.append(line)
        else:
            found.append((left, right))
            left, right = [], []
    found.append((left, right))
    return [sides for sides in found if all(sides)]


def _are_columns(left: Sequence[Line], right: Sequence[Line], few: int) -> bool:
    """Return whether both sides are prose that stands side by side, of no fewer lines than these."""
    low, high = max(_bottom(left), _bottom(right)), min(_top(left), _top(right))
    beside = high - low
    smaller = min(_top(side) - _bottom(side) for side in (left, right))
    return beside > 0.3 * smaller and all(_is_prose(side, few) for side in (left, right))


def _top(lines: Sequence[Line]) -> float:
    return float(max(map(_TOP, lines)))


def _bottom(lines: Sequence[Line]) -> float:
    return float(min(map(_BOTTOM, lines)))


def _is_prose(lines: Sequence[Line], few: int) -> bool:
    """Return whether lines are running text: they fill their column, have several words and few numbers."""
    rows = rows_of(lines)
    if len(rows) < few:
        return False
    texts = [row[0].text if len(row) == 1 else " ".join([line.text for line in row]) for row in rows]
    length = median(map(len, texts))
    going_on = sum(text[:1].islower() for text in texts) / len(texts)
    if len(rows) < MIN_LINES:
        if few == 1:
            return (length >= 10 or texts[-1].endswith(".")) and _letters_of(texts) > 0.7
        return length >= 25 and going_on > 0.3 and _letters_of(texts) > 0.7
    if length < (14 if few > 1 else 10) or (length < 25 and going_on <= 0.3):
        return False
    # where a few rows go on into another column its end is not theirs
    width = sorted(row[-1].x1 for row in rows)[len(rows) * 4 // 5] - min(row[0].x0 for row in rows)
    filled = median(row[-1].x1 - row[0].x0 for row in rows) / max(width, 1.0)
    return filled > 0.5 and _letters_of(texts) > 0.55


def _letters_of(texts: Sequence[str]) -> float:
    """Return the share of letters."""
    whole = "".join(texts)
    return sum(map(str.isalpha, whole)) / max(1, len(whole))
