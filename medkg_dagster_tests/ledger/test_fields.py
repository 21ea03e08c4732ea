import dataclasses
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from medkg_dagster.domain.gate_conditions import RESERVED_FIELDS
from medkg_dagster.ledger.encoding import from_json, storable, to_json
from medkg_dagster.ledger.fields import assign, flatten, lookup
from medkg_dagster.ledger.models import Job

names = st.text(min_size=1).filter(lambda name: "." not in name and name not in RESERVED_FIELDS)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(st.lists(names, min_size=1, max_size=4), values)
def test_what_is_assigned_is_found_again(parts: list[str], value: Any) -> None:
    fields: dict[str, Any] = {}
    assign(fields, ".".join(parts), value)
    assert lookup(fields, ".".join(parts), "absent") == value


@given(st.dictionaries(names, st.integers() | st.dictionaries(names, st.text(), min_size=1), max_size=5))
def test_assigning_flattened_fields_gives_the_fields_again(fields: dict[str, Any]) -> None:
    rebuilt: dict[str, Any] = {}
    for path, value in flatten(fields):
        assign(rebuilt, path, value)
    assert rebuilt == fields


@given(values)
def test_json_comes_back_equal_and_equal_values_give_equal_text(value: Any) -> None:
    text = to_json(value, "it")
    text.encode()
    assert from_json(text) == value
    assert to_json(json.loads(text), "it") == text


@given(st.text(alphabet=st.characters()))
def test_storable_text_has_no_nul_and_can_be_encoded(text: str) -> None:
    assert "\x00" not in storable(text)
    storable(text).encode()


@given(st.dictionaries(st.text(alphabet=st.characters()), st.text(alphabet=st.characters()), max_size=3))
def test_what_is_read_can_be_shown_whoever_wrote_it(value: dict[str, str]) -> None:
    for written in (json.dumps(value), to_json(value, "it")):
        read = from_json(written)
        for text in (*read, *read.values()):
            text.encode()
        assert from_json(to_json(read, "it")) == read


def test_half_of_a_surrogate_pair_is_read_as_its_escape() -> None:
    assert from_json(r'{"\uD800": "\ud83d\ude00 \udfff"}') == {r"\ud800": "\U0001f600 \\udfff"}


def test_a_missing_path_gives_the_default() -> None:
    assert lookup({"a": 1}, "a.b", "absent") == "absent"
    assert lookup({}, "a") is None


def test_no_field_is_called_like_a_column_of_its_job() -> None:
    columns = {field.name for field in dataclasses.fields(Job)} - {"problem"}
    assert columns | {"gates"} == RESERVED_FIELDS
