"""The stage types that are known, and what could not be registered."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator

from medkg_dagster.errors import Problem, StageRegistryError, did_you_mean
from medkg_dagster.plugins import Origin, PluginPolicy, is_from
from medkg_dagster.plugins.events import PluginEvent, PluginLoad
from medkg_dagster.registry.checking import check_stages
from medkg_dagster.registry.collisions import settle
from medkg_dagster.registry.discovery import STAGES, Discovery, discover_stages
from medkg_dagster.registry.registered import RegisteredStage, checked
from medkg_dagster.stage_api.stage_types.metadata import StageMetadata
from medkg_dagster.stage_api.stage_types.registration import StageBuilder, StageRegistration

_COLLISION = "uninstall one of the two distributions, or rename one of the stage types"


class StageRegistry:
    """Stage types by name.

    Args:
        discover: Finds plugins; replace it in tests.
    """

    __slots__ = ("_discover", "_entries", "_events", "_in_use", "_loads", "_policy", "_problems")

    def __init__(self, discover: Callable[[], Discovery] = discover_stages) -> None:
        self._discover = discover
        self._entries: dict[str, RegisteredStage] = {}
        self._problems: list[Problem] = []
        self._events: list[PluginEvent] = []
        self._loads: list[PluginLoad] = []
        self._policy = PluginPolicy()
        self._in_use = False

    @property
    def stage_types(self) -> tuple[str, ...]:
        """The names of all stage types, sorted."""
        return tuple(sorted(self._entries))

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What went wrong when plugins were loaded."""
        return tuple(self._problems)

    @property
    def events(self) -> tuple[PluginEvent, ...]:
        """What became of each entry point and stage type."""
        return tuple(self._events)

    @property
    def loads(self) -> tuple[PluginLoad, ...]:
        """How long each entry point took."""
        return tuple(self._loads)

    @property
    def policy(self) -> PluginPolicy:
        """What was let in."""
        return self._policy

    def __contains__(self, stage_type: object) -> bool:
        return stage_type in self._entries

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[RegisteredStage]:
        return (self._entries[name] for name in self.stage_types)

    def put_in_use(self) -> None:
        """From now on stage types are added through the factory that uses this registry."""
        self._in_use = True

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
        self._warn_of_direct_change()
        self.add(registration, replace=replace, origin=origin)

    def register_stage(
        self, *, metadata: StageMetadata, builder: StageBuilder, replace: bool = False
    ) -> None:
        """Add a stage type from code; raises like `register`."""
        self._warn_of_direct_change()
        self.add(StageRegistration(metadata, builder), replace=replace)

    def add(
        self, registration: StageRegistration, *, replace: bool = False, origin: Origin | None = None
    ) -> None:
        """Add a stage type on behalf of the factory; otherwise like `register`."""
        entry = checked(registration, origin)
        name = entry.metadata.stage_type
        taken = self._entries.get(name)
        if taken is not None and not replace:
            raise StageRegistryError(
                f"stage type {name!r} is registered already by {taken.registered_by}; {_COLLISION}, "
                "or pass replace=True"
            )
        self._entries[name] = entry

    def load_plugins(self) -> tuple[Problem, ...]:
        """Register what plugins offer; doing it again adds only what is new.

        Returns:
            What went wrong; the other plugins are registered all the same.
        """
        discovery = self._discover()
        self._policy = discovery.policy
        problems = list(discovery.problems)
        events = list(discovery.events)
        offers: dict[str, list[RegisteredStage]] = {}
        found = check_stages(discovery)
        problems += found.problems
        events += found.events
        for entry in found.entries:
            offers.setdefault(entry.metadata.stage_type, []).append(entry)
        for name, offered in offers.items():
            self._take(name, offered, problems, events)
        distributions = {event.origin.distribution for event in discovery.events}
        problems += self._policy.misspelt_blocks(distributions)
        problems += self._vain_replacements(offers) if not self._policy.closed else ()
        known_problems, known_events = set(self._problems), set(self._events)
        self._problems += [problem for problem in problems if problem not in known_problems]
        self._events += [event for event in events if event not in known_events]
        self._loads = list(discovery.loads)
        return tuple(problems)

    def _warn_of_direct_change(self) -> None:
        if self._in_use:
            warnings.warn(
                "a StageRegistry that a factory uses is changed directly; call StageFactory.register_stage. "
                "Direct changes are accepted until medkg-dagster 1.0",
                DeprecationWarning,
                stacklevel=3,
            )

    def _take(
        self,
        name: str,
        offered: list[RegisteredStage],
        problems: list[Problem],
        events: list[PluginEvent],
    ) -> None:
        taken = self._entries.get(name)
        if taken is not None and taken.origin is None:
            # Registered by code on purpose.
            return
        settlement = settle(name, offered, self._policy.chosen(STAGES, name))
        problems += settlement.problems
        events += settlement.events
        if settlement.taken is not None and (taken is None or taken.origin != settlement.taken.origin):
            self._entries[name] = settlement.taken

    def _vain_replacements(self, offers: dict[str, list[RegisteredStage]]) -> Iterator[Problem]:
        """Yield a problem for each replacement by a distribution that does not register the stage type."""
        for chosen in self._policy.replaces.values():
            offered = offers.get(chosen.name, [])
            if chosen.kind != STAGES or any(
                entry.origin is not None and is_from(entry.origin, chosen.distribution) for entry in offered
            ):
                continue
            yield Problem(
                f"`replaces` chooses {chosen.distribution} for the stage type {chosen.name!r}, but it does "
                "not register it",
                subject=chosen.written,
                hint="install it, correct its name, or remove the line",
            )

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
