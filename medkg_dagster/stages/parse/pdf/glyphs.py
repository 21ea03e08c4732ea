"""The glyphs of a PDF page in bulk, set upright: which there are, where, and read in which direction."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from medkg_dagster.stages.parse.pdf.characters import Characters, Floats, Integers

HYPHEN = 0xFFFE  # PDFium's mark where it joined a word that is hyphenated at a line's end
_BLANKS = (
    32, 0x85, 0xA0, 0xAD, *range(0x2000, 0x200C), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000, 0xFEFF,
)  # fmt: skip
# Marks that are printed over a letter, with the combining mark that means the same.
_ACCENTS = {
    0x60: 0x300, 0x2CB: 0x300, 0xB4: 0x301, 0x2CA: 0x301, 0x5E: 0x302, 0x2C6: 0x302, 0x2DC: 0x303,
    0x7E: 0x303, 0xAF: 0x304, 0x2C9: 0x304, 0x2D8: 0x306, 0x2D9: 0x307, 0xA8: 0x308, 0x2DA: 0x30A,
    0xB0: 0x30A, 0x2DD: 0x30B, 0x2C7: 0x30C, 0xB8: 0x327, 0x2DB: 0x328,
    **{mark: mark for mark in range(0x300, 0x370)},
}  # fmt: skip
_LAST = 0xFFFF
_NOTHING = 0x200B  # in the place of the second half of a character
_IS_BLANK = np.zeros(_LAST + 1, np.bool_)
_IS_BLANK[[*(code for code in range(32) if code != 2), *_BLANKS]] = True
_IS_ACCENT = np.zeros(_LAST + 1, np.bool_)
_IS_ACCENT[list(_ACCENTS)] = True
_DOTLESS = {0x131: 0x69, 0x237: 0x6A}

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Glyphs:
    """Visible glyphs that are read in one direction, in the order of the page's content stream.

    Attributes:
        codes: Unicode code units.
        indices: Their numbers on PDFium's page.
        x0: Left edges in points, the page turned so that they stand upright.
        x1: Right edges.
        y0: Bottom edges.
        y1: Top edges.
        spaces: Whether white space stands before each.
        breaks: Whether a line break or something else in between ends the line before each.
        width: The width of the page, turned.
        height: Its height.
    """

    codes: Integers
    indices: Integers
    x0: Floats
    x1: Floats
    y0: Floats
    y1: Floats
    spaces: Flags
    breaks: Flags
    width: float
    height: float

    def __len__(self) -> int:
        return len(self.codes)

    def chosen(self, which: Flags) -> Glyphs:
        """Return those of the glyphs that are flagged."""
        return Glyphs(
            codes=self.codes[which],
            indices=self.indices[which],
            x0=self.x0[which],
            x1=self.x1[which],
            y0=self.y0[which],
            y1=self.y1[which],
            spaces=self.spaces[which],
            breaks=self.breaks[which],
            width=self.width,
            height=self.height,
        )

    def count_meaningless(self) -> int:
        """Return how many have no character: unmapped ones and those of private use."""
        private = (self.codes >= 0xE000) & (self.codes <= 0xF8FF)
        return int(np.count_nonzero(private | (self.codes == 0xFFFD) | (self.codes == 0)))


def read_glyphs(
    characters: Characters, bounds: tuple[float, float, float, float], *, exactly: bool = False
) -> list[Glyphs]:
    """Read the visible glyphs of a page, those of each direction for themselves, the most first.

    Args:
        characters: What PDFium says of the page.
        bounds: Left, bottom, right and top of the page.
        exactly: Whether to ask for the place of each glyph, else of those where words begin, change and end.
    """
    if characters.count <= 0:
        return []
    codes = _whole(characters.codes())
    blank = _IS_BLANK[np.minimum(codes, _LAST)]
    visible = np.flatnonzero(~blank)
    if not len(visible):
        return []
    lines = np.cumsum((codes == 10) | (codes == 13))[visible]
    codes = codes[visible]
    codes[codes == 2] = HYPHEN
    spaces, breaks = np.zeros(len(visible), np.bool_), np.zeros(len(visible), np.bool_)
    spaces[1:] = visible[1:] - visible[:-1] > 1
    breaks[1:] = lines[1:] != lines[:-1]
    left, top, right, bottom = _boxes(characters, codes, visible, spaces, exactly=exactly)
    page = Glyphs(
        codes=codes,
        indices=visible,
        x0=np.minimum(left, right) - bounds[0],
        x1=np.maximum(left, right) - bounds[0],
        y0=np.minimum(bottom, top) - bounds[1],
        y1=np.maximum(bottom, top) - bounds[1],
        spaces=spaces,
        breaks=breaks,
        width=bounds[2] - bounds[0],
        height=bounds[3] - bounds[1],
    )
    directions = _directions(characters, page)
    if not directions.any():
        return [page]
    found = [_upright(page, directions == direction, int(direction)) for direction in np.unique(directions)]
    return sorted(found, key=len, reverse=True)


def _boxes(
    characters: Characters, codes: Integers, indices: Integers, spaces: Flags, *, exactly: bool
) -> tuple[Floats, Floats, Floats, Floats]:
    """Return left, top, right and bottom of each glyph; between those asked for they are interpolated.

    Asked are the first and the last glyph of a word and those where digits begin and end; all of them where
    the word does not lie flat between its ends, or is printed twice letter by letter.
    """
    count = len(codes)
    if exactly:
        left, top, right, bottom = characters.boxes(indices).astype(np.float64).T
        return left, top, right, bottom
    begins = spaces.copy()
    begins[0] = True
    asked = begins.copy()
    asked[:-1] |= begins[1:]
    asked[-1] = True
    digits = (codes >= 0x30) & (codes <= 0x39)
    asked[1:] |= digits[1:] != digits[:-1]
    accents = _IS_ACCENT[np.minimum(codes, _LAST)]
    if accents.any():
        asked |= accents
        asked[1:] |= accents[:-1]
        asked[:-1] |= accents[1:]
    known = np.flatnonzero(asked)
    boxes = characters.boxes(indices[known])
    uneven = _uneven(codes, np.flatnonzero(begins), boxes, np.cumsum(asked) - 1) & ~asked
    if uneven.any():
        others = np.flatnonzero(uneven)
        boxes = np.concatenate((boxes, characters.boxes(indices[others])))
        known = np.concatenate((known, others))
        order = np.argsort(known)
        known, boxes = known[order], boxes[order]
        asked |= uneven
    places = np.cumsum(asked) - 1
    lefts, tops, rights, bottoms = boxes.astype(np.float64).T
    left = np.interp(np.arange(count), known, lefts)
    right = np.empty(count)
    right[:-1] = left[1:]
    right[known] = rights
    return left, tops[places], right, bottoms[places]


def _uneven(codes: Integers, first: Integers, boxes: npt.NDArray[np.float32], places: Integers) -> Flags:
    """Return the glyphs of the words that do not lie flat, or are printed twice letter by letter.

    Args:
        codes: The codes of all glyphs.
        first: Where words begin.
        boxes: What is known of glyphs.
        places: Where among the boxes that of each glyph is, if it is known.
    """
    count = len(codes)
    last = np.append(first[1:], count) - 1
    begin, end = boxes[places[first]], boxes[places[last]]
    allowed = 0.05 * np.abs(begin[:, 1] - begin[:, 3])
    apart = np.abs(begin - end)
    flat = (apart[:, 1] < allowed) & (apart[:, 3] < allowed) & (end[:, 2] >= begin[:, 0])
    again = np.zeros(count, np.int64)
    again[1:] = codes[1:] == codes[:-1]
    uneven = ~flat | (np.add.reduceat(again, first) > 0.3 * (last - first))
    return np.repeat(uneven, last - first + 1)


def _whole(units: Integers) -> Integers:
    """Join the halves of characters beyond U+FFFF, in place."""
    halves = (units & ~0x7FF) == 0xD800
    if not halves.any():
        return units
    high = np.flatnonzero((units[:-1] & ~0x3FF) == 0xD800)
    high = high[(units[high + 1] & ~0x3FF) == 0xDC00]
    units[high] = 0x10000 + ((units[high] & 0x3FF) << 10) + (units[high + 1] & 0x3FF)
    units[high + 1] = _NOTHING
    units[(units & ~0x7FF) == 0xD800] = 0xFFFD
    return units


def _directions(characters: Characters, page: Glyphs) -> Integers:
    """Return the angle of each glyph in steps of 5 degrees, counterclockwise, right angles preferred.

    A glyph that goes on to the right of the one before it has its direction, only others are asked for.
    """
    height = np.minimum(page.y1[1:] - page.y0[1:], page.y1[:-1] - page.y0[:-1])
    overlap = np.minimum(page.y1[1:], page.y1[:-1]) - np.maximum(page.y0[1:], page.y0[:-1])
    goes_on = (
        (overlap > 0.3 * height) & (page.x0[1:] > page.x0[:-1]) & (page.x0[1:] - page.x1[:-1] < 2 * height)
    )
    asked = np.flatnonzero(np.concatenate(([True], ~goes_on)))
    degrees = characters.angles(page.indices[asked])
    right = np.round(degrees / 90) * 90
    rounded = np.where(np.abs(degrees - right) <= 8, right, np.round(degrees / 5) * 5).astype(np.int64) % 360
    return np.repeat(rounded, np.diff(np.append(asked, len(page))))


def _upright(page: Glyphs, which: Flags, direction: int) -> Glyphs:
    """Return the glyphs of one direction, the page turned so that they stand upright."""
    glyphs = page.chosen(which)
    # a line ends where glyphs of another direction stand in between
    between = np.diff(np.flatnonzero(which), prepend=-1) > 1
    glyphs = replace(glyphs, breaks=glyphs.breaks | between)
    width, height = page.width, page.height
    x0, x1, y0, y1 = glyphs.x0, glyphs.x1, glyphs.y0, glyphs.y1
    match direction:
        case 0:
            return glyphs
        case 90:
            return replace(glyphs, x0=y0, x1=y1, y0=width - x1, y1=width - x0, width=height, height=width)
        case 180:
            return replace(glyphs, x0=width - x1, x1=width - x0, y0=height - y1, y1=height - y0)
        case 270:
            return replace(glyphs, x0=height - y1, x1=height - y0, y0=x0, y1=x1, width=height, height=width)
    angle = np.radians(direction)
    x, y = (x0 + x1) / 2, (y0 + y1) / 2
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    # a glyph that stands oblique is about half as wide and high as the box around it
    half = (x1 - x0 + y1 - y0) / 6
    return replace(glyphs, x0=along - half / 2, x1=along + half / 2, y0=across - half, y1=across + half)


def compose_accents(glyphs: Glyphs) -> Glyphs:
    """Join letters and the accents that are printed over them as glyphs of their own."""
    marks = np.flatnonzero(_IS_ACCENT[np.minimum(glyphs.codes, _LAST)])
    if not len(marks):
        return glyphs
    codes, spaces, breaks = glyphs.codes.copy(), glyphs.spaces.copy(), glyphs.breaks.copy()
    gone = np.zeros(len(glyphs), np.bool_)
    for mark in marks.tolist():
        base = _base_of(glyphs, mark)
        if base is None or gone[base]:
            continue
        letter = _DOTLESS.get(int(codes[base]), int(codes[base]))
        composed = unicodedata.normalize("NFC", chr(letter) + chr(_ACCENTS[int(codes[mark])]))
        if len(composed) > 1:
            continue
        first, last = min(base, mark), max(base, mark)
        codes[base] = ord(composed)
        gone[mark] = True
        spaces[base], breaks[base] = spaces[first], breaks[first]
        if last + 1 < len(codes) and mark == last:
            # what PDFium saw between an accent and the letter before it stands behind neither
            spaces[last + 1] = spaces[last + 1] and not _touch(glyphs, base, last + 1)
            breaks[last + 1] = breaks[last + 1] and not _touch(glyphs, base, last + 1)
    return replace(glyphs, codes=codes, spaces=spaces, breaks=breaks).chosen(~gone)


def _base_of(glyphs: Glyphs, mark: int) -> int | None:
    """Return the letter that an accent stands over: of its neighbours the one that it covers most of."""
    best: tuple[float, int] | None = None
    for near in (mark - 1, mark + 1):
        if not 0 <= near < len(glyphs) or not chr(int(glyphs.codes[near])).isalpha():
            continue
        width = max(0.1, min(glyphs.x1[near] - glyphs.x0[near], glyphs.x1[mark] - glyphs.x0[mark]))
        shared = min(glyphs.x1[near], glyphs.x1[mark]) - max(glyphs.x0[near], glyphs.x0[mark])
        apart = abs(glyphs.y0[near] - glyphs.y0[mark]) > glyphs.y1[near] - glyphs.y0[near]
        if shared / width > 0.5 and not apart and (best is None or shared / width > best[0]):
            best = (shared / width, near)
    return best[1] if best else None


def _touch(glyphs: Glyphs, left: int, right: int) -> bool:
    size = glyphs.y1[left] - glyphs.y0[left]
    same_line = abs(glyphs.y0[left] - glyphs.y0[right]) < 0.3 * size
    return bool(same_line and abs(glyphs.x0[right] - glyphs.x1[left]) < 0.12 * size)


def without_repeats(glyphs: Glyphs) -> Glyphs:
    """Drop a glyph that is printed over the same one before it, a hair apart, as bold type is imitated."""
    if len(glyphs) < 2:
        return glyphs
    near = 0.1 * (glyphs.y1 - glyphs.y0)[1:]
    again = (
        (glyphs.codes[1:] == glyphs.codes[:-1])
        & (np.abs(np.diff(glyphs.x0)) < near)
        & (np.abs(np.diff(glyphs.y0)) < near)
    )
    stays = np.concatenate(([True], ~again))
    return glyphs if stays.all() else glyphs.chosen(stays)


def run_starts(glyphs: Glyphs) -> Integers:
    """Return where the runs of glyphs begin that go on along one line without a wide gap."""
    height = np.maximum(np.maximum(glyphs.y1[1:] - glyphs.y0[1:], glyphs.y1[:-1] - glyphs.y0[:-1]), 1.0)
    overlap = np.minimum(glyphs.y1[1:], glyphs.y1[:-1]) - np.maximum(glyphs.y0[1:], glyphs.y0[:-1])
    gap = glyphs.x0[1:] - glyphs.x1[:-1]
    back = glyphs.x0[:-1] - glyphs.x0[1:]
    ends = (
        (overlap < -0.2 * height)
        | ((overlap < 0) & (gap < -0.3 * height))
        | (gap > 1.0 * height)
        | (back > 0.3 * height)
        | glyphs.breaks[1:]
        | (glyphs.codes[:-1] == HYPHEN)
    )
    return np.concatenate(([0], np.flatnonzero(ends) + 1))
