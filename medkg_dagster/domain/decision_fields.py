"""What a person says with a decision at a gate: named, typed inputs, which land in the job's fields."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from medkg_dagster.domain.gate_conditions import FIELD_PATH, RESERVED_FIELDS
from medkg_dagster.errors import ConfigError, did_you_mean

_SHOWN = 80


class InputType(StrEnum):
    """Of which type an input is."""

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"


_MEANT = {
    InputType.TEXT: ("text that is not empty", "some text"),
    InputType.INTEGER: ("a whole number", "3"),
    InputType.NUMBER: ("a number", "0.5"),
    InputType.BOOLEAN: ("true or false", "true"),
}


class DecisionField(BaseModel):
    """An input of a decision at a gate.

    Attributes:
        name: The field of the ledger job that it becomes, by dot path.
        type: What it is: `text`, `integer`, `number` or `boolean`.
        description: What is asked, for people.
        required: Whether who approves must give it; one with a default need not be given.
        default: What it is where who approves does not give it.
        choices: What it may be; empty for anything of its type.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)

    name: str = Field(pattern=FIELD_PATH)
    type: InputType = InputType.TEXT
    description: str = ""
    required: bool = True
    default: Any = None
    choices: tuple[Any, ...] = ()

    @model_validator(mode="after")
    def _check_values(self) -> Self:
        own = self.name.partition(".")[0]
        if own in RESERVED_FIELDS:
            raise PydanticCustomError(
                "field", "'{name}' is a job's own and no field; choose another name", {"name": own}
            )
        for choice in self.choices:
            if not self._is_of_type(choice):
                said = {"value": repr(choice), "kind": _MEANT[self.type][0]}
                raise PydanticCustomError("field", "the choice {value} is not {kind}", said)
        if self.default is not None and not self.takes(self.default):
            said = {"value": repr(self.default), "meant": self.meant}
            raise PydanticCustomError("field", "the default {value} is not {meant}", said)
        return self

    @property
    def meant(self) -> str:
        """What may be given, for people."""
        if self.choices:
            return f"one of {', '.join(map(_written, self.choices))}"
        return _MEANT[self.type][0]

    @property
    def example(self) -> str:
        """Something that may be given."""
        return _written(self.choices[0]) if self.choices else _MEANT[self.type][1]

    @property
    def must_be_given(self) -> bool:
        """Whether who approves has to give it."""
        return self.required and self.default is None

    def takes(self, value: Any) -> bool:
        """Say whether a value may be given."""
        return self._is_of_type(value) and (not self.choices or value in self.choices)

    def read(self, text: str) -> Any:
        """Return what a text of a command line means; the text itself where it is nothing of the type."""
        if self.type is InputType.TEXT:
            return text
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            return text
        return value if self._is_of_type(value) else text

    def _is_of_type(self, value: Any) -> bool:
        if self.type is InputType.TEXT:
            return isinstance(value, str) and bool(value.strip())
        if self.type is InputType.BOOLEAN:
            return isinstance(value, bool)
        if isinstance(value, bool):
            return False
        if self.type is InputType.INTEGER:
            return isinstance(value, int)
        return isinstance(value, int | float) and math.isfinite(value)


def read_inputs(fields: Sequence[DecisionField], texts: Mapping[str, str]) -> dict[str, Any]:
    """Return what is given as text on a command line, as values; what is wrong stays text."""
    known = {field.name: field for field in fields}
    return {name: known[name].read(text) if name in known else text for name, text in texts.items()}


def check_inputs(
    gate: str, fields: Sequence[DecisionField], given: Mapping[str, Any], *, approves: bool
) -> dict[str, Any]:
    """Return the inputs of a decision, those left out by their defaults.

    Args:
        gate: The gate's name, for the error.
        fields: What the gate asks for.
        given: What is given, by name.
        approves: Whether the gate is approved; who rejects need give nothing.

    Raises:
        ConfigError: Something is missing, unknown or of another type; the message names all of it.
    """
    known = {field.name: field for field in fields}
    wrong = [
        f"'{name}' is no input of it; {did_you_mean(name, known)}" for name in given if name not in known
    ]
    inputs = {}
    for name, field in known.items():
        asks = f"'{name}'{f' ({field.description})' if field.description else ''}"
        if name in given:
            inputs[name] = given[name]
            if not field.takes(given[name]):
                shown = repr(given[name])[:_SHOWN]
                wrong.append(f"{asks} must be {field.meant}, got {shown}; write {name}={field.example}")
        elif approves and field.must_be_given:
            wrong.append(f"{asks} is missing: {field.meant}; write {name}={field.example}")
        elif approves and field.default is not None:
            inputs[name] = field.default
    if wrong:
        raise ConfigError(f"gate '{gate}': {'; '.join(wrong)}")
    return inputs


def overlapping(fields: Sequence[DecisionField]) -> str | None:
    """Return what is wrong with the names of several inputs; None where nothing is."""
    names = sorted(field.name for field in fields)
    for first in names:
        if names.count(first) > 1:
            return f"'{first}' is the name of several inputs"
        within = next((name for name in names if name.startswith(f"{first}.")), None)
        if within is not None:
            return f"'{within}' would lie in '{first}', which is an input too"
    return None


def _written(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
