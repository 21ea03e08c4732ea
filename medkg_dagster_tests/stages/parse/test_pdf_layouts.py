from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from fpdf import FPDF
from hypothesis import given, settings
from hypothesis import strategies as st

from medkg_dagster.domain.documents import UNEXPLAINED
from medkg_dagster.stage_api import BlockKind, Document, PayloadFormat
from medkg_dagster_tests.stages.parse.made_pdfs import MADE_LAYOUTS, TITLE, Layout, made_pdf, made_words
from medkg_dagster_tests.stages.real_payloads import parse_one
from medkg_dagster_tests.stages.running import least_cost

COLUMNS = ((1.0,), (1.0, 1.0), (1.0, 1.0, 1.0), (1.0, 2.0), (3.0, 2.0), (1.0, 3.0))


def parse(content: bytes, **config: object) -> Document:
    return parse_one(content, PayloadFormat.PDF, **config)


def blocks(document: Document, kind: BlockKind) -> list[str]:
    return [
        document.text[block.start : block.end]
        for section in document.sections
        for block in section.blocks
        if block.kind is kind
    ]


def prose(document: Document) -> list[str]:
    return document.text.removeprefix(TITLE).split()


@pytest.mark.parametrize("name", MADE_LAYOUTS)
def test_every_word_of_a_layout_is_kept_in_its_order_and_no_other(name: str) -> None:
    words = made_words(len(name), 900)

    assert prose(parse(made_pdf(words, MADE_LAYOUTS[name]))) == words


@pytest.mark.parametrize("count", [520, 530, 560, 600])
def test_the_few_numbers_of_lines_on_a_last_page_are_none_of_the_text(count: int) -> None:
    words = made_words(3, count)
    document = parse(made_pdf(words, Layout(line_numbers=True)))

    assert prose(document) == words
    assert document.text_kept is not None
    assert document.text_kept.pages == 2


@settings(max_examples=25, deadline=None)
@given(
    st.builds(
        Layout,
        columns=st.sampled_from(COLUMNS),
        gutter=st.sampled_from((11.0, 20.0)),
        by_rows=st.booleans(),
        furniture=st.booleans(),
        rows=st.integers(6, 45),
    ),
    st.integers(40, 250),
)
def test_a_text_that_ends_anywhere_in_a_column_of_its_only_page_is_kept_in_its_order(
    layout: Layout, count: int
) -> None:
    words = made_words(count, count)

    assert prose(parse(made_pdf(words, layout))) == words


@pytest.mark.parametrize(
    ("head", "foot", "kept"),
    [
        ("Smith et al.", "123", set()),
        ("Critical Care 2015, 19:1", "Page 1 of 1", set()),
        ("Reports of Medicine 7", "- 7 -", set()),
        ("General Hospital, Oslo", "7", {"General", "Hospital,", "Oslo"}),
        ("Aspirin in phase 2", "Call 5551234", {"Aspirin", "in", "phase", "2", "Call", "5551234"}),
    ],
)
def test_the_furniture_of_an_only_page_is_what_says_so(head: str, foot: str, kept: set[str]) -> None:
    pdf = FPDF(format="A4", unit="pt")
    pdf.set_auto_page_break(False)
    pdf.set_font("helvetica", size=9)
    pdf.add_page()
    words = made_words(5, 90)
    for x, y, text in (
        (50, 30, head),
        (300, 820, foot),
        *((50, 100 + 12 * row, " ".join(words[6 * row : 6 * row + 6])) for row in range(15)),
    ):
        pdf.text(x, y, text)

    document = parse(bytes(pdf.output()))

    found = set(document.text.split())
    assert found & {*head.split(), *foot.split()} == kept
    assert set(words) <= found


@settings(max_examples=25, deadline=None)
@given(
    st.builds(
        Layout,
        columns=st.sampled_from(COLUMNS),
        gutter=st.floats(12, 40),
        by_rows=st.booleans(),
        turned_page=st.sampled_from((0, 90, 180, 270)),
        turned_text=st.sampled_from((0, 90, 180, 270)),
        landscape=st.booleans(),
        furniture=st.booleans(),
        hyphens=st.booleans(),
        doubled=st.booleans(),
        rows=st.integers(4, 45),
    ),
    st.integers(0, 10_000),
)
def test_every_word_of_any_layout_is_kept_in_its_order(layout: Layout, seed: int) -> None:
    words = made_words(seed, 900)  # two pages or more, as one repeats nothing

    document = parse(made_pdf(words, layout))

    assert prose(document) == words
    assert document.title == TITLE
    assert document.text_kept is not None
    assert document.text_kept.left_out.get(UNEXPLAINED, 0) == 0
    assert document.text_kept.found == document.text_kept.kept + sum(document.text_kept.left_out.values())


