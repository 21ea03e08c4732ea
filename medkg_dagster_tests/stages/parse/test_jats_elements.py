"""What becomes of each element of the JATS tag set (Archiving, 1.3)."""

from __future__ import annotations

import pytest

from medkg_dagster.domain.documents import UNEXPLAINED
from medkg_dagster.stage_api import Document, PayloadFormat
from medkg_dagster_tests.stages.real_payloads import parse_one

# Where an element stands, `{}` being its place.
BODY = "<body><sec><title>S</title><p>Before.</p>{}</sec></body>"
IN_TEXT = BODY.format("<p>Some {} text.</p>")
IN_FIGURE = BODY.format("<fig><caption><p>Cap.</p></caption>{}</fig>")
IN_TABLE = BODY.format("<table-wrap><table>{}</table></table-wrap>")
IN_LIST = BODY.format("<list>{}</list>")
IN_DEFINITIONS = BODY.format("<def-list>{}</def-list>")
IN_ITEM = BODY.format("<def-list><def-item>{}</def-item></def-list>")
IN_FOOT = BODY.format("<table-wrap><table-wrap-foot>{}</table-wrap-foot></table-wrap>")
BACK = "<back>{}</back>"
CITATION = "<back><ref-list><ref><mixed-citation>{}</mixed-citation></ref></ref-list></back>"
META, FRONT, ARTICLE = "meta", "front", "article"

TEXT = "text"
REFERENCE = "in the references"
NO_CONTENT = "holds no text"

FATES: dict[tuple[str, str], str] = {
    (BODY, TEXT): """
        ack answer answer-set app app-group bio block-alternatives boxed-text chem-struct-wrap code
        graphic:caption graphic:label graphic:attrib
        def-list disp-formula disp-formula-group disp-quote explanation fig fig-group fn fn-group
        glossary list media notes option p preformat question question-preamble question-wrap
        question-wrap-group sec sig-block speech statement supplementary-material table-wrap
        table-wrap-group textual-form verse-group attrib array:tbody:tr:td array table address
        related-object source-of-nothing-known""",
    (IN_TEXT, TEXT): """
        abbrev abbrev-journal-title access-date addr-line alternatives:textual-form bold
        inline-formula:math:mi inline-formula:math:mtext disp-formula:math:mn chapter-title chem-struct
        city collab comment conf-date conf-loc conf-name country data-title date date-in-citation day
        degrees edition email etal ext-link fax fixed-case given-names gov inline-formula inline-media
        inline-supplementary-material institution institution-id institution-wrap isbn issn issue italic
        label lpage fpage milestone-start milestone-end monospace month named-content name
        name-alternatives on-behalf-of overline page-range part-title patent person-group phone
        postal-code prefix price private-char publisher-loc publisher-name rb related-article role roman
        ruby rp rt sans-serif sc season series sig size source std std-organization strike string-name
        string-date styled-content sub suffix sup supplement surname target time-stamp trans-source
        trans-title underline uri version volume volume-series x xref year era state anonymous
        article-title term def string-conf string-kwd issue-part""",
    (IN_FIGURE, TEXT): "caption title subtitle label p attrib fig",
    (IN_TABLE, TEXT): "tr:td tr:th thead:tr:td tbody:tr:td tfoot:tr:td tgroup:tbody:row:entry caption",
    (IN_LIST, TEXT): "list-item title label",
    (IN_DEFINITIONS, TEXT): "def-item:term def-item:def def-head term-head title",
    (IN_ITEM, TEXT): "term def",
    (BODY.format("<verse-group>{}</verse-group>"), TEXT): "verse-line attrib title label",
    (BODY.format("<speech>{}</speech>"), TEXT): "speaker p",
    (
        BODY.format("<table-wrap><table-wrap-foot>{}</table-wrap-foot></table-wrap>"),
        TEXT,
    ): "fn fn-group p attrib",
    (BODY.format("<table-wrap>{}</table-wrap>"), TEXT): "table-wrap-foot preformat list disp-quote p",
    (BODY.format("<fig-group>{}</fig-group>"), TEXT): "caption fig",
    (BACK, TEXT): "ack app-group bio fn-group glossary notes sec p",
    (META, TEXT): """
        abstract trans-abstract product kwd-group:kwd kwd-group:compound-kwd:compound-kwd-part
        kwd-group:nested-kwd:kwd unstructured-kwd-group author-notes:fn author-notes:p
        funding-group:funding-statement funding-group:open-access supplementary-material
        title-group:subtitle title-group:trans-title-group:trans-title
        title-group:trans-title-group:trans-subtitle""",
    (FRONT, TEXT): "ack bio fn-group glossary notes list def-list",
    (ARTICLE, TEXT): "floats-group floats-wrap",
    (CITATION, REFERENCE): """
        annotation article-title chapter-title collab comment conf-name data-title date-in-citation
        edition elocation-id etal fpage lpage issue name person-group pub-id publisher-name source
        string-name volume year bold issue-title series size version""",
    ("<back><ref-list><ref>{}</ref></ref-list></back>", REFERENCE): """
        mixed-citation element-citation nlm-citation citation-alternatives:mixed-citation note""",
    (BODY, "pictures"): "graphic:alt-text alt-text long-desc",
    (IN_TEXT, "pictures"): "inline-graphic private-char:glyph-data",
    (BODY, "metadata"): "object-id sec-meta permissions processing-meta",
    (BODY, "authors and addresses"): "contrib-group aff",
    (IN_TEXT, "index terms"): "index-term index-term-range-end",
    (META, "metadata"): """
        article-categories article-version article-version-alternatives conference contract-num
        contract-sponsor counts elocation-id ext-link fpage funding-group:award-group
        funding-group:support-group history isbn issue issue-id issue-sponsor issue-title
        issue-title-group lpage page-range permissions processing-meta pub-date pub-date-not-available
        pub-history related-article related-object self-uri supplement title-group:alt-title volume
        volume-id volume-issue-group volume-series article-id custom-meta-group:custom-meta email uri""",
    (META, "authors and addresses"): "contrib-group aff aff-alternatives author-notes:corresp",
    (FRONT, "metadata"): "journal-meta",
    (ARTICLE, "sub-articles"): "sub-article response",
    (
        BODY.format("<alternatives><code>x</code>{}</alternatives>"),
        "other forms of the same",
    ): "textual-form preformat graphic:caption",
    (
        IN_TEXT.format("<alternatives><math><mn>5</mn></math>{}</alternatives>"),
        "other forms of the same",
    ): "textual-form chem-struct",
    (IN_TEXT, NO_CONTENT): "break hr col colgroup glyph-ref",
}


