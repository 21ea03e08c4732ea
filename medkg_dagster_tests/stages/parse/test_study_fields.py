"""What a study's record states as fields, and where each of them stands."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from medkg_dagster.domain.studies import Study, StudyField
from medkg_dagster.stage_api import Document, PayloadFormat
from medkg_dagster_tests.stages.real_payloads import parse_one, studies


def parsed(protocol: Mapping[str, Any], results: Mapping[str, Any] | None = None, **config: Any) -> Document:
    head = {"identificationModule": {"nctId": "NCT99990000", "briefTitle": "A trial"}}
    record = {"protocolSection": {**head, **protocol}, "resultsSection": results or {}}
    return parse_one(json.dumps(record), PayloadFormat.STUDY_JSON, **config)


def study(document: Document) -> Study:
    assert document.study is not None
    return document.study


def fields(found: Study) -> Iterator[StudyField]:
    yield from found.conditions
    for intervention in found.interventions:
        yield from (intervention.name, *intervention.other_names)
    yield from (event.term for event in found.events)
    yield from (outcome.title for outcome in found.outcomes)


def value_at(record: Any, path: str) -> Any:
    for key in path.replace("[", ".[").split("."):
        record = record[int(key[1:-1])] if key.startswith("[") else record[key]
    return record


ARMS = {
    "interventions": [
        {"type": "DRUG", "name": "Nivolumab", "otherNames": ["BMS-936558"], "armGroupLabels": ["Both"]},
        "not an object",
        {"type": "DRUG", "name": "Placebo", "armGroupLabels": ["Control"]},
        {"type": "DRUG", "name": "Ipilimumab"},
    ],
    "armGroups": [
        {"label": "Both", "type": "EXPERIMENTAL", "interventionNames": ["Drug: Ipilimumab"]},
        {"label": "Control", "type": "PLACEBO_COMPARATOR"},
        {"label": "Nothing"},
    ],
}


def test_an_arm_knows_what_it_gets_whichever_of_the_two_says_so() -> None:
    found = study(parsed({"armsInterventionsModule": ARMS}))

    assert [
        (one.name.text, one.name.path, one.type, [name.text for name in one.other_names])
        for one in found.interventions
    ] == [
        (
            "Nivolumab",
            "protocolSection.armsInterventionsModule.interventions[0].name",
            "DRUG",
            ["BMS-936558"],
        ),
        ("Placebo", "protocolSection.armsInterventionsModule.interventions[2].name", "DRUG", []),
        ("Ipilimumab", "protocolSection.armsInterventionsModule.interventions[3].name", "DRUG", []),
    ]
    assert [(arm.label, arm.type, arm.interventions) for arm in found.arms] == [
        ("Both", "EXPERIMENTAL", (0, 2)),
        ("Control", "PLACEBO_COMPARATOR", (1,)),
        ("Nothing", None, ()),
    ]


EVENTS = {
    "timeFrame": "30 days",
    "eventGroups": [{"id": "EG000", "title": "Both"}, {"id": "EG001", "title": "Control"}],
    "seriousEvents": [
        {"term": "", "stats": [{"groupId": "EG000", "numAffected": 1, "numAtRisk": 9}]},
        {
            "term": "Colitis",
            "organSystem": "Gastrointestinal disorders",
            "sourceVocabulary": "MedDRA 12.1",
            "stats": [
                {"groupId": "EG001", "numAffected": 0, "numAtRisk": 8},
                {"groupId": "EG000", "numAffected": 2, "numAtRisk": "9", "numEvents": 3},
                {"groupId": "EG000", "numAffected": True},
            ],
        },
    ],
    "otherEvents": [{"term": "Nausea", "stats": [{"groupId": "EG000", "numAffected": 0, "numAtRisk": 9}]}],
}


def test_an_adverse_event_has_the_counts_of_the_groups_that_had_it() -> None:
    document = parsed({}, {"adverseEventsModule": EVENTS})
    found = study(document)

    (event,) = found.events
    assert (event.term.text, event.is_serious, event.vocabulary) == ("Colitis", True, "MedDRA 12.1")
    assert event.term.path == "resultsSection.adverseEventsModule.seriousEvents[1].term"
    assert document.text[event.term.start : event.term.end] == "Colitis"
    (count,) = event.counts
    assert count.path == "resultsSection.adverseEventsModule.seriousEvents[1].stats[1]"
    assert (count.group, count.affected, count.at_risk, count.events) == (0, 2, 9, 3)
    assert (found.event_groups, found.events_time_frame) == (("Both", "Control"), "30 days")


OUTCOME = {
    "type": "PRIMARY",
    "title": "Pain",
    "timeFrame": "1 week",
    "paramType": "MEAN",
    "unitOfMeasure": "mm",
    "groups": [{"id": "OG000", "title": "Both"}, {"id": "OG001", "title": "Control"}],
    "classes": [
        {"categories": [{"measurements": [{"groupId": "OG001", "value": "4.5", "spread": "0.5"}]}]},
        {"title": "Night", "categories": [{"measurements": [{"groupId": "OG000", "value": 3}]}]},
    ],
    "analyses": [
        {
            "groupIds": ["OG000", "OG001"],
            "pValue": "<0.001",
            "statisticalMethod": "t-test",
            "paramType": "Mean Difference",
            "paramValue": "-1.5",
            "ciPctValue": "95",
            "ciLowerLimit": "-2",
            "ciUpperLimit": "-1",
        }
    ],
}


def test_an_outcome_has_its_values_by_group_and_how_they_were_compared() -> None:
    (outcome,) = study(parsed({}, {"outcomeMeasuresModule": {"outcomeMeasures": [OUTCOME]}})).outcomes

    assert (outcome.title.text, outcome.type, outcome.unit) == ("Pain", "PRIMARY", "mm")
    assert [(one.group, one.row, one.value, one.spread) for one in outcome.values] == [
        (1, "", "4.5", "0.5"),
        (0, "Night", "3", ""),
    ]
    (analysis,) = outcome.analyses
    assert (analysis.groups, analysis.p_value, analysis.estimate) == ((0, 1), "<0.001", "-1.5")
    assert analysis.path == "resultsSection.outcomeMeasuresModule.outcomeMeasures[0].analyses[0]"


def test_the_fields_of_real_studies_stand_where_they_say(shared_data: Path) -> None:
    count = 0
    for payload in studies(shared_data):
        document = parse_one(payload.content, payload.format)
        record = json.loads(payload.content)
        for field in fields(study(document)):
            assert field.start is not None
            assert document.text[field.start : field.end] == field.text
            # A text as read has its escapes undone and its white space normalised.
            written = "".join(value_at(record, field.path).split())
            assert "\\" in written or "&" in written or "".join(field.text.split()) == written
            count += 1

    assert count > 600


KEYS = (
    *("id", "title", "term", "stats", "groupId", "numAffected", "name", "type", "interventions"),
    *("armGroups", "interventionNames", "eventGroups", "seriousEvents", "classes", "categories"),
    *("measurements", "value"),
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6) | st.sampled_from(["EG000", "Colitis"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=6),
    max_leaves=15,
)


@given(ANYTHING, ANYTHING, ANYTHING)
def test_fields_of_any_shape_are_read_or_left_out(arms: object, events: object, outcomes: object) -> None:
    document = parsed(
        {"armsInterventionsModule": arms},
        {"adverseEventsModule": events, "outcomeMeasuresModule": {"outcomeMeasures": outcomes}},
        text_kept_minimum=0,
    )

    for field in fields(study(document)):
        if field.start is not None:
            assert document.text[field.start : field.end] == field.text
