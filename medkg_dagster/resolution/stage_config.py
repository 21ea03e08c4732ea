"""A stage's configuration against its type's model, and the code version that follows from it."""

from __future__ import annotations

import enum
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from medkg_dagster.plugins import LoadGuard
from medkg_dagster.plugins.loading import error_text
from medkg_dagster.stage_api import Extensions, StageMetadata
from medkg_dagster.stage_api._extensions import CONTEXT_KEY
from medkg_dagster.stage_api._stage_types.metadata import qualified_name
from medkg_dagster.topology.explain import explain
from medkg_dagster.topology.structure import Finding

_DIGITS = 16


def check_config(
    metadata: StageMetadata,
    config: Mapping[str, Any],
    path: tuple[str | int, ...],
    extensions: Extensions,
    guard: LoadGuard,
) -> tuple[Any, list[Finding]]:
    """Validate a configuration.

    Args:
        metadata: The stage type.
        config: The configuration as written.
        path: Its place in the file.
        extensions: What the configuration may name.
        guard: Ends what a plugin's validators do not end themselves.

    Returns:
        The configuration with the model's defaults filled in, and what is wrong with it. A stage type
        without a model accepts everything.
    """
    model = metadata.config_model
    if model is None:
        return config, []

    def validate() -> Any:
        return model.model_validate(config, context={CONTEXT_KEY: extensions}).model_dump()

    try:
        return guard.run(f"the configuration of stage type {metadata.stage_type!r}", validate), []
    except ValidationError as error:
        return config, list(explain(error, model, path))
    except Exception as error:  # noqa: BLE001 - a plugin's validator may do anything, and others must load
        message = f"{qualified_name(model)} broke on this configuration: {error_text(error)}"
        return config, [Finding(path, message, "tell the authors of the stage type")]


def code_version(metadata: StageMetadata, config: Any, overrides: Mapping[str, Any]) -> str:
    """Return a short hash that changes with the type's version, the normalized configuration or an override.

    Args:
        metadata: The stage type.
        config: What `check_config` returned.
        overrides: What the stage says differently from its type.
    """
    parts = [metadata.stage_type, metadata.version, _canonical(config)]
    described = json.dumps([*parts, _canonical(overrides)] if overrides else parts, sort_keys=True)
    return hashlib.sha256(described.encode()).hexdigest()[:_DIGITS]


def _canonical(value: Any) -> Any:
    """Return a value as JSON has it, the same in every process."""
    if isinstance(value, enum.Enum):
        return _canonical(value.value)
    if isinstance(value, Mapping):
        return {str(key): _canonical(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_canonical(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted((_canonical(item) for item in value), key=repr)
    if isinstance(value, BaseModel):
        return _canonical(value.model_dump())
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)
