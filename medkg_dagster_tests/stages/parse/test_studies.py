from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medkg_dagster.errors import DocumentError, UnreadableDocumentError
from medkg_dagster.stage_api import AnnotationRole, BlockKind, Document, PayloadFormat
from medkg_dagster.stages.parse import register
from medkg_dagster.stages.parse.studies import mesh_ui
from medkg_dagster_tests.stages.real_payloads import context, parse_one, studies
from medkg_dagster_tests.stages.running import run

CRITERIA = "Inclusion Criteria:\n\n* Adults\n* Biopsy\n\nExclusion Criteria:\n\n1. Pregnancy"
STUDY: dict[str, Any] = {
    "protocolSection": {
        "identificationModule": {
            "nctId": "NCT00000001",
            "briefTitle": "Pembrolizumab in Melanoma",
            "officialTitle": "A Randomized Trial of Pembrolizumab",
            "secondaryIdInfos": [{"id": "2020-000001-11", "type": "EUDRACT_NUMBER"}],
        },
        "statusModule": {"studyFirstPostDateStruct": {"date": "2020-03-01"}, "overallStatus": "TERMINATED"},
        "sponsorCollaboratorsModule": {"leadSponsor": {"name": "Acme"}},
        "descriptionModule": {"briefSummary": "Crohn&#39;s score \\> 10.\n\n* one\n* two"},
        "conditionsModule": {"conditions": ["Melanoma", "Skin Cancer"], "keywords": ["PD-1"]},
        "designModule": {"studyType": "INTERVENTIONAL", "phases": ["PHASE2"]},
        "armsInterventionsModule": {
            "armGroups": [{"label": "A", "type": "EXPERIMENTAL", "description": "Every 3 weeks"}],
            "interventions": [
                {
                    "type": "DRUG",
                    "name": "Pembrolizumab",
                    "description": "200 mg IV",
                    "otherNames": ["MK-3475"],
                }
            ],
        },
        "outcomesModule": {"primaryOutcomes": [{"measure": "Survival", "timeFrame": "1 year"}]},
        "eligibilityModule": {
            "eligibilityCriteria": CRITERIA,
            "sex": "ALL",
            "minimumAge": "18 Years",
        },
        "contactsLocationsModule": {"overallOfficials": [{"name": "Jane Roe, MD"}]},
    },
    "derivedSection": {
        "conditionBrowseModule": {"meshes": [{"id": "D000008545", "term": "Melanoma"}]},
        "interventionBrowseModule": {"meshes": [{"id": "C000582435", "term": "pembrolizumab"}]},
    },
}


def parse(study: Any) -> Document:
    return parse_one(json.dumps(study), PayloadFormat.STUDY_JSON)


def texts(document: Document, title: str) -> list[tuple[BlockKind, str]]:
    section = next(section for section in document.sections if section.title == title)
    return [(block.kind, document.text[block.start : block.end]) for block in section.blocks]


def test_a_study_gives_its_identity() -> None:
    document = parse(STUDY)

    assert document.id == "clinicaltrials:NCT00000001"
    assert document.identifiers == {"clinicaltrials": "NCT00000001", "EudraCT": "2020-000001-11"}
    assert document.title == "Pembrolizumab in Melanoma"
    assert document.authors == ("Jane Roe, MD", "Acme")
    assert document.date == "2020-03-01"
    assert document.url == "https://clinicaltrials.gov/study/NCT00000001"
    assert document.source == "infores:clinicaltrials"
    assert document.study_type == "INTERVENTIONAL"
    assert document.phases == tuple(STUDY["protocolSection"]["designModule"]["phases"])


def test_one_sentence_names_interventions_and_conditions_together() -> None:
    assert texts(parse(STUDY), "Conditions and interventions") == [
        (
            BlockKind.PARAGRAPH,
            "This interventional study investigates Drug: Pembrolizumab in Melanoma; Skin Cancer.",
        )
    ]


def test_modules_become_sections_with_list_items() -> None:
    document = parse(STUDY)
    item = BlockKind.LIST_ITEM

    assert texts(document, "Brief summary") == [
        (BlockKind.PARAGRAPH, "Crohn's score > 10."),
        (item, "one"),
        (item, "two"),
    ]
    assert texts(document, "Interventions") == [
        (item, "Drug: Pembrolizumab. 200 mg IV. Other names: MK-3475.")
    ]
    assert texts(document, "Arms") == [(item, "Experimental: A. Every 3 weeks.")]
    assert texts(document, "Primary outcomes") == [(item, "Survival. Time frame: 1 year.")]
    assert texts(document, "Inclusion Criteria") == [(item, "Adults"), (item, "Biopsy")]
    assert texts(document, "Exclusion Criteria") == [(item, "1. Pregnancy")]
    assert "Phase: phase 2." in document.text


