"""Records of articles in the shapes of the services that give them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medkg_dagster.domain.article_records import is_article_record, read_record, split_records

OPENALEX = {
    "id": "https://openalex.org/W42",
    "doi": "https://doi.org/10.5555/ABC",
    "ids": {
        "pmid": "https://pubmed.ncbi.nlm.nih.gov/123",
        "pmcid": "https://www.ncbi.nlm.nih.gov/pmc/articles/9",
    },
    "title": "A trial",
    "publication_date": "2020-01-31",
    "is_retracted": True,
    "authorships": [{"author": {"display_name": "Ada Lovelace"}}],
    "abstract_inverted_index": {"We": [0], "treated": [1], "patients": [2, 4], "and": [3]},
    "primary_location": {"landing_page_url": "https://example.org/a", "license": "cc-by"},
}
EUROPE_PMC = {
    "id": "123",
    "source": "MED",
    "pmid": "123",
    "pmcid": "PMC9",
    "doi": "10.5555/Abc",
    "title": "A trial",
    "abstractText": "<h4>Background</h4>We treated patients.",
    "authorList": {"author": [{"firstName": "Ada", "lastName": "Lovelace"}]},
    "firstPublicationDate": "2020-01-31",
    "inEPMC": "Y",
}
CROSSREF = {
    "DOI": "10.5555/ABC",
    "title": ["A trial"],
    "abstract": "<jats:p>We treated patients.</jats:p>",
    "author": [{"given": "Ada", "family": "Lovelace"}],
    "issued": {"date-parts": [[2020, 1, 31]]},
    "license": [{"URL": "https://creativecommons.org/licenses/by/4.0"}],
    "indexed": {},
}
UNPAYWALL = {
    "doi": "10.5555/abc",
    "title": "A trial",
    "published_date": "2020-01-31",
    "z_authors": [{"given": "Ada", "family": "Lovelace"}],
    "oa_locations": [],
}
SEMANTIC_SCHOLAR = {
    "paperId": "f00",
    "externalIds": {"DOI": "10.5555/ABC", "PubMed": "123", "PubMedCentral": "9"},
    "title": "A trial",
    "authors": [{"name": "Ada Lovelace"}],
    "publicationDate": "2020-01-31",
}
PLAIN = {"doi": "10.5555/ABC", "title": "A trial", "authors": ["Ada Lovelace"], "date": "2020-01-31"}


@pytest.mark.parametrize(
    ("record", "curie", "source"),
    [
        pytest.param(OPENALEX, "PMCID:PMC9", "infores:openalex", id="openalex"),
        pytest.param(EUROPE_PMC, "PMCID:PMC9", "infores:europepmc", id="europe-pmc"),
        pytest.param(CROSSREF, "DOI:10.5555/abc", "infores:crossref", id="crossref"),
        pytest.param(UNPAYWALL, "DOI:10.5555/abc", "infores:unpaywall", id="unpaywall"),
        pytest.param(SEMANTIC_SCHOLAR, "PMCID:PMC9", "infores:semantic-scholar", id="semantic-scholar"),
        pytest.param(PLAIN, "DOI:10.5555/abc", "infores:user-supplied", id="plain"),
    ],
)
def test_every_service_says_who_wrote_what_when(record: dict[str, Any], curie: str, source: str) -> None:
    read = read_record(record)

    assert (read.curie, read.source) == (curie, source)
    assert (read.title, read.authors, read.date) == ("A trial", ("Ada Lovelace",), "2020-01-31")
    assert read.identifiers["DOI"] == "10.5555/abc"


def test_an_inverted_abstract_is_put_back_in_order() -> None:
    assert read_record(OPENALEX).abstract == "We treated patients and patients"
    assert read_record(OPENALEX).is_retracted


@pytest.mark.parametrize(
    "page",
    [
        pytest.param({"results": [OPENALEX], "meta": {}}, id="openalex"),
        pytest.param({"resultList": {"result": [EUROPE_PMC]}}, id="europe-pmc"),
        pytest.param({"message": {"items": [CROSSREF]}}, id="crossref-list"),
        pytest.param({"message": CROSSREF}, id="crossref-one"),
        pytest.param({"results": [{"response": UNPAYWALL, "score": 1}]}, id="unpaywall"),
        pytest.param({"data": [SEMANTIC_SCHOLAR]}, id="semantic-scholar"),
        pytest.param({"data": [{"citedPaper": SEMANTIC_SCHOLAR}]}, id="references"),
        pytest.param([PLAIN], id="list"),
        pytest.param(PLAIN, id="one"),
    ],
)
def test_a_result_page_is_split_into_its_records(page: Any) -> None:
    records = split_records(page)

    assert records is not None
    assert [read_record(record).title for record in records] == ["A trial"]


def test_a_study_is_no_record_of_an_article() -> None:
    study = {"protocolSection": {}, "doi": "10.5555/abc"}

    assert not is_article_record(study)
    assert split_records({"studies": [study]}) is None


_keys = st.sampled_from(sorted({key for record in (OPENALEX, EUROPE_PMC, CROSSREF) for key in record}))
trees: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_keys, inner, max_size=5),
    max_leaves=15,
)


@given(st.dictionaries(_keys, trees, max_size=8))
def test_any_json_object_can_be_read(record: dict[str, Any]) -> None:
    read = read_record(record)

    assert isinstance(read.title, str)
    assert read.curie is None or ":" in read.curie


@pytest.mark.parametrize(
    ("record", "versions", "retracts"),
    [
        (
            {"DOI": "10.1234/n", "update-to": [{"type": "retraction", "DOI": "10.1234/A"}]},
            (),
            ("DOI:10.1234/a",),
        ),
        ({"DOI": "10.1234/n", "update-to": [{"type": "correction", "DOI": "10.1234/a"}]}, (), ()),
        (
            {"DOI": "10.1234/n", "updated-by": [{"type": "new_version", "DOI": "10.1234/b"}]},
            ("DOI:10.1234/b",),
            (),
        ),
        (
            {
                "DOI": "10.1234/n",
                "relation": {
                    "is-preprint-of": [{"id-type": "doi", "id": "10.1234/P"}],
                    "is-supplement-to": [{"id-type": "doi", "id": "10.1234/s"}],
                },
            },
            ("DOI:10.1234/p",),
            (),
        ),
        (
            {
                "id": "https://openalex.org/W1",
                "doi": "https://doi.org/10.1234/n",
                "locations": [
                    {"landing_page_url": "https://doi.org/10.1234/N"},
                    {"landing_page_url": "https://doi.org/10.1101/p"},
                    {"landing_page_url": "https://pubmed.ncbi.nlm.nih.gov/7"},
                    None,
                ],
            },
            ("DOI:10.1101/p",),
            (),
        ),
        (
            {
                "pmid": "3",
                "commentCorrectionList": {
                    "commentCorrection": [
                        {"id": "5", "source": "MED", "type": "Retraction of"},
                        {"id": "6", "source": "MED", "type": "Preprint in"},
                        {"id": "PPR7", "source": "PPR", "type": "Preprint of"},
                        {"id": "8", "source": "MED", "type": "Erratum in"},
                    ]
                },
            },
            ("PMID:6",),
            ("PMID:5",),
        ),
        ({"DOI": "10.1234/n", "relation": "?", "update-to": {}, "locations": 7}, (), ()),
    ],
)
def test_a_record_states_what_it_retracts_and_what_are_versions_of_it(
    record: dict[str, Any], versions: tuple[str, ...], retracts: tuple[str, ...]
) -> None:
    found = read_record(record)

    assert (found.versions, found.retracts) == (versions, retracts)
    assert (found.retracted == "retraction notice") == bool(retracts)
