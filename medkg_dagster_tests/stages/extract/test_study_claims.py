"""What the record of a study claims, and what it does not."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from medkg_dagster.domain.biolink import OWN_PROPERTIES, SLOTS
from medkg_dagster.stage_api import Claim, Document, PayloadFormat
from medkg_dagster.stages.extract.sentences import document_sentences
from medkg_dagster.stages.extract.study_claims import MAX_CLAIMS, StudyFindings, study_findings
from medkg_dagster.stages.extract.study_names import StudyNames
from medkg_dagster.stages.extract.terms import load
from medkg_dagster_tests.stages.extract.test_stage import check, extract
from medkg_dagster_tests.stages.real_payloads import parse_one, studies

VOCABULARY = load(None)
NAMES = StudyNames(VOCABULARY, VOCABULARY.matcher(3))

NIVOLUMAB, IPILIMUMAB = {"type": "DRUG", "name": "Nivolumab"}, {"type": "BIOLOGICAL", "name": "Ipilimumab"}
PLACEBO = {"type": "DRUG", "name": "Placebo for nivolumab"}


def arm(label: str, kind: str | None, *names: str, description: str = "") -> dict[str, Any]:
    return {"label": label, "type": kind, "interventionNames": list(names), "description": description}


BOTH_ARMS = (
    arm("Nivolumab", "EXPERIMENTAL", "Drug: Nivolumab"),
    arm("Placebo", "PLACEBO_COMPARATOR", "Drug: Placebo for nivolumab"),
)


def trial(
    *interventions: Mapping[str, Any],
    arms: Sequence[Mapping[str, Any]] = (),
    conditions: Sequence[str] = ("Melanoma",),
    kind: str | None = "INTERVENTIONAL",
    purpose: str | None = "TREATMENT",
    summary: str = "",
    results: Mapping[str, Any] | None = None,
    protocol: Mapping[str, Any] | None = None,
    **more: Any,
) -> Document:
    design = {"studyType": kind, "designInfo": {"primaryPurpose": purpose}}
    record = {
        "protocolSection": {
            "identificationModule": {"nctId": "NCT99990000", "briefTitle": "A trial"},
            "descriptionModule": {"briefSummary": summary},
            "conditionsModule": {"conditions": list(conditions)},
            "designModule": design,
            "armsInterventionsModule": {"interventions": list(interventions), "armGroups": list(arms)},
            **(protocol or {}),
        },
        "resultsSection": results or {},
        **more,
    }
    return parse_one(json.dumps(record), PayloadFormat.STUDY_JSON)


def findings(document: Document) -> StudyFindings:
    found = study_findings(document, NAMES, document_sentences(document))
    check(document, tuple(found.entities.values()), tuple(found.claims.values()))
    return found


def claims(document: Document) -> list[Claim]:
    return list(findings(document).claims.values())


def said(document: Document) -> list[tuple[str, str, str]]:
    found = findings(document)
    names = {curie: entity.name for curie, entity in found.entities.items()}
    return [
        (names[one.subject], one.predicate.removeprefix("biolink:"), names[one.object])
        for one in found.claims.values()
    ]


def in_trials(*interventions: Mapping[str, Any], **about: Any) -> list[str]:
    """Return the names of what a study is claimed to test."""
    document = trial(*interventions, **about)
    return [name for name, predicate, _ in said(document) if predicate == "in_clinical_trials_for"]


def test_what_a_study_tests_is_in_trials_for_its_conditions() -> None:
    document = trial(NIVOLUMAB, PLACEBO, arms=BOTH_ARMS)

    assert said(document) == [("Nivolumab", "in_clinical_trials_for", "Melanoma")]
    (claim,) = claims(document)
    assert claim.primary_knowledge_source == "infores:clinicaltrials"
    assert (claim.knowledge_level, claim.agent_type) == ("knowledge_assertion", "manual_agent")
    assert claim.qualifiers == {"intervention_role": "experimental", "intervention_type": "DRUG"}


def test_the_evidence_is_a_sentence_that_names_both_else_the_field_that_states_it() -> None:
    (plain,) = claims(trial(NIVOLUMAB, arms=BOTH_ARMS))
    (told,) = claims(
        trial(NIVOLUMAB, arms=BOTH_ARMS, summary="It is new. Nivolumab may help in melanoma. Nivolumab.")
    )

    assert plain.record_field == "protocolSection.armsInterventionsModule.interventions[0].name"
    assert plain.sentence == "Nivolumab"
    assert told.sentence == "Nivolumab may help in melanoma."
    assert told.record_field == plain.record_field


def test_criteria_for_taking_part_are_no_evidence() -> None:
    criteria = "Exclusion Criteria:\n\n* Allergy to nivolumab\n* Nivolumab for melanoma before"
    whole = trial(
        NIVOLUMAB, arms=BOTH_ARMS, protocol={"eligibilityModule": {"eligibilityCriteria": criteria}}
    )

    assert "Nivolumab for melanoma before" in whole.text
    assert [one.sentence for one in claims(whole)] == ["Nivolumab"]


@pytest.mark.parametrize("kind", ["OBSERVATIONAL", "EXPANDED_ACCESS", None])
def test_a_study_that_intervenes_in_nothing_claims_nothing(kind: str | None) -> None:
    found = findings(trial(NIVOLUMAB, arms=BOTH_ARMS, kind=kind))

    assert not found.claims
    assert found.counts == {"studies that are not interventional": 1}


@pytest.mark.parametrize(
    ("purpose", "expected"),
    [
        ("TREATMENT", ["Nivolumab"]),
        ("PREVENTION", ["Nivolumab"]),
        (None, ["Nivolumab"]),
        ("DIAGNOSTIC", []),
        ("BASIC_SCIENCE", []),
        ("SCREENING", []),
        ("SUPPORTIVE_CARE", []),
    ],
)
def test_only_who_wants_to_treat_or_prevent_tests_a_treatment(
    purpose: str | None, expected: list[str]
) -> None:
    assert in_trials(NIVOLUMAB, arms=BOTH_ARMS, purpose=purpose) == expected


@pytest.mark.parametrize(
    "kind", ["PROCEDURE", "DIAGNOSTIC_TEST", "DEVICE", "BEHAVIORAL", "OTHER", None, "drug of a kind"]
)
def test_what_is_no_medicine_by_its_type_is_not_claimed(kind: str | None) -> None:
    found = findings(trial({"type": kind, "name": "Nivolumab"}, arms=()))

    assert not found.claims
    assert sum(found.counts.values()) == 1


def test_terms_that_the_registry_computes_are_mentioned_and_claim_nothing() -> None:
    derived = {
        "interventionBrowseModule": {"meshes": [{"id": "D000077594", "term": "Nivolumab"}]},
        "conditionBrowseModule": {"meshes": [{"id": "D008545", "term": "Melanoma"}]},
    }
    document = trial({"type": "DRUG", "name": "XYZ-1"}, conditions=["MM"], derivedSection=derived)

    entities, stated = extract(document)

    assert {entity.name for entity in entities} >= {"Nivolumab", "Melanoma"}
    assert stated == ()


def test_each_of_two_names_of_a_condition_is_claimed_once() -> None:
    document = trial(NIVOLUMAB, conditions=["Melanoma", "Malignant melanoma", "Colitis", "A thing unknown"])

    assert [object_ for _, _, object_ in said(document)] == ["Melanoma", "Colitis"]
    assert findings(document).counts["conditions whose name is no known disease"] == 1


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Nivolumab 3 mg/kg IV every 2 weeks", ["Nivolumab"]),
        ("Nivolumab (BMS-936558)", ["Nivolumab"]),
        ("BMS-936558 (nivolumab)", ["Nivolumab"]),
        ("Nivo/BMS-936558 (nivolumab)", ["Nivolumab"]),
        ("nivolumab plus ipilimumab", ["Nivolumab", "Ipilimumab"]),
        ("Nivolumab or ipilimumab", []),
        ("Nivolumab-free regimen", []),
        ("Withdrawal of nivolumab", []),
        ("Investigator's choice (nivolumab)", []),
        ("No treatment (nivolumab)", []),
        ("Nivolumab serum level", []),
        ("Anti-nivolumab antibody", []),
        ("Colitis", []),
        ("x" * 400 + " nivolumab", []),
    ],
)
def test_a_name_is_a_medicine_where_all_of_it_is_understood(name: str, expected: list[str]) -> None:
    assert in_trials({"type": "DRUG", "name": name}) == expected


def test_another_name_of_an_intervention_names_it_too() -> None:
    code = {"type": "DRUG", "name": "XYZ-1", "otherNames": ["Anti-nivolumab", "Opdivo"]}

    (claim,) = claims(trial(code))

    assert claim.record_field == "protocolSection.armsInterventionsModule.interventions[0].otherNames[1]"
    assert claim.sentence == "Opdivo"


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("Stage IV Melanoma AJCC v8", "Melanoma"),
        ("Advanced or Metastatic Colitis", "Colitis"),
        ("Relapsed/Refractory Melanoma", "Melanoma"),
        ("Colitis Ulcerative", "Colitis, Ulcerative"),
        ("Melanoma or its kind", None),
        ("Colitis Secondary to Radiation", "Colitis"),
        ("Colitis without Melanoma", None),
        ("No melanoma", None),
        ("Recurrent melanoma (skin)", "Melanoma"),
        ("Non-melanoma", None),
        ("Healthy volunteers", None),
    ],
)
def test_a_condition_is_known_without_its_stage(condition: str, expected: str | None) -> None:
    found = said(trial(NIVOLUMAB, conditions=[condition]))

    assert [object_ for _, _, object_ in found] == ([expected] if expected else [])


def test_a_list_of_conditions_names_each_of_them() -> None:
    found = said(trial(NIVOLUMAB, conditions=["Melanoma and/or Colitis", "Hepatitis, Nobody's"]))

    assert [object_ for _, _, object_ in found] == ["Melanoma", "Colitis"]


DRUGS = (NIVOLUMAB, IPILIMUMAB, PLACEBO)


@pytest.mark.parametrize(
    ("arms", "expected"),
    [
        pytest.param(
            (
                arm("A", "EXPERIMENTAL", "Drug: Nivolumab"),
                arm("B", "ACTIVE_COMPARATOR", "Biological: Ipilimumab"),
            ),
            ["Nivolumab"],
            id="what is compared with is not tested",
        ),
        pytest.param(
            (
                arm("A", "EXPERIMENTAL", "Drug: Nivolumab", "Biological: Ipilimumab"),
                arm("B", "PLACEBO_COMPARATOR", "Drug: Placebo for nivolumab", "Biological: Ipilimumab"),
            ),
            ["Nivolumab"],
            id="what all get is background",
        ),
        pytest.param(
            (
                arm("A", "EXPERIMENTAL", "Drug: Nivolumab"),
                arm("B", "EXPERIMENTAL", "Drug: Nivolumab", "Biological: Ipilimumab"),
            ),
            ["Nivolumab", "Ipilimumab"],
            id="what is tested alone and with another is no background",
        ),
        pytest.param(
            (
                arm("A", "ACTIVE_COMPARATOR", "Drug: Nivolumab"),
                arm("B", "ACTIVE_COMPARATOR", "Biological: Ipilimumab"),
            ),
            ["Nivolumab", "Ipilimumab"],
            id="without an experimental arm the arms are compared",
        ),
        pytest.param(
            (
                arm("A", "EXPERIMENTAL", "Drug: Nivolumab"),
                arm("B", "EXPERIMENTAL", "Biological: Ipilimumab", description="Comparator."),
            ),
            ["Nivolumab"],
            id="an arm that calls itself the comparator is one",
        ),
        pytest.param(
            (
                arm("A", "EXPERIMENTAL", "Drug: Nivolumab", description="given with background ipilimumab"),
                arm("A2", "EXPERIMENTAL", "Drug: Nivolumab", "Biological: Ipilimumab",
                    description="given with background ipilimumab"),
            ),
            ["Nivolumab"],
            id="what an arm calls background is background",
        ),
        pytest.param(
            (arm("A", "EXPERIMENTAL", "Drug: Nivolumab"),), ["Nivolumab"], id="what no arm gets is not tested"
        ),
        pytest.param(
            (
                arm("A", "NO_INTERVENTION", "Drug: Nivolumab"),
                arm("B", "SHAM_COMPARATOR", "Biological: Ipilimumab"),
            ),
            [],
            id="what controls get is not tested",
        ),
    ],
)  # fmt: skip
def test_arms_say_what_is_tested(arms: Sequence[Mapping[str, Any]], expected: list[str]) -> None:
    assert in_trials(*DRUGS, arms=arms) == expected


@pytest.mark.parametrize(
    ("experimental", "control", "expected"),
    [
        ("Nivolumab plus ipilimumab", "Ipilimumab", ["Nivolumab"]),
        ("Nivolumab 3 mg/kg", "Nivolumab 1 mg/kg", ["Nivolumab"]),
        ("Nivolumab plus ipilimumab", "Ipilimumab plus nivolumab", ["Nivolumab", "Ipilimumab"]),
        ("Nivolumab", "Nivolumab plus ipilimumab", ["Nivolumab"]),
        ("Nivolumab + dacarbazine", "Placebo + dacarbazine", ["Nivolumab"]),
        ("Nivolumab + dacarbazine", "Placebo matching nivolumab", ["Nivolumab", "Dacarbazine"]),
    ],
)
def test_a_medicine_that_both_sides_get_is_tested_where_they_differ_in_nothing_else(
    experimental: str, control: str, expected: list[str]
) -> None:
    drugs = [{"type": "DRUG", "name": name} for name in (experimental, control)]
    arms = (
        arm("A", "EXPERIMENTAL", f"Drug: {experimental}"),
        arm("B", "ACTIVE_COMPARATOR", f"Drug: {control}"),
    )

    assert in_trials(*drugs, arms=arms) == expected


@pytest.mark.parametrize(
    "changed",
    [
        {"name": "Placebo matching ipilimumab"},
        {"name": "Sham ipilimumab"},
        {"name": "Background ipilimumab"},
        {"name": "Ipilimumab as active control"},
        {"description": "Matching placebo"},
        {"description": "Ipilimumab is given as background therapy."},
        {"description": "Active comparator"},
        {"description": "Serves as an active comparator."},
        {"description": "Standard of care."},
    ],
)
def test_what_calls_itself_placebo_background_or_comparator_is_not_tested(changed: dict[str, str]) -> None:
    assert in_trials(NIVOLUMAB, {**IPILIMUMAB, **changed}) == ["Nivolumab"]


def test_a_medicine_on_top_of_a_background_therapy_is_tested() -> None:
    text = "Nivolumab on top of stable background therapy"

    assert in_trials({**NIVOLUMAB, "description": text}) == ["Nivolumab"]


def test_of_the_text_of_a_record_only_its_descriptions_state_something() -> None:
    stating = "Ipilimumab caused colitis."
    criteria = {"eligibilityModule": {"eligibilityCriteria": f"Exclusion Criteria:\n\n* {stating}"}}
    told = trial(PLACEBO, summary=stating)
    listed = trial(PLACEBO, protocol=criteria)

    assert stating in listed.text
    assert [one.predicate for one in extract(told)[1]] == ["biolink:causes"]
    assert extract(listed)[1] == ()


def test_placebo_and_abbreviations_of_treatments_are_not_what_they_spell() -> None:
    document = trial({"type": "DRUG", "name": "Placebo colitis"}, {"type": "DRUG", "name": "Colitis"})

    assert [one for one in extract(document)[0] if one.start is None and one.name == "Colitis"] == []


def event(term: str, *affected: int, at_risk: int = 20) -> dict[str, Any]:
    stats = [
        {"groupId": f"EG{place}", "numAffected": number, "numAtRisk": at_risk, "numEvents": number + 1}
        for place, number in enumerate(affected)
    ]
    return {"term": term, "stats": stats}


def events(*titles: str, serious: Sequence[Any] = (), other: Sequence[Any] = ()) -> dict[str, Any]:
    groups = [{"id": f"EG{place}", "title": title} for place, title in enumerate(titles)]
    module = {"eventGroups": groups, "seriousEvents": serious, "otherEvents": other, "timeFrame": "90 days"}
    return {"adverseEventsModule": module}


def adverse(document: Document) -> list[tuple[str, str, Any]]:
    found = findings(document)
    names = {curie: entity.name for curie, entity in found.entities.items()}
    return [
        (names[one.subject], names[one.object], one.qualifiers["has_count"])
        for one in found.claims.values()
        if one.predicate == "biolink:has_adverse_event"
    ]


def test_an_adverse_event_is_an_observation_with_its_numbers() -> None:
    results = events("Nivolumab", "Placebo", serious=[event("Colitis", 3, 1)], other=[event("Nausea", 0, 2)])
    document = trial(NIVOLUMAB, PLACEBO, arms=BOTH_ARMS, results=results)

    claim = claims(document)[1]

    assert adverse(document) == [("Nivolumab", "Colitis", 3)]
    assert claim.predicate == "biolink:has_adverse_event"
    assert (claim.knowledge_level, claim.agent_type) == ("observation", "manual_agent")
    assert claim.record_field == "resultsSection.adverseEventsModule.seriousEvents[0].stats[0]"
    assert claim.sentence == "Colitis"
    assert claim.qualifiers == {
        "has_count": 3,
        "has_total": 20,
        "has_percentage": 15.0,
        "events": 4,
        "seriousness": "serious",
        "study_group": "Nivolumab",
        "time_frame": "90 days",
        "intervention_role": "experimental",
        "intervention_type": "DRUG",
    }


def test_what_those_had_who_were_given_two_medicines_is_said_of_both_with_the_other() -> None:
    both = arm("Both", "EXPERIMENTAL", "Drug: Nivolumab", "Biological: Ipilimumab")
    document = trial(NIVOLUMAB, IPILIMUMAB, arms=[both], results=events("All", other=[event("Nausea", 5)]))

    assert adverse(document) == [("Nivolumab", "Nausea", 5), ("Ipilimumab", "Nausea", 5)]
    assert [one.qualifiers.get("given_with") for one in claims(document)[2:]] == ["Ipilimumab", "Nivolumab"]


def test_an_adverse_event_of_a_comparator_is_one_and_of_background_is_none() -> None:
    arms = (
        arm("A", "EXPERIMENTAL", "Drug: Nivolumab", "Drug: Dacarbazine"),
        arm("B", "ACTIVE_COMPARATOR", "Biological: Ipilimumab", "Drug: Dacarbazine"),
    )
    drugs = (NIVOLUMAB, IPILIMUMAB, {"type": "DRUG", "name": "Dacarbazine"})
    document = trial(*drugs, arms=arms, results=events("A", "B", other=[event("Nausea", 2, 3)]))

    assert adverse(document) == [("Nivolumab", "Nausea", 2), ("Ipilimumab", "Nausea", 3)]


def test_a_study_of_another_purpose_has_adverse_events_and_tests_no_treatment() -> None:
    results = events("Nivolumab", "Placebo", other=[event("Nausea", 2)])
    document = trial(NIVOLUMAB, PLACEBO, arms=BOTH_ARMS, purpose="DIAGNOSTIC", results=results)

    assert said(document) == [("Nivolumab", "has_adverse_event", "Nausea")]


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("NIVOLUMAB", True),
        ("Arm 1: Nivolumab, every 2 weeks", True),
        ("Nivolumab-matching placebo", False),
        ("Nivolumab then placebo", False),
        ("Total", False),
        ("", False),
    ],
)
def test_a_group_of_results_is_the_arm_that_it_names(title: str, expected: bool) -> None:
    results = events(title, other=[event("Nausea", 2)])

    assert bool(adverse(trial(NIVOLUMAB, PLACEBO, arms=BOTH_ARMS, results=results))) is expected


def test_a_group_that_is_no_arm_may_be_named_after_what_it_was_given() -> None:
    arms = (arm("High", "EXPERIMENTAL", "Drug: Nivolumab"), arm("Low", "EXPERIMENTAL", "Drug: Nivolumab"))
    named = events("Nivolumab 3 mg", "Ipilimumab 3 mg", "Safety set", other=[event("Nausea", 2, 4, 6)])

    document = trial(NIVOLUMAB, arms=arms, results=named)

    assert adverse(document) == [("Nivolumab", "Nausea", 2)]
    assert findings(document).counts["results of a group that is no arm"] == 2


def test_an_event_without_a_known_name_is_counted() -> None:
    results = events("Nivolumab", "Placebo", other=[event("Gloom", 2, 1), event("Nausea", 2, 1)])

    found = findings(trial(NIVOLUMAB, PLACEBO, arms=BOTH_ARMS, results=results))

    assert found.counts["adverse events whose term is no known condition"] == 1
    assert found.counts["claims: trial_adverse_event"] == 1


def outcome(values: Sequence[Any], **more: Any) -> dict[str, Any]:
    measured = [{"groupId": f"OG{place}", "value": value} for place, value in enumerate(values)]
    measure = {
        "type": "PRIMARY",
        "title": "Overall survival",
        "timeFrame": "2 years",
        "paramType": "MEDIAN",
        "unitOfMeasure": "months",
        "groups": [{"id": "OG0", "title": "Nivolumab"}, {"id": "OG1", "title": "Placebo"}],
        "classes": [{"categories": [{"measurements": measured}]}],
        **more,
    }
    return {"outcomeMeasuresModule": {"outcomeMeasures": [measure]}}


def test_an_outcome_is_claimed_of_what_is_tested_with_its_value() -> None:
    results = outcome(["24.4", "10"])
    document = trial(NIVOLUMAB, PLACEBO, arms=BOTH_ARMS, conditions=["Melanoma", "Colitis"], results=results)

    (claim,) = (one for one in claims(document) if one.method == "trial_outcome")

    assert (claim.predicate, claim.knowledge_level) == ("biolink:studied_to_treat", "observation")
    assert claim.object == "MESH:D008545"
    assert claim.sentence == "Overall survival"
    assert claim.record_field == (
        "resultsSection.outcomeMeasuresModule.outcomeMeasures[0].classes[0].categories[0].measurements[0]"
    )
    assert claim.qualifiers == {
        "outcome_measure": "Overall survival",
        "outcome_type": "primary",
        "time_frame": "2 years",
        "study_group": "Nivolumab",
        "outcome_value": 24.4,
        "outcome_parameter": "MEDIAN",
        "outcome_unit": "months",
        "intervention_role": "experimental",
        "intervention_type": "DRUG",
    }


ANALYSIS = {"groupIds": ["OG0", "OG1"], "statisticalMethod": "Log Rank", "ciPctValue": "95",
            "ciLowerLimit": "0.5", "ciUpperLimit": "0.8"}  # fmt: skip


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        (
            {"pValue": "0.03", "paramType": "Hazard Ratio (HR)", "paramValue": "0.63"},
            {"p_value": 0.03, "effect_type": "hazard_ratio", "effect_size": 0.63},
        ),
        (
            {"pValue": "<0.001", "paramType": "Mean Difference", "paramValue": "-1,5"},
            {"p_value_stated": "<0.001", "estimate_type": "Mean Difference", "estimate": "-1,5"},
        ),
        ({"pValue": "=1e-4", "paramType": "Cox", "paramValue": "nan"},
         {"p_value": 0.0001, "estimate_type": "Cox", "estimate": "nan"}),
        ({"paramValue": "1,234.5"}, {"estimate": 1234.5}),
    ],
)  # fmt: skip
def test_an_analysis_has_its_p_value_and_estimate(stated: dict[str, str], expected: dict[str, Any]) -> None:
    results = outcome(["1"], analyses=[{**ANALYSIS, **stated}])

    claim = claims(trial(NIVOLUMAB, PLACEBO, arms=BOTH_ARMS, results=results))[-1]

    assert claim.knowledge_level == "statistical_association"
    common = {
        "outcome_measure": "Overall survival",
        "outcome_type": "primary",
        "time_frame": "2 years",
        "study_groups": "Nivolumab; Placebo",
        "statistical_method": "Log Rank",
        "confidence_level": 95,
        "lower_limit": 0.5,
        "upper_limit": 0.8,
        "intervention_role": "experimental",
        "intervention_type": "DRUG",
    }
    assert claim.qualifiers == {**common, **expected}


def test_two_doses_of_one_medicine_that_are_compared_say_nothing_of_it_against_others() -> None:
    arms = (
        arm("Nivolumab", "EXPERIMENTAL", "Drug: Nivolumab"),
        arm("Placebo", "EXPERIMENTAL", "Drug: Nivolumab"),
    )
    results = outcome([], analyses=[ANALYSIS])

    assert not [
        one
        for one in claims(trial(NIVOLUMAB, arms=arms, results=results))
        if one.method != "trial_intervention"
    ]


def test_claims_of_a_study_have_an_end_and_what_is_cut_is_counted() -> None:
    groups = [f"Group {number}" for number in range(150)]
    listed = [event("Nausea", *[1] * 150)] * 150
    single = arm("Nivolumab", "EXPERIMENTAL", "Drug: Nivolumab")

    found = findings(trial(NIVOLUMAB, arms=[single], results=events(*groups, other=listed)))

    assert len(found.claims) == MAX_CLAIMS
    assert found.counts[f"claims beyond {MAX_CLAIMS:,}"] == 150 * 150 + 1 - MAX_CLAIMS


def test_every_qualifier_is_a_slot_of_the_model_or_has_a_reason() -> None:
    results = {
        **outcome(["1"], analyses=[{**ANALYSIS, "pValue": "<1", "paramValue": "1", "paramType": "Ratio"}]),
        **events("Nivolumab", "Placebo", other=[event("Nausea", 2, 1)]),
    }
    arms = (arm("Nivolumab", "EXPERIMENTAL", "Drug: Nivolumab", "Biological: Ipilimumab"), BOTH_ARMS[1])

    found = claims(trial(NIVOLUMAB, IPILIMUMAB, PLACEBO, arms=arms, results=results))

    assert {one.method for one in found} == {"trial_intervention", "trial_adverse_event", "trial_outcome"}
    assert {slot for one in found for slot in one.qualifiers} <= SLOTS | OWN_PROPERTIES.keys()


def test_real_studies_claim_what_stands_where_they_say(shared_data: Path) -> None:
    methods: dict[str, int] = {}
    for payload in studies(shared_data):
        for claim in claims(parse_one(payload.content, payload.format)):
            methods[claim.method] = methods.get(claim.method, 0) + 1
            assert claim.record_field

    assert methods.keys() == {"trial_intervention", "trial_outcome"}
