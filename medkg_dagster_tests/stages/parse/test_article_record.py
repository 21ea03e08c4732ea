"""Documents from the records of articles: title, abstract and what else the record says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from medkg_dagster.errors import UnreadableDocumentError, UnsafeDocumentError
from medkg_dagster.stage_api import Document, PayloadFormat
from medkg_dagster.stages.parse.articles import describe_record, plain
from medkg_dagster_tests.stages.real_payloads import parse_one, payload

OPENALEX = {
    "id": "https://openalex.org/W42",
    "doi": "https://doi.org/10.5555/ABC",
    "ids": {"pmid": "https://pubmed.ncbi.nlm.nih.gov/123"},
    "title": "A trial of CO<sub>2</sub>",
    "publication_date": "2020-01-31",
    "is_retracted": True,
    "authorships": [{"author": {"display_name": "Ada Lovelace"}}],
    "abstract_inverted_index": {"We": [0], "treated": [1], "patients": [2, 4], "and": [3]},
    "primary_location": {"landing_page_url": "https://example.org/a", "license": "cc-by"},
}


def parse(record: Any, **config: object) -> Document:
    content = record if isinstance(record, str) else json.dumps(record)
    return parse_one(content, PayloadFormat.ARTICLE_RECORD, **config)


def abstract(markup: str) -> str:
    return parse({"doi": "10.5555/abc", "title": "T", "abstract": markup}).text.removeprefix("T")


def test_a_record_gives_title_abstract_and_all_it_knows() -> None:
    document = parse(OPENALEX)

    assert document.text == "A trial of CO2\n\nAbstract\n\nWe treated patients and patients"
    assert (document.id, document.source, document.title) == (
        "PMID:123",
        "infores:openalex",
        "A trial of CO2",
    )
    assert document.identifiers == {"PMID": "123", "DOI": "10.5555/abc", "OpenAlex": "W42"}
    assert (document.authors, document.date) == (("Ada Lovelace",), "2020-01-31")
    assert (document.licence, document.url) == ("cc-by", "https://example.org/a")
    assert document.retracted == "retracted article"


def test_the_offsets_of_a_record_point_at_its_text() -> None:
    document = parse(OPENALEX)
    blocks = [block for section in document.sections for block in section.blocks]

    assert [document.text[block.start : block.end] for block in blocks] == [
        "A trial of CO2",
        "We treated patients and patients",
    ]


def test_a_title_alone_is_enough() -> None:
    assert parse({"doi": "10.5555/abc", "title": "A trial"}).text == "A trial"


def test_an_abstract_alone_is_enough() -> None:
    assert parse({"doi": "10.5555/abc", "abstract": "We treated."}).text == "Abstract\n\nWe treated."


@pytest.mark.parametrize(
    "empty", [{}, {"title": " ", "abstract": "<p></p>"}, {"abstract": "<jats:title>Abstract</jats:title>"}]
)
def test_a_record_without_title_and_abstract_is_unreadable(empty: dict[str, str]) -> None:
    with pytest.raises(UnreadableDocumentError, match="neither title nor abstract"):
        parse({"doi": "10.5555/abc", **empty})


@pytest.mark.parametrize("content", ["{", "[]", "7", "[" * 100_000])
def test_content_that_is_no_record_is_unreadable(content: str) -> None:
    with pytest.raises(UnreadableDocumentError, match="the record"):
        parse(content)


def test_a_text_over_the_limit_is_unsafe() -> None:
    with pytest.raises(UnsafeDocumentError, match="max_text_characters"):
        parse(OPENALEX, max_text_characters=20)


@pytest.mark.parametrize(
    ("markup", "expected"),
    [
        pytest.param("<jats:p>One.</jats:p><jats:p>Two.</jats:p>", "One.\n\nTwo.", id="paragraphs"),
        pytest.param("<jats:title>Abstract</jats:title><jats:p>One.</jats:p>", "One.", id="own-heading"),
        pytest.param("<h4>Aim</h4>One.<h4>Results</h4>Two.", "Aim\n\nOne.\n\nResults\n\nTwo.", id="headings"),
        pytest.param("<i>E. coli</i> in H<sub>2</sub>O, 10<sup>5</sup>", "E. coli in H2O, 10^5", id="inline"),
        pytest.param("&lt;p&gt;One.&lt;/p&gt;&lt;p&gt;Two.&lt;/p&gt;", "One.\n\nTwo.", id="escaped-markup"),
        pytest.param("<p>p &amp;lt; 0.05 &amp; more</p>", "p < 0.05 & more", id="escaped-twice"),
        pytest.param("p<0.05, n <m, k> 3, <b and c>", "p<0.05, n <m, k> 3, <b and c>", id="less-than"),
        pytest.param(
            '<jats:p xml:lang="en">If <jats:tex-math>$$x$$</jats:tex-math><mml:math><mml:mi>x</mml:mi>'
            "</mml:math>.</jats:p>",
            "If x.",
            id="formula-once",
        ),
    ],
)
def test_markup_in_abstracts_is_read_and_text_that_looks_like_it_is_kept(markup: str, expected: str) -> None:
    assert abstract(markup) == f"\n\nAbstract\n\n{expected}"


@pytest.mark.parametrize("unit", ["<", "<i ", "1<sup>", "<i a=' ", "&", "<jats:p>"])
def test_broken_markup_of_any_length_gives_text(unit: str) -> None:
    assert isinstance(plain(unit * 50_000), str)


def test_a_record_can_be_described_without_text() -> None:
    content = json.dumps({"doi": "10.5555/ABC", "authors": ["Ada Lovelace"], "license": "cc0"})
    record = describe_record(payload(content, PayloadFormat.ARTICLE_RECORD))

    assert (record.curie, record.title) == ("DOI:10.5555/abc", "")
    assert (record.authors, record.licence, record.is_retracted) == (("Ada Lovelace",), "cc0", False)
