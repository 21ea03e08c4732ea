from __future__ import annotations

import csv
import re
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from medkg_dagster.domain.documents import UNEXPLAINED
from medkg_dagster.errors import BatchFailedError, DocumentError, UnreadableDocumentError
from medkg_dagster.stage_api import BlockKind, Document, PayloadFormat, Reference
from medkg_dagster.stages.parse import register
from medkg_dagster_tests.stages.parse.made_jats import MadeArticle
from medkg_dagster_tests.stages.real_payloads import articles, context, negatives, parse_one
from medkg_dagster_tests.stages.running import run

META = """<article-id pub-id-type="pmid">26492265</article-id>
<article-id pub-id-type="pmc">4632385</article-id><article-id pub-id-type="doi">10.3390/v7102877</article-id>
<title-group><article-title>Dose of <italic>X</italic><xref ref-type="fn">*</xref> in adults</article-title>
</title-group>"""
MORE_META = """<contrib-group>
<contrib contrib-type="author"><name><surname>Roe</surname><given-names>Jane</given-names></name></contrib>
<contrib contrib-type="author"><collab>The Group<contrib-group><contrib><name><surname>No</surname></name>
</contrib></contrib-group></collab></contrib>
<contrib contrib-type="editor"><name><surname>Editor</surname></name></contrib></contrib-group>
<pub-date pub-type="collection"><year>2015</year></pub-date>
<pub-date pub-type="epub"><day>9</day><month>10</month><year>2015</year></pub-date>
<permissions><license xmlns:xlink="http://www.w3.org/1999/xlink"
 xlink:href="http://creativecommons.org/licenses/by/4.0/"><license-p>Open.</license-p></license></permissions>
<abstract><sec><title>Aim</title><p>We measured.</p></sec></abstract>"""
BODY = """<sec><title>Methods</title><p>First.</p>
<sec><title>Patients</title><p>Ten.<list><list-item><p>a</p></list-item><list-item><p>b</p></list-item></list>
After.</p></sec></sec>
<sec><title>Results</title><table-wrap><label>Table 1</label><caption><p>Doses</p></caption>
<table><tr><th>Arm</th><th>n</th></tr>
<tr><td>A</td><td>5<sup><xref ref-type="table-fn">a</xref></sup></td></tr>
</table></table-wrap><fig>
<label>Figure 1.</label><caption><title>Curve.</title><p>Over time</p></caption></fig>
</sec>"""
BACK = """<back><ack><p>Thanks.</p></ack>
<ref-list><ref><mixed-citation>Cited work</mixed-citation></ref></ref-list></back>"""


def article(meta: str = META, body: str = BODY, back: str = BACK, attributes: str = "") -> str:
    front = f"<front><article-meta>{meta}</article-meta></front>"
    return f"<article {attributes}>{front}<body>{body}</body>{back}</article>"


def parse(content: str, **config: object) -> Document:
    return parse_one(content, PayloadFormat.JATS_XML, **config)


def own_body(content: bytes) -> str:
    """Return all text of the article's body, without its sub-articles."""
    body = etree.fromstring(content).find("body")
    assert body is not None
    return " ".join("".join(map(str, body.itertext())).split())


def texts(document: Document, title: str) -> list[tuple[BlockKind, str]]:
    section = next(section for section in document.sections if section.title == title)
    return [(block.kind, document.text[block.start : block.end]) for block in section.blocks]


def paragraph(markup: str) -> str:
    return parse(article(body=f"<p>{markup}</p>", back="")).text.partition("\n\n")[2]


def test_front_matter_gives_identifiers_authors_date_and_licence() -> None:
    document = parse(article(META + MORE_META))

    assert document.id == "PMCID:PMC4632385"
    assert document.identifiers == {"PMID": "26492265", "PMCID": "PMC4632385", "DOI": "10.3390/v7102877"}
    assert document.title == "Dose of X in adults"
    assert document.authors == ("Jane Roe", "The Group")
    assert document.date == "2015-10-09"
    assert document.licence == "http://creativecommons.org/licenses/by/4.0/"
    assert document.source == "infores:pmc"
    assert document.url == "https://pmc.ncbi.nlm.nih.gov/articles/PMC4632385/"
    assert document.retracted is None


