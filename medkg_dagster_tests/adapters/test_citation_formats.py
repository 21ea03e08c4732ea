from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medkg_dagster.adapters.sources.citation_formats import CitationFormat, read_citations, recognise
from medkg_dagster.adapters.sources.payload_formats import Refused, split_content
from medkg_dagster.errors import UnreadableDocumentError
from medkg_dagster.stage_api import Payload
from medkg_dagster.stages.parse import ParseConfig, ParseStage
from medkg_dagster_tests.stages.test_growth import check_growth

RIS = """TY  - JOUR
TI  - A paper
AU  - Roe, Jane
AU  - The Group
DO  - https://doi.org/10.1000/x
PY  - 2014/03/12/
C2  - PMC12
N2  - First line
 and second.
KW  - pain
ER  -

TY  - BOOK
T1  - A book
ER  -
"""
NBIB = """PMID- 123
OWN - NLM
TI  - A trial
      of things
AB  - Text of it.
FAU - Doe, John
AU  - Doe J
LID - 10.1000/y [doi]
DP  - 2019 Mar 5
PMC - PMC7
PT  - Retracted Publication

PMID- 124
TI  - Second
DP  - 2001 Winter
"""
BIBTEX = r"""% exported
@string{jx = "J X"}
@article{roe2010,
  title = {On {DNA} and M{\"u}ller's test in 5\% of {\o}re},
  author = "Roe, Jane and M\'endez, Jos{\'e} and {The Group}",
  doi = {10.1000/z}, year = 2010, month = mar,
  abstract = {We {measured}, then, more.}, journal = jx # " more"
}
@misc{b, title={Second}, url={https://doi.org/10.5555/abc}}
"""


@pytest.mark.parametrize(
    ("text", "kind", "expected"),
    [
        (
            RIS,
            CitationFormat.RIS,
            [
                {
                    "doi": "10.1000/x",
                    "pmcid": "PMC12",
                    "title": "A paper",
                    "abstract": "First line and second.",
                    "authors": ["Jane Roe", "The Group"],
                    "date": "2014-03-12",
                    "keywords": ["pain"],
                },
                {"title": "A book"},
            ],
        ),
        (
            NBIB,
            CitationFormat.NBIB,
            [
                {
                    "pmid": "123",
                    "pmcid": "PMC7",
                    "doi": "10.1000/y",
                    "title": "A trial of things",
                    "abstract": "Text of it.",
                    "authors": ["John Doe"],
                    "date": "2019-03-05",
                    "is_retracted": True,
                },
                {"pmid": "124", "title": "Second", "date": "2001"},
            ],
        ),
        (
            BIBTEX,
            CitationFormat.BIBTEX,
            [
                {
                    "doi": "10.1000/z",
                    "title": "On DNA and Müller's test in 5% of øre",
                    "abstract": "We measured, then, more.",
                    "authors": ["Jane Roe", "José Méndez", "The Group"],
                    "date": "2010-03",
                },
                {"doi": "10.5555/abc", "title": "Second", "url": "https://doi.org/10.5555/abc"},
            ],
        ),
    ],
)
def test_citations_are_records_of_articles(
    text: str, kind: CitationFormat, expected: list[dict[str, Any]]
) -> None:
    assert recognise(text) is kind
    assert list(read_citations(kind, text)) == expected


def test_each_citation_is_a_document_with_its_title_and_abstract() -> None:
    parts = list(split_content("a.txt", "a.txt", NBIB.encode(), "files"))

    documents = [ParseStage(ParseConfig()).parse(part) for part in parts if isinstance(part, Payload)]
    assert [document.id for document in documents] == ["PMCID:PMC7", "PMID:124"]
    assert documents[0].text == "A trial of things\n\nAbstract\n\nText of it."
    assert documents[0].retracted == "retracted article"


def test_a_citation_without_title_and_identifier_is_refused_alone() -> None:
    first, second = split_content(
        "a.ris", "a.ris", b"TY  - JOUR\nER  -\nTY  - JOUR\nTI  - B\nER  -\n", "files"
    )

    assert isinstance(first, Refused)
    assert "neither title nor identifier" in str(first.error)
    assert isinstance(second, Payload)
    assert second.id == "a.ris#2"


@given(st.text(alphabet=st.sampled_from('@a{}",=\\# \n-TIPMD0'), max_size=80))
def test_any_text_gives_records_or_is_refused(text: str) -> None:
    for kind, start in (("TY  - J\n", CitationFormat.RIS), ("@a{b,", CitationFormat.BIBTEX)):
        try:
            assert all(isinstance(record, dict) for record in read_citations(start, kind + text))
        except UnreadableDocumentError:
            assert start is CitationFormat.BIBTEX


@pytest.mark.parametrize(
    ("kind", "part"),
    [
        (CitationFormat.RIS, "TY  - JOUR\nTI  - A\n x\nER  -\n"),
        (CitationFormat.NBIB, "PMID- 1\nAB  - a\n      b\n"),
        (CitationFormat.BIBTEX, '@a{b, c = {d} # "e",\n'),
        (CitationFormat.BIBTEX, "@a{b, title = {{\\'e} x}}\n"),
        (CitationFormat.BIBTEX, '@a{b, c = "\\\\'),
    ],
)
def test_time_grows_with_the_citations(kind: CitationFormat, part: str) -> None:
    def read(times: int) -> list[dict[str, Any]]:
        return list(read_citations(kind, part * times))

    check_growth(lambda: read(500), lambda: read(4000))
