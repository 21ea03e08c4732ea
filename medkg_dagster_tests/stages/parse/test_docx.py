"""Word documents as articles."""

from __future__ import annotations

import sys
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medkg_dagster.errors import DocumentError, UnreadableDocumentError, UnsafeDocumentError
from medkg_dagster.stage_api import BlockKind, Document, PayloadFormat
from medkg_dagster_tests.stages.parse.made_archives import WORD, docx, paragraph, table, zipped
from medkg_dagster_tests.stages.parse.test_html import outline
from medkg_dagster_tests.stages.parse.test_pdf_layouts import blocks
from medkg_dagster_tests.stages.real_payloads import parse_one
from medkg_dagster_tests.stages.running import least_cost

TITLE = paragraph("Aspirin in stroke", "Title")


def parse(content: bytes, **config: object) -> Document:
    return parse_one(content, PayloadFormat.DOCX, **config)


def run(text: str) -> str:
    return f'<w:r><w:t xml:space="preserve">{text}</w:t></w:r>'


def test_styles_say_what_is_title_and_heading_whatever_they_are_called() -> None:
    styles = (
        '<w:style w:type="paragraph" w:styleId="Mine"><w:name w:val="Main part"/>'
        '<w:pPr><w:outlineLvl w:val="0"/></w:pPr></w:style>'
        '<w:style w:type="paragraph" w:styleId="Sub"><w:name w:val="Sub part"/>'
        '<w:basedOn w:val="Mine"/></w:style>'
    )
    body = (
        paragraph("Confidential")
        + TITLE
        + paragraph("Methods", "Mine")
        + paragraph("We asked.")
        + paragraph("Groups", "Heading2")
        + paragraph("Two.")
        + paragraph("Results", "Sub")
        + paragraph("What we saw", bold=True)
        + paragraph("It helps.")
    )

    document = parse(docx(body, styles=styles))

    assert document.title == "Aspirin in stroke"
    assert outline(document) == [(1, ""), (1, "Methods"), (2, "Groups"), (1, "Results"), (2, "What we saw")]
    assert document.text.count("Aspirin in stroke") == 1


@pytest.mark.parametrize(
    ("body", "core", "title"),
    [
        (paragraph("Aspirin in stroke") + paragraph("Abstract", "Heading1"), "", "Aspirin in stroke"),
        (
            paragraph("To the editor") + paragraph("Aspirin in stroke"),
            "Aspirin in stroke",
            "Aspirin in stroke",
        ),
        (paragraph("Abstract") + paragraph("It helps."), "Aspirin in stroke", "Aspirin in stroke"),
        (paragraph("It helps. " * 40), "Microsoft Word - Document1", ""),
    ],
)
def test_the_title_is_that_of_the_properties_or_the_first_short_paragraph(
    body: str, core: str, title: str
) -> None:
    assert parse(docx(body, core=f"<dc:title>{core}</dc:title>")).title == title


@pytest.mark.parametrize(
    ("lines", "core", "authors"),
    [
        (["Jane Doe, MD, Richard Roe and Li Wei"], "", ("Jane Doe", "Richard Roe", "Li Wei")),
        (["By the group of Doe in 2020"], "Jane Doe", ("Jane Doe",)),
        (["We saw that it helps."], "Microsoft Office User", ()),
    ],
)
def test_authors_stand_below_the_title_or_in_the_properties_where_the_text_names_them(
    lines: list[str], core: str, authors: tuple[str, ...]
) -> None:
    body = TITLE + "".join(map(paragraph, lines)) + paragraph("Methods", "Heading1") + paragraph("We asked.")

    assert parse(docx(body, core=f"<dc:creator>{core}</dc:creator>")).authors == authors


def test_the_properties_may_have_the_doi() -> None:
    assert parse(docx(TITLE, core="<dc:identifier>doi:10.1234/a.5</dc:identifier>")).id == "DOI:10.1234/a.5"


