"""PDFs made from known words, in the layouts that articles and reports come in."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO

import pypdfium2 as pdfium
from fpdf import FPDF

MARGIN = 50.0
TITLE = "A Made Report of a Trial that Nobody Held"
HEADER = "Journal of Made Reports"
SYLLABLES = (
    "ba",
    "ce",
    "di",
    "fo",
    "gu",
    "lan",
    "mer",
    "nis",
    "pol",
    "rut",
    "sta",
    "tre",
    "vil",
    "wom",
    "zur",
)


@dataclass(frozen=True, slots=True)
class Layout:
    """How words are laid out on pages.

    Attributes:
        columns: The widths of the columns as shares of what is between the margins.
        gutter: The space between columns, in points.
        by_rows: Whether the content stream goes row by row over all columns.
        turned_page: `/Rotate` of the pages, clockwise.
        turned_text: The angle of the text on the page, counterclockwise.
        landscape: Whether a page is wider than high when it is read.
        furniture: Whether pages have a running header and a number.
        line_numbers: Whether lines are numbered as in a manuscript.
        hyphens: Whether the last word of every fifth line is broken.
        doubled: Whether every glyph is printed twice, a little apart, for bold type.
        rows: How many lines a page has.
    """

    columns: tuple[float, ...] = (1.0,)
    gutter: float = 16.0
    by_rows: bool = False
    turned_page: int = 0
    turned_text: int = 0
    landscape: bool = False
    furniture: bool = True
    line_numbers: bool = False
    hyphens: bool = False
    doubled: bool = False
    rows: int = 40


def made_words(seed: int, count: int) -> list[str]:
    """Make distinct words that read like sentences: capitals at their beginning, full stops at their end."""
    chosen = random.Random(seed)
    words: dict[str, None] = {}
    while len(words) < count:
        words.setdefault("".join(chosen.choices(SYLLABLES, k=chosen.randint(2, 4))))
    prose = list(words)
    start = 0
    while start < count:
        end = min(start + chosen.randint(6, 18), count)
        prose[start] = prose[start].capitalize()
        prose[end - 1] += "."
        start = end
    return prose


def made_pdf(words: Sequence[str], layout: Layout, *, size: float = 9.0) -> bytes:
    """Lay out a title and words as running text."""
    width, height = (842.0, 595.0) if layout.landscape else (595.0, 842.0)
    sideways = layout.turned_text in {90, 270}
    pdf = FPDF(format=(height, width) if sideways else (width, height), unit="pt")
    pdf.set_creation_date(datetime(2020, 1, 1, tzinfo=UTC))
    pdf.set_auto_page_break(False)
    pdf.set_font("helvetica", size=size)
    usable = width - 2 * MARGIN - layout.gutter * (len(layout.columns) - 1)
    widths = [share / sum(layout.columns) * usable for share in layout.columns]
    lefts = [MARGIN + sum(widths[:number]) + layout.gutter * number for number in range(len(layout.columns))]
    rest = list(words)
    number = 0
    while rest:
        number += 1
        top = 150.0 if number == 1 else 100.0
        rows = min(layout.rows, int((height - top - 70) / (1.25 * size)))
        columns = [_fill(pdf, rest, column, rows, layout) for column in widths]
        placed = [
            (left, top + 1.25 * size * row, line)
            for left, column in zip(lefts, columns, strict=True)
            for row, line in enumerate(column)
        ]
        if layout.by_rows:
            placed.sort(key=lambda item: (item[1], item[0]))
        pdf.add_page()
        with pdf.rotation(layout.turned_text, pdf.w / 2, pdf.h / 2):
            dx, dy = (pdf.w - width) / 2, (pdf.h - height) / 2
            if number == 1:
                pdf.set_font("helvetica", "B", 2 * size)
                pdf.text(MARGIN + dx, 100 + dy, TITLE)
            pdf.set_font("helvetica", size=size)
            if layout.furniture:
                pdf.text(MARGIN + dx, 30 + dy, f"{HEADER} {number}")
                pdf.text(width / 2 + dx, height - 25 + dy, str(number))
            for row, (x, y, line) in enumerate(placed):
                if layout.line_numbers:
                    pdf.text(x - 25 + dx, y + dy, str(row + 1 + layout.rows * (number - 1)))
                for shift in (0.0, 0.3) if layout.doubled else (0.0,):
                    pdf.text(x + shift + dx, y + dy, line)
    return turned(bytes(pdf.output()), layout.turned_page)


def _fill(pdf: FPDF, rest: list[str], width: float, rows: int, layout: Layout) -> list[str]:
    """Take the words of one column off the rest."""
    lines: list[str] = []
    while rest and len(lines) < rows:
        line = rest.pop(0)
        while rest and pdf.get_string_width(f"{line} {rest[0]}") <= width:
            line += f" {rest.pop(0)}"
        if layout.hyphens and len(lines) % 5 == 4 and len(lines) + 1 < rows and len(line.split()[-1]) > 5:
            kept, broken = line.rsplit(" ", 1) if " " in line else ("", line)
            line = f"{kept} {broken[:3]}-".strip()
            rest.insert(0, broken[3:])
        lines.append(line)
    return lines


def turned(content: bytes, rotation: int) -> bytes:
    """Return the PDF with every page shown turned clockwise."""
    if not rotation:
        return content
    pdf = pdfium.PdfDocument(content)
    for page in pdf:
        page.set_rotation(rotation)
    target = BytesIO()
    pdf.save(target)
    pdf.close()
    return target.getvalue()


MADE_LAYOUTS = {
    "one column": Layout(),
    "two columns": Layout((1, 1)),
    "two columns, row by row": Layout((1, 1), by_rows=True),
    "two narrow columns": Layout((1, 1, 2.5), gutter=11),
    "two short columns": Layout((1, 1), rows=4, by_rows=True),
    "three columns": Layout((1, 1, 1), gutter=12),
    "three columns, row by row": Layout((1, 1, 1), gutter=12, by_rows=True),
    "three narrow columns of six rows": Layout((1, 1, 1, 2), gutter=11, rows=6),
    "a narrow column beside a wide one": Layout((1, 3), by_rows=True),
    "landscape": Layout((1, 1), landscape=True),
    "pages shown turned by 90": Layout((1, 1), turned_page=90),
    "pages shown turned by 180": Layout(turned_page=180),
    "pages turned by 90, text upright when shown": Layout((1, 1), turned_page=90, turned_text=90),
    "pages turned by 270, text upright when shown": Layout(turned_page=270, turned_text=270, landscape=True),
    "text turned by 90": Layout(turned_text=90, landscape=True),
    "text turned by 180": Layout((1, 1), turned_text=180),
    "text turned by 270": Layout((1, 1), turned_text=270, landscape=True),
    "numbered lines": Layout(line_numbers=True),
    "words broken at line ends": Layout((1, 1), hyphens=True),
    "overprinted bold": Layout(doubled=True),
}