def test_nested_sections_are_flattened_with_their_levels() -> None:
    document = parse(article(META + MORE_META))

    assert [(section.level, section.title) for section in document.sections] == [
        (1, "Title"),
        (1, "Abstract"),
        (2, "Aim"),
        (1, "Methods"),
        (2, "Patients"),
        (1, "Results"),
        (1, "Acknowledgements"),
    ]


def test_lists_tables_and_captions_are_blocks_of_their_kind() -> None:
    document = parse(article())

    assert texts(document, "Patients") == [
        (BlockKind.PARAGRAPH, "Ten."),
        (BlockKind.LIST_ITEM, "a"),
        (BlockKind.LIST_ITEM, "b"),
        (BlockKind.PARAGRAPH, "After."),
    ]
    assert texts(document, "Results") == [
        (BlockKind.CAPTION, "Table 1. Doses."),
        (BlockKind.TABLE, "Arm\tn\nA\t5"),
        (BlockKind.CAPTION, "Figure 1. Curve. Over time."),
    ]


def test_cells_of_tables_can_be_left_out() -> None:
    assert "Arm\tn" not in parse(article(), include_tables=False).text


def test_references_are_not_in_the_text() -> None:
    assert "Cited work" not in parse(article()).text


@pytest.mark.parametrize(
    ("markup", "expected"),
    [
        ("CD4<sup>+</sup> cells and CO<sub>2</sub>", "CD4+ cells and CO2"),
        ("10<sup>5</sup> to 10<sup>−9</sup> M", "10^5 to 10^−9 M"),
        ('known<sup><xref ref-type="bibr">1</xref>,<xref ref-type="bibr">2</xref></sup>.', "known."),
        ('known [<xref ref-type="bibr">1</xref>].', "known."),
        ('known [<xref ref-type="bibr">1</xref>]–[<xref ref-type="bibr">3</xref>].', "known."),
        ('known (<xref ref-type="bibr">Roe, 2010</xref>; <xref ref-type="bibr">Doe 2011</xref>).', "known."),
        ('as <xref ref-type="bibr">Roe (2010)</xref>showed', "as Roe (2010) showed"),
        ('common<xref ref-type="bibr" rid="b1"><sup>1</sup></xref> in', "common in"),
        (
            'in 2019<xref rid="b1"><sup>1</sup></xref><sup>–</sup><xref ref-type="bibr">3</xref>',
            "in 2019",
        ),
        ('Wolf<xref ref-type="bibr"><sup>WolfG2019</sup></xref>Mus', "Wolf Mus"),
        ('in refs <xref ref-type="bibr">1</xref>–<xref ref-type="bibr">3</xref> and', "in refs and"),
        ("log<sub>10</sub>5 and 5<sub>2</sub>", "log_10 5 and 5_2"),
        ("Ca<sup>2+</sup>, 5<sup>th</sup>, 3<sup>a</sup>, known<sup>7</sup>", "Ca2+, 5th, 3^a, known"),
        ('see <xref ref-type="fig">Figure 2</xref>', "see Figure 2"),
        ("<italic>TP53</italic><bold>-null</bold>", "TP53-null"),
        ("a<!-- no -->b<?pi no?>c", "abc"),
        ("one<break/>two", "one two"),
        ("a&#160;b\n   c", "a b c"),
        ("word<fn><p>note</p></fn> goes on", "word goes on\n\nnote"),
        ("e&#x301;", "é"),
        ("soft&#xAD;hyphen", "softhyphen"),
        (
            """x<inline-formula><alternatives><math xmlns='http://www.w3.org/1998/Math/MathML'><mi>y</mi>
            <mo>=</mo><mn>2</mn></math><tex-math>\\unknown</tex-math></alternatives></inline-formula>z""",
            "xy=2z",
        ),
        (
            r"<inline-formula><tex-math>\documentclass{a}\begin{document}$y$\end{document}</tex-math></inline-formula>",
            "y",
        ),
    ],
)
def test_inline_markup_reads_as_it_does_in_print(markup: str, expected: str) -> None:
    assert paragraph(markup) == expected


