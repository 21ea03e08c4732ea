"""What all models of YAML files have in common."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict


class StrictModel(BaseModel):
    """A frozen model that knows all its keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def empty_list_for_none(value: Any) -> Any:
    """Take a key without a value for an empty list."""
    return [] if value is None else value


def empty_dict_for_none(value: Any) -> Any:
    """Take a key without a value for an empty mapping."""
    return {} if value is None else value
