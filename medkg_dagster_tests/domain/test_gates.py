from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from medkg_dagster.domain.gate_conditions import (
    ABSENT,
    GateClause,
    GateCondition,
    GateOperator,
    GateVerdict,
    describe_condition,
    judge,
    look_up,
    observed_fields,
)

WITHOUT_VALUE = ("exists", "changed")
ORDERING = ("gt", "gte", "lt", "lte")

scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
)
json_values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
)
names = st.sampled_from(["a", "b", "c"])
paths = st.lists(names, min_size=1, max_size=3).map(".".join)
fields_of_jobs = st.dictionaries(
    names, json_values | st.dictionaries(names, json_values, max_size=3), max_size=3
)


@st.composite
def clauses(draw: st.DrawFn) -> GateClause:
    operator = draw(st.sampled_from(list(GateOperator)))
    described: dict[str, Any] = {"field": draw(paths), "operator": operator}
    if operator is GateOperator.IN:
        described["value"] = draw(st.lists(json_values, min_size=1, max_size=3))
    elif operator.value in ORDERING:
        described["value"] = draw(
            st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
        )
    elif operator.value not in WITHOUT_VALUE:
        described["value"] = draw(json_values)
    return GateClause.model_validate(described)


conditions = st.builds(
    GateCondition,
    mode=st.sampled_from(["all", "any"]),
    clauses=st.lists(clauses(), min_size=1, max_size=3).map(tuple),
)


def condition(*items: dict[str, Any], **options: Any) -> GateCondition:
    return GateCondition.model_validate({"clauses": list(items), **options})


def verdict(operator: str, value: Any, observed: Any = ABSENT) -> GateVerdict:
    """Judge one clause on the field `f`."""
    clause = {"field": "f", "operator": operator}
    if operator not in WITHOUT_VALUE:
        clause["value"] = value
    return judge(condition(clause), {} if observed is ABSENT else {"f": observed}, None)


@pytest.mark.parametrize(
    ("operator", "value", "observed", "held"),
    [
        ("exists", None, 0, True),
        ("exists", None, None, True),
        ("exists", None, ABSENT, False),
        ("equals", True, True, True),
        ("equals", True, False, False),
        ("equals", None, None, True),
        ("equals", None, ABSENT, False),
        ("equals", 1, 1.0, True),
        ("equals", [1, {"a": "b"}], [1, {"a": "b"}], True),
        ("equals", [1, 2], [2, 1], False),
        ("equals", {"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        ("equals", {"a": 1}, {"a": 1, "b": 2}, False),
        ("not_equals", "done", "open", True),
        ("not_equals", "done", "done", False),
        ("not_equals", "done", ABSENT, False),
        ("in", ["a", "b"], "b", True),
        ("in", ["a", "b"], "c", False),
        ("in", [[1]], [1], True),
        ("in", ["a"], ABSENT, False),
        ("gt", 3, 4, True),
        ("gt", 3, 3, False),
        ("gte", 3, 3, True),
        ("lt", 3, 2.5, True),
        ("lt", 3, 3, False),
        ("lte", 3, 3, True),
        ("gt", "2026-01-31", "2026-02-01", True),
        ("lte", "2026-01-31", "2026-02-01", False),
        ("gte", 0, ABSENT, False),
        ("gt", 10**400, 1e308, False),
    ],
)
def test_an_operator_holds_or_not(operator: str, value: Any, observed: Any, held: bool) -> None:
    assert verdict(operator, value, observed).held is held


@pytest.mark.parametrize(
    ("operator", "value", "observed", "note"),
    [
        ("equals", True, "true", "it is text, not a boolean"),
        ("equals", True, 1, "it is a number, not a boolean"),
        ("equals", 1, True, "it is a boolean, not a number"),
        ("equals", 0, False, "it is a boolean, not a number"),
        ("equals", "1", 1, "it is a number, not text"),
        ("equals", "x", None, "it is null, not text"),
        ("equals", {"a": 1}, [1], "it is a list, not an object"),
        ("in", [1, "b"], True, "it is a boolean, not a number or text"),
        ("gt", 3, "4", "it is text, not a number"),
        ("lt", 3, False, "it is a boolean, not a number"),
    ],
)
def test_values_of_different_types_are_never_equal_nor_ordered_and_the_verdict_says_so(
    operator: str, value: Any, observed: Any, note: str
) -> None:
    found = verdict(operator, value, observed)

    assert not found.held
    assert found.clauses[0].note == note
    assert str(found).endswith(f"({note})")


def test_types_inside_lists_and_objects_count_too() -> None:
    assert not verdict("equals", [True], [1]).held
    assert not verdict("equals", {"a": 1}, {"a": True}).held
    assert verdict("not_equals", True, 1).held


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("pdf.pages", 3),
        ("pdf", {"pages": 3, "none": None}),
        ("pdf.none", None),
        ("pdf.pages.more", ABSENT),
        ("pdf.none.more", ABSENT),
        ("list.0", ABSENT),
        ("text.upper", ABSENT),
        ("gone", ABSENT),
    ],
)
def test_a_path_leads_through_objects_only(path: str, found: Any) -> None:
    fields = {"pdf": {"pages": 3, "none": None}, "list": [1], "text": "t"}

    assert look_up(fields, path) == found


def test_all_clauses_must_hold_or_any_of_them() -> None:
    two = ({"field": "a", "value": 1}, {"field": "b", "value": 2})

    assert judge(condition(*two), {"a": 1, "b": 2}, None).held
    assert not judge(condition(*two), {"a": 1}, None).held
    assert judge(condition(*two, mode="any"), {"a": 1}, None).held
    assert not judge(condition(*two, mode="any"), {"a": 2, "b": 1}, None).held