@pytest.mark.parametrize(
    ("attributes", "extra", "expected"),
    [
        ('article-type="retraction"', "", "retraction notice"),
        ("", '<related-article related-article-type="retracted-article"/>', "retraction notice"),
        ("", '<related-article related-article-type="retraction-forward"/>', "retracted article"),
        ('article-type="correction"', '<related-article related-article-type="corrected-article"/>', None),
        ('article-type="research-article"', "", None),
    ],
)
def test_retractions_are_flagged_and_corrections_are_not(
    attributes: str, extra: str, expected: str | None
) -> None:
    assert parse(article(META + extra, attributes=attributes)).retracted == expected


XLINK = 'xmlns:xlink="http://www.w3.org/1999/xlink"'


@pytest.mark.parametrize(
    ("kind", "link", "versions", "retracts"),
    [
        ("retracted-article", 'ext-link-type="doi" xlink:href="10.1234/A&lt;B"', (), ("DOI:10.1234/A<B",)),
        ("retracted-article", 'ext-link-type="pmid" xlink:href="0077"', (), ("PMID:77",)),
        ("retracted-article", 'ext-link-type="pmc" xlink:href="PMC5"', (), ("PMCID:PMC5",)),
        ("retracted-article", 'ext-link-type="uri" xlink:href="https://example.org/5"', (), ()),
        ("preprint", 'xlink:href="https://doi.org/10.1101/5%3C6"', ("DOI:10.1101/5<6",), ()),
        ("is-preprint-of", 'xlink:href="info:doi/10.1234/a"', ("DOI:10.1234/a",), ()),
        ("corrected-article", 'ext-link-type="doi" xlink:href="10.1234/a"', (), ()),
        ("companion", 'ext-link-type="doi" xlink:href="10.1234/a"', (), ()),
    ],
)
def test_links_state_what_is_retracted_and_what_is_the_same_article(
    kind: str, link: str, versions: tuple[str, ...], retracts: tuple[str, ...]
) -> None:
    found = parse(article(f'{META}<related-article {XLINK} related-article-type="{kind}" {link}/>'))

    assert (found.versions, found.retracts) == (versions, retracts)


def test_the_history_of_an_article_states_its_preprint() -> None:
    preprint = '<event><self-uri content-type="preprint" xlink:href="https://doi.org/10.1101/7"/></event>'
    history = f"<pub-history {XLINK}>{preprint}</pub-history>"

    assert parse(article(META + history)).versions == ("DOI:10.1101/7",)


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("RETRACTED: Aspirin cures all", "retracted article"),
        ("[Retracted] Aspirin cures all", "retracted article"),
        ("Retraction: Aspirin cures all", "retraction notice"),
        ("Retraction note to: Aspirin", "retraction notice"),
        ("Retraction of the lung during surgery", None),
        ("Retraction-related liver injury during laparoscopic surgery", None),
        ("Withdrawn - the experience of patients", None),
        ("WITHDRAWN - Aspirin cures all", "retracted article"),
        ("Retracted lids in thyroid disease", None),
    ],
)
def test_titles_that_say_so_flag_retractions(title: str, expected: str | None) -> None:
    meta = f"<title-group><article-title>{title}</article-title></title-group>"

    assert parse(article(meta)).retracted == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("<p>The device holds the liver.</p>", None),
        ("<p>The authors retract this article.</p>", "retraction notice"),
    ],
)
def test_research_under_the_title_retraction_is_a_notice_where_it_says_so(
    body: str, expected: str | None
) -> None:
    meta = "<title-group><article-title>Retraction: a device for hip surgery</article-title></title-group>"

    assert parse(article(meta, body, attributes='article-type="research-article"')).retracted == expected


def test_authors_are_groups_and_persons_with_their_particles_and_no_editors() -> None:
    contributors = (
        ("author", "<collab-alternatives><collab>Alt Group</collab></collab-alternatives>"),
        ("Author", "<name><surname>Cap</surname><given-names>C</given-names></name>"),
        ("collab", "<collab>Typed Collab</collab>"),
        ("author", "<name><surname>Berg</surname><given-names>Eva</given-names><prefix>von</prefix></name>"),
        ("author", "<name><surname>Lind</surname><prefix>Dr</prefix><suffix>Jr</suffix></name>"),
        ("Academic Editor", "<name><surname>Editor</surname></name>"),
        ("author", "<anonymous/>"),
    )
    group = "".join(f'<contrib contrib-type="{kind}">{name}</contrib>' for kind, name in contributors)

    document = parse(article(f"{META}<contrib-group>{group}</contrib-group>"))

    assert document.authors == ("Alt Group", "C Cap", "Typed Collab", "Eva von Berg", "Lind Jr")


