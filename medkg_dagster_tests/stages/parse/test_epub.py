"""EPUB books as documents."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medkg_dagster.errors import DocumentError, UnreadableDocumentError, UnsafeDocumentError
from medkg_dagster.stage_api import BlockKind, Document, PayloadFormat
from medkg_dagster_tests.stages.parse.made_archives import epub, zipped
from medkg_dagster_tests.stages.parse.test_html import outline
from medkg_dagster_tests.stages.parse.test_pdf_layouts import blocks
from medkg_dagster_tests.stages.real_payloads import parse_one

METADATA = (
    "<dc:title>Drugs of today</dc:title>"
    "<dc:creator>Doe, Jane</dc:creator><dc:creator>Richard Roe</dc:creator>"
    "<dc:identifier>urn:isbn:9780000000002</dc:identifier><dc:identifier>doi:10.1234/drugs</dc:identifier>"
    "<dc:date>2020-03</dc:date><dc:rights>https://creativecommons.org/licenses/by/4.0/</dc:rights>"
)


def parse(content: bytes, **config: object) -> Document:
    return parse_one(content, PayloadFormat.EPUB, **config)


def test_the_pages_are_read_in_the_order_of_the_spine_under_what_the_package_says() -> None:
    pages = {
        "z.xhtml": "<h1>Drugs of today</h1>",
        "b.xhtml": (
            "<h1>Stroke</h1><p>Give it.</p><h2>Doses</h2><table><tr><td>Men</td><td>5</td></tr></table>"
        ),
        "a.xhtml": "<h1>Aspirin</h1><p>It helps.</p>",
    }

    document = parse(epub(pages, metadata=METADATA, spine=["z.xhtml", "a.xhtml", "b.xhtml"]))

    assert (document.id, document.title) == ("DOI:10.1234/drugs", "Drugs of today")
    assert document.authors == ("Jane Doe", "Richard Roe")
    assert (document.date, document.licence) == ("2020-03", "https://creativecommons.org/licenses/by/4.0/")
    assert outline(document) == [(1, "Aspirin"), (1, "Stroke"), (2, "Doses")]
    assert blocks(document, BlockKind.TABLE) == ["Men\t5"]
    assert document.text.startswith("Drugs of today\n\nAspirin\n\nIt helps.\n\nStroke")


def test_numbers_of_pages_tables_of_contents_and_marks_of_notes_are_no_text() -> None:
    pages = {
        "nav.xhtml": "<nav epub:type='toc'><ol><li><a href='a.xhtml'>Aspirin</a></li></ol></nav>",
        "a.xhtml": (
            "<p>It<span epub:type='pagebreak'>12</span> helps<a href='notes.xhtml#n1'><sup>1</sup></a>.</p>"
        ),
        "notes.xhtml": (
            "<aside epub:type='footnote' id='n1'><p><a href='a.xhtml#r1'>1</a> So they say.</p></aside>"
        ),
    }

    document = parse(epub(pages, metadata=METADATA))

    assert document.text == "Drugs of today\n\nIt helps.\n\nSo they say."
    assert document.text_kept is not None
    assert document.text_kept.left_out == {"citation and note marks": 2, "navigation": 1, "page numbers": 2}


def test_a_page_that_is_not_well_formed_is_read_as_browsers_do() -> None:
    assert parse(epub({"a.xhtml": "<p>It <b>helps</p>"})).text == "It helps"


PROTECTED = (
    '<encryption xmlns:e="http://www.w3.org/2001/04/xmlenc#"><e:EncryptedData><e:CipherData>'
    '<e:CipherReference URI="OPS/text/a.xhtml"/></e:CipherData></e:EncryptedData></encryption>'
)


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (epub({"a.xhtml": "<p>It"})[:200], UnreadableDocumentError, "broken or unknown kind of archive"),
        (
            epub({"a.xhtml": "<p>x"}, more={"META-INF/encryption.xml": PROTECTED}),
            UnreadableDocumentError,
            r"of 1 page 1 is protected \(DRM\)",
        ),
        (
            zipped({"mimetype": "application/epub+zip"}),
            UnreadableDocumentError,
            "lacks its part META-INF/container.xml",
        ),
        (epub({"a.xhtml": ""}), UnreadableDocumentError, "holds no text"),
        (epub({"a.xhtml": "<div>" * 400}), UnsafeDocumentError, "beyond the parser's safety limits"),
    ],
)
def test_what_cannot_be_read_is_refused_saying_why(
    content: bytes, error: type[DocumentError], message: str
) -> None:
    with pytest.raises(error, match=message):
        parse(content)


def test_a_bomb_is_refused_before_it_is_unpacked() -> None:
    bomb = epub({f"{n}.xhtml": " " * 1_000_000 for n in range(30)})
    assert len(bomb) < 100_000

    with pytest.raises(UnsafeDocumentError, match="unpacks to more than 10,000,000 bytes"):
        parse(bomb, max_content_bytes=10_000_000)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2000), st.binary(min_size=1, max_size=30))
def test_a_damaged_book_is_read_or_refused(position: int, damage: bytes) -> None:
    content = epub({"a.xhtml": "<p>It helps.</p>"}, metadata=METADATA)

    with suppress(DocumentError):
        parse(content[:position] + damage + content[position + len(damage) :])
