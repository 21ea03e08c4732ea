"""When a gate opens: conditions as written in YAML, and their verdict on the fields of a ledger job.

Pure: fields in, verdict out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from medkg_dagster.errors import counted

_SHORT = ("field", "equals")
_GENERAL = ("mode", "clauses")
RESERVED_FIELDS = frozenset(
    {"pipeline", "job_id", "status", "phase", "request", "fields", "attempts", "error"}
    | {"created_at", "updated_at", "gates", "pipeline_stages"}
)
"""What a ledger job and its history call their own; no field can be called like it."""

FIELD_PATH = r"^[A-Za-z_][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*$"
_LONGEST_SECONDS = 100 * 366 * 86_400  # dates that far ahead can still be written
_SHOWN = 200


class GateOperator(StrEnum):
    """How a clause compares a ledger field."""

    EXISTS = "exists"
    EQUALS = "equals"
    NOT_EQUALS = "not_equals"
    IN = "in"
    GT = "gt"
    GTE = "gte"
    LT = "lt"
    LTE = "lte"
    CHANGED = "changed"


_WITHOUT_VALUE = {GateOperator.EXISTS, GateOperator.CHANGED}
_ORDERING = {GateOperator.GT, GateOperator.GTE, GateOperator.LT, GateOperator.LTE}


class GateClause(BaseModel):
    """One comparison.

    Attributes:
        field: A field of the ledger job, by dot path.
        operator: How it is compared.
        value: What it is compared with; none for `exists` and `changed`, a list for `in`.
    """

    # The ledger keeps conditions as JSON, which has neither infinity nor NaN.
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)

    field: str = Field(pattern=FIELD_PATH)
    operator: GateOperator = GateOperator.EQUALS
    value: Any = None

    @model_validator(mode="after")
    def _check_value(self) -> Self:
        name = self.field.partition(".")[0]
        if name in RESERVED_FIELDS:
            raise PydanticCustomError(
                "clause", "'{name}' is a job's own and no field; choose another name", {"name": name}
            )
        # Null is a value to compare with, so that None does not tell whether one was written.
        given = "value" in self.model_fields_set
        if self.operator in _WITHOUT_VALUE and given:
            raise PydanticCustomError(
                "clause", "the operator '{operator}' takes no value", {"operator": self.operator.value}
            )
        if self.operator not in _WITHOUT_VALUE and not given:
            raise PydanticCustomError(
                "clause", "the operator '{operator}' needs a value", {"operator": self.operator.value}
            )
        if not _is_json(self.value):
            raise PydanticCustomError("clause", "the value must be JSON: a finite number, text in quotes ...")
        if self.operator is GateOperator.IN and not (isinstance(self.value, list | tuple) and self.value):
            raise PydanticCustomError("clause", "the operator 'in' needs a list of values")
        # In Python a boolean is an integer, and would have an order.
        if self.operator in _ORDERING and (
            isinstance(self.value, bool) or not isinstance(self.value, int | float | str)
        ):
            raise PydanticCustomError(
                "clause",
                "the operator '{operator}' needs a number or text",
                {"operator": self.operator.value},
            )
        return self


def _check_clauses(clauses: tuple[GateClause, ...]) -> tuple[GateClause, ...]:
    if not clauses:
        raise PydanticCustomError("condition", "a condition has at least one clause")
    return clauses


OnTimeout = Literal["fail", "skip", "quarantine"]


class GateCondition(BaseModel):
    """When a gate opens. `{field: f, equals: v}` is short for one clause.

    Attributes:
        mode: Whether `all` clauses must hold or `any` of them.
        clauses: At least one.
        timeout_seconds: The longest wait; None waits without end.
        poll_interval_seconds: The shortest time between two looks at one job whose fields keep changing.
        on_timeout: What becomes of a job that waited too long.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)

    mode: Literal["all", "any"] = "all"
    clauses: Annotated[tuple[GateClause, ...], AfterValidator(_check_clauses)]
    timeout_seconds: float | None = Field(default=None, gt=0, le=_LONGEST_SECONDS)
    poll_interval_seconds: float = Field(default=1.0, gt=0, le=_LONGEST_SECONDS)
    on_timeout: OnTimeout = "fail"

    @model_validator(mode="before")
    @classmethod
    def _expand_short_form(cls, data: Any) -> Any:
        if not isinstance(data, dict) or not any(key in data for key in _SHORT):
            return data
        if any(key in data for key in _GENERAL):
            raise PydanticCustomError(
                "condition", "write either field and equals, or mode and clauses, not both"
            )
        missing = [key for key in _SHORT if key not in data]
        if missing:
            raise PydanticCustomError(
                "condition",
                "the short form needs field and equals; '{missing}' is missing",
                {"missing": missing[0]},
            )
        rest = {key: value for key, value in data.items() if key not in _SHORT}
        return {"clauses": [{"field": data["field"], "operator": "equals", "value": data["equals"]}], **rest}


@dataclass(frozen=True, slots=True)
class ClauseVerdict:
    """What one clause found.

    Attributes:
        clause: The clause.
        observed: The value of its field; None where there is none.
        is_present: Whether the field is there at all.
        held: Whether the clause holds.
        note: Why not, where the values do not tell it; empty otherwise.
    """

    clause: GateClause
    observed: Any
    is_present: bool
    held: bool
    note: str = ""

    def __str__(self) -> str:
        observed = _shown(self.observed) if self.is_present else "absent"
        note = f" ({self.note})" if self.note else ""
        return f"{describe_clause(self.clause)}: {observed}{note}"


