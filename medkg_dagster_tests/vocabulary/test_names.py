"""How names are compared, and which names grammar makes of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medkg_dagster.vocabulary.derived_names import adjectives, infected, of_organs
from medkg_dagster.vocabulary.names import american, american_places, comparable, fold, singular, variants


@pytest.mark.parametrize(
    ("british", "expected"),
    [
        ("haemorrhage", "hemorrhage"),
        ("septicaemia", "septicemia"),
        ("anaesthesia", "anesthesia"),
        ("oedema", "edema"),
        ("oesophageal tumours", "esophageal tumors"),
        ("diarrhoea", "diarrhea"),
        ("dyspnoea", "dyspnea"),
        ("copper sulphate", "copper sulfate"),
        ("nerve fibre", "nerve fiber"),
        ("behavioural", "behavioral"),
    ],
)
def test_british_spelling_is_read_as_american(british: str, expected: str) -> None:
    assert american(british) == expected
    assert american(expected) == expected


@pytest.mark.parametrize(
    "word", ["aerobic", "four hours", "your tour", "coexist", "laevis", "more", "israel"]
)
def test_words_that_only_look_british_stay(word: str) -> None:
    assert american(word) == word


PARTS = st.lists(st.sampled_from(["haem", "oedema", "tumour", "sulph", "x", " ", "ae", "our", "fibre", "é"]))


@given(PARTS)
def test_places_lead_from_american_spelling_back_to_what_was_written(parts: list[str]) -> None:
    written = "".join(parts)
    spelled, places = american(written), american_places(written)

    assert len(places) == len(spelled) + 1
    assert list(places) == sorted(places)
    assert (places[0], places[-1]) == (0, len(written))
    assert all(
        written[place] == letter for place, letter in zip(places, spelled, strict=False) if letter in " xé"
    )


@pytest.mark.parametrize(
    ("plural", "expected"),
    [
        ("gentamicins", "gentamicin"),
        ("neuropathies", "neuropathy"),
        ("kidney diseases", "kidney disease"),
        ("nephritis", None),
        ("thrombus", None),
        ("abscess", None),
        ("gas", None),
        ("il-2s", None),
    ],
)
def test_the_singular_of_a_regular_plural(plural: str, expected: str | None) -> None:
    assert singular(plural) == expected


def test_names_are_compared_in_natural_order_in_the_singular_and_in_one_spelling() -> None:
    assert comparable("Tumours, Breast") == comparable("breast tumor") == "breast tumor"


def test_a_name_has_its_other_number() -> None:
    assert list(variants("Gentamicins")) == ["Gentamicins", "Gentamicin"]
    assert list(variants("neuropathy")) == ["neuropathy", "neuropathies"]
    assert list(variants("NSAID")) == ["NSAID", "NSAIDs"]


@pytest.mark.parametrize(
    ("disease", "expected"),
    [
        ("Hypertension", "hypertensive"),
        ("epilepsy", "epileptic"),
        ("thrombosis", "thrombotic"),
        ("anemia", "anemic"),
        ("schizophrenia", "schizophrenic"),
        ("dysplasia", "dysplastic"),
        ("arthritis", "arthritic"),
        ("neurotoxicity", "neurotoxic"),
        ("parkinsonism", "parkinsonian"),
        ("diabetes", "diabetic"),
        ("convulsions", "convulsive"),
        ("nephropathy", "nephropathic"),
        ("exencephaly", "exencephalic"),
        ("thromboembolism", "thromboembolic"),
        ("depression", "depressive depressed"),
        ("aggression", ""),
        ("cancer", ""),
        ("Kidney Failure", ""),
        ("AIDS", ""),
        ("gout", ""),
    ],
)
def test_the_adjectives_of_a_disease(disease: str, expected: str) -> None:
    assert adjectives(disease) == tuple(expected.split())


def test_who_has_an_infection_is_infected_with_it() -> None:
    assert {"HIV-infected", "HIV infected", "HIV co-infection"} < set(infected("HIV infections"))
    assert infected("influenza") == ()


def test_what_ails_an_organ_is_said_with_its_adjective_its_noun_and_its_stem() -> None:
    names = of_organs()["kidney diseases"]

    assert {"renal damage", "kidney dysfunction", "nephrotoxicity", "nephrotoxic"} <= set(names)
    assert all(name == fold(name) for derived in of_organs().values() for name in derived)
