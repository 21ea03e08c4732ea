"""Diseases that share a word are all named, and each at all of the words that name it."""

from __future__ import annotations

import pytest

from medkg_dagster.stages.extract.composites import parts
from medkg_dagster.stages.extract.terms import Vocabulary
from medkg_dagster.vocabulary.concepts import Concept

VOCABULARY = Vocabulary(
    tuple(
        Concept(f"X:{number}", name, "biolink:Disease")
        for number, name in enumerate(
            (
                "breast cancer",
                "ovarian cancer",
                "lung cancer",
                "renal failure",
                "chronic liver failure",
                "pain",
            )
        )
    )
)


def named(text: str) -> list[tuple[str, str, str]]:
    """Return of each mention its concept, what is its own, and all of it."""
    found = parts(text, VOCABULARY.matcher(3).find(text), VOCABULARY)
    return [
        (one.mention.concept.curie, text[one.mention.start : one.mention.end], text[one.start : one.end])
        for one in found
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "Risk of breast and ovarian cancer.",
            [
                ("X:0", "breast", "breast and ovarian cancer"),
                ("X:1", "ovarian cancer", "breast and ovarian cancer"),
            ],
        ),
        (
            "Of lung, breast, and/or ovarian cancers.",
            [
                ("X:2", "lung", "lung, breast, and/or ovarian cancers"),
                ("X:0", "breast", "lung, breast, and/or ovarian cancers"),
                ("X:1", "ovarian cancers", "lung, breast, and/or ovarian cancers"),
            ],
        ),
        (
            "A renal and chronic liver failure.",
            [
                ("X:3", "renal", "renal and chronic liver failure"),
                ("X:4", "chronic liver failure", "renal and chronic liver failure"),
            ],
        ),
        ("Men and ovarian cancer.", [("X:1", "ovarian cancer", "ovarian cancer")]),
        ("Pain and ovarian cancer.", [("X:5", "Pain", "Pain"), ("X:1", "ovarian cancer", "ovarian cancer")]),
        ("Breast, ovarian cancer.", [("X:1", "ovarian cancer", "ovarian cancer")]),
        ("Breast or pain.", [("X:5", "pain", "pain")]),
    ],
)
def test_words_before_a_disease_that_share_its_last_ones_name_others(
    text: str, expected: list[tuple[str, str, str]]
) -> None:
    assert named(text) == expected