def test_references_are_fields_with_identifiers_title_and_year() -> None:
    cited = (
        "<ref><label>1</label><element-citation><name><surname>Roe</surname><given-names>J</given-names></name>"
        "<article-title>On <italic>X</italic></article-title><source>J X</source><year>2010a</year>"
        '<pub-id pub-id-type="pmid">123</pub-id><pub-id pub-id-type="doi">10.1000/a</pub-id>'
        "</element-citation></ref>"
    )
    mixed = (
        "<ref><mixed-citation><name><surname>Doe</surname><given-names>K</given-names></name>, "
        "<source>A book</source>, <year>1999</year>.</mixed-citation><note><p>See also Y.</p></note></ref>"
    )

    document = parse(
        article(back=f"<back><ref-list><title>References</title>{cited}{mixed}</ref-list></back>")
    )

    assert document.references == (
        Reference(
            identifiers={"PMID": "123", "DOI": "10.1000/a"},
            title="On X",
            year=2010,
            text="Roe J On X J X 2010a 123 10.1000/a",
        ),
        Reference(title="A book", year=1999, text="Doe K, A book, 1999."),
        Reference(text="See also Y."),
    )
    assert "References" not in document.text


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (
            "<tr><td rowspan='2'>a</td><td>b</td></tr><tr><td>c</td></tr><tr><td>d</td></tr>",
            "a\tb\n\tc\nd",
        ),
        ("<tr><td colspan='2'>a</td><td>b</td></tr><tr><td>c</td><td/><td>d</td></tr>", "a\t\tb\nc\t\td"),
        ("<tr><td>a<table><tr><td>b</td><td>c</td></tr></table></td><td>d</td></tr>", "a b c\td"),
        ("<tr><td><list><list-item><p>a</p></list-item></list></td><td>10<sup>5</sup></td></tr>", "a\t10^5"),
        (
            """<tgroup><colspec colname='x'/><colspec colname='y'/><thead><row>
            <entry namest='x' nameend='y'>a</entry></row></thead><tbody><row><entry morerows='1'>b</entry>
            <entry>c</entry></row><row><entry>d</entry></row></tbody></tgroup>""",
            "a\nb\tc\n\td",
        ),
        ("<tr><td rowspan='99999'>a</td></tr><tr><td>b</td></tr>", "a\n\tb"),
    ],
)
def test_cells_stand_in_their_columns(rows: str, expected: str) -> None:
    body = f"<sec><title>R</title><table-wrap><table>{rows}</table></table-wrap></sec>"

    assert texts(parse(article(body=body, back="")), "R") == [(BlockKind.TABLE, expected)]


def test_the_note_of_a_heading_is_text() -> None:
    body = "<sec><title>Aim<fn><p>Of the first part.</p></fn></title><p>To test.</p></sec>"
    document = parse(article(body=body, back=""))

    assert texts(document, "Aim") == [
        (BlockKind.PARAGRAPH, "To test."),
        (BlockKind.PARAGRAPH, "Of the first part."),
    ]


def test_text_behind_a_box_does_not_belong_to_the_box() -> None:
    box = "<boxed-text><caption><title>Key points</title></caption><p>Inside.</p></boxed-text>"
    document = parse(article(body=f"<sec><title>S</title><p>One.</p>{box}<p>Two.</p></sec>", back=""))

    assert [
        (section.title, document.text[section.start : section.end]) for section in document.sections[1:]
    ] == [
        ("S", "S\n\nOne."),
        ("Key points", "Key points\n\nInside."),
        ("", "Two."),
    ]


@pytest.mark.parametrize(
    ("meta", "expected"),
    [
        ('<article-id pub-id-type="pmcid">PMC12</article-id>', "PMCID:PMC12"),
        ('<article-id pub-id-type="pmid">12</article-id>', "PMID:12"),
        ('<article-id pub-id-type="doi">https://doi.org/10.1000/x</article-id>', "DOI:10.1000/x"),
    ],
)
def test_the_id_is_the_best_identifier_there_is(meta: str, expected: str) -> None:
    assert parse(article(meta)).id == expected


