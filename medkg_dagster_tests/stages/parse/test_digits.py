"""Identifiers, dates and sizes are written in ASCII digits; those of other scripts make none."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from medkg_dagster.adapters.sources.clinicaltrials import NctId
from medkg_dagster.adapters.sources.payload_formats import split_content
from medkg_dagster.domain.article_records import read_record
from medkg_dagster.domain.dates import iso_date
from medkg_dagster.errors import UnreadableDocumentError
from medkg_dagster.stage_api import PayloadFormat
from medkg_dagster_tests.stages.parse.test_jats import article
from medkg_dagster_tests.stages.real_payloads import parse_one

ARABIC = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")


@pytest.mark.parametrize(
    ("date", "expected"),
    [(("٢٠١٦", "3", "1"), None), (("2016", "٣", "1"), "2016"), (("2016", "3", "١"), "2016-03")],
)
def test_a_date_of_other_digits_is_as_precise_as_its_ascii_parts(
    date: tuple[str, str, str], expected: str | None
) -> None:
    assert iso_date(*date) == expected


def test_an_article_has_no_identifiers_of_other_digits() -> None:
    ids = "".join(
        f'<article-id pub-id-type="{kind}">{value.translate(ARABIC)}</article-id>'
        for kind, value in (("pmid", "123"), ("pmc", "PMC9"), ("doi", "10.1000/x"))
    )
    title = "<title-group><article-title>T</article-title></title-group>"

    assert parse_one(article(meta=ids + title), PayloadFormat.JATS_XML).identifiers == {}


def test_a_pubmed_record_needs_a_pmid_of_ascii_digits() -> None:
    record = "<PubmedArticle><MedlineCitation><PMID>١٢٣</PMID><Article/></MedlineCitation></PubmedArticle>"

    with pytest.raises(UnreadableDocumentError, match="has no PMID"):
        parse_one(record, PayloadFormat.PUBMED_XML)


def test_a_study_needs_an_nct_id_of_ascii_digits() -> None:
    study: dict[str, Any] = {
        "protocolSection": {"identificationModule": {"nctId": "NCT٠٠٠٠٠٠٠١", "briefTitle": "T"}}
    }

    with pytest.raises(UnreadableDocumentError, match="without a valid NCT id"):
        list(split_content("a.json", "a.json", json.dumps(study).encode(), "files"))
    with pytest.raises(UnreadableDocumentError):
        parse_one(json.dumps(study), PayloadFormat.STUDY_JSON)
    with pytest.raises(ValidationError):
        TypeAdapter(NctId).validate_python("NCT٠٠٠٠٠٠٠١")


def test_a_record_of_an_article_has_no_identifiers_of_other_digits() -> None:
    record = read_record({"title": "A title", "pmid": "١٢٣", "pmcid": "PMC٩", "doi": "10.1000/x"})

    assert record.identifiers == {"DOI": "10.1000/x"}