def test_lists_tables_and_notes_are_read_with_what_is_merged_in_its_place() -> None:
    row = "<w:tr><w:tc><w:tcPr><w:vMerge {}/></w:tcPr>{}</w:tc><w:tc>{}</w:tc></w:tr>"
    body = (
        TITLE
        + '<w:p><w:pPr><w:numPr><w:ilvl w:val="0"/><w:numId w:val="1"/></w:numPr></w:pPr>'
        + run("First")
        + "</w:p><w:tbl>"
        + row.format('w:val="restart"', paragraph("Group"), paragraph("12"))
        + row.format("", paragraph(""), paragraph("14"))
        + "</w:tbl><w:p>"
        + run("So")
        + '<w:r><w:footnoteReference w:id="2"/></w:r>'
        + run(" it is.")
        + "</w:p>"
    )
    numbering = (
        f'<w:numbering {WORD}><w:abstractNum w:abstractNumId="0"><w:lvl w:ilvl="0"><w:numFmt w:val="bullet"/>'
        '</w:lvl></w:abstractNum><w:num w:numId="1"><w:abstractNumId w:val="0"/></w:num></w:numbering>'
    )
    notes = (
        f'<w:footnotes {WORD}><w:footnote w:id="2">{paragraph("Of those asked.")}</w:footnote></w:footnotes>'
    )

    document = parse(docx(body, more={"word/numbering.xml": numbering, "word/footnotes.xml": notes}))

    assert blocks(document, BlockKind.LIST_ITEM) == ["First", "Of those asked."]
    assert blocks(document, BlockKind.TABLE) == ["Group\t12\n\t14"]
    assert "So it is." in document.text


def test_boxes_and_what_was_put_in_are_text_and_what_was_taken_out_or_stands_aside_is_counted() -> None:
    body = (
        TITLE
        + f"<w:p>{run('It ')}<w:ins>{run('really ')}</w:ins>"
        + f"<w:del><w:r><w:delText>hardly </w:delText></w:r></w:del>{run('helps.')}</w:p>"
        + "<w:p><w:r><mc:AlternateContent><mc:Choice Requires='wps'><wps:txbx><w:txbxContent>"
        + paragraph("In a box")
        + "</w:txbxContent></wps:txbx></mc:Choice><mc:Fallback><w:pict><v:textbox><w:txbxContent>"
        + paragraph("In a box")
        + "</w:txbxContent></v:textbox></w:pict></mc:Fallback></mc:AlternateContent></w:r></w:p>"
    )
    header = f"<w:hdr {WORD}>{paragraph('The Journal')}</w:hdr>"
    comments = f'<w:comments {WORD}><w:comment w:id="1">{paragraph("Is it so?")}</w:comment></w:comments>'

    diagram = '<d:dataModel xmlns:d="urn:d" xmlns:a="urn:a"><a:t>Asked</a:t></d:dataModel>'
    aside = {
        "word/header1.xml": header,
        "word/comments.xml": comments,
        "word/diagrams/data1.xml": diagram,
    }

    document = parse(docx(body, more=aside))

    assert document.text == "Aspirin in stroke\n\nIt really helps.\n\nIn a box"
    assert document.text_kept is not None
    assert document.text_kept.left_out == {
        "comments": 3,
        "deleted text": 1,
        "diagrams and charts": 1,
        "running headers and footers": 2,
    }


BOX = (
    "<w:drawing><wps:wsp><wps:txbx>"
    f"<w:txbxContent>{paragraph('In a box')}</w:txbxContent></wps:txbx></wps:wsp></w:drawing>"
)


@pytest.mark.parametrize(
    ("part", "text"),
    [
        (
            f"<w:p>{run('see ')}<w:fldSimple w:instr='REF a'>{run('Table 1')}</w:fldSimple></w:p>",
            "see Table 1",
        ),
        (f"<w:p><w:bdo w:val='rtl'>{run('here')}</w:bdo></w:p>", "here"),
        (f"<w:p><w:r><w:ruby><w:rubyBase>{run('a')}</w:rubyBase></w:ruby></w:r></w:p>", "a"),
        (f"<w:p><w:unheardOf>{run('here')}</w:unheardOf></w:p>", "here"),
        ("<w:p><w:r><w:t>T</w:t><w:noBreakHyphen/><w:t>score</w:t></w:r></w:p>", "T\u2011score"),
        (
            (
                f"<w:p><w:r><mc:AlternateContent><mc:Choice Requires='wps'>{BOX}</mc:Choice>"
                "<mc:Fallback><w:pict/></mc:Fallback></mc:AlternateContent></w:r></w:p>"
            ),
            "In a box",
        ),
        (f"<w:p><w:moveFrom>{run('old')}</w:moveFrom><w:moveTo>{run('new')}</w:moveTo></w:p>", "new"),
    ],
)
def test_text_is_read_whatever_it_stands_in(part: str, text: str) -> None:
    document = parse(docx(TITLE + part))

    assert document.text == f"Aspirin in stroke\n\n{text}"
    assert document.text_kept is not None
    assert set(document.text_kept.left_out) <= {"deleted text"}


