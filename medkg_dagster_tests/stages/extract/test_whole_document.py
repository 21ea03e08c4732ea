"""A mention is read with the rest of its document: abbreviations as it defines them, compounds as one."""

from __future__ import annotations

from medkg_dagster.stages.extract.mentions import Matcher
from medkg_dagster.stages.extract.terms import Vocabulary
from medkg_dagster.stages.extract.whole_document import join, spell_out
from medkg_dagster.vocabulary.concepts import Concept

MATCHER = Matcher(
    Vocabulary(
        (
            Concept("X:1", "liver failure", "biolink:Disease"),
            Concept("X:2", "cyclic neutropenia", "biolink:Disease", ("CNS",)),
            Concept("X:3", "ischemia", "biolink:Disease", ("ischemic",)),
            Concept("X:4", "stroke", "biolink:Disease"),
            Concept("X:5", "atropine", "biolink:ChemicalEntity"),
            Concept("X:6", "amphetamine", "biolink:ChemicalEntity", ("AMP",)),
            Concept("X:7", "ALF", "biolink:Gene"),
        )
    )
)


def spelled_out(*sentences: str) -> list[list[tuple[str, str]]]:
    found = spell_out(sentences, [MATCHER.find(text) for text in sentences])
    return [
        [(one.concept.curie, text[one.start : one.end]) for one in mentions]
        for text, mentions in zip(sentences, found, strict=True)
    ]


def joined(text: str) -> list[tuple[str, str]]:
    return [(one.concept.curie, text[one.start : one.end]) for one in join(text, MATCHER.find(text))]


def test_an_abbreviation_that_is_defined_in_the_abstract_is_understood_in_the_title() -> None:
    assert spelled_out("ALF in mice", "They had acute liver failure (ALF).") == [
        [("X:1", "ALF")],
        [("X:1", "liver failure"), ("X:1", "ALF")],
    ]


def test_a_qualified_disease_gives_its_abbreviation_the_meaning_that_is_known() -> None:
    assert spelled_out("Acute liver failure (ALF) is rare; ALF kills.")[0][1:] == [
        ("X:1", "ALF"),
        ("X:1", "ALF"),
    ]


def test_an_abbreviation_that_the_document_does_not_bear_out_is_no_mention() -> None:
    assert spelled_out("Effects on the CNS and of AMP were seen.") == [[]]


def test_an_abbreviation_of_what_is_named_elsewhere_is_one() -> None:
    assert spelled_out("AMP was given.", "Amphetamine is a stimulant.") == [
        [("X:6", "AMP")],
        [("X:6", "Amphetamine")],
    ]


def test_the_first_definition_of_an_abbreviation_counts() -> None:
    sentences = ("They had acute liver failure (ALF).", "An artificial light filter (ALF) and ALF.")

    assert spelled_out(*sentences)[1] == [("X:1", "ALF"), ("X:1", "ALF")]


def test_an_adjective_and_the_disease_behind_it_are_one_mention_of_the_disease() -> None:
    assert joined("ischemic stroke and ischemic rats") == [("X:4", "ischemic stroke"), ("X:3", "ischemic")]


def test_a_medicine_and_what_it_is_made_a_salt_with_are_one_mention_of_the_medicine() -> None:
    assert joined("atropine sulfate, atropine sulfates") == [("X:5", "atropine sulfate"), ("X:5", "atropine")]
