"""What PDFium says of the characters of a PDF page, asked of many at once."""

from __future__ import annotations

import ctypes
import re
from collections import deque
from collections.abc import Sequence
from itertools import repeat
from typing import Any

import numpy as np
import numpy.typing as npt
import pypdfium2.raw as pdfium

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
ROOM = 1024
_MAX_NAME = 128
_SUBSET = re.compile(r"^[A-Z]{6}\+")
_UNITS = ctypes.POINTER(ctypes.c_ushort)


def _bulk(function: Any, result: Any) -> Any:
    """Return a function of PDFium as one that takes addresses and keeps the interpreter's lock.

    Called for every glyph, with numbers and addresses that are objects already, this costs a fifth of what
    pypdfium2's own conversion of arguments does.
    """
    address = ctypes.cast(function, ctypes.c_void_p).value
    assert address is not None
    return ctypes.PYFUNCTYPE(result)(address)


_box_of = _bulk(pdfium.FPDFText_GetLooseCharBox, None)
_code_of = _bulk(pdfium.FPDFText_GetUnicode, ctypes.c_uint)
_angle_of = _bulk(pdfium.FPDFText_GetCharAngle, ctypes.c_float)
_object_of = _bulk(pdfium.FPDFText_GetTextObject, ctypes.c_void_p)
_font_of = _bulk(pdfium.FPDFTextObj_GetFont, ctypes.c_void_p)
_font_info = _bulk(pdfium.FPDFText_GetFontInfo, ctypes.c_ulong)


class Room:
    """Where PDFium writes what it is asked; it serves all pages of a document."""

    def __init__(self) -> None:
        self.boxes = np.zeros((ROOM, 4), np.float32)
        start = self.boxes.ctypes.data
        self.addresses = [ctypes.c_void_p(start + 16 * place) for place in range(ROOM)]
        self.name = ctypes.create_string_buffer(_MAX_NAME)
        self.flags = ctypes.c_int()


class Characters:
    """The characters of one page, each by its number.

    Args:
        text_page: pypdfium2's text page, open as long as this is used.
        room: That of the document.
    """

    def __init__(self, text_page: Any, room: Room) -> None:
        self._raw = text_page.raw
        self._handle = ctypes.cast(self._raw, ctypes.c_void_p)
        self._room = room
        self._names: dict[int | None, str] = {}
        self.count: int = text_page.count_chars()

    def codes(self) -> Integers:
        """Return the UTF-16 code units of all of them."""
        codes = np.empty(self.count + 1, np.uint16)
        written = pdfium.FPDFText_GetText(self._raw, 0, self.count, codes.ctypes.data_as(_UNITS))
        if written == self.count + 1:
            return codes[: self.count].astype(np.int64)
        # where the text has fewer or more units than there are glyphs, each is asked for
        return np.fromiter(map(_code_of, repeat(self._handle), range(self.count)), np.int64, self.count)

    def boxes(self, indices: Integers) -> npt.NDArray[np.float32]:
        """Return the left, top, right and bottom edge of each, in points."""
        parts = []
        for start in range(0, len(indices), ROOM):
            asked = indices[start : start + ROOM].tolist()
            deque(map(_box_of, repeat(self._handle), asked, self._room.addresses), 0)
            parts.append(self._room.boxes[: len(asked)].copy())
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def angles(self, indices: Integers) -> Floats:
        """Return the angle of each in degrees, counterclockwise."""
        asked = map(_angle_of, repeat(self._handle), indices.tolist())
        return -np.degrees(np.fromiter(asked, np.float64, len(indices)))

    def fonts(self, indices: Sequence[int]) -> list[str]:
        """Return the name of the font of each, without the mark of a subset; "" where it has none."""
        found: list[str] = []
        last = name = None
        for index in indices:
            text = _object_of(self._handle, index)
            if text != last or name is None:
                last = text
                font = _font_of(ctypes.c_void_p(text)) if text else None
                name = self._names.get(font)
                if name is None:
                    name = self._names[font] = self._font(index) if font else ""
            found.append(name)
        return found

    def _font(self, index: int) -> str:
        room = self._room
        length = _font_info(
            self._handle, index, room.name, ctypes.c_ulong(_MAX_NAME), ctypes.byref(room.flags)
        )
        return _SUBSET.sub("", room.name.value.decode("utf-8", "replace")) if 0 < length <= _MAX_NAME else ""
