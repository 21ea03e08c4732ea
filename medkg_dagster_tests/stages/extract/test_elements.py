"""Elements are found by their symbols where something says that they are meant so."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medkg_dagster.stages.extract.elements import with_elements
from medkg_dagster.stages.extract.mentions import Mention
from medkg_dagster.stages.extract.terms import Vocabulary
from medkg_dagster.vocabulary.concepts import Concept

NAMES = (
    *("sodium", "potassium", "calcium", "magnesium", "lithium", "chloride"),
    *("calcium chloride", "sodium bicarbonate", "potassium chloride"),
)
VOCABULARY = Vocabulary(tuple(Concept(f"X:{name}", name, "biolink:ChemicalEntity") for name in NAMES))


def symbols(*texts: str) -> list[list[str]]:
    found = with_elements(texts, [()] * len(texts), VOCABULARY)
    return [
        [f"{text[one.start : one.end]} {one.concept.name}" for one in mentions]
        for text, mentions in zip(texts, found, strict=True)
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Levels of K+ and Cl- rose.", ["K potassium", "Cl chloride"]),
        ("In Mg(2+)-free medium, Ca2+, Ca+2.", ["Mg magnesium", "Ca calcium", "Ca calcium"]),
        ("Na⁺ and Ca²⁺ entered.", ["Na sodium", "Ca calcium"]),
        ("The (Na,K)-ATPase and Na+/K+ ATPase.", ["Na sodium", "K potassium", "Na sodium", "K potassium"]),
        ("Lowering [Na]o to 78 mM.", ["Na sodium"]),
        ("The Na+-binding site.", ["Na sodium"]),
        ("K. pneumoniae, Group K, Na ve patients and K-ras.", []),
        ("Type K-1 and Li-2.", []),
    ],
)
def test_a_symbol_is_an_element_where_charge_or_brackets_or_a_pump_say_so(
    text: str, expected: list[str]
) -> None:
    assert symbols(text) == [expected]


def test_a_formula_of_a_salt_is_the_salt() -> None:
    assert symbols("With CaCl(2), NaHCO3 and KCl, NaClx, pKCl.") == [
        ["CaCl(2) calcium chloride", "NaHCO3 sodium bicarbonate", "KCl potassium chloride"]
    ]


def test_a_symbol_of_two_letters_that_is_meant_once_is_meant_in_all_of_a_document() -> None:
    assert symbols("With 1 mM Na and K.", "Then Na+ and K+ fell.") == [
        ["Na sodium"],
        ["Na sodium", "K potassium"],
    ]


def test_what_a_longer_name_covers_stays_its_own() -> None:
    text = "The Na+ channel blocker."
    longer = Mention(4, 15, Concept("X:1", "Na+ channel", "biolink:Protein"))

    assert with_elements([text], [(longer,)], VOCABULARY) == [(longer,)]


@given(st.lists(st.text("NaKCL+-()[]/, o2ATPse", max_size=60), max_size=3))
def test_mentions_are_in_order_apart_and_true_to_the_text(texts: list[str]) -> None:
    for text, mentions in zip(texts, with_elements(texts, [()] * len(texts), VOCABULARY), strict=True):
        assert all(
            re.fullmatch("(?:Na|K|Ca|Li)?(?:Cl[()2]*)?", text[one.start : one.end]) for one in mentions
        )
        places = [place for one in mentions for place in (one.start, one.end)]
        assert places == sorted(places)