def table_pdf(rows: list[list[str]], *, turned: int = 0, line: float = 14.0, width: float = 110.0) -> bytes:
    pdf = FPDF(format=(842, 842), unit="pt")
    pdf.set_auto_page_break(False)
    pdf.set_font("helvetica", size=10)
    per_page = int((842 - 70) / line)
    for start in range(0, len(rows), per_page):
        pdf.add_page()
        with pdf.rotation(turned, 421, 421):
            for number, row in enumerate(rows[start : start + per_page]):
                for column, cell in enumerate(row):
                    pdf.text(50 + width * column, 40 + line * number, cell)
    return bytes(pdf.output())


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.integers(3, 5), st.integers(60, 150), st.sampled_from((0, 90, 270)))
def test_a_table_keeps_every_row_up_to_the_edge_of_the_page(
    seed: int, columns: int, count: int, turned: int
) -> None:
    chosen = random.Random(seed)
    cities = ("London", "Paris", "Oslo", "Rome")
    rows = [
        [
            f"P{number:03}",
            *(f"{chosen.uniform(0, 99):.1f}" for _ in range(columns - 2)),
            chosen.choice(cities),
        ]
        for number in range(count)
    ]

    document = parse(table_pdf(rows, turned=turned))

    found = [line.split("\t") for table in blocks(document, BlockKind.TABLE) for line in table.split("\n")]
    assert found == rows


def test_an_empty_cell_keeps_its_place_and_heads_belong_to_their_table() -> None:
    rows = [
        ["Outcome", "Drug", "Placebo"],
        ["Death", "12", "14"],
        ["Stroke", "", "7"],
        ["Bleeding", "3", "1"],
    ]

    (table,) = blocks(parse(table_pdf(rows)), BlockKind.TABLE)

    assert table.split("\n") == ["\t".join(row) for row in rows]


def test_a_table_across_two_columns_is_read_whole_between_what_is_above_and_below_it() -> None:
    words = made_words(5, 240)
    pdf = FPDF(format="A4", unit="pt")
    pdf.add_page()
    pdf.set_font("helvetica", size=9)
    rows = [
        ["Outcome", "Drug", "Placebo", "Ratio"],
        *([f"Event {n}", f"{n}", f"{n + 3}", f"0.{n}"] for n in range(10, 16)),
    ]
    lines = [" ".join(words[start : start + 4]) for start in range(0, 240, 4)]
    for part, (x, y) in enumerate(((50, 100), (310, 100), (50, 500), (310, 500))):
        for row, line in enumerate(lines[15 * part : 15 * part + 15]):
            pdf.text(x, y + 11 * row, line)
    for number, cells in enumerate(rows):
        for column, cell in enumerate(cells):
            pdf.text(50 + 150 * column, 320 + 14 * number, cell)

    document = parse(bytes(pdf.output()))

    table = "\n".join("\t".join(row) for row in rows)
    assert blocks(document, BlockKind.TABLE) == [table]
    assert document.text.replace(table, "").split() == words


def test_a_paragraph_goes_on_behind_a_table_that_interrupts_it() -> None:
    pdf = FPDF(format="A4", unit="pt")
    pdf.add_page()
    pdf.set_font("helvetica", size=10)
    pdf.text(50, 700, "The patients who were given aspirin had fewer strokes than those who were given")
    pdf.add_page()
    for number, row in enumerate(
        (("Group", "Strokes", "All"), ("Aspirin", "12", "400"), ("Placebo", "31", "398"))
    ):
        for column, cell in enumerate(row):
            pdf.text(50 + 120 * column, 120 + 14 * number, cell)
    pdf.text(50, 200, "placebo, and the difference held in both sexes and in every age group studied.")

    document = parse(bytes(pdf.output()))

    assert "than those who were given placebo, and the difference" in document.text
    assert blocks(document, BlockKind.TABLE) == ["Group\tStrokes\tAll\nAspirin\t12\t400\nPlacebo\t31\t398"]


def test_headings_without_a_paragraph_behind_them_are_kept_as_sections() -> None:
    pdf = FPDF(format="A4", unit="pt")
    pdf.add_page()
    heads = (
        "Recommendation 1: Give aspirin",
        "Recommendation 2: Do not give warfarin",
        "Contraindications: none",
    )
    pdf.set_font("helvetica", size=11)
    for row in range(6):
        pdf.text(
            50, 80 + 14 * row, f"Line {row} of what the panel found in all of the trials that it looked at,"
        )
    pdf.set_font("helvetica", "B", 11)
    for row, head in enumerate(heads):
        pdf.text(50, 200 + 30 * row, head)

    document = parse(bytes(pdf.output()))

    assert [section.title for section in document.sections if section.title] == list(heads)


