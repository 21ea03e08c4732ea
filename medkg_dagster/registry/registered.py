"""A stage type in the registry."""

from __future__ import annotations

from dataclasses import dataclass

from medkg_dagster.errors import StageRegistryError
from medkg_dagster.plugins import Origin
from medkg_dagster.stage_api.stage_types.builders import takes_topology
from medkg_dagster.stage_api.stage_types.metadata import StageMetadata
from medkg_dagster.stage_api.stage_types.registration import StageBuilder, StageRegistration
from medkg_dagster.stage_api.stage_types.rules import check_registration


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

    @property
    def registered_by(self) -> str:
        """Who registered it, for people."""
        return str(self.origin) if self.origin else "code"


def checked(registration: StageRegistration, origin: Origin | None) -> RegisteredStage:
    """Return what a registration becomes in the registry.

    Args:
        registration: The type and its builder.
        origin: The entry point it came from, if any.

    Raises:
        StageRegistryError: The registration is invalid.
    """
    metadata = check_registration(registration).metadata
    try:
        with_topology = takes_topology(registration.builder)
    except StageRegistryError as error:
        raise StageRegistryError(f"stage type {metadata.stage_type!r}: {error}") from error
    return RegisteredStage(metadata, registration.builder, with_topology, origin)
