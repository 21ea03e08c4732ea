from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medkg_dagster.domain.dates import iso_date
from medkg_dagster.errors import DocumentError, UnreadableDocumentError, UnsafeDocumentError
from medkg_dagster.stage_api import PayloadFormat
from medkg_dagster.stages.parse.xml import parse_xml, plain_text
from medkg_dagster_tests.stages.real_payloads import parse_one

LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
BOMB = f'<!DOCTYPE article [<!ENTITY l0 "lol">{LAUGHS}]><article>&l11;</article>'


@pytest.mark.parametrize(
    "content",
    [
        BOMB.encode(),
        BOMB.encode("utf-16"),
        b'<!DOCTYPE article [<!ENTITY x SYSTEM "file:///etc/passwd">]><article>&x;</article>',
        b'<!DOCTYPE article [<!ENTITY % x SYSTEM "http://127.0.0.1:9/evil.dtd"> %x;]><article/>',
        b'<!DOCTYPE article [<!ENTITY harmless "word">]><article>&harmless;</article>',
    ],
    ids=["billion laughs", "billion laughs in UTF-16", "external file", "external parameter", "any entity"],
)
@pytest.mark.parametrize("kind", [PayloadFormat.JATS_XML, PayloadFormat.PUBMED_XML])
def test_entity_declarations_are_refused_quickly(content: bytes, kind: PayloadFormat) -> None:
    started = time.process_time()

    with pytest.raises(UnsafeDocumentError, match="entit"):
        parse_one(content, kind)

    assert time.process_time() - started < 5


def test_nesting_beyond_reason_is_unsafe() -> None:
    with pytest.raises(UnsafeDocumentError, match="safety limits"):
        parse_xml(b"<a>" * 5000 + b"</a>" * 5000, "deep.xml")


def test_a_document_type_with_public_id_is_read_without_loading_it(tmp_path: Path) -> None:
    dtd = tmp_path / "article.dtd"
    dtd.write_text("<!ELEMENT broken")
    content = f'<!DOCTYPE article PUBLIC "-//NLM//DTD JATS//EN" "{dtd.as_uri()}"><article>a &nbsp;b</article>'

    assert plain_text(parse_xml(content.encode(), "x")) == "a \u00a0b"


def test_truncated_xml_is_refused_with_its_line() -> None:
    with pytest.raises(UnreadableDocumentError, match=r"cut\.xml:3: .*truncated"):
        parse_xml(b"<article>\n<front>\n<title>Half a", "cut.xml")


@pytest.mark.parametrize("content", [b"", b"   ", b"\xff\xfe\x00", b"not xml", b"{}", b"PK\x03\x04"])
def test_what_is_not_xml_is_unreadable(content: bytes) -> None:
    with pytest.raises(UnreadableDocumentError):
        parse_xml(content, "x")


def test_namespaces_are_dropped_from_names() -> None:
    root = parse_xml(b'<j:article xmlns:j="urn:j"><j:p>x</j:p></j:article>', "x")

    assert [element.tag for element in root.iter()] == ["article", "p"]


@pytest.mark.parametrize(
    ("year", "month", "day", "expected"),
    [
        ("2016", "3", "1", "2016-03-01"),
        ("2016", "Mar", None, "2016-03"),
        ("2016", "Spring", "1", "2016"),
        ("2016", "September", "31", "2016-09"),
        ("16", "3", "1", None),
        (None, "3", "1", None),
    ],
)
def test_dates_are_as_precise_as_their_parts(
    year: str | None, month: str | None, day: str | None, expected: str | None
) -> None:
    assert iso_date(year, month, day) == expected


@settings(deadline=None)
@given(st.binary(max_size=300), st.sampled_from([PayloadFormat.JATS_XML, PayloadFormat.PUBMED_XML]))
def test_any_bytes_are_refused_as_a_document_error(content: bytes, kind: PayloadFormat) -> None:
    with pytest.raises(DocumentError):
        parse_one(b"<article>" + content, kind)
