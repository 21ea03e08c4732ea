"""Stage types, the kind of plugin that pipelines are made of, and those that are known."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

from medkg_dagster.errors import Problem, StageRegistryError, did_you_mean
from medkg_dagster.plugins import InstalledEntryPoints, Origin, PluginPolicy
from medkg_dagster.registry._importing import PluginKind
from medkg_dagster.registry._plugin_registry import PluginRegistry
from medkg_dagster.stage_api import StageBuilder, StageMetadata, StageRegistration
from medkg_dagster.stage_api._stage_types.rules import (
    check_registration,
    offered_registrations,
    takes_topology,
)

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


class StageRegistry(PluginRegistry[RegisteredStage]):
    """Stage types by name; empty until plugins are loaded or types are registered.

    Args:
        policy: What is let in; everything by default.
        installed: The installed entry points; looked for by default.
    """

    def __init__(
        self, policy: PluginPolicy | None = None, installed: InstalledEntryPoints | None = None
    ) -> None:
        super().__init__(STAGE_TYPES, policy, installed)
        self._in_use = False

    @property
    def stage_types(self) -> tuple[str, ...]:
        """The names of all stage types, sorted."""
        return self.names

    def put_in_use(self) -> None:
        """From now on stage types are added through the factory that uses this registry."""
        self._in_use = True

    def register(self, registration: StageRegistration, *, replace: bool = False) -> None:
        """Add a stage type; see `add`."""
        self._add_directly(registration, replace=replace)

    def register_stage(
        self, *, metadata: StageMetadata, builder: StageBuilder, replace: bool = False
    ) -> None:
        """Add a stage type; see `add`."""
        self._add_directly(StageRegistration(metadata, builder), replace=replace)

    def _add_directly(self, registration: Any, *, replace: bool) -> None:
        if self._in_use:
            warnings.warn(
                "a StageRegistry that a factory uses is changed directly; call StageFactory.register_stage. "
                "Direct changes are accepted until medkg-dagster 1.0",
                DeprecationWarning,
                stacklevel=3,
            )
        self.add(registration, replace=replace)

    def get_metadata(self, stage_type: str) -> StageMetadata:
        """Return a stage type's metadata; raises `StageRegistryError` where it is unknown."""
        return self.get(stage_type).metadata

    def get_builder(self, stage_type: str) -> StageBuilder:
        """Return a stage type's builder; raises `StageRegistryError` where it is unknown."""
        return self.get(stage_type).builder

    def check_complete(self) -> tuple[Problem, ...]:
        """Return a problem for each dependency on a stage type that nobody registered.

        Call it when every plugin is loaded. Optional dependencies may be absent.
        """
        return tuple(
            Problem(
                f"stage type {entry.metadata.stage_type!r} depends on the stage type {dependency!r}, "
                "which is not registered",
                subject=str(entry.origin) if entry.origin else f"stage type {entry.metadata.stage_type!r}",
                hint=f"install the distribution that provides it; {did_you_mean(dependency, self.names)}",
            )
            for entry in self
            for dependency in entry.metadata.dependencies
            if dependency not in self
        )
