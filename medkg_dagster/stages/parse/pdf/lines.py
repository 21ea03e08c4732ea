"""Lines of text with their places, made of a PDF page's glyphs."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from ctypes import byref, c_int, create_string_buffer
from dataclasses import dataclass
from typing import Any

import numpy as np
import pypdfium2.raw as pdfium

from medkg_dagster.stages.parse.pdf.glyphs import HYPHEN, Glyphs, Integers, runs

_BOLD = re.compile(r"bold|black|heavy|semibd|demi|medi$|cmbx|[.\-]b$|[.\-]bd?i?$", re.IGNORECASE)
_SUBSET = re.compile(r"^[A-Z]{6}\+")
LINE_END_HYPHEN = chr(HYPHEN)
MARK = "\x1f"
SMALL = 0.8


@dataclass(frozen=True, slots=True)
class Line:
    """A run of text on one line.

    Attributes:
        text: The text; ends with `LINE_END_HYPHEN` where a hyphenated word continues on the next line.
        x0: Left edge in points from the page's left.
        x1: Right edge.
        y0: Bottom edge in points from the page's bottom.
        y1: Top edge.
        size: Height of the font in points.
        font: The name of the font of its first glyph.
        last_font: That of its last glyph.
        plain: The text with `MARK` for each glyph that is smaller than the others, as the marks of notes are;
            empty where none is.
    """

    text: str
    x0: float
    x1: float
    y0: float
    y1: float
    size: float
    font: str = ""
    last_font: str = ""
    plain: str = ""

    @property
    def middle(self) -> float:
        """The vertical middle."""
        return (self.y0 + self.y1) / 2

    @property
    def bold(self) -> bool:
        """Whether the name of its font says that it is bold from its beginning to its end."""
        return is_bold(self.font) and is_bold(self.last_font)


def glyphs_of(text: str) -> Counter[str]:
    """Count the visible characters of a text, ligatures and accents for themselves."""
    return Counter("".join(unicodedata.normalize("NFKD", text).split()))


def is_bold(font: str) -> bool:
    """Return whether the name of a font says that it is bold."""
    return bool(_BOLD.search(font))


def make_lines(glyphs: Glyphs, text_page: Any) -> list[Line]:
    """Make the lines of glyphs in the order of the content stream.

    Returns:
        The lines; one is cut where a gap as wide as that between columns opens.
    """
    if not len(glyphs):
        return []
    text, places = text_of(glyphs)
    heights = glyphs.y1 - glyphs.y0
    cut = list(runs(glyphs))
    starts = np.array([start for start, _ in cut])
    x0, x1 = np.minimum.reduceat(glyphs.x0, starts).tolist(), np.maximum.reduceat(glyphs.x1, starts).tolist()
    number = np.repeat(np.arange(len(cut)), np.diff([*starts, len(glyphs)]))
    middle = starts + np.diff([*starts, len(glyphs)]) // 2
    chosen = np.lexsort((heights, number))[middle]  # the glyph of median height stands for its line
    y0, y1, sizes = glyphs.y0[chosen].tolist(), glyphs.y1[chosen].tolist(), heights[chosen].tolist()
    small = heights < SMALL * np.repeat(heights[chosen], np.diff([*starts, len(glyphs)]))
    has_small = np.logical_or.reduceat(small, starts).tolist()
    plain = "".join(_masked(text, places, np.flatnonzero(small))) if any(has_small) else text
    fonts = _Fonts(text_page.raw)
    lines = []
    for run, (start, end) in enumerate(cut):
        part = text[places[start] : places[end - 1] + 1]
        lines.append(
            Line(
                part.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace"),
                x0[run],
                x1[run],
                y0[run],
                y1[run],
                sizes[run],
                fonts.name(int(glyphs.indices[start])),
                fonts.name(int(glyphs.indices[end - 1])),
                plain[places[start] : places[end - 1] + 1] if has_small[run] else "",
            )
        )
    return lines


def text_of(glyphs: Glyphs) -> tuple[str, Sequence[int]]:
    """Return the text of all glyphs with the spaces between them, and where in it each glyph is."""
    places = np.arange(len(glyphs)) + np.cumsum(glyphs.spaces)
    units = np.full(int(places[-1]) + 1, 0x20, np.uint32)
    units[places] = glyphs.codes
    return units.tobytes().decode("utf-32-le", "surrogatepass"), places.tolist()


def _masked(text: str, places: Sequence[int], small: Integers) -> list[str]:
    characters = list(text)
    for number in small.tolist():
        characters[places[number]] = MARK
    return characters


class _Fonts:
    """The names of a page's fonts; one call asks for a glyph's."""

    def __init__(self, raw: Any) -> None:
        self._raw = raw
        self._buffer = create_string_buffer(128)
        self._names: dict[bytes, str] = {}

    def name(self, index: int) -> str:
        length = pdfium.FPDFText_GetFontInfo(self._raw, index, self._buffer, 128, byref(c_int()))
        if not 0 < length <= 128:
            return ""
        name = self._buffer.value
        if name not in self._names:
            self._names[name] = _SUBSET.sub("", name.decode("utf-8", "replace"))
        return self._names[name]


def without_repeated_lines(lines: Sequence[Line]) -> tuple[list[Line], int]:
    """Drop lines that are printed over the same ones, a hair apart.

    Returns:
        The lines, and how many glyphs were dropped.
    """
    seen: set[tuple[str, int, int]] = set()
    kept: list[Line] = []
    dropped = 0
    for line in lines:
        step = max(0.1 * line.size, 0.5)
        x, y = round(line.x0 / step), round(line.y0 / step)
        if any((line.text, x + dx, y + dy) in seen for dx in (-1, 0, 1) for dy in (-1, 0, 1)):
            dropped += glyphs_of(line.text).total()
            continue
        seen.add((line.text, x, y))
        kept.append(line)
    return kept, dropped


def rows_of(lines: Sequence[Line]) -> list[list[Line]]:
    """Group lines (words, superscripts, cells) that stand beside one another, from top to bottom."""
    rows: list[list[Line]] = []
    main: Line | None = None
    for line in sorted(lines, key=lambda line: (-line.middle, line.x0)):
        if main is not None and _beside(main, line):
            rows[-1].append(line)
            main = max(main, line, key=lambda other: (other.size, other.x1 - other.x0))
        else:
            rows.append([line])
            main = line
    return [sorted(row, key=lambda line: line.x0) for row in rows]


def _beside(main: Line, line: Line) -> bool:
    overlap = min(main.y1, line.y1) - max(main.y0, line.y0)
    return overlap > 0.55 * min(main.y1 - main.y0, line.y1 - line.y0)
