"""Lines of text with their places, read from a PDF page's characters."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from ctypes import byref, c_int, create_string_buffer
from dataclasses import dataclass
from statistics import median
from typing import Any

import pypdfium2.raw as pdfium

_BOLD = re.compile(r"bold|black|heavy|semibd|demi|[.\-]b$", re.IGNORECASE)
LINE_END_HYPHEN = "\ufffe"  # PDFium's mark where it joined a word that is hyphenated at a line's end


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
        bold: Whether the font's name says it is bold.
    """

    text: str
    x0: float
    x1: float
    y0: float
    y1: float
    size: float
    bold: bool

    @property
    def middle(self) -> float:
        """The vertical middle."""
        return (self.y0 + self.y1) / 2


@dataclass(frozen=True, slots=True)
class _Character:
    text: str
    index: int
    x0: float
    x1: float
    y0: float
    y1: float


def read_lines(text_page: Any) -> list[Line]:
    """Read the lines of a page in the order of its content stream; rotated text is left out.

    Returns:
        The lines; one is cut where a gap as wide as that between columns opens.
    """
    return [
        line for run in _runs(text_page.raw, text_page.count_chars()) if (line := _line(run, text_page.raw))
    ]


def _runs(handle: Any, count: int) -> Iterator[list[_Character]]:
    run: list[_Character] = []
    last: _Character | None = None
    box = pdfium.FS_RECTF()
    for index in range(count):
        code = pdfium.FPDFText_GetUnicode(handle, index)
        if code in (10, 13):
            yield run
            run, last = [], None
            continue
        if not pdfium.FPDFText_GetLooseCharBox(handle, index, byref(box)):
            continue
        text = LINE_END_HYPHEN if code in (2, 0xFFFE) else chr(code)
        character = _Character(text, index, box.left, box.right, box.bottom, box.top)
        inked = not text.isspace()
        if last is not None and inked and _breaks(last, character):
            yield run
            run = []
        run.append(character)
        last = character if inked else last
        if text == LINE_END_HYPHEN:
            yield run
            run, last = [], None
    yield run


def _breaks(last: _Character, character: _Character) -> bool:
    """Return whether a character cannot stand on the last one's line: too far right, back left, or apart."""
    height = max(last.y1 - last.y0, character.y1 - character.y0, 1.0)
    apart = min(last.y1, character.y1) - max(last.y0, character.y0) < -0.2 * height
    return apart or character.x0 - last.x1 > 1.6 * height or last.x0 - character.x0 > 2.0 * height


def _line(run: Sequence[_Character], handle: Any) -> Line | None:
    inked = [character for character in run if not character.text.isspace()]
    if not inked:
        return None
    text = "".join(character.text for character in run)
    text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    boxed = [character for character in inked if character.x1 > character.x0] or inked
    x0, x1 = min(character.x0 for character in boxed), max(character.x1 for character in boxed)
    y0, y1 = min(character.y0 for character in boxed), max(character.y1 for character in boxed)
    size = median(character.y1 - character.y0 for character in boxed)
    if len(inked) > 3 and y1 - y0 > 2.5 * size and x1 - x0 < y1 - y0:
        return None
    return Line(text.strip(), x0, x1, y0, y1, size, _is_bold(handle, inked[0].index))


def _is_bold(handle: Any, index: int) -> bool:
    buffer, flags = create_string_buffer(128), c_int()
    pdfium.FPDFText_GetFontInfo(handle, index, buffer, 128, byref(flags))
    return bool(_BOLD.search(buffer.value.decode("utf-8", "replace")))
