from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medkg_dagster.errors import DocumentError, UnreadableDocumentError
from medkg_dagster.stage_api import BlockKind, PayloadFormat
from medkg_dagster_tests.stages.real_payloads import parse_one

NOTE = "# Aspirin in adults\n\n## Aim\n\nTo measure\nthe effect.\n\n- one\n- two\n\nRESULTS\n\nIt worked."


def test_markdown_and_capitals_become_headings_and_blank_lines_split_paragraphs() -> None:
    document = parse_one(NOTE, PayloadFormat.TEXT)

    assert document.title == "Aspirin in adults"
    assert [section.title for section in document.sections] == ["Title", "Aim", "RESULTS"]
    blocks = [(b.kind, document.text[b.start : b.end]) for b in document.sections[1].blocks]
    assert blocks == [
        (BlockKind.PARAGRAPH, "To measure the effect."),
        (BlockKind.LIST_ITEM, "one"),
        (BlockKind.LIST_ITEM, "two"),
    ]
    assert document.source == "infores:user-supplied"
    assert document.id.startswith("sha256:")


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("until week\n12. Thereafter", ["until week 12. Thereafter"]),
        ("the mean T-score was\n- 2.5 at the hip", ["the mean T-score was - 2.5 at the hip"]),
        ("was\nE. coli in most; see\n1) below", ["was E. coli in most; see 1) below"]),
        ("H. pylori was found", ["H. pylori was found"]),
        ("Doses:\n- 5 mg\n- 10 mg", ["Doses:", "- 5 mg", "- 10 mg"]),
        ("* a\n* b\nmore", ["a", "b more"]),
        ("Steps:\n1. wash\n2. rinse for\n10. seconds", ["Steps:", "1. wash", "2. rinse for 10. seconds"]),
        ("- drug\n- 5 to +5 mmHg", ["drug", "5 to +5 mmHg"]),
        ("a) one\nb) two", ["a) one", "b) two"]),
    ],
)
def test_only_what_is_surely_the_mark_of_a_list_is_taken_off(lines: str, expected: list[str]) -> None:
    document = parse_one(f"A title\n\n{lines}", PayloadFormat.TEXT)

    assert [document.text[b.start : b.end] for s in document.sections[1:] for b in s.blocks] == expected


@pytest.mark.parametrize(
    "text",
    [
        "Ward card\n\nGIVE ASPIRIN AT ONCE\n\nDO NOT GIVE WARFARIN\n\nText.\n\nSTOP METFORMIN",
        "# Note\n\n## Give aspirin\n\n## No warfarin\n\nText.\n\n## Allergy to aspirin",
    ],
)
def test_a_heading_without_a_paragraph_behind_it_is_in_the_text_and_a_block(text: str) -> None:
    document = parse_one(text, PayloadFormat.TEXT)

    assert document.text.split("\n\n") == [line.lstrip("# ") for line in text.split("\n\n")]
    assert all(section.blocks for section in document.sections)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_the_encoding_is_told_by_its_mark(encoding: str) -> None:
    document = parse_one("Título\n\nNaïve café ≥ 5 µg".encode(encoding), PayloadFormat.TEXT)

    assert document.title == "Título"
    assert document.text.endswith("Naïve café ≥ 5 µg")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("First line\ncafé".encode("latin-1"), r"memory:2: not UTF-8 text at byte offset 14"),
        ("Title\n\nText".encode("utf-16-le"), "NUL character at offset 1"),
        ("Title".encode("utf-16") + b"\x00", "not UTF-16 text at byte offset"),
        (b"", "no text at all"),
        (b" \n\n ", "no text at all"),
    ],
)
def test_what_cannot_be_decoded_is_refused_with_the_place(content: bytes, message: str) -> None:
    with pytest.raises(UnreadableDocumentError, match=message):
        parse_one(content, PayloadFormat.TEXT)


def test_a_first_line_too_long_for_a_title_is_text() -> None:
    document = parse_one("word " * 100, PayloadFormat.TEXT)

    assert document.title == ""
    assert len(document.sections) == 1


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_parse_or_are_refused_as_a_document_error(content: bytes) -> None:
    try:
        document = parse_one(content, PayloadFormat.TEXT)
    except DocumentError:
        return
    assert document.text


@settings(deadline=None)
@given(st.text(max_size=200))
def test_no_word_of_a_text_is_lost(text: str) -> None:
    letters = [c for c in text if c.isascii() and c.isalnum()]
    try:
        document = parse_one(text, PayloadFormat.TEXT)
    except UnreadableDocumentError:
        assert not letters or "\x00" in text or any(0xD800 <= ord(c) <= 0xDFFF for c in text)
        return
    assert [c for c in document.text if c.isascii() and c.isalnum()] == letters
