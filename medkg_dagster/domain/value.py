"""The bases of values that travel between stages, and of configurations."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Value(BaseModel):
    """A frozen value that refuses unknown fields and serializes to JSON, bytes as base64."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_bytes="base64", val_json_bytes="base64")


class Config(BaseModel):
    """A frozen configuration that refuses unknown keys, so that a misspelt one is an error of its file."""

    model_config = ConfigDict(extra="forbid", frozen=True)
