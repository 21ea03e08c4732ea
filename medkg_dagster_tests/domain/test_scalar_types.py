"""Scalars that pydantic would convert are found, and nothing that a model means to convert."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, BeforeValidator, Field, ValidationError, field_validator

from medkg_dagster.domain.scalar_types import find_mistyped


class Inner(BaseModel):
    ratio: Annotated[float, Field(gt=0)] = 1
    flag: bool = True


class Outer(BaseModel):
    count: int = 1
    seconds: float | None = None
    limit: Annotated[int | None, Field(gt=0)] = None
    either: int | str = 1
    numbers: tuple[int, ...] = ()
    by_name: dict[str, Inner] = Field(default_factory=dict)
    inner: Inner | None = None
    renamed: int = Field(default=1, alias="called")
    converted: Annotated[int, BeforeValidator(int)] = 1
    also_converted: int = 1
    choice: Literal[1, 2] | None = None
    anything: Any = None
    unhashable: dict[str, Annotated[list[Annotated[int, {}]], {}]] | int = 0

    @field_validator("also_converted", mode="before")
    @classmethod
    def _convert(cls, value: Any) -> Any:
        return int(value)


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ({"count": True}, ("count",)),
        ({"count": "1"}, ("count",)),
        ({"seconds": " 1.5 "}, ("seconds",)),
        ({"limit": "7"}, ("limit",)),
        ({"numbers": [1, 2, "3"]}, ("numbers", 2)),
        ({"by_name": {"x": {"ratio": False}}}, ("by_name", "x", "ratio")),
        ({"inner": {"flag": "yes"}}, ("inner", "flag")),
        ({"inner": {"flag": 1}}, ("inner", "flag")),
        ({"called": "1"}, ("called",)),
        ({"unhashable": {"x": ["1"]}}, ("unhashable", "x", 0)),
    ],
)
def test_what_would_be_converted_is_found_at_its_place(value: Any, path: tuple[str | int, ...]) -> None:
    assert [found.path for found in find_mistyped(Outer, value)] == [path]


@pytest.mark.parametrize(
    ("written", "instead"), [("NaN", ".nan"), ("inf", ".inf"), ("-Infinity", "-.inf"), ("1e9", "1000000000")]
)
def test_how_to_write_a_number_is_said_in_the_words_of_yaml(written: str, instead: str) -> None:
    (found,) = find_mistyped(Outer, {"seconds": written})

    assert found.hint == f"write {instead}, without quotes"
    assert yaml.safe_load(instead) == pytest.approx(float(written), nan_ok=True)


@pytest.mark.parametrize(
    "value",
    [
        {"count": 1, "seconds": 1, "limit": None, "either": "1", "numbers": [], "inner": {"flag": False}},
        {"converted": "1", "also_converted": "1", "anything": "1"},
        {"count": "one", "inner": {"flag": "perhaps"}, "unknown": "1"},  # the model itself says so
        [],
        None,
    ],
)
def test_what_is_of_its_type_or_refused_anyway_is_not_told_of(value: Any) -> None:
    assert not list(find_mistyped(Outer, value))


SCALARS = st.one_of(
    st.booleans(),
    st.integers(0, 3),
    st.sampled_from([0.0, 1.0, 1.5]),
    st.sampled_from(["0", "1", "1.5", "yes", "No", "ON", "t", "٣", "1_0", "1e3", "", "x"]),
)


@given(SCALARS)
def test_a_scalar_that_passes_is_of_the_type_its_field_says(value: Any) -> None:
    for field, types in (("ratio", (int, float)), ("flag", (bool,))):
        try:
            Inner.model_validate({field: value})
        except ValidationError:
            continue
        if not list(find_mistyped(Inner, {field: value})):
            assert isinstance(value, types)
            assert isinstance(value, bool) is (types == (bool,))


def test_a_model_is_looked_at_anew_once_the_classes_it_names_are_known() -> None:
    class Early(BaseModel):
        later: "Later | None" = None  # type: ignore[name-defined]  # noqa: F821, UP037 - known later

    value = {"later": {"ratio": "1"}}
    assert not list(find_mistyped(Early, value))
    Early.model_rebuild(_types_namespace={"Later": Inner})
    assert [found.path for found in find_mistyped(Early, value)] == [("later", "ratio")]
