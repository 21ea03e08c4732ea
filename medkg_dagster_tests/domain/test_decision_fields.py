"""Inputs of a decision: what they may be, what is said of what they may not, and how text is read."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from medkg_dagster.domain.decision_fields import DecisionField, check_inputs, overlapping, read_inputs
from medkg_dagster.errors import ConfigError


def field(**written: Any) -> DecisionField:
    return DecisionField.model_validate({"name": "review.score", **written})


SCORE = field(type="integer", description="How good it is")
NOTE = field(name="review.note", required=False)
LICENCE = field(name="licence", choices=["CC0", "CC-BY"], default="CC0")


@pytest.mark.parametrize(
    ("kind", "fits", "does_not"),
    [
        ("text", ["a", " b "], ["", "  ", 1, True, None]),
        ("integer", [0, -3], [True, 1.0, "1", None]),
        ("number", [1, 0.5], [True, "1", float("nan"), float("inf"), None]),
        ("boolean", [True, False], [0, 1, "true", None]),
    ],
)
def test_types_are_strict(kind: str, fits: list[Any], does_not: list[Any]) -> None:
    assert all(field(type=kind).takes(value) for value in fits)
    assert not any(field(type=kind).takes(value) for value in does_not)


def test_all_that_is_wrong_is_said_at_once_with_what_to_write() -> None:
    with pytest.raises(ConfigError) as refused:
        check_inputs("review", [SCORE, LICENCE], {"licence": "GPL", "licens": "CC0"}, approves=True)

    assert str(refused.value) == (
        "gate 'review': 'licens' is no input of it; did you mean 'licence'? known: licence, review.score; "
        "'review.score' (How good it is) is missing: a whole number; write review.score=3; "
        "'licence' must be one of CC0, CC-BY, got 'GPL'; write licence=CC0"
    )


def test_what_is_left_out_has_its_default_or_is_left_out() -> None:
    assert check_inputs("review", [SCORE, NOTE, LICENCE], {"review.score": 3}, approves=True) == {
        "review.score": 3,
        "licence": "CC0",
    }
    assert check_inputs("review", [SCORE, NOTE, LICENCE], {}, approves=False) == {}


def test_who_rejects_may_say_something_and_it_is_checked() -> None:
    assert check_inputs("review", [SCORE], {"review.score": 1}, approves=False) == {"review.score": 1}
    with pytest.raises(ConfigError, match="must be a whole number, got 'low'"):
        check_inputs("review", [SCORE], {"review.score": "low"}, approves=False)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ({"name": "status"}, "'status' is a job's own"),
        ({"name": "a b"}, "should match pattern"),
        ({"type": "integer", "default": "three"}, "the default 'three' is not a whole number"),
        ({"choices": ["a"], "default": "b"}, "the default 'b' is not one of a"),
        ({"type": "integer", "choices": [1, "b"]}, "the choice 'b' is not a whole number"),
        ({"type": "date"}, "'text', 'integer', 'number' or 'boolean'"),
    ],
)
def test_a_field_that_makes_no_sense_is_refused(written: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        field(**written)


def test_no_input_lies_in_another() -> None:
    assert overlapping([SCORE, NOTE]) is None
    assert (
        overlapping([field(name="review"), SCORE])
        == "'review.score' would lie in 'review', which is an input too"
    )
    assert overlapping([SCORE, SCORE]) == "'review.score' is the name of several inputs"


@given(st.text())
def test_whatever_is_typed_is_a_value_of_the_type_or_refused(text: str) -> None:
    for kind in ("text", "integer", "number", "boolean"):
        asked = field(type=kind)
        (value,) = read_inputs([asked], {"review.score": text}).values()
        if asked.takes(value):
            assert check_inputs("g", [asked], {"review.score": value}, approves=True) == {
                "review.score": value
            }
        else:
            with pytest.raises(ConfigError, match=r"write review\.score="):
                check_inputs("g", [asked], {"review.score": value}, approves=True)


@given(st.integers())
def test_numbers_are_read_as_they_are_written(number: int) -> None:
    assert read_inputs([SCORE], {"review.score": str(number)}) == {"review.score": number}
