from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medkg_dagster.domain.documents import UNEXPLAINED
from medkg_dagster.stage_api import BlockKind, Document, DocumentContext, PayloadFormat, Reference
from medkg_dagster.stages.extract.dictionary import DictionaryParameters
from medkg_dagster.stages.extract.dictionary_extractor import DictionaryExtractor
from medkg_dagster.stages.parse import ParseConfig, ParseStage
from medkg_dagster.stages.parse.study_record import leaves, reason_left_out
from medkg_dagster_tests.stages.real_payloads import parse_one, studies

GROUPS = [{"id": "G0", "title": "Aspirin", "description": "100 mg"}, {"id": "G1", "title": "Placebo"}]


def counts(**values: Any) -> list[dict[str, Any]]:
    return [{"groupId": group, **values} for group in ("G0", "G1")]


RESULTS: dict[str, Any] = {
    "participantFlowModule": {
        "recruitmentDetails": "At two hospitals.",
        "groups": GROUPS,
        "periods": [
            {
                "title": "Overall",
                "milestones": [{"type": "STARTED", "achievements": counts(numSubjects="20")}],
                "dropWithdraws": [{"type": "Lost", "reasons": counts(numSubjects="1")}],
            }
        ],
    },
    "baselineCharacteristicsModule": {
        "groups": GROUPS,
        "denoms": [{"units": "Participants", "counts": counts(value="20")}],
        "measures": [
            {
                "title": "Age",
                "paramType": "MEAN",
                "unitOfMeasure": "years",
                "classes": [{"categories": [{"measurements": counts(value="44", spread="11")}]}],
            }
        ],
    },
    "outcomeMeasuresModule": {
        "outcomeMeasures": [
            {
                "type": "PRIMARY",
                "title": "Pain",
                "timeFrame": "1 day",
                "groups": GROUPS,
                "classes": [
                    {"title": "Rest", "categories": [{"title": "Mild", "measurements": counts(value="3")}]},
                    {
                        "title": "Motion",
                        "categories": [{"measurements": counts(value="NA", lowerLimit="1", upperLimit="4")}],
                    },
                ],
                "analyses": [
                    {
                        "groupIds": ["G0", "G1"],
                        "statisticalMethod": "t-test",
                        "pValue": "<0.05",
                        "paramType": "Mean Difference",
                        "paramValue": "-1.9",
                        "ciPctValue": "95",
                        "ciNumSides": "TWO_SIDED",
                        "ciLowerLimit": "-4",
                        "ciUpperLimit": "0.3",
                    }
                ],
            }
        ]
    },
    "adverseEventsModule": {
        "frequencyThreshold": "5",
        "eventGroups": [
            {**group, "seriousNumAffected": 1, "seriousNumAtRisk": 20, "deathsNumAffected": 0}
            for group in GROUPS
        ],
        "seriousEvents": [
            {
                "term": "Appendicitis",
                "organSystem": "Infections",
                "stats": counts(numAffected=1, numAtRisk=20, numEvents=2),
            }
        ],
    },
    "moreInfoModule": {
        "limitationsAndCaveats": {"description": "Few took part."},
        "pointOfContact": {"email": "a@b.org"},
    },
}


def study(**sections: Any) -> dict[str, Any]:
    identification = {"nctId": "NCT00000001", "briefTitle": "Aspirin in pain"}
    protocol = {"identificationModule": identification, **sections.pop("protocol", {})}
    return {"protocolSection": protocol, **sections}


def parse(value: dict[str, Any]) -> Document:
    return parse_one(json.dumps(value), PayloadFormat.STUDY_JSON)


def blocks(document: Document, title: str) -> list[tuple[BlockKind, str]]:
    section = next(section for section in document.sections if section.title == title)
    return [(block.kind, document.text[block.start : block.end]) for block in section.blocks]


def test_results_are_tables_with_a_column_for_each_group() -> None:
    document = parse(study(resultsSection=RESULTS))

    interval = "two sided 95 % confidence interval"
    item, table, caption = BlockKind.LIST_ITEM, BlockKind.TABLE, BlockKind.CAPTION
    assert blocks(document, "Participant flow") == [
        (BlockKind.PARAGRAPH, "At two hospitals."),
        (item, "Aspirin. 100 mg."),
        (table, "Overall\tAspirin\tPlacebo\nstarted\t20\t20\nLost\t1\t1"),
    ]
    assert blocks(document, "Baseline characteristics") == [
        (table, "\tAspirin\tPlacebo\nParticipants\t20\t20"),
        (caption, "Age. Values: mean, years."),
        (table, "\t44 (11)\t44 (11)"),
    ]
    assert blocks(document, "Outcome measures") == [
        (caption, "Primary: Pain. Time frame: 1 day."),
        (table, "\tAspirin\tPlacebo\nRest: Mild\t3\t3\nMotion\tNA (1 to 4)\tNA (1 to 4)"),
        (
            item,
            f"Analysis of Aspirin and Placebo: t-test; Mean Difference -1.9; {interval} -4 to 0.3; p <0.05.",
        ),
    ]
    assert blocks(document, "Adverse events") == [
        (BlockKind.PARAGRAPH, "Frequency threshold: 5 %."),
        (table, "Participants affected\tAspirin\tPlacebo\nDeaths\t0\t0\nSerious\t1/20\t1/20"),
    ]
    header, affected = "Term\tOrgan system\tNotes\tAspirin\tPlacebo", "1/20 (2 events)\t1/20 (2 events)"
    assert blocks(document, "Serious adverse events") == [
        (table, f"{header}\nAppendicitis\tInfections\t\t{affected}")
    ]
    assert blocks(document, "Limitations and caveats") == [(BlockKind.PARAGRAPH, "Few took part.")]
    assert document.text_kept is not None
    assert UNEXPLAINED not in document.text_kept.left_out


