"""A species is found by its abbreviated name where the document names it in full."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medkg_dagster.stages.extract.mentions import Matcher, Mention
from medkg_dagster.stages.extract.organisms import with_species
from medkg_dagster.stages.extract.terms import Vocabulary
from medkg_dagster.vocabulary.concepts import Concept

VOCABULARY = Vocabulary(
    (
        Concept("X:1", "Mycobacterium tuberculosis", "biolink:OrganismTaxon"),
        Concept("X:2", "tuberculosis", "biolink:Disease"),
        Concept("X:3", "Giardia", "biolink:OrganismTaxon"),
    )
)


def named(*texts: str) -> list[list[str]]:
    matcher = Matcher(VOCABULARY)
    found = with_species(texts, [matcher.find(text) for text in texts])
    return [
        [f"{text[one.start : one.end]} {one.concept.curie}" for one in mentions]
        for text, mentions in zip(texts, found, strict=True)
    ]


def test_an_abbreviated_name_is_the_species_and_not_the_disease_that_stands_in_it() -> None:
    assert named("Mycobacterium tuberculosis grew.", "M. tuberculosis causes tuberculosis.") == [
        ["Mycobacterium tuberculosis X:1"],
        ["M. tuberculosis X:1", "tuberculosis X:2"],
    ]


@pytest.mark.parametrize("text", ["M. bovis grew.", "N. tuberculosis grew.", "m. tuberculosis grew."])
def test_an_abbreviation_that_no_name_explains_is_left_as_it_is(text: str) -> None:
    assert not any("X:1" in one for one in named("Mycobacterium tuberculosis grew.", text)[1])


def test_a_document_that_names_no_species_in_full_keeps_its_mentions() -> None:
    assert named("Giardia and M. tuberculosis grew.") == [["Giardia X:3", "tuberculosis X:2"]]


@given(st.lists(st.text("MGm. tuberclosiyatdi", max_size=40), max_size=3))
def test_mentions_are_in_order_apart_and_true_to_the_text(texts: list[str]) -> None:
    texts = ["Mycobacterium tuberculosis", *texts]
    found: list[tuple[Mention, ...]] = with_species(texts, [Matcher(VOCABULARY).find(text) for text in texts])

    for text, mentions in zip(texts, found, strict=True):
        places = [place for one in mentions for place in (one.start, one.end)]
        assert places == sorted(places)
        assert all(text[one.start : one.end].strip() for one in mentions)