def test_namespaced_and_wrapped_articles_are_found() -> None:
    inner = article().replace("<article ", '<article xmlns="http://jats.nlm.nih.gov" ')
    record = f"<GetRecord><record><metadata>{inner}</metadata></record></GetRecord>"
    wrapped = f'<OAI-PMH xmlns="urn:oai">{record}</OAI-PMH>'

    assert parse(wrapped).text == parse(article()).text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("<html><body/></html>", "root element is <html>"),
        ("<article><body/></article>", "no <front>"),
        (f"<set>{article()}{article()}</set>", "2 articles in one payload"),
    ],
)
def test_what_is_not_one_jats_article_is_refused(content: str, message: str) -> None:
    with pytest.raises(UnreadableDocumentError, match=message):
        parse(content)


@settings(deadline=None)
@given(st.integers(0, 2000), st.sampled_from(["<", "&", "\x00", "</p>", "é"]))
def test_a_damaged_article_parses_or_is_refused(position: int, damage: str) -> None:
    content = article(META + MORE_META)
    try:
        document = parse(content[:position] + damage + content[position + 1 :])
    except DocumentError:
        return
    assert document.text


@settings(deadline=None)
@given(st.integers(0, 2**32))
def test_every_word_of_a_made_article_stands_in_its_text_in_order(seed: int) -> None:
    made = MadeArticle(Random(seed))

    document = parse(made.xml)

    assert re.findall(r"w[a-j]+", document.text) == made.words
    assert document.text_kept is not None
    assert UNEXPLAINED not in document.text_kept.left_out


def test_every_real_article_parses_with_what_its_manifest_says(shared_data: Path) -> None:
    ctx = context()
    payloads = articles(shared_data)

    documents = run(register, ctx, payloads=payloads)["document"]

    assert ctx.quarantined == []
    manifest = (shared_data / "jats/MANIFEST.tsv").read_text(encoding="utf-8").splitlines()
    rows = {row["file"]: row for row in csv.DictReader(manifest, delimiter="\t")}
    for source, document in zip(payloads, documents, strict=True):
        row = rows[source.origin]
        assert document.identifiers["DOI"].lower() == row["doi"]
        assert document.identifiers.get("PMCID", "")[3:] == row["pmcid"]
        assert document.identifiers.get("PMID", "") == row["pmid"]
        assert document.title.startswith(row["title"][:20])
        assert (document.retracted is not None) == (row["type"] == "retraction")
        assert document.authors or row["type"] in {"retraction", "correction", "editorial"}
        assert document.date
        assert document.licence
        tables = sum(block.kind is BlockKind.TABLE for s in document.sections for block in s.blocks)
        assert tables <= source.content.count(b"</table>")
        assert len(document.text) > 0.95 * len(own_body(source.content))
        assert document.text_kept is not None
        assert document.text_kept.left_out.get(UNEXPLAINED, 0) <= 2
        assert len(document.references) >= source.content.count(b"</ref>")


def test_real_xml_that_is_not_jats_is_refused_with_its_root(shared_data: Path) -> None:
    ctx = context()

    with pytest.raises(BatchFailedError, match="2 of 2 documents failed"):
        run(register, ctx, payloads=negatives(shared_data))
    messages = [item.message for item in ctx.quarantined]
    assert "<ListBucketResult>" in messages[0]
    assert "<art>" in messages[1]


def test_a_reference_whose_parts_are_not_marked_is_read_as_printed() -> None:
    document = parse(
        article(
            back="<back><ref-list><ref><mixed-citation>Roe A, Poe B (1998) Aspirin in the stroke of mice. "
            "Lancet 5: 1909–1923.</mixed-citation></ref></ref-list></back>"
        )
    )

    (reference,) = document.references
    assert (reference.title, reference.year) == ("Aspirin in the stroke of mice", 1998)


def test_the_heading_of_a_section_that_holds_nothing_but_references_is_left_out_for_that_reason() -> None:
    listed = "<ref-list><ref><mixed-citation>Cited</mixed-citation></ref></ref-list>"
    document = parse(
        article(back=f"<back><sec><title>Further <bold>reading</bold></title>{listed}</sec></back>")
    )

    assert "Further" not in document.text
    assert document.text_kept is not None
    assert document.text_kept.left_out["headings of references"] == 2
    assert "unexplained" not in document.text_kept.left_out
