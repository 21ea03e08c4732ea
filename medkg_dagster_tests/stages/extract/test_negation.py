from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medkg_dagster.stages.extract.negation import REACH, Negation


def negated(text: str) -> list[str]:
    """Return the words in capitals that a text denies."""
    negation, found, start = Negation(text), [], 0
    for word in text.split(" "):
        name = word.strip(".,;:()'\"-")
        at = text.index(name, start) if name else start
        start = at + len(name)
        if len(name) > 3 and name.isupper() and negation.covers(at, start):
            found.append(name)
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("There was no evidence of COLITIS.", ["COLITIS"]),
        ("The patient denies COLITIS.", ["COLITIS"]),
        ("She recovered without COLITIS.", ["COLITIS"]),
        ("Biopsies were negative for COLITIS.", ["COLITIS"]),
        ("COLITIS was ruled out.", ["COLITIS"]),
        ("We ruled out COLITIS.", ["COLITIS"]),
        ("He was free of COLITIS.", ["COLITIS"]),
        ("The absence of COLITIS is of note.", ["COLITIS"]),
        ("It lacked COLITIS.", ["COLITIS"]),
        ("It failed to cause COLITIS.", ["COLITIS"]),
        ("It never caused COLITIS.", ["COLITIS"]),
        ("It doesn’t cause COLITIS.", ["COLITIS"]),
        ("COLITIS was excluded.", ["COLITIS"]),
        ("COLITIS is absent.", ["COLITIS"]),
        ("COLITIS never recurred.", ["COLITIS"]),
        ("COLITIS was not observed in any patient.", ["COLITIS"]),
        ("COLITIS did not recur.", ["COLITIS"]),
        ("Neither HEPATITIS nor COLITIS occurred.", ["HEPATITIS", "COLITIS"]),
        ("He did not develop severe COLITIS.", ["COLITIS"]),
        ("No history of COLITIS, HEPATITIS, and STROKE was found.", ["COLITIS", "HEPATITIS", "STROKE"]),
        ("No COLITIS, HEPATITIS or STROKE was seen.", ["COLITIS", "HEPATITIS", "STROKE"]),
        ("COLITIS was observed.", []),
        ("There was not only HEPATITIS and COLITIS.", []),
        ("No fever, but COLITIS was found.", []),
        ("No fever; COLITIS was found.", []),
        ("There was no change in the COLITIS.", []),
        ("There was no increase in COLITIS.", []),
        ("No trial of this size in so many centers has ever looked at COLITIS.", []),
        ("COLITIS improved, but hepatitis was not observed.", []),
        ("With or without COLITIS, patients took part.", []),
        ("Absence of PAIN is 0 and maximum PAIN imaginable is 100.", ["PAIN"]),
        ("From 0 (no PAIN) to 10 (worst PAIN).", ["PAIN"]),
        ("Patients not undergoing resection of GLIOMA take part.", []),
        ("No further workup for HEPATITIS was done.", []),
        ("Organisms produce energy without using OXYGEN.", []),
        ("He had no LUPUS-related event.", []),
        ("Uncontrolled illness including, but not limited to, active INFECTION and STROKE.", []),
    ],
)
def test_a_negation_reaches_as_far_as_the_phrase_it_governs(text: str, expected: list[str]) -> None:
    assert negated(text) == expected


def test_what_is_not_limited_to_something_is_not_denied(shared_data: Path) -> None:
    path = shared_data.parent / "faults" / "claims-negation" / "negation.txt"
    text = path.read_text(encoding="utf-8").split("\n\n")[1]
    sentence, scale = text.split(". On")

    for name in ("infection", "heart failure", "pneumonia"):
        assert not Negation(sentence).covers(sentence.index(name), sentence.index(name) + len(name))
    assert not Negation(scale).covers(scale.rindex("pain"), scale.rindex("pain") + 4)


@given(
    st.lists(st.sampled_from(["no", "without", "colitis", "and", "or", ",", ".", "İ", "was ruled out", "of"]))
)
def test_nothing_is_denied_where_nothing_denies(words: list[str]) -> None:
    text = " ".join(words)
    plain = text.replace("no", "xx").replace("without", "xx").replace("ruled out", "xx")

    for sentence in (text, plain):
        negation = Negation(sentence)
        denied = [at for at in range(len(sentence)) if negation.covers(at, at + 1)]
        assert sentence is text or denied == []


def test_a_negation_does_not_reach_over_very_long_texts() -> None:
    text = "no " + "word " * (REACH // 2) + "colitis"

    assert not Negation(text).covers(text.index("colitis"), len(text))


@given(
    st.lists(
        st.sampled_from(
            [
                "no",
                "never had",
                "negative for",
                "history of",
                "colitis",
                "and",
                "or",
                ",",
                "of",
                "a b c d e f",
            ]
        ),
        max_size=60,
    )
)
def test_what_is_denied_is_denied_whatever_stands_before_it(words: list[str]) -> None:
    text = " ".join(words)
    places = [at for at in range(len(text)) if text.startswith("colitis", at)]
    whole = Negation(text)
    begins = [0, *(at for at in range(len(text)) if text.startswith(("no ", "never had", "negative"), at))]

    for at in places:
        parts = [Negation(text[begin:]).covers(at - begin, at - begin + 7) for begin in begins if begin <= at]
        assert whole.covers(at, at + 7) is any(parts)


def test_as_many_negations_as_there_are_words_are_read_as_one() -> None:
    many = "no " * 100_000

    negation = Negation(many + "colitis, " + many + "that hepatitis")

    assert negation.covers(len(many), len(many) + 7)
    assert not negation.covers(2 * len(many) + 14, 2 * len(many) + 23)
