"""What a stage in YAML says: its configuration, checked; its overrides; the code version that follows."""

from __future__ import annotations

import dataclasses
import enum
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from medkg_dagster.errors import StageRegistryError, counted
from medkg_dagster.plugins import LoadGuard
from medkg_dagster.plugins.loading import error_text
from medkg_dagster.stage_api import Extensions, StageMetadata
from medkg_dagster.stage_api._extensions import CONTEXT_KEY
from medkg_dagster.stage_api._stage_types.metadata import qualified_name
from medkg_dagster.stage_api._stage_types.rules import check_metadata
from medkg_dagster.topology.explain import validated
from medkg_dagster.topology.plugin_keys import MetadataOverrides
from medkg_dagster.topology.structure import Finding

_DIGITS = 16


@dataclass(frozen=True, slots=True)
class OverriddenMetadata:
    """A stage type's metadata with one stage's overrides.

    Attributes:
        metadata: As the pipeline sees it: under the stage's own state keys.
        contract: As the plugin's code sees it: under the state keys of the type.
    """

    metadata: StageMetadata
    contract: StageMetadata

    def stored_as(self, state_key: str) -> str | None:
        """Return the name a state key of the type is stored under; None where the type does not write it."""
        return stored_names(self.contract, self.metadata).get(state_key)


def stored_names(contract: StageMetadata, metadata: StageMetadata) -> dict[str, str]:
    """Return, by a type's own state key, the name that one stage stores it under.

    Args:
        contract: The type's metadata under its own keys.
        metadata: The same under the stage's keys.
    """
    return dict(zip(contract.state_keys, metadata.state_keys, strict=True))


def override(metadata: StageMetadata, overrides: MetadataOverrides) -> OverriddenMetadata:
    """Apply a stage's overrides.

    Raises:
        StageRegistryError: The result breaks a rule that the original had to keep too.
    """
    changes = overrides.changes()
    if not changes:
        return OverriddenMetadata(metadata, metadata)
    state_key = changes.pop("state_key", metadata.state_key)
    contract = dataclasses.replace(metadata, **changes)
    if state_key == metadata.state_key:
        check_metadata(contract)
        return OverriddenMetadata(contract, contract)
    keys = (state_key,) if isinstance(state_key, str) else tuple(state_key)
    if len(keys) != len(metadata.state_keys):
        raise StageRegistryError(
            f"state_key names {counted(len(keys), 'key')}; the stage type {metadata.stage_type!r} writes "
            f"{len(metadata.state_keys)}: {', '.join(metadata.state_keys) or 'none'}"
        )
    names = dict(zip(metadata.state_keys, keys, strict=True))
    types = {names[key]: value for key, value in metadata.state_types.items()}
    renamed = dataclasses.replace(contract, state_key=state_key, state_types=types)
    check_metadata(renamed)
    return OverriddenMetadata(renamed, contract)


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

    def validate() -> tuple[Any, list[Finding]]:
        made, findings = validated(model, config, path, {CONTEXT_KEY: extensions})
        return (config if made is None else made.model_dump()), findings

    try:
        return guard.run(f"the configuration of stage type {metadata.stage_type!r}", validate)
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
    parts = [metadata.stage_type, metadata.version, canonical(config)]
    described = json.dumps([*parts, canonical(overrides)] if overrides else parts, sort_keys=True)
    return hashlib.sha256(described.encode()).hexdigest()[:_DIGITS]


def canonical(value: Any) -> Any:
    """Return a value as JSON has it, the same in every process."""
    if isinstance(value, enum.Enum):
        return canonical(value.value)
    if isinstance(value, Mapping):
        return {str(key): canonical(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [canonical(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted((canonical(item) for item in value), key=repr)
    if isinstance(value, BaseModel):
        return canonical(value.model_dump())
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)
