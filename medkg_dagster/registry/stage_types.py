"""Stage types, the kind of plugin that pipelines are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from medkg_dagster.errors import StageRegistryError
from medkg_dagster.plugins import Origin
from medkg_dagster.registry.plugin_kind import PluginKind
from medkg_dagster.stage_api.offers import offered_registrations
from medkg_dagster.stage_api.stage_types.metadata import StageMetadata
from medkg_dagster.stage_api.stage_types.registration import StageBuilder
from medkg_dagster.stage_api.stage_types.rules import check_registration, takes_topology

STAGE_GROUP = "medical_kg.orchestration.stages"


@dataclass(frozen=True, slots=True)
class RegisteredStage:
    """A stage type in the registry.

    Attributes:
        metadata: Its description.
        builder: Its builder.
        takes_topology: Whether the builder takes `(topology, definition)`.
        origin: The entry point it came from; None where code registered it.
    """

    metadata: StageMetadata
    builder: StageBuilder
    takes_topology: bool
    origin: Origin | None


def _checked(registration: Any, origin: Origin | None) -> RegisteredStage:
    checked = check_registration(registration)
    metadata, builder = checked.metadata, checked.builder
    try:
        return RegisteredStage(metadata, builder, takes_topology(builder), origin)
    except StageRegistryError as error:
        raise StageRegistryError(f"stage type {metadata.stage_type!r}: {error}") from error


def _name(entry: RegisteredStage) -> str:
    return entry.metadata.stage_type


STAGE_TYPES = PluginKind(
    group=STAGE_GROUP,
    label="stage type",
    check=_checked,
    name_of=_name,
    offers=offered_registrations,
    is_eager=True,
    error=StageRegistryError,
)
