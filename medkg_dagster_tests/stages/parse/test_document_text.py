from __future__ import annotations

import unicodedata
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medkg_dagster.errors import UnreadableDocumentError, UnsafeDocumentError
from medkg_dagster.stage_api import BlockKind, PayloadFormat, Section, hash_content
from medkg_dagster.stages.parse.document_text import (
    TITLE_SECTION,
    DocumentText,
    Metadata,
    clean,
    make_document,
)
from medkg_dagster_tests.stages.real_payloads import payload

ANY_TEXT = st.text(st.characters(), max_size=40)
PROSE = [BlockKind.PARAGRAPH, BlockKind.LIST_ITEM, BlockKind.CAPTION]
BLOCKS = st.lists(st.tuples(st.sampled_from(PROSE), ANY_TEXT), max_size=4)
SECTIONS = st.lists(st.tuples(ANY_TEXT, st.integers(1, 4), BLOCKS), max_size=6)


def filled(title: str, sections: Any) -> DocumentText:
    builder = DocumentText(title, 1_000_000)
    for heading, level, blocks in sections:
        builder.section(heading, level)
        for kind, text in blocks:
            builder.block(text, kind)
    return builder


def has_blocks_of_its_own(section: Section) -> bool:
    heading_alone = section.title and section.blocks and section.blocks[0].start == section.start
    return bool(section.blocks) and not heading_alone


@settings(deadline=None)
@given(title=ANY_TEXT, sections=SECTIONS)
def test_offsets_slice_to_exactly_what_was_put_in(title: str, sections: Any) -> None:
    text, laid_out = filled(title, sections).layout()

    expected = [[clean(title)]] if clean(title) else []
    expected += [kept for _, _, blocks in sections if (kept := [clean(t) for _, t in blocks if clean(t)])]
    found = [
        [text[b.start : b.end] for b in section.blocks]
        for number, section in enumerate(laid_out)
        if (number == 0 and clean(title)) or has_blocks_of_its_own(section)
    ]
    assert found == expected


@settings(deadline=None)
@given(title=ANY_TEXT, sections=SECTIONS)
def test_sections_are_ordered_do_not_overlap_and_begin_with_their_heading(title: str, sections: Any) -> None:
    text, laid_out = filled(title, sections).layout()

    position = 0
    for number, section in enumerate(laid_out):
        assert position <= section.start < section.end <= len(text)
        inner = section.start
        for block in section.blocks:
            assert inner <= block.start < block.end <= section.end
            inner = block.end
        if section.title and not (number == 0 and clean(title)):
            assert text[section.start :].startswith(section.title)
        position = section.end


@settings(deadline=None)
@given(title=ANY_TEXT, sections=SECTIONS)
def test_text_is_nfc_without_control_characters_and_survives_utf8(title: str, sections: Any) -> None:
    text, _ = filled(title, sections).layout()

    assert unicodedata.normalize("NFC", text) == text
    assert not [c for c in text if unicodedata.category(c) in {"Cc", "Cs"} and c not in "\n\t"]
    assert text.encode().decode() == text


@settings(deadline=None)
@given(ANY_TEXT)
def test_cleaning_twice_changes_nothing_more(text: str) -> None:
    assert clean(clean(text)) == clean(text)


def test_the_title_is_the_first_section_and_is_printed_once() -> None:
    text, sections = filled("A  title", [("Aim", 1, [(BlockKind.PARAGRAPH, "To test.")])]).layout()

    assert text == "A title\n\nAim\n\nTo test."
    assert [section.title for section in sections] == [TITLE_SECTION, "Aim"]
    assert (sections[0].start, sections[0].end) == (0, 7)


def test_text_after_the_title_without_a_heading_is_not_part_of_the_title_section() -> None:
    builder = DocumentText("Title here", 100)
    builder.block("Body.")

    _, sections = builder.layout()

    assert [len(section.blocks) for section in sections] == [1, 1]
    assert sections[1].title == ""


def test_a_heading_with_nothing_behind_it_is_the_text_of_its_section() -> None:
    item = [(BlockKind.PARAGRAPH, "x")]
    builder = filled("T", [("Methods", 1, []), ("Patients", 2, item), ("Stop X", 1, []), ("Give Y", 1, [])])
    builder.section("Added by the parser", in_source=False)

    text, sections = builder.layout()

    found = [(section.title, [text[b.start : b.end] for b in section.blocks]) for section in sections]
    assert found == [
        ("Title", ["T"]),
        ("Methods", []),
        ("Patients", ["x"]),
        ("Stop X", ["Stop X"]),
        ("Give Y", ["Give Y"]),
    ]


def test_tables_keep_rows_on_lines_and_cells_by_tabs() -> None:
    builder = DocumentText("T", 100)
    builder.section("Results")
    builder.table([["a", " b  c "], ["", ""], ["1", "2"]])

    text, sections = builder.layout()

    block = sections[-1].blocks[0]
    assert block.kind is BlockKind.TABLE
    assert text[block.start : block.end] == "a\tb c\n1\t2"


def test_list_items_stand_on_neighbouring_lines() -> None:
    text, _ = filled("T", [("L", 1, [(BlockKind.LIST_ITEM, "a"), (BlockKind.LIST_ITEM, "b")])]).layout()

    assert text == "T\n\nL\n\na\nb"


def test_too_much_text_is_refused_while_it_is_collected() -> None:
    builder = DocumentText("T", 100)

    with pytest.raises(UnsafeDocumentError, match="more than 100 characters"):
        builder.block("word " * 50)


def test_a_document_has_the_hash_of_title_and_text_and_an_id_from_its_bytes() -> None:
    source = payload(b"T", PayloadFormat.TEXT)

    document = make_document(source, DocumentText("T", 100), Metadata(id=None, source="infores:x"))

    assert document.content_hash == hash_content("T", "T")
    assert document.id == "sha256:e632b7095b0bf32c260fa4c539e9fd7b852d0de454e9be26f24d0d6f91d069d3"


def test_nothing_to_read_is_an_error() -> None:
    with pytest.raises(UnreadableDocumentError, match="no text at all"):
        make_document(payload(b" ", PayloadFormat.TEXT), DocumentText(" ", 9), Metadata(id=None, source="x"))