def math(text: str) -> str:
    return f"<m:r><m:t>{text}</m:t></m:r>"


@pytest.mark.parametrize(("mark", "shown"), [("<w:vanish/>", False), ('<w:vanish w:val="0"/>', True)])
def test_hidden_text_is_none_and_counted(mark: str, shown: bool) -> None:
    hidden = f"<w:r><w:rPr>{mark}</w:rPr><w:t>codes of a program</w:t></w:r>"
    document = parse(docx(f"<w:p><w:r><w:t>It helps. </w:t></w:r>{hidden}</w:p>"))

    assert ("codes" in document.text) is shown
    assert document.text_kept is not None
    assert document.text_kept.left_out == ({} if shown else {"hidden text": 4})


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        (f"<m:sSup><m:e>{math('10')}</m:e><m:sup>{math('5')}</m:sup></m:sSup>", "10^5"),
        (f"<m:f><m:num>{math('1')}</m:num><m:den>{math('2')}</m:den></m:f>", "1/2"),
        (f"<m:rad><m:deg/><m:e>{math('16')}</m:e></m:rad>", "sqrt(16)"),
        (
            f"<m:d><m:dPr><m:begChr m:val='['/><m:endChr m:val=']'/></m:dPr><m:e>{math('x')}</m:e></m:d>",
            "[x]",
        ),
        (
            (
                "<m:nary><m:naryPr><m:chr m:val='∑'/></m:naryPr>"
                f"<m:sub>{math('i')}</m:sub><m:sup>{math('n')}</m:sup><m:e>{math('x')}</m:e></m:nary>"
            ),
            "∑_i^nx",
        ),
        (f"<m:unknown>{math('ab')}{math('c')}</m:unknown>", "abc"),
    ],
)
def test_formulas_are_on_one_line(formula: str, expected: str) -> None:
    document = parse(docx(TITLE + f"<w:p>{run('About')}<m:oMath>{formula}</m:oMath>{run('of them.')}</w:p>"))

    assert document.text == f"Aspirin in stroke\n\nAbout {expected} of them."
    assert document.text_kept is not None
    assert document.text_kept.left_out == {}


def test_macros_are_not_looked_at() -> None:
    plain, with_macros = docx(TITLE), docx(TITLE, more={"word/vbaProject.bin": b"\xd0\xcf\x11\xe0 macros"})

    assert parse(with_macros).text == parse(plain).text == "Aspirin in stroke"


def test_pictures_that_lie_elsewhere_are_not_fetched() -> None:
    picture = (
        '<w:p><w:r><w:drawing><wp:inline xmlns:wp="http://schemas.openxmlformats.org/drawingml/2006/'
        'wordprocessingDrawing"><a:graphic xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main">'
        '<a:graphicData><pic:pic xmlns:pic="http://schemas.openxmlformats.org/drawingml/2006/picture"><pic:blipFill>'
        '<a:blip r:link="r0"/></pic:blipFill></pic:pic></a:graphicData></a:graphic></wp:inline></w:drawing>'
        "</w:r></w:p>"
    )

    assert parse(docx(TITLE + picture + paragraph("It."))).text == "Aspirin in stroke\n\nIt."


def test_without_the_extra_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mammoth", None)

    with pytest.raises(UnreadableDocumentError, match=r"mammoth.*pip install 'medkg-dagster\[docx\]'"):
        parse(docx(TITLE))


def encrypted(content: bytes) -> bytes:
    """The archive with the flag of encryption set for all members."""
    return content.replace(b"PK\x01\x02\x14\x03\x14\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x01")


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (docx(TITLE)[:300], UnreadableDocumentError, "broken or unknown kind of archive"),
        (encrypted(docx(TITLE)), UnreadableDocumentError, "encrypted and needs a password"),
        (zipped({"word/document.xml": "<a/>"}), UnreadableDocumentError, "not built as one"),
        (docx("<w:p>"), UnreadableDocumentError, "not well-formed"),
        (docx(""), UnreadableDocumentError, "holds no text"),
        (
            docx("", more={"word/comments.xml": "<!DOCTYPE a [<!ENTITY b 'c'>]><a/>"}),
            UnsafeDocumentError,
            "declares the entity",
        ),
        (docx("<w:sdt>" * 400 + "</w:sdt>" * 400), UnsafeDocumentError, "beyond the parser's safety limits"),
    ],
)
def test_what_cannot_be_read_is_refused_saying_why(
    content: bytes, error: type[DocumentError], message: str
) -> None:
    with pytest.raises(error, match=message):
        parse(content)


