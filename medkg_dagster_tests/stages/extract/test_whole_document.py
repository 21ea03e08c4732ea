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
            Concept("X:8", "mildanserin", "biolink:ChemicalEntity", ("MDNS",)),
            Concept("X:10", "dim syndrome 1", "biolink:Disease", ("DS1",)),
            Concept("X:9", "psychosis", "biolink:Disease", ("psychotic",)),
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
    assert spelled_out("Effects on the CNS and of AMP and DS1 were seen.") == [[]]


def test_four_letters_name_a_chemical_by_themselves() -> None:
    assert spelled_out("MDNS was given.") == [[("X:8", "MDNS")]]


def test_a_code_in_brackets_behind_a_chemical_means_it_in_all_of_the_document() -> None:
    assert spelled_out("MK-801 in rats.", "We gave amphetamine (MK-801; 2 mg) and atropine (Fig. 12).") == [
        [("X:6", "MK-801")],
        [("X:6", "amphetamine"), ("X:6", "MK-801"), ("X:5", "atropine")],
    ]


def test_an_abbreviation_of_what_is_named_elsewhere_is_one() -> None:
    assert spelled_out("AMP was given.", "Amphetamine is a stimulant.") == [
        [("X:6", "AMP")],
        [("X:6", "Amphetamine")],
    ]


def test_what_is_no_abbreviation_in_brackets_changes_no_meaning() -> None:
    assert spelled_out("After long fasting (ALF,K)-ATPase rose.") == [[("X:7", "ALF")]]
    assert spelled_out("After long fasting [ALF]o rose.") == [[("X:7", "ALF")]]
    assert spelled_out("After long fasting (ALF, K) it rose.") == [[]]


def test_how_much_there_is_of_a_disease_is_not_the_disease() -> None:
    assert spelled_out("Spread of stroke (SOS); SOS was 5.") == [[("X:4", "stroke")]]


def test_the_first_definition_of_an_abbreviation_counts() -> None:
    sentences = ("They had acute liver failure (ALF).", "An artificial light filter (ALF) and ALF.")

    assert spelled_out(*sentences)[1] == [("X:1", "ALF"), ("X:1", "ALF")]


def test_an_adjective_and_the_disease_behind_it_are_one_mention_of_the_disease() -> None:
    assert joined("ischemic stroke and ischemic rats") == [("X:4", "ischemic stroke"), ("X:3", "ischemic")]


def test_a_medicine_and_what_it_is_made_a_salt_with_are_one_mention_of_the_medicine() -> None:
    assert joined("atropine sulfate, atropine sulfates") == [("X:5", "atropine sulfate"), ("X:5", "atropine")]


def test_how_a_chemical_is_marked_and_arranged_is_part_of_its_name() -> None:
    assert joined("[3H]-atropine, (R)-alpha-amphetamine HCl and mono-atropine.") == [
        ("X:5", "[3H]-atropine"),
        ("X:6", "(R)-alpha-amphetamine HCl"),
        ("X:5", "atropine"),
    ]


def test_the_symptoms_that_an_adjective_tells_of_are_the_disease() -> None:
    assert joined("Psychotic symptoms and stroke symptoms.") == [
        ("X:9", "Psychotic symptoms"),
        ("X:4", "stroke"),
    ]
