"""Which single words in names of diseases say something else in text."""

from __future__ import annotations

import pytest

from medkg_dagster.vocabulary.everyday_words import is_everyday_word, is_singular_of_none
from medkg_dagster.vocabulary.unify import Thing


def disease(name: str, *synonyms: str, curie: str = "MONDO:1", headed: frozenset[str] = frozenset()) -> Thing:
    return Thing(curie, name, "biolink:Disease", synonyms, headed=headed)


@pytest.mark.parametrize(
    ("word", "name", "is_everyday"),
    [
        ("sterile", "infertility disorder", True),
        ("Allergic", "atopic eczema", True),
        ("infectious", "infectious disease", True),
        ("pituitary", "hypophysitis", True),
        ("oncology", "neoplasm", True),
        ("infertile", "infertility disorder", False),
        ("manic", "mania", False),
        ("stroke", "cerebrovascular disorder", False),
        ("withdrawal", "substance dependence", False),
        ("childbed fever, toxic", "puerperal sepsis", False),
    ],
)
def test_what_has_the_form_of_an_adjective_or_a_science_is_no_name_of_a_disease(
    word: str, name: str, is_everyday: bool
) -> None:
    assert is_everyday_word(word, disease(name, word)) is is_everyday


def test_a_stem_that_other_names_go_on_from_is_no_name_of_its_own() -> None:
    assert is_everyday_word("mono", disease("infectious mononucleosis", "mono"))
    assert not is_everyday_word("polio", disease("infantile paralysis", "polio"))


def test_what_mesh_calls_a_heading_is_its_name_and_so_is_what_others_list() -> None:
    assert not is_everyday_word("Mono", disease("mononucleosis", "Mono", headed=frozenset({"mono"})))
    assert not is_everyday_word("sterile", disease("infertility", "sterile", curie="OWN:1"))


def test_a_singular_is_formed_only_where_a_disease_has_it_in_its_name() -> None:
    words = {"hives", "seizures", "seizure", "disorder"}
    urticaria = disease("urticaria", "hives")

    assert is_singular_of_none("hive", "hives", urticaria, words)
    assert not is_singular_of_none("seizure", "seizures", disease("seizures"), words)
    assert not is_singular_of_none("strokes", "stroke", disease("stroke"), words)
    assert not is_singular_of_none("hive", "hives", disease("hives", curie="OWN:1"), words)