def test_structured_fields_are_annotations_with_mesh_ids_as_mesh_writes_them() -> None:
    found = [(a.role, a.name, a.curie, a.intervention_type) for a in parse(STUDY).annotations]

    assert found == [
        (AnnotationRole.CONDITION, "Melanoma", None, None),
        (AnnotationRole.CONDITION, "Skin Cancer", None, None),
        (AnnotationRole.INTERVENTION, "Pembrolizumab", None, "DRUG"),
        (AnnotationRole.CONDITION_MESH, "Melanoma", "MESH:D008545", None),
        (AnnotationRole.INTERVENTION_MESH, "pembrolizumab", "MESH:C582435", None),
    ]


@pytest.mark.parametrize(
    ("padded", "expected"),
    [
        ("D000009404", "D009404"),
        ("D009404", "D009404"),
        ("D000069283", "D000069283"),
        ("C000050823", "C050823"),
        ("C000594389", "C000594389"),
    ],
)
def test_padded_mesh_ids_lose_their_padding_only(padded: str, expected: str) -> None:
    assert mesh_ui(padded) == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"protocolSection":\n {"identificationModule": {"nctId": "NCT0', r"memory:2: not valid JSON"),
        ("[]", "no protocolSection"),
        ('{"studies": []}', "no protocolSection"),
        ('{"protocolSection": {}}', "no valid NCT id"),
        ("<html></html>", "not valid JSON"),
        ("[" * 100_000, "nested too deeply|not valid JSON"),
    ],
)
def test_what_is_not_one_study_is_refused(content: str, message: str) -> None:
    with pytest.raises(UnreadableDocumentError, match=message):
        parse_one(content, PayloadFormat.STUDY_JSON)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(deadline=None)
@given(st.sampled_from(sorted(STUDY["protocolSection"])), JSON_VALUES)
def test_a_module_of_the_wrong_shape_counts_as_absent_or_is_refused(module: str, value: Any) -> None:
    study = {**STUDY, "protocolSection": {**STUDY["protocolSection"], module: value}}
    try:
        document = parse(study)
    except DocumentError:
        assert module == "identificationModule"
        return
    assert document.id == "clinicaltrials:NCT00000001"


@settings(deadline=None)
@given(st.sampled_from(["conditions", "keywords"]), JSON_VALUES)
def test_a_field_of_the_wrong_shape_counts_as_absent(field: str, value: Any) -> None:
    protocol = {**STUDY["protocolSection"], "conditionsModule": {field: value}}

    assert parse({**STUDY, "protocolSection": protocol}).title == "Pembrolizumab in Melanoma"


def test_every_real_study_parses_with_its_conditions_and_interventions_in_one_sentence(
    shared_data: Path,
) -> None:
    ctx = context()
    payloads = studies(shared_data)

    documents = run(register, ctx, payloads=payloads)["document"]

    assert ctx.quarantined == []
    assert len(documents) == len(payloads) >= 150
    for document in documents:
        sentence = texts(document, "Conditions and interventions")[0][1]
        for annotation in document.annotations:
            if annotation.role in {AnnotationRole.CONDITION, AnnotationRole.INTERVENTION}:
                assert " ".join(annotation.name.split()) in sentence
        assert document.date
        assert document.authors
    criteria = [d for d in documents if any(s.title == "Eligibility criteria" for s in d.sections)]
    assert len(criteria) >= 150


def test_mesh_ids_of_real_studies_are_those_of_the_vocabulary(shared_data: Path) -> None:
    lines = (shared_data / "vocab/mesh2015_terms.tsv").read_text(encoding="utf-8").splitlines()
    vocabulary = {"MESH:" + line.split("\t")[0]: line.split("\t")[1] for line in lines[1:]}
    documents = run(register, context(), payloads=studies(shared_data))["document"]
    meshes = {a.curie: a.name for document in documents for a in document.annotations if a.curie}
    known = {curie: name for curie, name in meshes.items() if curie in vocabulary}

    assert len(known) >= 100
    assert sum(vocabulary[curie] == name for curie, name in known.items()) >= len(known) - 3
