"""Lines of text with their places, made of a PDF page's glyphs."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from medkg_dagster.stages.parse.pdf.characters import Characters, Floats, Integers
from medkg_dagster.stages.parse.pdf.glyphs import HYPHEN, Flags, Glyphs, run_starts

_BOLD = re.compile(r"bold|black|heavy|semibd|demi|medi$|cmbx|[.\-]b$|[.\-]bd?i?$", re.IGNORECASE)
LINE_END_HYPHEN = chr(HYPHEN)
# Raised small glyphs are set between two noncharacters, which no text keeps.
OPEN, CLOSE = "\ufdd0", "\ufdd1"
SMALL = 0.8
CAPTION = re.compile(r"(?:table|figure|fig\.|box|scheme|plate)\s*S?(?:\d+|[IVX]+)\b", re.IGNORECASE)
_TEXT, _LEFT = attrgetter("text"), attrgetter("x0")
RAISED = 0.2


class Line(NamedTuple):
    """A run of text on one line.

    Attributes:
        text: The text; ends with `LINE_END_HYPHEN` where a hyphenated word continues on the next line; what
            is raised and small stands between `OPEN` and `CLOSE`.
        x0: Left edge in points from the page's left.
        x1: Right edge.
        y0: Bottom edge in points from the page's bottom.
        y1: Top edge.
        size: Height of the font in points.
        font: The name of the font of its first glyph.
        last_font: That of its last glyph.
    """

    text: str
    x0: float
    x1: float
    y0: float
    y1: float
    size: float
    font: str = ""
    last_font: str = ""

    @property
    def bold(self) -> bool:
        """Whether the name of its font says that it is bold from its beginning to its end."""
        return is_bold(self.font) and is_bold(self.last_font)


def glyphs_of(text: str) -> Counter[str]:
    """Count the visible characters of a text, ligatures and accents for themselves."""
    return count_glyphs(np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32))


def count_glyphs(codes: npt.NDArray[np.integer[Any]]) -> Counter[str]:
    """Count the visible characters that have these codes, as `glyphs_of` does."""
    counts: Counter[str] = Counter()
    found = np.bincount(codes) if len(codes) else codes
    for code in np.flatnonzero(found).tolist():
        for letter in "".join(unicodedata.normalize("NFKD", chr(code)).split()):
            if letter not in {OPEN, CLOSE}:
                counts[letter] += int(found[code])
    return counts


@cache
def is_bold(font: str) -> bool:
    """Return whether the name of a font says that it is bold."""
    return bool(_BOLD.search(font))


def make_lines(glyphs: Glyphs, characters: Characters) -> list[Line]:
    """Make the lines of glyphs in the order of the content stream.

    Returns:
        The lines; one is cut where a gap as wide as that between columns opens.
    """
    if not len(glyphs):
        return []
    heights = glyphs.y1 - glyphs.y0
    starts = run_starts(glyphs)
    lengths = np.diff(np.append(starts, len(glyphs)))
    # the glyph of median height stands for its line
    chosen = _of_median(heights, starts, lengths)
    sizes = heights[chosen]
    raised = (heights < SMALL * np.repeat(sizes, lengths)) & (
        glyphs.y0 > np.repeat(glyphs.y0[chosen] + RAISED * sizes, lengths)
    )
    text, places = text_of(glyphs, raised)
    ends = starts + lengths - 1
    fonts = characters.fonts(glyphs.indices[np.column_stack((starts, ends)).ravel()].tolist())
    columns = (
        places[starts].tolist(),
        (places[ends] + 1 + 2 * raised[ends]).tolist(),
        np.minimum.reduceat(glyphs.x0, starts).tolist(),
        np.maximum.reduceat(glyphs.x1, starts).tolist(),
        glyphs.y0[chosen].tolist(),
        glyphs.y1[chosen].tolist(),
        sizes.tolist(),
        fonts[::2],
        fonts[1::2],
    )
    return [
        Line(text[start:end], x0, x1, y0, y1, size, first, last)
        for start, end, x0, x1, y0, y1, size, first, last in zip(*columns, strict=True)
    ]


def _of_median(heights: Floats, starts: Integers, lengths: Integers) -> Integers:
    """Return which glyph of each run has its median height."""
    chosen = starts + lengths // 2
    uneven = np.minimum.reduceat(heights, starts) != np.maximum.reduceat(heights, starts)
    if uneven.any():
        these = np.flatnonzero(np.repeat(uneven, lengths))
        sizes = lengths[uneven]
        runs = np.repeat(np.arange(len(sizes)), sizes)
        middles = np.cumsum(sizes) - sizes + sizes // 2
        chosen[uneven] = these[np.lexsort((heights[these], runs))[middles]]
    return chosen


def text_of(glyphs: Glyphs, raised: Flags | None = None) -> tuple[str, Integers]:
    """Return the text of all glyphs with the spaces between them, and where in it each glyph begins.

    Args:
        glyphs: The glyphs.
        raised: Those to be set between `OPEN` and `CLOSE`, each for itself.
    """
    widths = 1 + glyphs.spaces.astype(np.int64)
    marks = np.zeros(len(glyphs), np.int64) if raised is None else 2 * raised.astype(np.int64)
    behind = np.cumsum(widths + marks)
    units = np.full(int(behind[-1]), 0x20, np.uint32)
    units[behind - 1 - marks // 2] = glyphs.codes
    if raised is not None and raised.any():
        units[behind[raised] - 3] = ord(OPEN)
        units[behind[raised] - 1] = ord(CLOSE)
    text = units.tobytes().decode("utf-32-le", "surrogatepass")
    return text, behind - 1 - marks


def without_repeated_lines(lines: Sequence[Line]) -> tuple[list[Line], int]:
    """Drop lines that are printed over the same ones, a hair apart.

    Returns:
        The lines, and how many glyphs were dropped.
    """
    times = Counter(map(_TEXT, lines))
    if len(times) == len(lines):
        return list(lines), 0
    seen: dict[str, set[tuple[int, int]]] = {}
    kept: list[Line] = []
    dropped = 0
    for line in lines:
        if times[line.text] == 1:
            kept.append(line)
            continue
        step = max(0.1 * line.size, 0.5)
        x, y = round(line.x0 / step), round(line.y0 / step)
        places = seen.setdefault(line.text, set())
        if places and any((x + dx, y + dy) in places for dx in (-1, 0, 1) for dy in (-1, 0, 1)):
            dropped += glyphs_of(line.text).total()
            continue
        places.add((x, y))
        kept.append(line)
    return kept, dropped


def from_top(lines: Iterable[Line]) -> list[Line]:
    """Sort lines from top to bottom, those of one height from left to right."""
    return sorted(lines, key=lambda line: (-line.y0 - line.y1, line.x0))


def rows_of(lines: Iterable[Line]) -> list[list[Line]]:
    """Group lines, sorted from top to bottom, that stand beside one another: words, superscripts, cells."""
    rows: list[list[Line]] = []
    bottom = top = largest = 0.0
    for line in lines:
        _, _, _, y0, y1, size, _, _ = line
        # this is asked most often of all: comparisons are quicker than `min` and `max`
        shared = (top if top < y1 else y1) - (bottom if bottom > y0 else y0)
        height, other = top - bottom, y1 - y0
        if rows and shared > 0.55 * (height if height < other else other):
            rows[-1].append(line)
        else:
            rows.append([line])
            largest = 0.0
        if size > largest:
            bottom, top, largest = y0, y1, size
    for row in rows:
        if len(row) > 1:
            row.sort(key=_LEFT)
    return rows