@dataclass(frozen=True, slots=True)
class GateVerdict:
    """What a condition found.

    Attributes:
        held: Whether the condition holds.
        clauses: What each clause found, in the condition's order.
    """

    held: bool
    clauses: tuple[ClauseVerdict, ...]

    @property
    def observed(self) -> dict[str, Any]:
        """The fields the condition looked at that are there, by path."""
        return {item.clause.field: item.observed for item in self.clauses if item.is_present}

    def __str__(self) -> str:
        return "; ".join(map(str, self.clauses))


def describe_clause(clause: GateClause) -> str:
    """Return a clause as people read it, for example `pdf_ir_ready equals True`."""
    if clause.operator in _WITHOUT_VALUE:
        return f"{clause.field} {clause.operator.value}"
    return f"{clause.field} {clause.operator.value} {clause.value!r}"


def describe_condition(condition: GateCondition) -> str:
    """Return a condition as people read it."""
    joint = " and " if condition.mode == "all" else " or "
    return joint.join(describe_clause(clause) for clause in condition.clauses)


def judge(
    condition: GateCondition, fields: Mapping[str, Any], baseline: Mapping[str, Any] | None
) -> GateVerdict:
    """Judge a condition.

    Args:
        condition: The condition.
        fields: The ledger job's fields.
        baseline: What `observed_fields` returned when the job began to wait; None where it has not begun, and
            nothing counts as changed.

    Returns:
        The verdict. Values of different types are never equal and never ordered: `true` is not `"true"`
        and not 1.
    """
    clauses = tuple(_judge_clause(clause, fields, baseline) for clause in condition.clauses)
    combine = all if condition.mode == "all" else any
    return GateVerdict(combine(item.held for item in clauses), clauses)


def observed_fields(condition: GateCondition, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields a condition looks at, by path, without those that are not there."""
    found = ((clause.field, look_up(fields, clause.field)) for clause in condition.clauses)
    return {path: value for path, value in found if value is not ABSENT}


class _Absent:
    """Stands for a field that is not there, which differs from one that is null."""

    def __repr__(self) -> str:
        return "absent"


ABSENT = _Absent()


def look_up(fields: Mapping[str, Any], path: str) -> Any:
    """Return the value at a dotted path, or `ABSENT`."""
    value: Any = fields
    for part in path.split("."):
        value = value.get(part, ABSENT) if isinstance(value, Mapping) else ABSENT
        if value is ABSENT:
            return ABSENT
    return value


def _judge_clause(
    clause: GateClause, fields: Mapping[str, Any], baseline: Mapping[str, Any] | None
) -> ClauseVerdict:
    value = look_up(fields, clause.field)
    if clause.operator is GateOperator.CHANGED:
        before = ABSENT if baseline is None else baseline.get(clause.field, ABSENT)
        held = baseline is not None and not _is_same(value, before)
        note = "" if held else "not changed since the job began to wait"
        return ClauseVerdict(clause, None if value is ABSENT else value, value is not ABSENT, held, note)
    if value is ABSENT:
        return ClauseVerdict(clause, None, is_present=False, held=False)
    held, note = _compare(clause, value)
    return ClauseVerdict(clause, value, is_present=True, held=held, note=note)


def _compare(clause: GateClause, value: Any) -> tuple[bool, str]:
    expected = clause.value
    match clause.operator:
        case GateOperator.EXISTS:
            return True, ""
        case GateOperator.EQUALS:
            return _is_same(value, expected), _type_note(value, [expected])
        case GateOperator.NOT_EQUALS:
            return not _is_same(value, expected), ""
        case GateOperator.IN:
            return any(_is_same(value, item) for item in expected), _type_note(value, expected)
        case _:
            return _is_ordered(clause.operator, value, expected), _type_note(value, [expected])


def _is_ordered(operator: GateOperator, value: Any, expected: Any) -> bool:
    if _json_type(value) != _json_type(expected):
        return False
    match operator:
        case GateOperator.GT:
            return bool(value > expected)
        case GateOperator.GTE:
            return bool(value >= expected)
        case GateOperator.LT:
            return bool(value < expected)
        case _:
            return bool(value <= expected)


def _is_same(one: Any, other: Any) -> bool:
    # Python's own comparison takes True for 1 and, inside lists and objects, would do so unseen.
    if _json_type(one) != _json_type(other):
        return False
    if isinstance(one, Mapping):
        return one.keys() == other.keys() and all(_is_same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(_is_same, one, other))
    return bool(one == other)


def _is_json(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, Mapping):
        return all(isinstance(key, str) and _is_json(item) for key, item in value.items())
    if isinstance(value, list | tuple):
        return all(map(_is_json, value))
    return value is None or isinstance(value, str | int)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]} ... ({counted(len(text), 'character')})"


def _type_note(value: Any, expected: Any) -> str:
    wanted = {_json_type(item) for item in expected}
    if _json_type(value) in wanted:
        return ""
    return f"it is {_json_type(value)}, not {' or '.join(sorted(wanted))}"


def _json_type(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "text"
    if isinstance(value, list | tuple):
        return "a list"
    return "an object" if isinstance(value, Mapping) else type(value).__name__
