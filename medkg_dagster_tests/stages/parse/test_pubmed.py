from __future__ import annotations

import re
from pathlib import Path

import pytest

from medkg_dagster.domain.documents import UNEXPLAINED
from medkg_dagster.errors import UnreadableDocumentError
from medkg_dagster.stage_api import Annotation, AnnotationRole, Document, PayloadFormat, Reference
from medkg_dagster.stages.parse import ParseConfig, ParseStage, register
from medkg_dagster_tests.stages.real_payloads import context, parse_one, records
from medkg_dagster_tests.stages.running import run

RECORD = """<PubmedArticle><MedlineCitation><PMID Version="1">123</PMID><Article>
<Journal><JournalIssue><PubDate><MedlineDate>1998 Dec-1999 Jan</MedlineDate></PubDate></JournalIssue>
</Journal>
<ArticleTitle>Effect of CO<sub>2</sub> in <i>mice</i>.</ArticleTitle>
<Abstract><AbstractText Label="BACKGROUND">Little is known.</AbstractText>
<AbstractText Label="RESULTS">10<sup>5</sup> cells died.</AbstractText></Abstract>
<AuthorList><Author><LastName>Roe</LastName><ForeName>Jane</ForeName></Author>
<Author><CollectiveName>The Group</CollectiveName></Author></AuthorList>
<PublicationTypeList><PublicationType UI="D016428">Journal Article</PublicationType></PublicationTypeList>
</Article>
<ChemicalList><Chemical><RegistryNumber>0</RegistryNumber><NameOfSubstance UI="D002245">Carbon Dioxide
</NameOfSubstance></Chemical></ChemicalList>
<MeshHeadingList><MeshHeading><DescriptorName UI="D008545" MajorTopicYN="N">Melanoma</DescriptorName>
<QualifierName UI="Q000188" MajorTopicYN="Y">drug therapy</QualifierName></MeshHeading>
<MeshHeading><DescriptorName UI="D051379" MajorTopicYN="N">Mice</DescriptorName></MeshHeading>
</MeshHeadingList>
</MedlineCitation><PubmedData><ArticleIdList><ArticleId IdType="pubmed">123</ArticleId>
<ArticleId IdType="doi">10.1000/x</ArticleId><ArticleId IdType="pmc">PMC9</ArticleId></ArticleIdList>
<ReferenceList><Reference><ArticleIdList><ArticleId IdType="doi">10.9/cited</ArticleId></ArticleIdList>
</Reference></ReferenceList></PubmedData></PubmedArticle>"""


def parse(content: str) -> Document:
    return parse_one(content, PayloadFormat.PUBMED_XML)


def test_a_record_gives_its_identifiers_authors_and_date() -> None:
    document = parse(f"<PubmedArticleSet>{RECORD}</PubmedArticleSet>")

    assert document.id == "PMID:123"
    assert document.identifiers == {"PMID": "123", "DOI": "10.1000/x", "PMCID": "PMC9"}
    assert document.authors == ("Jane Roe", "The Group")
    assert document.date == "1998-12"
    assert document.source == "infores:pubmed"
    assert document.url == "https://pubmed.ncbi.nlm.nih.gov/123/"


@pytest.mark.parametrize(
    ("written", "language"), [("", None), ("eng", "en"), ("fre", "fr"), ("und", None), ("grn", "grn")]
)
def test_a_record_is_in_the_language_that_it_says(written: str, language: str | None) -> None:
    record = RECORD.replace(
        "</Article>", f"<Language>{written}</Language></Article>" if written else "</Article>"
    )

    assert parse(record).language == language


def test_the_abstract_keeps_its_labels_as_sections() -> None:
    document = parse(RECORD)

    assert document.text == (
        "Effect of CO2 in mice.\n\nAbstract\n\nBACKGROUND\n\nLittle is known.\n\nRESULTS\n\n10^5 cells died."
    )
    assert [section.level for section in document.sections] == [1, 1, 2, 2]


def test_abstracts_in_other_languages_and_for_laymen_are_sections() -> None:
    other = """<OtherAbstract Type="plain-language-summary"><AbstractText>Plain words.</AbstractText>
    </OtherAbstract><OtherAbstract Type="Publisher"><AbstractText>Resumen.</AbstractText></OtherAbstract>"""
    document = parse(RECORD.replace("<ChemicalList>", f"{other}<ChemicalList>"))

    assert document.text.endswith(
        "10^5 cells died.\n\nPlain language summary\n\nPlain words.\n\nAbstract\n\nResumen."
    )


def test_a_title_that_is_not_available_is_the_one_in_the_language_of_the_article() -> None:
    titles = "<ArticleTitle>[Not Available].</ArticleTitle><VernacularTitle>Título.</VernacularTitle>"
    document = parse(re.sub("<ArticleTitle>.*</ArticleTitle>", titles, RECORD))

    assert document.title == "Título."
    assert "Available" not in document.text


def test_authors_have_initials_where_they_have_no_name_and_a_misspelt_one_is_left_out() -> None:
    authors = """<AuthorList><Author><LastName>Smith</LastName><Initials>JA</Initials></Author>
    <Author><LastName>Lee</LastName><FirstName>Ann</FirstName><Initials>A</Initials></Author>
    <Author ValidYN="N"><LastName>Wrong</LastName><ForeName>X</ForeName></Author></AuthorList>"""
    document = parse(re.sub("(?s)<AuthorList>.*</AuthorList>", authors, RECORD))

    assert document.authors == ("J A Smith", "Ann Lee")


def test_what_the_record_cites_is_its_references() -> None:
    assert parse(RECORD).references == (Reference(identifiers={"DOI": "10.9/cited"}),)


