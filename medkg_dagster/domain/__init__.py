"""Frozen values that every layer speaks, and their bases; nothing here reads a file, a clock or a network."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict


class Value(BaseModel):
    """A frozen value that refuses unknown fields and serializes to JSON, bytes as base64."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_bytes="base64", val_json_bytes="base64")


class OwnValue(Value):
    """A value of this project; its validator is built with the first one, as processes use few of many."""

    model_config = ConfigDict(defer_build=True)


class Config(BaseModel):
    """A frozen configuration that refuses unknown keys, so that a misspelt one is an error of its file."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class StrictModel(Config):
    """The same for YAML files, where `.inf` and `.nan` are numbers too."""

    model_config = ConfigDict(allow_inf_nan=False, defer_build=True)


def empty_list_for_none(value: Any) -> Any:
    """Take a key without a value for an empty list."""
    return [] if value is None else value


def empty_dict_for_none(value: Any) -> Any:
    """Take a key without a value for an empty mapping."""
    return {} if value is None else value
