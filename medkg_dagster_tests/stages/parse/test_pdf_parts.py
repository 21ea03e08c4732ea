"""Cells that are wrapped, headings, authors and titles of references in PDFs, by where and how they stand."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import pytest
from fpdf import FPDF
from hypothesis import given, settings
from hypothesis import strategies as st

from medkg_dagster.stage_api import Document, PayloadFormat
from medkg_dagster.stages.parse.pdf.layout import read_scripts
from medkg_dagster.stages.parse.pdf.lines import CLOSE, OPEN
from medkg_dagster.stages.parse.pdf.reference_list import read_reference, title_of
from medkg_dagster_tests.stages.parse.test_pdf_layouts import blocks
from medkg_dagster_tests.stages.real_payloads import parse_one

Cells = Sequence[Sequence[str]]
LEADING = 10.0


def table(rows: Sequence[Cells], apart: float, width: float = 160) -> bytes:
    """Rows of cells, each of one line or more."""
    pdf = FPDF(format=(842, 842), unit="pt")
    pdf.add_page()
    pdf.set_font("helvetica", size=8)
    y = 60.0
    for row in rows:
        for column, lines in enumerate(row):
            for number, line in enumerate(lines):
                pdf.text(50 + width * column, y + LEADING * number, line)
        y += LEADING * max(1, *map(len, row)) + apart
    return bytes(pdf.output())


def read(content: bytes) -> Document:
    return parse_one(content, PayloadFormat.PDF)


def cells(document: Document) -> list[list[str]]:
    (found,) = blocks(document, document.sections[0].blocks[0].kind.TABLE)
    return [line.split("\t") for line in found.split("\n")]


words = st.text("abcdefghij", min_size=3, max_size=8)
wrapped = st.lists(st.lists(words, min_size=1, max_size=3).map(" ".join), min_size=2, max_size=4)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(words.map(lambda name: [name]), wrapped, words.map(lambda name: [name])),
        min_size=3,
        max_size=8,
    )
)
def test_a_cell_whose_lines_are_closer_than_rows_is_one(rows: list[tuple[list[str], ...]]) -> None:
    document = read(table([(["Head"], ["What"], ["Which"]), *rows], apart=6))

    assert cells(document) == [["Head", "What", "Which"], *([" ".join(cell) for cell in row] for row in rows)]


VALUES = [[f"Group {number}", str(10 * number), f"{number}.5"] for number in range(1, 6)]


def evenly(rows: Sequence[Sequence[str]]) -> list[list[str]]:
    return cells(read(table([[[cell] if cell else [] for cell in row] for row in rows], apart=2)))


@pytest.mark.parametrize(
    "heads",
    [
        [["Arm", "Number of", "Mean pain"], ["", "patients", "(score)"]],
        [["", "Number of", "Mean pain"], ["Arm", "patients", "(score)"]],
    ],
)
def test_heads_on_two_lines_as_far_apart_as_rows_are_one(heads: list[list[str]]) -> None:
    expected = [["Arm", "Number of patients", "Mean pain (score)"], *VALUES]

    assert evenly([*heads, *VALUES]) == expected


@pytest.mark.parametrize(
    "heads",
    [
        [["", "Aspirin", "Placebo"], ["Arm", "Mean", "Mean"]],
        [["Arm", "Aspirin", "Placebo"], ["", "mean", "mean"]],
    ],
)
def test_heads_below_a_head_are_rows_of_their_own(heads: list[list[str]]) -> None:
    assert evenly([*heads, *VALUES]) == [*heads, *VALUES]


def test_cells_that_go_on_in_the_next_row_by_their_words_are_one() -> None:
    rows = [
        ["Study", "Design", "Finding"],
        ["Roe 2001", "Cohort of women in", "Less pain in all of"],
        ["", "two towns", "them"],
        ["Doe 2002", "Trial", "No change"],
        ["Poe 2003", "yes", "no"],
        ["", "no", "yes"],
    ]

    assert evenly(rows)[1:] == [
        ["Roe 2001", "Cohort of women in two towns", "Less pain in all of them"],
        *rows[3:],
    ]


def test_entries_of_an_index_in_two_columns_stay_entries() -> None:
    entries = [[f"decode_{number}", f"print_{number}", f"read_{number}"] for number in "abcdef"]

    assert evenly(entries) == entries


def test_rows_of_groups_that_stand_apart_stay_rows() -> None:
    groups = [
        (["Female", "Male"], ["12", "14"], ["3", "4"]),
        (["Young", "Old"], ["7", "19"], ["2", "5"]),
        (["Ever", "Never"], ["20", "6"], ["1", "6"]),
    ]

    assert cells(read(table(groups, apart=6))) == [
        [cell[number] for cell in group] for group in groups for number in range(2)
    ]


def test_labels_that_stand_between_rows_of_numbers_do_not_join_these() -> None:
    pdf = FPDF(format=(842, 842), unit="pt")
    pdf.add_page()
    pdf.set_font("helvetica", size=8)
    for group in range(4):
        for column, x in enumerate((150, 250, 350)):
            for number in range(2):
                pdf.text(x, 60 + 26 * group + 10 * number, f"{group}.{column}{number}")
        pdf.text(50, 65 + 26 * group, f"Group {group}")

    assert [row for row in cells(read(bytes(pdf.output()))) if not row[0].startswith("Group")] == [
        [f"{group}.{column}{number}" for column in range(3)] for group in range(4) for number in range(2)
    ]


def test_a_line_that_fills_two_columns_from_edge_to_edge_is_two_cells() -> None:
    pdf = FPDF(format=(842, 842), unit="pt")
    pdf.add_page()
    pdf.set_font("helvetica", size=8)
    last = ["M. musculus", "L13", "6", "8"]
    edge = 50 + pdf.get_string_width("M. musculus ")
    rows = [["M. mus", "L10", "3", "5"], ["M. musc", "L11", "4", "6"], ["M. muscu", "L12", "5", "7"]]
    for number, row in enumerate(rows):
        for cell, x in zip(row, (50, edge, 150, 200), strict=True):
            pdf.text(x, 60 + 14 * number, cell)
    for cell, x in zip((" ".join(last[:2]), *last[2:]), (50, 150, 200), strict=True):
        pdf.text(x, 60 + 14 * 3, cell)

    assert cells(read(bytes(pdf.output()))) == [*rows, last]


def test_a_table_goes_on_behind_a_long_name_of_a_group_and_ends_where_other_type_begins() -> None:
    group = "Which of the aids were used in any of the attempts of last year"
    rows = [["Female, of all who took part and were asked for it in the first year", "12"], ["Male", "14"]]
    pdf = FPDF(format=(842, 842), unit="pt")
    pdf.add_page()
    pdf.set_font("helvetica", size=8)
    lines = [*rows, ["Other", "3"], [group], ["Yes", "5"], ["No", "7"]]
    for number, row in enumerate(lines):
        for cell, x in zip(row, (50, 350)[: len(row)], strict=True):
            pdf.text(x, 60 + 12 * number, cell)
    pdf.set_font("helvetica", "B", 8)
    pdf.text(50, 60 + 12 * len(lines), "Results")

    document = read(bytes(pdf.output()))

    assert cells(document) == lines
    assert document.sections[-1].title == "Results"


def test_a_head_over_two_columns_makes_none_of_its_own() -> None:
    pdf = FPDF(format=(842, 842), unit="pt")
    pdf.add_page()
    pdf.set_font("helvetica", size=8)
    pdf.text(170, 60, "Aspirin, all of the patients")
    pdf.text(410, 60, "Placebo, all of the patients")
    rows = [
        ["Event", "n", "share", "n", "share"],
        *([f"Event {n}", f"{n}", "5", f"{n}", "7"] for n in "1234"),
    ]
    for number, row in enumerate(rows):
        for cell, x in zip(row, (50, 170, 230, 410, 470), strict=True):
            pdf.text(x, 74 + 14 * number, cell)

    assert cells(read(bytes(pdf.output())))[1:] == rows


def article(*parts: tuple[str, str]) -> Document:
    """Lines below one another, "" for plain and "B" for bold ones, above and below plain text."""
    pdf = FPDF(format="A4", unit="pt")
    pdf.add_page()
    prose = ("", "It was seen in the trial that those who took the drug were well, and the others too,")
    for number, (style, text) in enumerate([prose] * 6 + list(parts) + [prose] * 6):
        pdf.set_font("helvetica", style, 10)
        pdf.text(50, 80 + 13 * number, text)
    return read(bytes(pdf.output()))


def headings(document: Document) -> list[str]:
    return [section.title for section in document.sections if section.title]


def test_a_heading_on_two_lines_is_one() -> None:
    document = article(
        ("B", "What became of the patients who were given the drug"), ("B", "for two years or more")
    )

    assert headings(document) == ["What became of the patients who were given the drug for two years or more"]


def test_a_bold_sentence_on_two_lines_is_no_heading() -> None:
    document = article(
        ("B", "I have read the whole of this report and I confirm"), ("B", "that it is of use to others.")
    )

    assert headings(document) == []
    assert "I confirm that it is of use to others." in document.text


def test_the_bold_name_of_a_person_above_their_workplace_is_no_heading() -> None:
    document = article(("B", "Jane Doe"), ("", "Department of Medicine, University of Nowhere, Nowhere"))

    assert headings(document) == []


def test_the_day_of_publication_may_stand_on_the_last_page_below_that_of_acceptance() -> None:
    pdf = FPDF(format="A4", unit="pt")
    for page, lines in enumerate(
        (
            ["A made report of a trial", "We treated ten patients. (c) 2014 Roe et al."],
            [
                "All lived.",
                "Received: 13 August 2014 Accepted: 11 December 2014",
                "Published: 26 December 2014",
            ],
        )
    ):
        pdf.add_page()
        for number, line in enumerate(lines):
            pdf.set_font("helvetica", size=18 if page == number == 0 else 10)
            pdf.text(60, 100 + 40 * number, line)

    assert read(bytes(pdf.output())).date == "2014-12-26"


def test_authors_beside_their_addresses_are_found_wherever_they_stand_before_the_text() -> None:
    pdf = FPDF(format="A4", unit="pt")
    for lines in (
        ["Jane Doe (jane@example.org)", "Ann van der Berg (ann.berg@example.org)"],
        ["Jane Doe", "Email: jane@example.org", "Li Wei", "Email: wei@example.org", "Abstract", "We saw it."],
    ):
        pdf.add_page()
        pdf.set_font("helvetica", size=16)
        pdf.text(50, 60, "A trial of one drug in many patients")
        pdf.set_font("helvetica", size=10)
        pdf.text(50, 76, "Clinical Care Sample")
        for number, line in enumerate(lines):
            pdf.text(50, 100 + 14 * number, line)

    assert read(bytes(pdf.output())).authors == ("Jane Doe", "Ann van der Berg", "Li Wei")


@pytest.mark.parametrize(
    ("entry", "title"),
    [
        ("Doe J, Roe RA. The drug in E. coli. J Clin Med. 2001;5:1-9.", "The drug in E. coli"),
        ("Doe J, van der Roe RA, et al: The drug: a trial. Lancet 2001, 5:1-9.", "The drug: a trial"),
        ("Doe JA, Roe R (2001) Is the drug of use? J Clin Med 5: 1-9.", "Is the drug of use?"),
        ("Doe, J.; Roe, R.A. The drug in mice. Eur. J. Med. 2001, 5, 1-9.", "The drug in mice"),
        ("Doe, J., & Roe, R. A. (2001). The drug in mice. Journal of Drugs, 5(3), 1-9.", "The drug in mice"),
        ("Doe, J. & Roe, R. The drug in mice. Nature 412, 1-9 (2001).", "The drug in mice"),
        ("Doe J, Roe R. The drug in mice. Front Med. (2001) 12:1-9.", "The drug in mice"),
        (
            "Doe J, Mumpuni, Roe R. The study of 2010. What it found. Lancet. 2012;5:1.",
            "The study of 2010. What it found",
        ),
        (
            "Doe J. The drug in mice. In: Roe R, editor. Drugs of today. London: Press; 2001.",
            "The drug in mice",
        ),
        ("Doe, Jane, and R. Roe. 2001. “The Drug in Mice.” Journal of Drugs 5: 1-9.", "The Drug in Mice"),
        ('[1] J. Doe and R. Roe, "The drug in mice," J. Drugs, vol. 5, pp. 1-9, 2001.', "The drug in mice"),
        ("Doe J. Drugs of today. London: The Press. 444 p.", "Drugs of today"),
        ("Doe JA (1999) Drugs of today: a book. Chicago: The University Press.", "Drugs of today: a book"),
        ("Doe J, et al. Drugs of today. London: Department of Health; 2008.", "Drugs of today"),
        ("Doe J. Drugs of today. Berlin", ""),
        ("The drug database. Available: http://example.org. Accessed 2012.", ""),
    ],
)
def test_the_title_of_a_reference_stands_between_authors_and_what_printed_it(entry: str, title: str) -> None:
    assert title_of(entry) == title


@pytest.mark.parametrize("part", ["Doe J, ", "Doe Roe ", "A. ", "A.", "The drug. ", "J Med ", "et al, "])
def test_the_cost_of_a_title_grows_as_its_entry_does(part: str) -> None:
    """Calls are counted of what is done for each author and each sentence."""

    def cost(count: int) -> int:
        calls = 0

        def count_calls(*_: object) -> None:
            nonlocal calls
            calls += 1

        sys.setprofile(count_calls)
        try:
            title_of("Doe J. " + part * count)
        finally:
            sys.setprofile(None)
        return calls

    assert cost(2000) < 3 * cost(1000) + 100


@pytest.mark.parametrize(
    ("entry", "year"),
    [
        ("Roe A: Aspirin in men. Spine (Phila Pa 1976) 1998, 23:2003–2013.", 1998),
        ("Roe A: A study of 2010. Lancet 2012, 380:2163–2196.", 2012),
        ("Roe A. Aspirin. Intensive Care Med. 2011;37:1986–93.", 2011),
        ("Roe A (2003) Aspirin in 1990. Anim Biol 53: 1909– 1923.", 2003),
        ("Roe A. Aspirin. Lancet, vol. 5, no. 2, pp. 1920-1931, 2004.", 2004),
        ("Roe A. Aspirin in men. London; 1999.", 1999),
        ("Roe A. Aspirin in men: 1950.", 1950),
    ],
)
def test_the_year_of_a_reference_is_none_of_its_pages_nor_of_its_title(entry: str, year: int) -> None:
    assert read_reference(entry).year == year


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("Death{a}", "Death^a"),
        ("Job (all){b} of it", "Job (all)^b of it"),
        ("{a}All of them", "a All of them"),
        ("{1}Department of Lungs", "1 Department of Lungs"),
        ("{13}C and {18}F", "13C and 18F"),
        ("weight/height{2} of all", "weight/height^2 of all"),
        ("in 5 m{2} of R{2}", "in 5 m2 of R2"),
        ("patients{2} died.{3}", "patients died."),
        ("the 5{th} of 10{5}", "the 5th of 10^5"),
    ],
)
def test_what_is_raised_is_read_by_what_it_stands_behind(line: str, expected: str) -> None:
    assert read_scripts(line.replace("{", OPEN).replace("}", CLOSE))[0] == expected
