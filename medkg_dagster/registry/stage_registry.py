"""The stage types that are known, and what could not be registered."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from medkg_dagster.errors import Problem, StageRegistryError, did_you_mean
from medkg_dagster.registry.builders import takes_topology
from medkg_dagster.registry.discovery import DiscoveredStage, Discovery, discover_stages, problem_of
from medkg_dagster.registry.origin import Origin
from medkg_dagster.registry.rules import check_registration
from medkg_dagster.stage_api.metadata import StageMetadata
from medkg_dagster.stage_api.registration import StageBuilder, StageRegistration

_COLLISION = "uninstall one of the two distributions, or rename one of the stage types"


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


class StageRegistry:
    """Stage types by name.

    Args:
        discover: Finds plugins; replace it in tests.
    """

    __slots__ = ("_discover", "_entries", "_problems")

    def __init__(self, discover: Callable[[], Discovery] = discover_stages) -> None:
        self._discover = discover
        self._entries: dict[str, RegisteredStage] = {}
        self._problems: list[Problem] = []

    @property
    def stage_types(self) -> tuple[str, ...]:
        """The names of all stage types, sorted."""
        return tuple(sorted(self._entries))

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What went wrong when plugins were loaded."""
        return tuple(self._problems)

    def __contains__(self, stage_type: object) -> bool:
        return stage_type in self._entries

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[RegisteredStage]:
        return (self._entries[name] for name in self.stage_types)

    def register(
        self, registration: StageRegistration, *, replace: bool = False, origin: Origin | None = None
    ) -> None:
        """Add a stage type.

        Args:
            registration: The type and its builder.
            replace: Whether it may take the place of one of the same name.
            origin: The entry point it came from, if any.

        Raises:
            StageRegistryError: The registration is invalid, or the name is taken.
        """
        metadata = check_registration(registration).metadata
        name = metadata.stage_type
        try:
            with_topology = takes_topology(registration.builder)
        except StageRegistryError as error:
            raise StageRegistryError(f"stage type {name!r}: {error}") from error
        taken = self._entries.get(name)
        if taken is not None and not replace:
            raise StageRegistryError(
                f"stage type {name!r} is registered already by {taken.origin or 'code'}; {_COLLISION}, "
                "or pass replace=True"
            )
        self._entries[name] = RegisteredStage(metadata, registration.builder, with_topology, origin)

    def register_stage(
        self, *, metadata: StageMetadata, builder: StageBuilder, replace: bool = False
    ) -> None:
        """Add a stage type from code; raises like `register`."""
        self.register(StageRegistration(metadata, builder), replace=replace)

    def load_plugins(self) -> tuple[Problem, ...]:
        """Register what plugins offer; doing it again adds only what is new.

        Returns:
            What went wrong; the other plugins are registered all the same.
        """
        discovery = self._discover()
        problems = list(discovery.problems)
        seen: set[str] = set()
        for stage in discovery.stages:
            try:
                problems += self._register_discovered(stage, seen)
            except StageRegistryError as error:
                problems.append(problem_of(stage.origin, str(error), error))
        self._problems += [problem for problem in problems if problem not in self._problems]
        return tuple(problems)

    def _register_discovered(self, stage: DiscoveredStage, seen: set[str]) -> list[Problem]:
        name = check_registration(stage.registration).metadata.stage_type
        taken = self._entries.get(name)
        if taken is None:
            self.register(stage.registration, origin=stage.origin)
        elif taken.origin is None or (taken.origin == stage.origin and name not in seen):
            # Registered by code on purpose, or by an earlier load of the same plugins.
            seen.add(name)
            return []
        else:
            message = f"stage type {name!r} is registered already by {taken.origin}; the first one is kept"
            return [problem_of(stage.origin, message, hint=_COLLISION)]
        seen.add(name)
        return []

    def get(self, stage_type: str) -> RegisteredStage:
        """Return a stage type.

        Args:
            stage_type: Its name.

        Raises:
            StageRegistryError: There is none of that name.
        """
        entry = self._entries.get(stage_type)
        if entry is None:
            raise StageRegistryError(
                f"unknown stage type {stage_type!r}; {did_you_mean(stage_type, self._entries)}"
            )
        return entry

    def find(self, stage_type: str) -> RegisteredStage | None:
        """Return a stage type, or None."""
        return self._entries.get(stage_type)

    def get_metadata(self, stage_type: str) -> StageMetadata:
        """Return a stage type's metadata; raises like `get`."""
        return self.get(stage_type).metadata

    def get_builder(self, stage_type: str) -> StageBuilder:
        """Return a stage type's builder; raises like `get`."""
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
                hint=f"install the distribution that provides it; {did_you_mean(dependency, self._entries)}",
            )
            for entry in self
            for dependency in entry.metadata.dependencies
            if dependency not in self._entries
        )
