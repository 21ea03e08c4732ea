"""When a gate opens, as written in YAML: a short form for one field, a general one for several."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

_SHORT = ("field", "equals")
_GENERAL = ("mode", "clauses")
_FIELD_PATH = r"^[A-Za-z_][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*$"


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

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    field: str = Field(pattern=_FIELD_PATH)
    operator: GateOperator = GateOperator.EQUALS
    value: Any = None

    @model_validator(mode="after")
    def _check_value(self) -> Self:
        given = "value" in self.model_fields_set
        if self.operator in _WITHOUT_VALUE and given:
            raise PydanticCustomError(
                "clause", "the operator '{operator}' takes no value", {"operator": self.operator.value}
            )
        if self.operator not in _WITHOUT_VALUE and not given:
            raise PydanticCustomError(
                "clause", "the operator '{operator}' needs a value", {"operator": self.operator.value}
            )
        if self.operator is GateOperator.IN and not (isinstance(self.value, list | tuple) and self.value):
            raise PydanticCustomError("clause", "the operator 'in' needs a list of values")
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


class GateCondition(BaseModel):
    """When a gate opens. `{field: f, equals: v}` is short for one clause.

    Attributes:
        mode: Whether `all` clauses must hold or `any` of them.
        clauses: At least one.
        timeout_seconds: The longest wait; None waits without end.
        poll_interval_seconds: The shortest time between two looks at one job.
        on_timeout: What becomes of a job that waited too long.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    mode: Literal["all", "any"] = "all"
    clauses: Annotated[tuple[GateClause, ...], AfterValidator(_check_clauses)]
    timeout_seconds: float | None = Field(default=None, gt=0)
    poll_interval_seconds: float = Field(default=10.0, gt=0)
    on_timeout: Literal["fail", "skip", "quarantine"] = "fail"

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
