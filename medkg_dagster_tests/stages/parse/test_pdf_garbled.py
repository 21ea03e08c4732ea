"""PDFs of which fonts do not say what their glyphs mean: kept with a figure, or refused for it."""

from __future__ import annotations

import pytest

from medkg_dagster.errors import UnreadableDocumentError
from medkg_dagster.stage_api import Document, PayloadFormat
from medkg_dagster_tests.stages.real_payloads import parse_one

LETTERS = 40


def garbled_pdf(lines: int, garbled: int) -> bytes:
    """Return a page of lines of forty letters, some of them in a font that maps them to private use."""
    drawn = [
        f"BT /{'Private' if number < garbled else 'Plain'} 10 Tf 40 {780 - 14 * number} Td "
        f"({' '.join(['abcdefghij'] * 4)}) Tj ET"
        for number in range(lines)
    ]
    meaning = "1 begincodespacerange <00> <FF> endcodespacerange 1 beginbfrange <61> <7A> <E100> endbfrange"
    font = "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica"
    fonts = "<< /Font << /Plain 5 0 R /Private 6 0 R >> >>"
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources {fonts} >>",
        stream("\n".join(drawn)),
        f"{font} >>",
        f"{font} /ToUnicode 7 0 R >>",
        stream(f"/CIDInit /ProcSet findresource begin begincmap {meaning} endcmap end"),
    ]
    content, places = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, start=1):
        places.append(len(content))
        content += f"{number} 0 obj\n{body}\nendobj\n".encode()
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    end = f"trailer << /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{len(content)}\n%%EOF\n"
    return content + f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}{end}".encode()


def stream(text: str) -> str:
    return f"<< /Length {len(text)} >>\nstream\n{text}\nendstream"


def parse(content: bytes) -> Document:
    return parse_one(content, PayloadFormat.PDF)


def test_a_pdf_of_which_some_fonts_say_nothing_is_kept_with_a_figure() -> None:
    kept = parse(garbled_pdf(12, garbled=3)).text_kept

    assert kept is not None
    assert (kept.found, kept.glyphs_without_meaning, kept.share) == (12 * LETTERS, 3 * LETTERS, 0.75)
    assert kept.losses() == {"120 of 480 glyphs are in fonts without meaning (25%)": "run OCR on it first"}


def test_a_pdf_most_of_whose_fonts_say_nothing_is_refused_and_says_how_much_of_it() -> None:
    reason = r"360 of 480 glyphs are in fonts without meaning \(75%\): run OCR on it first\. 25% of what"

    with pytest.raises(UnreadableDocumentError, match=reason):
        parse(garbled_pdf(12, garbled=9))


def test_how_much_has_to_be_read_is_for_the_pipeline_to_say() -> None:
    with pytest.raises(UnreadableDocumentError, match=r"the least is 80% \(text_kept_minimum\)"):
        parse_one(garbled_pdf(12, garbled=3), PayloadFormat.PDF, text_kept_minimum=0.8)
