"""What a stage in YAML says differently from its stage type."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from medkg_dagster.errors import StageRegistryError
from medkg_dagster.stage_api import StageMetadata
from medkg_dagster.stage_api._stage_types.rules import check_metadata
from medkg_dagster.topology.plugin_keys import MetadataOverrides


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

    Args:
        metadata: The stage type's.
        overrides: What the stage says.

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
            f"state_key names {len(keys)} keys; the stage type {metadata.stage_type!r} writes "
            f"{len(metadata.state_keys)}: {', '.join(metadata.state_keys) or 'none'}"
        )
    names = dict(zip(metadata.state_keys, keys, strict=True))
    types = {names[key]: value for key, value in metadata.state_types.items()}
    renamed = dataclasses.replace(contract, state_key=state_key, state_types=types)
    check_metadata(renamed)
    return OverriddenMetadata(renamed, contract)
