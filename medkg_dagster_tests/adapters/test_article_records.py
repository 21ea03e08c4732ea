"""Records of articles in fetched files: recognised by content, one payload each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from medkg_dagster.adapters.sources.payload_formats import Refused, split_content
from medkg_dagster.errors import UnreadableDocumentError
from medkg_dagster.stage_api import Payload, PayloadFormat

OPENALEX = {
    "id": "https://openalex.org/W42",
    "doi": "https://doi.org/10.5555/ABC",
    "ids": {"pmid": "https://pubmed.ncbi.nlm.nih.gov/123"},
    "title": "A trial",
}
EUROPE_PMC_LITE = {"id": "123", "source": "MED", "pmid": "123", "pmcid": "PMC9", "title": "A trial"}
CROSSREF = {"DOI": "10.5555/ABC", "title": ["A trial"], "indexed": {}}
UNPAYWALL = {"doi": "10.5555/abc", "title": "A trial", "oa_locations": []}
SEMANTIC_SCHOLAR = {"paperId": "f00", "externalIds": {"CorpusId": 1}, "title": "A trial"}
STUDY = {"protocolSection": {"identificationModule": {"nctId": "NCT00000001"}}}


def split(value: Any, name: str = "page.json") -> list[Payload | Refused]:
    return list(split_content(name, f"/in/{name}", json.dumps(value).encode(), "files"))


def payloads(value: Any) -> list[Payload]:
    return [found for found in split(value) if isinstance(found, Payload)]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(OPENALEX, "PMID:123", id="openalex"),
        pytest.param({"meta": {}, "results": [OPENALEX]}, "PMID:123", id="openalex-page"),
        pytest.param(EUROPE_PMC_LITE, "PMCID:PMC9", id="europe-pmc"),
        pytest.param({"resultList": {"result": [EUROPE_PMC_LITE]}}, "PMCID:PMC9", id="europe-pmc-page"),
        pytest.param({"message": CROSSREF}, "DOI:10.5555/abc", id="crossref"),
        pytest.param({"message": {"items": [CROSSREF]}}, "DOI:10.5555/abc", id="crossref-page"),
        pytest.param(UNPAYWALL, "DOI:10.5555/abc", id="unpaywall"),
        pytest.param({"recommendedPapers": [OPENALEX]}, "PMID:123", id="recommended-papers"),
        pytest.param({"results": [{"response": UNPAYWALL}]}, "DOI:10.5555/abc", id="unpaywall-page"),
        pytest.param(SEMANTIC_SCHOLAR, "S2:f00", id="semantic-scholar"),
        pytest.param({"data": [SEMANTIC_SCHOLAR]}, "S2:f00", id="semantic-scholar-page"),
        pytest.param({"id": "https://openalex.org/W42", "title": "x"}, "OpenAlex:W42", id="openalex-alone"),
        pytest.param([{"doi": "https://doi.org/10.5555/ABC"}], "DOI:10.5555/abc", id="plain-list"),
    ],
)
def test_a_record_is_one_payload_named_by_its_best_identifier(value: Any, expected: str) -> None:
    (payload,) = payloads(value)

    assert (payload.id, payload.format) == (expected, PayloadFormat.ARTICLE_RECORD)
    assert payload.origin == "/in/page.json"


def test_the_content_is_the_record_alone_and_the_same_however_it_was_written() -> None:
    (first,) = payloads({"meta": {"count": 1}, "results": [OPENALEX]})
    (second,) = payloads(dict(reversed(OPENALEX.items())))

    assert json.loads(first.content) == OPENALEX
    assert first.content == second.content


def test_a_record_without_identifier_is_named_by_its_file() -> None:
    (payload,) = payloads({"title": "A trial", "pdf_url": "https://example.org/a.pdf"})

    assert payload.id == "page.json"


def test_an_item_that_is_no_record_is_refused_by_its_place_and_the_others_are_kept() -> None:
    first, refused, last = split([CROSSREF, {"name": "x"}, UNPAYWALL | {"doi": "10.5555/other"}])

    assert isinstance(first, Payload)
    assert isinstance(last, Payload)
    assert isinstance(refused, Refused)
    assert refused.document_id == "page.json#2"
    assert "neither identifier nor title" in str(refused.error)


def test_studies_among_records_stay_studies() -> None:
    assert [payload.format for payload in payloads([CROSSREF, STUDY])] == [
        PayloadFormat.ARTICLE_RECORD,
        PayloadFormat.STUDY_JSON,
    ]


@pytest.mark.parametrize("value", [STUDY, [STUDY], {"studies": [STUDY]}])
def test_studies_are_recognised_as_before(value: Any) -> None:
    (payload,) = payloads(value)

    assert (payload.id, payload.format) == ("clinicaltrials:NCT00000001", PayloadFormat.STUDY_JSON)


@pytest.mark.parametrize("value", [{}, {"results": []}, {"data": [{"name": "x"}]}, {"message": "ok"}, [[1]]])
def test_other_json_is_refused_saying_what_is_read(value: Any) -> None:
    with pytest.raises(UnreadableDocumentError, match=r"no ClinicalTrials\.gov v2 study .* no record"):
        split(value)


def test_every_record_of_the_real_answers_is_found(shared_data: Path) -> None:
    kept: list[Payload] = []
    refused: list[Refused] = []
    for folder in ("openalex", "europepmc", "crossref_unpaywall", "semanticscholar"):
        for path in sorted((shared_data / folder).glob("*.json")):
            value = json.loads(path.read_bytes())
            for item in () if value.get("results") == [] else split(value, path.name):
                if isinstance(item, Payload):
                    kept.append(item)
                else:
                    refused.append(item)

    assert {payload.format for payload in kept} == {PayloadFormat.ARTICLE_RECORD}
    assert {payload.id.split(":")[0] for payload in kept} == {"PMCID", "PMID", "DOI", "S2"}
    # The references that Semantic Scholar could not resolve have no identifier.
    assert all("references" in item.document_id for item in refused)