def test_changed_compares_with_what_was_there_when_the_job_began_to_wait() -> None:
    rule = condition({"field": "f", "operator": "changed"})

    def held(now: dict[str, Any], before: dict[str, Any] | None) -> bool:
        return judge(rule, now, before).held

    assert held({"f": 2}, {"f": 1})
    assert held({"f": 1}, {})
    assert held({}, {"f": 1})
    assert held({"f": True}, {"f": 1})
    assert held({"f": None}, {})
    assert not held({"f": [1, 2]}, {"f": [1, 2]})
    assert not held({}, {})


def test_nothing_has_changed_for_a_job_that_has_not_begun_to_wait() -> None:
    found = judge(condition({"field": "f", "operator": "changed"}), {"f": 1}, None)

    assert not found.held
    assert "not changed since the job began to wait" in str(found)


@given(conditions, fields_of_jobs)
def test_a_condition_on_changes_alone_does_not_hold_right_after_the_baseline_was_taken(
    rule: GateCondition, fields: dict[str, Any]
) -> None:
    baseline = observed_fields(rule, fields)

    for item in judge(rule, fields, baseline).clauses:
        assert not (item.clause.operator is GateOperator.CHANGED and item.held)


@given(conditions, fields_of_jobs, st.none() | fields_of_jobs)
def test_any_fields_can_be_judged_and_described(
    rule: GateCondition, fields: dict[str, Any], before: dict[str, Any] | None
) -> None:
    baseline = None if before is None else observed_fields(rule, before)

    found = judge(rule, fields, baseline)

    held = [item.held for item in found.clauses]
    assert found.held is (all(held) if rule.mode == "all" else any(held))
    assert str(found)
    assert found.observed == observed_fields(rule, fields)


@given(paths, json_values, json_values)
def test_equals_and_not_equals_are_opposites_where_the_field_is_there(
    path: str, value: Any, observed: Any
) -> None:
    fields: dict[str, Any] = {}
    target = fields
    *parents, last = path.split(".")
    for part in parents:
        target = target.setdefault(part, {})
    target[last] = observed

    equal = judge(condition({"field": path, "value": value}), fields, None).held
    unequal = judge(condition({"field": path, "operator": "not_equals", "value": value}), fields, None).held

    assert equal is not unequal
    assert judge(condition({"field": path, "operator": "in", "value": [value]}), fields, None).held is equal


def test_a_verdict_says_what_was_expected_and_observed() -> None:
    rule = condition(
        {"field": "ready", "value": True}, {"field": "pages", "operator": "gte", "value": 3}, mode="any"
    )

    assert describe_condition(rule) == "ready equals True or pages gte 3"
    assert str(judge(rule, {"pages": 2}, None)) == "ready equals True: absent; pages gte 3: 2"


def test_a_verdict_does_not_repeat_a_long_text() -> None:
    shown = str(verdict("equals", "x", "y" * 100_000))

    assert len(shown) < 300
    assert "(100,002 characters)" in shown


def test_the_short_form_is_one_clause() -> None:
    short = GateCondition.model_validate({"field": "pdf.ready", "equals": True, "timeout_seconds": 60})

    assert short == condition({"field": "pdf.ready", "operator": "equals", "value": True}, timeout_seconds=60)


@pytest.mark.parametrize(
    ("described", "message"),
    [
        ({"field": "a"}, "'equals' is missing"),
        ({"equals": 1}, "'field' is missing"),
        ({"field": "a", "equals": 1, "mode": "all"}, "not both"),
        ({"clauses": []}, "at least one clause"),
        ({}, "clauses"),
        ({"clauses": [{"field": "a"}]}, "'equals' needs a value"),
        ({"clauses": [{"field": "a", "operator": "exists", "value": 1}]}, "'exists' takes no value"),
        ({"clauses": [{"field": "a", "operator": "changed", "value": None}]}, "'changed' takes no value"),
        ({"clauses": [{"field": "a", "operator": "in", "value": "b"}]}, "needs a list"),
        ({"clauses": [{"field": "a", "operator": "in", "value": []}]}, "needs a list"),
        ({"clauses": [{"field": "a", "operator": "gt", "value": True}]}, "needs a number or text"),
        ({"clauses": [{"field": "a", "operator": "lt", "value": [1]}]}, "needs a number or text"),
        ({"clauses": [{"field": "a", "operator": "like", "value": 1}]}, "operator"),
        ({"field": "a..b", "equals": 1}, "pattern"),
        ({"field": "a b", "equals": 1}, "pattern"),
        ({"field": "a\n", "equals": 1}, "pattern"),
        ({"field": "a", "equals": float("nan")}, "must be JSON"),
        ({"field": "a", "equals": {1: 2}}, "must be JSON"),
        ({"field": "a", "equals": [object()]}, "must be JSON"),
        ({"field": "a", "equals": 1, "timeout_seconds": 0}, "greater than 0"),
        ({"field": "a", "equals": 1, "timeout_seconds": 1e15}, "less than or equal"),
        ({"field": "a", "equals": 1, "poll_interval_seconds": -1}, "greater than 0"),
        ({"field": "a", "equals": 1, "on_timeout": "retry"}, "on_timeout"),
        ({"field": "a", "equals": 1, "colour": "red"}, "colour"),
    ],
)
def test_a_condition_that_makes_no_sense_is_refused(described: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        GateCondition.model_validate(described)
