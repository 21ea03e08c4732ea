from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from medkg_dagster.errors import DocumentError, UnreadableDocumentError
from medkg_dagster.stage_api import BlockKind, Document, PayloadFormat
from medkg_dagster.stages.parse import ParseConfig, ParseStage
from medkg_dagster_tests.stages.real_payloads import articles, context, negatives, parse_one

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
        ('known [<xref ref-type="bibr">1</xref>].', "known [1]."),
        ('see <xref ref-type="fig">Figure 2</xref>', "see Figure 2"),
        ("<italic>TP53</italic><bold>-null</bold>", "TP53-null"),
        ("a<!-- no -->b<?pi no?>c", "abc"),
        ("one<break/>two", "one two"),
        ("a&#160;b\n   c", "a b c"),
        ("word<fn><p>note</p></fn> goes on", "word goes on"),
        ("e&#x301;", "é"),
        ("soft&#xAD;hyphen", "softhyphen"),
        (
            """x<inline-formula><alternatives><math xmlns='http://www.w3.org/1998/Math/MathML'><mi>y</mi>
            <mo>=</mo><mn>2</mn></math><tex-math>no</tex-math></alternatives></inline-formula>z""",
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


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("RETRACTED: Aspirin cures all", "retracted article"),
        ("[Retracted] Aspirin cures all", "retracted article"),
        ("Retraction: Aspirin cures all", "retraction notice"),
        ("Retraction note to: Aspirin", "retraction notice"),
        ("Retraction of the lung during surgery", None),
        ("Retracted lids in thyroid disease", None),
    ],
)
def test_titles_that_say_so_flag_retractions(title: str, expected: str | None) -> None:
    meta = f"<title-group><article-title>{title}</article-title></title-group>"

    assert parse(article(meta)).retracted == expected


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


def test_every_real_article_parses_with_what_its_manifest_says(shared_data: Path) -> None:
    ctx = context()
    payloads = articles(shared_data)

    documents = ParseStage(ParseConfig()).execute(ctx, payloads=payloads)

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
        assert tables <= int(row["n_tables"])
        assert len(document.text) > 0.99 * len(own_body(source.content))


def test_real_xml_that_is_not_jats_is_refused_with_its_root(shared_data: Path) -> None:
    ctx = context()

    assert ParseStage(ParseConfig()).execute(ctx, payloads=negatives(shared_data)) == ()
    messages = [item.message for item in ctx.quarantined]
    assert "<ListBucketResult>" in messages[0]
    assert "<art>" in messages[1]