def test_an_archive_of_too_many_members_is_refused() -> None:
    with pytest.raises(UnsafeDocumentError, match="20,001 members"):
        parse(zipped({f"word/{n}.bin": "" for n in range(20_001)}))


def test_what_unpacks_to_a_hundred_times_its_size_is_refused_whatever_the_limit() -> None:
    bomb = docx(TITLE, more={"word/footnotes.xml": b" " * 50_000_000})

    with pytest.raises(
        UnsafeDocumentError, match=r"unpacks to more than 10,000,000 bytes with its part word/foot"
    ):
        parse(bomb)


def test_styles_of_headings_are_looked_at_up_to_a_number_as_each_costs_for_every_paragraph() -> None:
    styles = (
        f'<w:style w:type="paragraph" w:styleId="S{n}"><w:name w:val="S{n}"/>'
        '<w:pPr><w:outlineLvl w:val="0"/></w:pPr></w:style>'
        for n in range(3000)
    )

    body = TITLE + paragraph("Methods", "S1") + paragraph("It helps.") + paragraph("Late", "S2999")

    document = parse(docx(body, styles="".join(styles)))

    assert outline(document) == [(1, "Methods")]
    assert document.text.endswith("It helps.\n\nLate")


def test_a_bomb_is_refused_before_it_is_unpacked() -> None:
    bomb = docx(TITLE, more={"word/footnotes.xml": b" " * 50_000_000})
    assert len(bomb) < 100_000

    with pytest.raises(
        UnsafeDocumentError, match=r"unpacks to more than 1,000,000 bytes with its part word/foot"
    ):
        parse(bomb, max_content_bytes=1_000_000)


word = st.text("abcdefghij", min_size=2, max_size=8)
prose = st.lists(word, min_size=1, max_size=6).map(" ".join)
part = st.one_of(
    st.tuples(prose, st.sampled_from(("", "Heading1", "Heading2"))).map(lambda made: paragraph(*made)),
    st.lists(prose, min_size=2, max_size=4).map(lambda runs: f"<w:p>{''.join(map(run, runs))}</w:p>"),
    st.lists(st.lists(prose, min_size=2, max_size=2), min_size=1, max_size=3).map(table),
    prose.map(lambda text: f"<w:sdt><w:sdtContent>{paragraph(text)}</w:sdtContent></w:sdt>"),
    prose.map(lambda text: f"<w:p><w:hyperlink>{run(text)}</w:hyperlink>{run(' ' + text)}</w:p>"),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(part, min_size=1, max_size=8))
def test_every_word_of_a_document_is_kept_in_its_order(parts: list[str]) -> None:
    body = "".join(parts)
    texts = [
        piece.partition("</w:t>")[0]
        for piece in body.replace("</w:p>", '<w:t xml:space="preserve"> </w:t>').split(
            '<w:t xml:space="preserve">'
        )[1:]
    ]

    document = parse(docx(TITLE + body))

    assert document.text.removeprefix("Aspirin in stroke").split() == "".join(texts).split()
    assert document.text_kept is not None
    assert document.text_kept.left_out == {}


@pytest.mark.parametrize(
    "make",
    [
        lambda count: paragraph("one two three") * count,
        lambda count: table([["one", "two"]] * count),
        lambda count: f"<w:p>{'<m:oMath>' + math('x') + '</m:oMath>'}</w:p>" * count,
    ],
)
def test_the_cost_of_a_document_grows_as_its_size_does(make: object) -> None:
    """Four times the size costs less than ten times as much; what is quadratic costs sixteen times."""
    assert callable(make)

    small, large = docx(TITLE + make(150)), docx(TITLE + make(600))
    assert least_cost(lambda: parse(large)) < 10 * least_cost(lambda: parse(small))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 3000), st.binary(min_size=1, max_size=30))
def test_a_damaged_document_is_read_or_refused(position: int, damage: bytes) -> None:
    content = docx(TITLE + paragraph("It helps."))

    with suppress(DocumentError):
        parse(content[:position] + damage + content[position + len(damage) :])


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(("word/document.xml", "word/styles.xml", "word/_rels/document.xml.rels", "_rels/.rels")),
    st.text("<>/w:pr t='", max_size=60),
)
def test_a_document_with_a_part_that_is_none_is_read_or_refused(name: str, content: str) -> None:
    with suppress(DocumentError):
        parse(docx(TITLE, more={name: f"<w:document {WORD}><w:body>{content}</w:body></w:document>"}))
