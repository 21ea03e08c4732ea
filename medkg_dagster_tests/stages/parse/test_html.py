"""HTML pages as articles."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medkg_dagster.errors import DocumentError, UnreadableDocumentError, UnsafeDocumentError
from medkg_dagster.stage_api import BlockKind, Document, PayloadFormat
from medkg_dagster.stages.parse.html.furniture import CONTROLS
from medkg_dagster_tests.stages.parse.test_pdf_layouts import blocks
from medkg_dagster_tests.stages.real_payloads import parse_one
from medkg_dagster_tests.stages.running import least_cost

HEAD = """
<meta name="citation_title" content="Aspirin in stroke">
<meta name="citation_author" content="Doe, Jane"><meta name="citation_author" content="Richard Roe">
<meta name="citation_doi" content="doi:10.1234/Aspirin.5"><meta name="citation_pmid" content="12345678">
<meta name="citation_publication_date" content="2020/03/07">
<link rel="canonical" href="https://example.org/aspirin">
<link rel="license" href="https://creativecommons.org/licenses/by/4.0/">
<title>Aspirin in stroke | The Journal</title>"""


def parse(body: str, head: str = "", **config: object) -> Document:
    page = f"<!DOCTYPE html><html><head>{head}</head><body>{body}</body></html>"
    return parse_one(page.encode(), PayloadFormat.HTML, **config)


def outline(document: Document) -> list[tuple[int, str]]:
    return [(section.level, section.title) for section in document.sections[1:]]


def test_the_head_says_who_wrote_what_when_and_under_which_name() -> None:
    document = parse("<h1>Aspirin in stroke</h1><p>It helps.</p>", HEAD)

    assert (document.id, document.title) == ("PMID:12345678", "Aspirin in stroke")
    assert document.identifiers == {"PMID": "12345678", "DOI": "10.1234/Aspirin.5"}
    assert document.authors == ("Jane Doe", "Richard Roe")
    assert (document.date, document.url) == ("2020-03-07", "https://example.org/aspirin")
    assert document.licence == "https://creativecommons.org/licenses/by/4.0/"
    assert document.text == "Aspirin in stroke\n\nIt helps."


@pytest.mark.parametrize(
    ("written", "date"),
    [
        ("2020", "2020"),
        ("2020-03", "2020-03"),
        ("2020-03-07T10:00Z", "2020-03-07"),
        ("2020 Aug 6", "2020-08-06"),
        ("6 August 2020", "2020-08-06"),
        ("August 6, 2020", "2020-08-06"),
        ("March 2020", "2020-03"),
        ("20201", None),
        ("in spring", None),
    ],
)
def test_dates_are_read_as_precisely_as_they_are_written(written: str, date: str | None) -> None:
    assert parse("<p>It helps.", f'<meta name="citation_date" content="{written}">').date == date


@pytest.mark.parametrize(
    ("head", "body", "title"),
    [
        ("<title>Aspirin in stroke | The Journal</title>", "<p>It helps.</p>", "Aspirin in stroke"),
        (
            "<title>The Journal</title>",
            "<h1>Aspirin <i>in</i> stroke</h1><p>It helps.</p>",
            "Aspirin in stroke",
        ),
        ('<meta name="DC.Title" content="Aspirin in stroke">', "<p>It helps.</p>", "Aspirin in stroke"),
    ],
)
def test_the_title_is_what_the_head_states_or_the_first_heading_or_that_of_the_window(
    head: str, body: str, title: str
) -> None:
    assert parse(body, head).title == title


def test_headings_are_sections_lists_are_items_and_tables_have_their_cells_in_columns() -> None:
    document = parse(
        "<h1>Aspirin in stroke</h1><h2>Methods</h2><p>We<br>asked.</p>"
        "<ul><li>First<ul><li>Inner</li></ul></li>"
        "<li><p>Second</p></li></ul><h3>Groups</h3><table><caption>Table 1. Who</caption>"
        "<tr><th rowspan=2>Group<th colspan=2>Patients</tr><tr><th>n<th>%</tr>"
        "<tr><td>Aspirin<td>5<td>50</tr></table>"
        "<h2>Results</h2><figure><img src=a.png><figcaption>Fig. 1. All</figcaption></figure>Bare text<p>End."
    )

    assert outline(document) == [(1, "Methods"), (2, "Groups"), (1, "Results")]
    assert blocks(document, BlockKind.LIST_ITEM) == ["First", "Inner", "Second"]
    assert blocks(document, BlockKind.TABLE) == ["Group\tPatients\n\tn\t%\nAspirin\t5\t50"]
    assert blocks(document, BlockKind.CAPTION) == ["Table 1. Who", "Fig. 1. All"]
    assert document.text.endswith("Bare text\n\nEnd.")


def test_a_paragraph_that_is_all_bold_or_says_what_many_headings_do_is_one() -> None:
    document = parse(
        "<h1>Aspirin in stroke</h1><p>Methods</p><p>We <b>asked</b>.</p><p><b>What we saw</b></p><p>It."
    )

    assert outline(document) == [(1, "Methods"), (2, "What we saw")]


def test_tables_that_only_lay_out_the_page_are_text_and_others_go_where_none_are_wanted() -> None:
    page = (
        "<table><tr><td><h2>Methods</h2><p>We asked.</p></td></tr></table><table><tr><td>1<td>2</table><p>So."
    )

    document = parse(page, include_tables=False)

    assert document.text == "Methods\n\nWe asked.\n\nSo."
    assert document.text_kept is not None
    assert document.text_kept.left_out == {"tables (include_tables)": 2}


def test_what_surrounds_an_article_is_left_out_and_counted() -> None:
    document = parse(
        "<nav><ul><li>Home Journals</ul></nav><header><h1>Aspirin in stroke</h1></header><main><article><p>"
        + "It helps. " * 9
        + "<script>alert('no')</script><button>Share</button></article></main><aside>Most read</aside>"
        "<footer role=contentinfo>All rights</footer><div style='display: none'>secret</div>",
    )

    assert document.text == "Aspirin in stroke\n\n" + " ".join(["It helps."] * 9)
    assert document.text_kept is not None
    assert document.text_kept.left_out == {
        "forms and buttons": 1,
        "hidden": 1,
        "navigation": 4,
        "what surrounds the article": 2,
    }


def test_lines_forms_and_stray_text_are_read_as_they_are_shown() -> None:
    document = parse(
        "<form action='all.aspx'><h1>It</h1><p>One<br/>two<br><br>three</p><table>stray<tr><td>1<td>2</table>"
        + "<p>word</p>" * 120
        + "<form><input type=text>Search here</form></form>"
    )

    assert document.text.startswith("It\n\nOne two\n\nthree\n\nstray\n\n1\t2\n\nword\n\nword")
    assert document.text_kept is not None
    assert set(document.text_kept.left_out) <= {"forms and buttons"}


def test_scripts_and_formulas_are_on_one_line_and_marks_of_citations_are_no_text() -> None:
    document = parse(
        "<p>Patients<sup>1,2</sup> had 5 m<sup>2</sup> of it.<sup>3</sup> "
        "About 10<sup>5</sup> cells of H<sub>2</sub>O"
        "<sup><a href='#r1'>1</a>,<a href='#r2'>2</a></sup> in "
        "<math><mfrac><mn>1</mn><mn>2</mn></mfrac></math> of them [<a href='#r3'>3</a>], see Section "
        "<a href='#s2'>2</a> and <a href='#t1'>Table 1</a>.<a href='#top'>↑</a></p>"
    )

    assert (
        document.text
        == "Patients had 5 m2 of it. About 10^5 cells of H2O in 1/2 of them, see Section 2 and Table 1."
    )


def test_entries_of_a_list_of_references_are_references_and_no_text() -> None:
    document = parse(
        "<h1>Aspirin in stroke</h1><p>It helps.</p><h2>References</h2><ol>"
        "<li id=r1>1. Doe J, Roe R. Aspirin in mice. Lancet. 2001;5:1-9. <a href='https://doi.org/10.1000/Mice.1'>CrossRef"
        "</a></li><li><p>Roe R. Aspirin in men. BMJ. 2002;6:2. <a href='https://pubmed.ncbi.nlm.nih.gov/12345/'>PubMed</a>"
        "</p></li></ol><h2>Thanks</h2><p>To all in 2003.</p>"
    )

    assert [(item.title, item.year, item.identifiers) for item in document.references] == [
        ("Aspirin in mice", 2001, {"DOI": "10.1000/Mice.1"}),
        ("Aspirin in men", 2002, {"PMID": "12345"}),
    ]
    assert "Doe" not in document.text
    assert "To all in 2003." in document.text
    assert document.text_kept is not None
    assert document.text_kept.left_out == {"names of links": 2}


@pytest.mark.parametrize(
    "entry",
    [
        (
            "<ol><li><span>1.</span>ENTRY<ul><li><a href='https://doi.org/10.1/1'>View Article</a></li>"
            "<li>PubMed/NCBI</li><li><a href=x>Google Scholar</a></li></ul></li></ol>"
        ),
        "<ul><li>ENTRY [<a href=x>DOI</a>] [<a href=y>PubMed</a>] [<a>PMC</a>]</ul>",
        "<dl><dt>[1]</dt><dd><div>Doe J. Aspirin in mice.</div><div>Lancet. 2001;5:1-9.</div></dd></dl>",
        "<ol><li><p>ENTRY</p><p><a>Article</a> <a>CAS</a></p></li></ol>",
        "<div><div>ENTRY</div></div>",
    ],
)
def test_an_entry_is_read_without_its_number_and_the_names_of_links(entry: str) -> None:
    written = entry.replace("ENTRY", "Doe J. Aspirin in mice. Lancet. 2001;5:1-9.")

    document = parse(f"<h1>Aspirin in stroke</h1><p>It helps.</p><h2>References</h2>{written}")

    (reference,) = document.references
    assert reference.text == "Doe J. Aspirin in mice. Lancet. 2001;5:1-9."
    assert "Scholar" not in document.text
    assert document.text_kept is not None
    assert set(document.text_kept.left_out) <= {"names of links", "numbers of references", CONTROLS}


def test_what_is_said_of_references_is_text() -> None:
    document = parse(
        "<h1>Style</h1><h2>References</h2><p>Cite them by year, as (Doe, 2001), in the text.</p>"
    )

    assert document.references == ()
    assert "Cite them by year" in document.text


def test_captions_are_known_by_what_they_begin_with_also_where_they_are_headings() -> None:
    document = parse(
        "<h1>It</h1><h2>Results</h2><p>Table 1 shows it.</p><h3>Table 1.</h3><p><b>Figure 2:</b> All.</p>"
    )

    assert outline(document) == [(1, "Results")]
    assert blocks(document, BlockKind.CAPTION) == ["Table 1.", "Figure 2: All."]


HALF = "<math><mfrac><mn>1</mn><mn>2</mn></mfrac></math>"


@pytest.mark.parametrize(
    "formula",
    [
        (
            "<span class=MathJax_Preview></span><span class=MathJax><span>1 2</span></span>"
            "<script type='math/tex'>\\frac{1}{2}</script>"
        ),
        f"<span class=katex><span>{HALF}</span><span class=katex-html aria-hidden=true>1 2</span></span>",
        f"<mjx-container><mjx-math>1 2</mjx-math><mjx-assistive-mml>{HALF}</mjx-assistive-mml>",
        f"<table><tr><td><td>{HALF}</table>",
    ],
)
def test_a_formula_is_read_once_however_it_is_drawn(formula: str) -> None:
    assert parse(f"<p>It is {formula} of all.</p>").text.split() == ["It", "is", "1/2", "of", "all."]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("<html><p>Müller – β".encode(), "Müller – β"),
        ("\ufeff<html><p>Müller – β".encode("utf-16"), "Müller – β"),
        ("<html><meta charset='iso-8859-5'><p>Ж".encode("iso-8859-5"), "Ж"),
        ("<html><meta charset='utf-8'><p>Müller – so".encode("windows-1252"), "Müller – so"),
        (b"<html><p>a&nbsp;&beta;&#x2264;", "a β≤"),
        (
            b"<?xml version='1.0'?><html xmlns='http://www.w3.org/1999/xhtml'><title/><body><p>It.</p></body></html>",
            "It.",
        ),
        (b"<?xml version='1.0'?><html><p>It <b>is</p>.", "It is\n\n."),
    ],
)
def test_pages_are_read_in_whatever_encoding_they_are(content: bytes, text: str) -> None:
    assert parse_one(content, PayloadFormat.HTML).text == text


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (b"<html><meta charset=martian><p>\xff", UnreadableDocumentError, "unknown encoding 'martian'"),
        (
            b"<html><meta charset=euc-jp><p>\xff\xff",
            UnreadableDocumentError,
            "not EUC-JP text at byte offset",
        ),
        (b"<html><title>Sign in</title><p>Your name", UnreadableDocumentError, "an error or login page"),
        (b"<html><h1>404 Not Found</h1>", UnreadableDocumentError, "an error or login page"),
        (b"<html><body></body></html>", UnreadableDocumentError, "holds no text"),
        (b"<html>" + b"<div>" * 400 + b"It.", UnsafeDocumentError, "goes beyond the parser's safety limits"),
        (b"<html><p>" + b"x" * 11_000_000, UnsafeDocumentError, "goes beyond the parser's safety limits"),
        (
            b"<?xml version='1.0'?><!DOCTYPE html [<!ENTITY a 'b'>]><html/>",
            UnsafeDocumentError,
            "declares the entity",
        ),
    ],
)
def test_what_cannot_be_read_is_refused_saying_why(
    content: bytes, error: type[DocumentError], message: str
) -> None:
    with pytest.raises(error, match=message):
        parse_one(content, PayloadFormat.HTML)


def test_a_page_may_be_as_deep_as_the_parser_allows() -> None:
    document = parse("<div>" * 120 + "<span>" * 120 + "It helps." + "</span>" * 120 + "</div>" * 120)

    assert document.text == "It helps."


word = st.text("abcdefghij", min_size=2, max_size=8)
inline = st.recursive(
    word.map(lambda text: f"{text} "),
    lambda inner: st.tuples(
        st.sampled_from(("b", "i", "span", "code", "a", "em", "q", "ins", "abbr")),
        st.lists(inner, min_size=1, max_size=4),
    ).map(lambda made: f"<{made[0]}>{''.join(made[1])}</{made[0]}> "),
    max_leaves=8,
)
block = st.recursive(
    inline,
    lambda inner: st.tuples(
        st.sampled_from(
            ("p", "div", "section", "ul><li", "blockquote", "pre", "h2", "table><tr><td", "dl><dd", "figure")
        ),
        st.lists(inner, min_size=1, max_size=4),
    ).map(lambda made: _element(made[0], "".join(made[1]))),
    max_leaves=30,
)


def _element(tags: str, inner: str) -> str:
    closing = "".join(f"</{tag}>" for tag in reversed(tags.split("><")))
    # a heading or paragraph ends where a block begins
    return f"<{tags}>{inner}{closing}"


@settings(max_examples=25 if settings().derandomize else 200)  # `make soak` draws more
@given(st.lists(block, min_size=1, max_size=8))
def test_every_word_of_a_page_is_kept_in_its_order(parts: list[str]) -> None:
    page = "".join(parts)
    expected = re.sub("<[^>]*>", "", page).split()

    document = parse(page)

    assert document.text.split() == expected
    assert document.text_kept is not None
    assert document.text_kept.left_out == {}
    assert document.text_kept.found == len(expected)


@pytest.mark.parametrize(
    "make",
    [
        lambda count: "<p>one <b>two</b> <a href='#x'>3</a></p>" * count,
        lambda count: "<main>" * 100 + "<p>one two</p>" * count + "</main>" * 100,
        lambda count: "<table><tr>" + "<td rowspan=9999 colspan=9999>1" * count + "</table>",
        lambda count: "<table><tr><td>1</table>" * count,
        lambda count: "<p>" + "<span class=MathJax>1</span>" * count,
        lambda count: "<form>" * 100 + "<p>one two</p>" * count,
        lambda count: "<h2>References</h2><ol>" + "<li>Doe J. A trial of it. Lancet. 2001;5:1.</li>" * count,
        lambda count: "<span>" * 200 + "word " * count + "<br><br>" * count,
        lambda count: "<p>" + "Doe J. " * count + "<h2>References</h2><p>2001 " + "Doe J, " * count,
    ],
)
def test_the_cost_of_a_page_grows_as_its_size_does(make: Callable[[int], str]) -> None:
    """Four times the size costs less than ten times as much; what is quadratic costs sixteen times."""

    small, large = (f"<h1>It</h1>{make(count)}" for count in (500, 2000))
    assert least_cost(lambda: parse(large)) < 10 * least_cost(lambda: parse(small))


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    with suppress(DocumentError):
        parse_one(b"<html>" + content, PayloadFormat.HTML)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("weight/height<sup>2</sup> of all", "weight/height^2 of all"),
        ("the sigma<sup>2</sup> of it", "the sigma^2 of it"),
        ("cells/mm<sup>2</sup> and m<sup>3</sup>", "cells/mm2 and m3"),
        ("patients<sup>2</sup> died.<sup>3</sup>", "patients died."),
        ("patients<sup>2–4</sup> died", "patients died"),
        ("Genotype<sup>a</sup> and (all)<sup>b</sup>", "Genotype^a and (all)^b"),
        ("in the 5<sup>th</sup> I-A<sup>k</sup>", "in the 5th I-Ak"),
        ("<sup>a</sup>Given twice", "a Given twice"),
        ("<sup>1</sup>Department of Lungs", "1 Department of Lungs"),
        ("<sup>13</sup>C and <sup>18</sup>F-FDG", "13C and 18F-FDG"),
        ("<b><sup>†</sup></b>Died later", "† Died later"),
    ],
)
def test_raised_numbers_and_letters_are_told_apart_by_what_they_stand_behind(
    written: str, expected: str
) -> None:
    document = parse(f"<h1>Aspirin in stroke</h1><p>{written}</p>")

    assert document.text.removeprefix("Aspirin in stroke\n\n") == expected
    assert document.text_kept is not None
    assert set(document.text_kept.left_out) <= {"citation and note marks"}


def test_behind_a_word_a_raised_two_is_a_power_where_the_page_cites_by_links() -> None:
    links = "".join(f"<p>One said so [<a href='#r{number}'>{number}</a>].</p>" for number in range(3))

    document = parse(f"{links}<p>The charge<sup>2</sup> of it.</p>")

    assert document.text.endswith("The charge^2 of it.")


def test_the_name_of_a_control_in_a_sentence_is_text() -> None:
    document = parse(
        "<p>Readers may <a href=x>download the article</a> today.</p><p><a>Download article</a></p>"
    )

    assert document.text == "Readers may download the article today."
    assert document.text_kept is not None
    assert document.text_kept.left_out == {CONTROLS: 2}


def test_a_part_of_a_page_that_leads_elsewhere_ends_where_the_article_goes_on() -> None:
    document = parse(
        "<h1>Aspirin in stroke</h1><p>It helps.</p><h2>Related articles</h2><p>Fish and oil</p><ul><li>More"
        "</ul><h2>Methods</h2><p>We asked.</p><div><h2>Cited by (14)</h2><div><p>Somebody</p></div></div>"
        "<p>All.</p>"
    )

    assert document.text.split("\n\n")[1:] == ["It helps.", "Methods", "We asked.", "All."]
    assert document.text_kept is not None
    assert document.text_kept.left_out == {"what surrounds the article": 11}


@pytest.mark.parametrize(
    "cited",
    [
        "grown <i>in vitro</i>.<sup>3</sup>",
        "grown (<b>all</b>),<sup>3,4</sup>",
        "grown in 2010.<sup>3</sup>",
        "grown<sup><a href='#n1'>[1]</a></sup>.<sup>1,2</sup>",
    ],
)
def test_numbers_behind_a_sentence_cite_whatever_its_last_word_stands_in(cited: str) -> None:
    document = parse(f"<h1>Aspirin in stroke</h1><p>Cells were {cited}</p>")

    assert document.text.endswith((".", ","))


def test_the_bold_and_only_item_of_a_list_is_a_heading_as_word_numbers_these() -> None:
    document = parse(
        "<h1>Aspirin in stroke</h1><ol><li><b>Introduction</b></li></ol><p>It helps.</p>"
        "<ol><li><b>Our aim</b></li></ol>"
        "<p>To ask.</p><ol><li><b>One</b></li><li>Two</li></ol><ul><li>Only one</li></ul>"
    )

    assert outline(document)[-2:] == [(1, "Introduction"), (2, "Our aim")]
    assert blocks(document, BlockKind.LIST_ITEM) == ["One", "Two", "Only one"]


@pytest.mark.parametrize(
    "part",
    [
        "<h2>Related articles</h2><p>x</p>",
        "<div></div><div><h3>Cited by</h3></div>",
        "<div class=nav>" * 50 + "<a>x</a>" * 50 + "</div>" * 50,
        "<h2>References</h2>" + "<ul><li>" * 50 + "x" + "</li></ul>" * 50,
        "<p><sup>a</sup><sup>2</sup>word</p>",
    ],
)
def test_the_cost_of_what_surrounds_an_article_grows_as_the_page_does(part: str) -> None:
    def cost(count: int) -> int:
        calls = 0

        def on_event(_frame: object, event: str, _argument: object) -> None:
            nonlocal calls
            calls += event == "call"

        page = "<h1>Aspirin in stroke</h1><p>It helps.</p>" + part * count
        sys.setprofile(on_event)
        try:
            parse(page)
        finally:
            sys.setprofile(None)
        return calls

    cost(1)
    assert cost(16) < 6 * cost(4)