def test_a_study_without_results_has_no_heading_of_them() -> None:
    assert parse(study()).text == "Aspirin in pain"


def test_what_the_study_cites_is_references_and_how_data_are_shared_is_text() -> None:
    references = {
        "references": [{"pmid": "123", "type": "RESULT", "citation": "Roe J. On pain.\n2010."}],
        "seeAlsoLinks": [{"label": "Home", "url": "https://example.org"}],
    }
    sharing = {"ipdSharing": "YES", "description": "On request.", "infoTypes": ["STUDY_PROTOCOL"]}
    document = parse(study(protocol={"referencesModule": references, "ipdSharingStatementModule": sharing}))

    assert document.references == (Reference(identifiers={"PMID": "123"}, text="Roe J. On pain. 2010."),)
    assert document.text.endswith(
        "Sharing of participants' data\n\nShared: yes. What: study protocol.\n\nOn request.\n\n"
        "Links\n\nHome: https://example.org"
    )


def test_no_claim_is_drawn_from_a_table_of_values() -> None:
    results = json.loads(json.dumps(RESULTS).replace("Appendicitis", "Colitis").replace("Pain", "Melanoma"))
    document = parse(study(resultsSection=results))

    entities, claims = DictionaryExtractor(DictionaryParameters()).extract(DocumentContext(), document)

    assert {"Aspirin", "Colitis", "Melanoma"} <= {entity.surface for entity in entities}
    assert claims == ()


def test_every_leaf_of_real_studies_is_in_the_document_or_left_out_for_a_reason(shared_data: Path) -> None:
    for source in studies(shared_data):
        document = ParseStage(ParseConfig()).parse(source)
        assert document.text_kept is not None
        assert document.text_kept.left_out.get(UNEXPLAINED, 0) == 0, source.origin
        fields = (*document.references, *document.annotations)
        held = " ".join([document.text, *document.authors, *map(str, fields)])
        for path, leaf in leaves(json.loads(source.content)):
            if isinstance(leaf, str) and leaf.isalnum() and not leaf.isupper() and not reason_left_out(path):
                assert leaf.lower() in held.lower() or leaf in document.identifiers.values(), (path, leaf)


TEXT_FIELDS = (
    "protocolSection.descriptionModule.briefSummary",
    "protocolSection.descriptionModule.detailedDescription",
    "protocolSection.conditionsModule.conditions[]",
    "protocolSection.armsInterventionsModule.armGroups[].description",
    "protocolSection.armsInterventionsModule.interventions[].name",
    "protocolSection.outcomesModule.primaryOutcomes[].measure",
    "protocolSection.eligibilityModule.eligibilityCriteria",
    "protocolSection.eligibilityModule.studyPopulation",
    "resultsSection.participantFlowModule.preAssignmentDetails",
    "resultsSection.baselineCharacteristicsModule.measures[].title",
    "resultsSection.outcomeMeasuresModule.outcomeMeasures[].description",
    "resultsSection.adverseEventsModule.otherEvents[].term",
    "protocolSection.ipdSharingStatementModule.description",
)


def put(value: dict[str, Any], path: str, text: str) -> None:
    *parents, last = path.split(".")
    for key in parents:
        inner = value.setdefault(key.removesuffix("[]"), [{}] if key.endswith("[]") else {})
        value = inner[0] if isinstance(inner, list) else inner
    value[last.removesuffix("[]")] = [text] if last.endswith("[]") else text


@settings(deadline=None)
@given(st.integers(0, 2**32), st.lists(st.sampled_from(TEXT_FIELDS), min_size=1, unique=True))
def test_every_word_of_a_made_study_stands_in_its_text_in_order(seed: int, fields: list[str]) -> None:
    chance = Random(seed)
    value = study()
    expected = {}
    for number, path in enumerate(fields):
        words = [f"w{number}x{place}" for place in range(chance.randint(1, 20))]
        starts = [chance.choice(["", "", "* ", "\n\n", "\n- ", "\n2. ", "H. "]) for _ in words]
        put(value, path, " ".join(start + word for start, word in zip(starts, words, strict=True)))
        expected[path] = words

    text = parse(value).text

    for words in expected.values():
        places = [text.index(word) for word in words]
        assert places == sorted(places)


@pytest.mark.parametrize("module", sorted(RESULTS))
@pytest.mark.parametrize("wrong", ["text", 1, ["a"], [[1]], [{"groups": [1], "classes": {}}], None])
def test_results_of_the_wrong_shape_count_as_absent(module: str, wrong: Any) -> None:
    for key in RESULTS[module]:
        document = parse(study(resultsSection={**RESULTS, module: {**RESULTS[module], key: wrong}}))
        assert document.id == "clinicaltrials:NCT00000001"
    assert parse(study(resultsSection={**RESULTS, module: wrong})).title == "Aspirin in pain"