def cases() -> list[tuple[str, str, str]]:
    return [(place, path, fate) for (place, fate), paths in FATES.items() for path in paths.split()]


def article_with(place: str, markup: str) -> str:
    meta = markup if place == META else ""
    title = "<title-group><article-title>A title</article-title></title-group>"
    if meta.startswith("<title-group>"):
        title, meta = meta.replace("<title-group>", title.removesuffix("</title-group>")), ""
    front = f"<article-meta>{title}{meta}</article-meta>"
    front += markup if place == FRONT else ""
    parts = markup if place == ARTICLE else ""
    if place not in {META, FRONT, ARTICLE}:
        parts = place.format(markup)
    return f"<article><front>{front}</front>{parts}</article>"


def parsed(place: str, path: str) -> Document:
    tags = path.split(":")
    content = "Quixotic" if tags[-1] != "hr" else ""
    markup = "".join(f"<{tag}>" for tag in tags) + content + "".join(f"</{tag}>" for tag in reversed(tags))
    return parse_one(article_with(place, markup), PayloadFormat.JATS_XML)


@pytest.mark.parametrize(("place", "path", "fate"), cases())
def test_each_element_is_text_or_a_field_or_left_out_for_a_reason(place: str, path: str, fate: str) -> None:
    document = parsed(place, path)

    assert document.text_kept is not None
    left_out = document.text_kept.left_out
    assert UNEXPLAINED not in left_out
    assert document.text.count("Quixotic") == (fate == TEXT or (fate == NO_CONTENT and path != "hr"))
    if fate == REFERENCE:
        assert "Quixotic" in document.references[0].text
    elif fate not in {TEXT, NO_CONTENT}:
        assert left_out == {fate: 1}


@pytest.mark.parametrize("form", ["<math><mi>Quixotic</mi></math>", "<textual-form>Quixotic</textual-form>"])
def test_another_form_of_a_formula_than_its_tex_is_left_out_as_such(form: str) -> None:
    formula = f"<inline-formula><alternatives><tex-math>x^2</tex-math>{form}</alternatives></inline-formula>"
    document = parse_one(article_with(IN_TEXT, formula), PayloadFormat.JATS_XML)

    assert document.text_kept is not None
    assert "x^2" in document.text
    assert "Quixotic" not in document.text
    assert document.text_kept.left_out["other forms of the same"] == 1
    assert UNEXPLAINED not in document.text_kept.left_out


def test_a_table_that_is_there_in_two_models_is_read_once() -> None:
    rows = "<table><tbody><tr><td>Quixotic</td></tr></tbody></table>"
    entries = "<table><tgroup><tbody><row><entry>Quixotic</entry></row></tbody></tgroup></table>"
    wrap = f"<table-wrap><alternatives>{rows}{entries}</alternatives></table-wrap>"
    document = parse_one(article_with(BODY, wrap), PayloadFormat.JATS_XML)

    assert document.text.count("Quixotic") == 1


def test_a_mark_that_does_not_say_what_it_stands_for_is_counted_as_one() -> None:
    cited = '<p>Common<xref rid="b1"><sup>7</sup></xref> in <xref rid="t1">Table 1</xref>.</p>'
    document = parse_one(article_with(BODY, cited), PayloadFormat.JATS_XML)

    assert document.text_kept is not None
    assert "Common in Table 1." in document.text
    assert document.text_kept.left_out["citation and note marks"] == 1
    assert UNEXPLAINED not in document.text_kept.left_out