def test_identifiers_of_what_is_cited_count_as_kept() -> None:
    kept = parse(RECORD).text_kept

    assert kept is not None
    cut = RECORD.replace('<ArticleId IdType="doi">10.9/cited</ArticleId>', "")
    without = parse(cut).text_kept
    assert without is not None
    assert kept.left_out == without.left_out
    assert kept.kept - without.kept == 4  # a word, or one digit of a number


def test_statements_of_interests_and_notes_are_text() -> None:
    said = "<CoiStatement>None declared.</CoiStatement><GeneralNote Owner='NLM'>A note.</GeneralNote>"
    document = parse(RECORD.replace("</MedlineCitation>", f"{said}</MedlineCitation>"))

    assert document.text.endswith("Conflict of interest\n\nNone declared.\n\nNotes\n\nA note.")


def test_all_of_a_record_is_in_the_document_or_left_out_for_a_reason(shared_data: Path) -> None:
    for source in records(shared_data):
        if b"<PMID" in source.content:
            kept = ParseStage(ParseConfig()).parse(source).text_kept
            assert kept is not None
            assert UNEXPLAINED not in kept.left_out


def test_mesh_headings_and_chemicals_are_annotations() -> None:
    heading, chemical = AnnotationRole.MESH_HEADING, AnnotationRole.CHEMICAL

    assert parse(RECORD).annotations == (
        Annotation(role=heading, name="Melanoma", curie="MESH:D008545", major=True),
        Annotation(role=heading, name="Mice", curie="MESH:D051379"),
        Annotation(role=chemical, name="Carbon Dioxide", curie="MESH:D002245"),
    )


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("Retracted Publication", "retracted article"),
        ("Retraction of Publication", "retraction notice"),
        ("Published Erratum", None),
    ],
)
def test_publication_types_flag_retractions(kind: str, expected: str | None) -> None:
    assert parse(RECORD.replace("Journal Article", kind)).retracted == expected


def test_a_link_to_a_retraction_flags_the_article() -> None:
    link = '<CommentsCorrectionsList><CommentsCorrections RefType="RetractionIn"/></CommentsCorrectionsList>'

    assert (
        parse(RECORD.replace("<MeshHeadingList>", link + "<MeshHeadingList>")).retracted
        == "retracted article"
    )


@pytest.mark.parametrize(
    ("kind", "versions", "retracts"),
    [
        ("RetractionOf", (), ("PMID:7", "DOI:10.1101/2021.01.02")),
        ("RetractionIn", (), ()),
        ("UpdateOf", ("PMID:7", "DOI:10.1101/2021.01.02"), ()),
        ("UpdateIn", ("PMID:7", "DOI:10.1101/2021.01.02"), ()),
        ("ErratumFor", (), ()),
        ("CommentOn", (), ()),
    ],
)
def test_a_record_states_what_it_retracts_and_what_are_versions_of_it(
    kind: str, versions: tuple[str, ...], retracts: tuple[str, ...]
) -> None:
    link = (
        f'<CommentsCorrectionsList><CommentsCorrections RefType="{kind}"><RefSource>medRxiv. 2021 Jan 2. '
        "doi: 10.1101/2021.01.02.</RefSource><PMID>7</PMID></CommentsCorrections></CommentsCorrectionsList>"
    )

    document = parse(RECORD.replace("<MeshHeadingList>", link + "<MeshHeadingList>"))

    assert (document.versions, document.retracts) == (versions, retracts)
    assert (document.retracted == "retraction notice") == bool(retracts)


def test_a_book_chapter_is_read_like_an_article() -> None:
    document = parse(
        "<PubmedArticleSet><PubmedBookArticle><BookDocument><PMID>20301295</PMID><Book><PubDate><Year>1993"
        "</Year></PubDate><BookTitle>GeneReviews</BookTitle></Book><ArticleTitle>BRCA1</ArticleTitle>"
        "<Abstract><AbstractText>A gene.</AbstractText></Abstract></BookDocument>"
        "</PubmedBookArticle></PubmedArticleSet>"
    )

    assert (document.id, document.title, document.date) == ("PMID:20301295", "BRCA1", "1993")
    assert document.text.endswith("A gene.")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("<PubmedArticleSet/>", "no such record"),
        (f"<PubmedArticleSet>{RECORD}{RECORD}</PubmedArticleSet>", "2 PubMed records"),
        ("<article/>", "root element is <article>"),
        ("<PubmedArticle><MedlineCitation/></PubmedArticle>", "no PMID"),
    ],
)
def test_what_is_not_one_record_is_refused(content: str, message: str) -> None:
    with pytest.raises(UnreadableDocumentError, match=message):
        parse(content)


def test_every_real_record_parses_and_the_empty_reply_is_refused(shared_data: Path) -> None:
    ctx = context()
    payloads = records(shared_data)

    documents = run(register, ctx, payloads=payloads)["document"]

    assert [(item.document_id, item.error_class) for item in ctx.quarantined] == [
        ("efetch_37909814.xml#0", "UnreadableDocumentError")
    ]
    assert len(documents) == len(payloads) - 1
    for document in documents:
        assert document.title
        assert document.date
        assert document.authors
        assert document.id == f"PMID:{document.identifiers['PMID']}"
    assert sum(bool(document.annotations) for document in documents) >= 30


def test_a_label_that_says_there_is_none_is_no_heading() -> None:
    document = parse(RECORD.replace('Label="BACKGROUND"', 'Label="UNLABELLED"'))

    assert "UNLABELLED" not in document.text
    assert "Little is known." in document.text