def test_letters_and_accents_printed_over_them_are_one() -> None:
    pdf = FPDF(format="A4", unit="pt")
    pdf.add_page()
    pdf.set_font("helvetica", size=12)
    x = 50.0
    for part, accent in (("Dr M", ""), ("u", "\u00a8"), ("ller and Jos", ""), ("e", "\u00b4"), (" met.", "")):
        pdf.text(x, 100, part)
        if accent:
            shift = (pdf.get_string_width(part) - pdf.get_string_width(accent)) / 2
            pdf.text(x + shift, 100, accent)
        x += pdf.get_string_width(part)

    assert "Dr Müller and José met." in parse(bytes(pdf.output())).text


def scripts(*parts: str) -> str:
    """What is read of parts of which every second is raised and small."""
    pdf = FPDF(format="A4", unit="pt")
    pdf.add_page()
    x = 50.0
    for number, part in enumerate(parts):
        raised = number % 2
        pdf.set_font("helvetica", size=6 if raised else 10)
        pdf.text(x, 96 if raised else 100, part)
        x += pdf.get_string_width(part)
    return parse(bytes(pdf.output())).text


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (("About 10", "5", " cells in 2 × 10", "-3", " ml"), "About 10^5 cells in 2 × 10^-3 ml"),
        (("Metformin", "1,2", " treats diabetes.", "3-5", " It"), "Metformin treats diabetes. It"),
        (("given at 5 m", "2", " and Ca", "2+", " rose"), "given at 5 m2 and Ca2+ rose"),
    ],
)
def test_exponents_are_written_with_a_caret_and_marks_of_citations_are_no_text(
    parts: tuple[str, ...], expected: str
) -> None:
    assert scripts(*parts) == expected


def test_words_printed_twice_one_by_one_for_bold_type_stand_once() -> None:
    pdf = FPDF(format="A4", unit="pt")
    pdf.add_page()
    pdf.set_font("helvetica", size=12)
    x = 50.0
    for word in ("Aspirin", "is", "of", "use", "in", "stroke"):
        for shift in (0.0, 0.4):
            pdf.text(x + shift, 100, word)
        x += pdf.get_string_width(f"{word} ")

    assert parse(bytes(pdf.output())).text == "Aspirin is of use in stroke"


def many_lines(count: int) -> bytes:
    """One page with many short lines in no order, so that whatever compares each with each shows."""
    chosen = random.Random(count)
    pdf = FPDF(format=(2000, 2000), unit="pt")
    pdf.add_page()
    pdf.set_font("helvetica", size=4)
    for number in range(count):
        pdf.text(chosen.uniform(10, 1900), chosen.uniform(10, 1990), f"w{number}")
    return bytes(pdf.output())


def one_row(count: int) -> bytes:
    """One row of many cells."""
    pdf = FPDF(format=(14_000, 200), unit="pt")
    pdf.add_page()
    pdf.set_font("helvetica", size=2)
    for number in range(count):
        pdf.text(10 + number * 13_900 / count, 100, "a")
    return bytes(pdf.output())


def long_cells(count: int) -> bytes:
    """Rows of as many lines as rows there are, and rows of many cells."""
    pdf = FPDF(format=(4000, 4000), unit="pt")
    pdf.add_page()
    pdf.set_font("helvetica", size=2)
    for row in range(3):
        for number in range(count // 3):
            pdf.text(1000 * (number > 0), 10 + row * count + 2 * number, "wrapped")
            pdf.text(10 + number * 3900 / count, 3900 + 5 * row, "a")
    return bytes(pdf.output())


def long_prose(count: int) -> bytes:
    return made_pdf(made_words(3, count), Layout((1, 1)))


@pytest.mark.parametrize(
    ("make", "size"), [(many_lines, 1000), (one_row, 1000), (long_cells, 1000), (long_prose, 2000)]
)
def test_the_cost_of_a_pdf_grows_as_its_glyphs_do(make: Callable[[int], bytes], size: int) -> None:
    """Four times the glyphs cost less than ten times as much; what is quadratic costs sixteen times."""

    small, large = make(size), make(4 * size)

    assert least_cost(lambda: parse(large)) < 10 * least_cost(lambda: parse(small))
