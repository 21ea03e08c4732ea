"""What of a PDF page is no part of its text: running headers and footers, page numbers, numbers of lines."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence, Set
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import median

from medkg_dagster.stages.parse.pdf.lines import Line, from_top, glyphs_of, rows_of

_NUMBER = re.compile(r"\d+")
_PAGE_OF_PAGES = re.compile(r"(?:page\s*)?\d{1,4}\s*(?:of|/)\s*\d{1,4}$", re.IGNORECASE)
_LINE_NUMBER = re.compile(r"\d{1,4}$")
_PAGE_NUMBER = re.compile(
    r"(?:page|p\.|pg\.?)?\s*[-–—|]?\s*\d{1,5}\s*[-–—|]?(?:\s*(?:of|/)\s*\d{1,4})?", re.IGNORECASE
)
# What running heads say: who wrote it, or where it stands in a journal.
_RUNNING_HEAD = re.compile(
    r"\bet al\b|\bdoi\b|\bISSN\b|©|^(?:https?:|www\.)\S+$|\bvol(?:ume|\.)? ?\d"
    r"|\b(?:19|20)\d\d[,;:]? ?\(?\d{1,4}[(:,;]",
    re.IGNORECASE,
)
MAX_HEAD_ROWS = 3
MAX_HEAD_CHARACTERS = 120
MIN_BODY_LINES = 5
MARGIN_SHARE = 0.1
MIN_NUMBERED_LINES = 10


@dataclass(frozen=True, slots=True)
class Page:
    """The lines of one page that are read in one direction.

    Attributes:
        lines: The lines from top to bottom.
        width: The width of the page in points, turned as the lines are read.
        height: Its height.
        number: Which page it is, from 0.
        aside: Whether most of the page's text is read in another direction.
    """

    lines: tuple[Line, ...]
    width: float
    height: float
    number: int = 0
    aside: bool = False


def drop_furniture(pages: Sequence[Page]) -> tuple[list[Page], int]:
    """Remove page numbers, and running headers and footers: rows at the edge that several pages repeat.

    A row goes only as a whole, so that the cells of a table that reaches the edge stay: each part of it must
    stand on other pages too, its numbers the same or counting with the pages. What has but one page repeats
    nothing: there it is what stands apart at the edge and is a page's number or says what running heads say.

    Returns:
        The pages, and how many glyphs were removed.
    """
    edges = [
        [[(line, _signs(line, page)) for line in row] for row in rows_of(_at_edge(page))] for page in pages
    ]
    total = len({page.number for page in pages})
    seen: Counter[tuple[object, ...]] = Counter()
    for rows in edges:
        seen.update({sign for row in rows for _, signs in row for sign in signs})
    needed = max(2, min(3, total - 1))

    def repeated(line: Line, signs: Sequence[tuple[object, ...]]) -> bool:
        return any(seen[sign] >= needed for sign in signs) or (
            total > 1 and bool(_PAGE_OF_PAGES.match(line.text))
        )

    kept = []
    dropped: list[str] = []
    for page, rows in zip(pages, edges, strict=True):
        gone = {id(line) for row in rows if all(repeated(*signed) for signed in row) for line, _ in row}
        if total == 1 and not page.aside:
            gone |= {id(line) for row in _heads_of_one_page(page) for line in row}
        dropped += [line.text for line in page.lines if id(line) in gone]
        kept.append(replace(page, lines=tuple(line for line in page.lines if id(line) not in gone)))
    return kept, glyphs_of("\n".join(dropped)).total()


def _heads_of_one_page(page: Page) -> list[list[Line]]:
    rows = rows_of(page.lines)
    low, high = page.height * MARGIN_SHARE, page.height * (1 - MARGIN_SHARE)
    outer = [
        *_apart([row for row in rows if row[0].y0 > high], rows),
        *_apart([row for row in reversed(rows) if row[0].y1 < low], rows[::-1]),
    ]
    if len(rows) - len(outer) < MIN_BODY_LINES:
        return []
    size = median(line.size for line in page.lines)
    texts = [" ".join(line.text for line in row).strip() for row in outer]
    numbers = {number for text in texts if _PAGE_NUMBER.fullmatch(text) for number in _NUMBER.findall(text)}
    return [
        row
        for row, text in zip(outer, texts, strict=True)
        if _PAGE_NUMBER.fullmatch(text)
        or (
            len(text) <= MAX_HEAD_CHARACTERS
            and max(line.size for line in row) <= 1.05 * size
            and (_RUNNING_HEAD.search(text) or not numbers.isdisjoint({text.split()[0], text.split()[-1]}))
        )
    ]


def _apart(edge: Sequence[list[Line]], rows: Sequence[list[Line]]) -> Sequence[list[Line]]:
    """Return the rows at an edge, from it inwards, up to a gap as between a running head and the text."""
    for count, (row, inner) in enumerate(pairwise(rows[: MAX_HEAD_ROWS + 1]), 1):
        if count > len(edge):
            break
        gap = max(row[0].y0, inner[0].y0) - min(row[0].y1, inner[0].y1)
        if gap > 1.2 * max(row[0].size, inner[0].size):
            return edge[:count]
    return ()


def _at_edge(page: Page) -> list[Line]:
    low, high = page.height * MARGIN_SHARE, page.height * (1 - MARGIN_SHARE)
    return [line for line in page.lines if line.y0 > high or line.y1 < low]


def _signs(line: Line, page: Page) -> list[tuple[object, ...]]:
    """Return what a line is known by on other pages: its words, its numbers as they are or less the page's.

    Only the first or the last number counts with the pages; others are the same on each of them.
    """
    text = " ".join(line.text.split()).lower()
    words = _NUMBER.sub("#", text)
    numbers = [int(number[:9]) for number in _NUMBER.findall(text)]
    if not numbers:
        return [(words,)]
    first = (numbers[0] - page.number, *numbers[1:])
    last = (*numbers[:-1], numbers[-1] - page.number)
    same = [(words, *numbers)] if words != "#" else []
    return [*same, (words, "first", *first), (words, "last", *last)]


def drop_line_numbers(pages: Sequence[Page]) -> tuple[list[Page], int]:
    """Remove the numbers of a manuscript's lines: they stand one below another beside prose and count it.

    Where pages have them, the few that another page has in their place are such, too.

    Returns:
        The pages, and how many glyphs were removed.
    """
    found = [_line_numbers(page) for page in pages]
    edges = {round(line.x1) for numbers in found for line in numbers}
    kept = []
    dropped = 0
    for page, numbers in zip(pages, found, strict=True):
        gone = set(map(id, numbers or _in_place(page, edges)))
        dropped += sum(len(line.text) for line in page.lines if id(line) in gone)
        kept.append(replace(page, lines=tuple(line for line in page.lines if id(line) not in gone)))
    return kept, dropped


def _line_numbers(page: Page) -> Sequence[Line]:
    places: dict[int, list[Line]] = {}
    for line in page.lines:
        if _LINE_NUMBER.match(line.text):
            places.setdefault(round(line.x1 / 4), []).append(line)
    numbers: list[Line] = []
    for place in sorted(places):
        near = from_top(places[place] + places.get(place + 1, []))
        if len(near) >= MIN_NUMBERED_LINES and _count(near) and len(near) > len(numbers):
            numbers = near
    gone = set(map(id, numbers))
    return numbers if gone and _beside_prose([line for line in page.lines if id(line) not in gone]) else ()


def _in_place(page: Page, edges: Set[int]) -> Sequence[Line]:
    """Return the numbers of a page that end where those of lines do, if they count."""
    if not edges:
        return ()
    near = [line for line in page.lines if _LINE_NUMBER.match(line.text) and round(line.x1) in edges]
    return near if len(near) == 1 or (near and _count(near)) else ()


def _count(lines: Sequence[Line]) -> bool:
    """Return whether most numbers are one or five more than the one above."""
    steps = Counter(int(lower.text) - int(upper.text) for upper, lower in pairwise(lines))
    step, count = steps.most_common(1)[0]
    return step in {1, 5} and count >= 0.8 * (len(lines) - 1)


def _beside_prose(lines: Sequence[Line]) -> bool:
    texts = [" ".join(line.text for line in row) for row in rows_of(lines)]
    if not texts:
        return False
    going_on = sum(text[:1].islower() for text in texts)
    return median(map(len, texts)) >= 20 and going_on >= 0.25 * len(texts)
