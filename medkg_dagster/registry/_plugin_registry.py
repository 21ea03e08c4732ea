"""The plugins of one kind: which are let in, which of several with one name is used, what went wrong."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from importlib.metadata import EntryPoint
from typing import Any, Generic, TypeVar

from medkg_dagster.errors import Problem, did_you_mean
from medkg_dagster.plugins import Distributions, InstalledEntryPoints, Origin, PluginPolicy, is_from
from medkg_dagster.plugins.events import Outcome, PluginEvent, PluginLoad, Refusal
from medkg_dagster.plugins.origin import UNKNOWN
from medkg_dagster.registry._collisions import settle
from medkg_dagster.registry._importing import PluginKind, import_plugins

T = TypeVar("T")

_LOG = logging.getLogger("medkg.plugins")


class PluginRegistry(Generic[T]):
    """Plugins by name; empty until plugins are loaded or added.

    Args:
        kind: What they are.
        policy: What is let in; everything by default.
        installed: The installed entry points; looked for by default.
    """

    def __init__(
        self,
        kind: PluginKind[T],
        policy: PluginPolicy | None = None,
        installed: InstalledEntryPoints | None = None,
    ) -> None:
        self.kind = kind
        self.policy = policy or PluginPolicy()
        self._installed = installed or InstalledEntryPoints()
        self._plugins: dict[str, T] = {}
        # Where plugins came from, and the entry points of those that wait to be imported.
        self._origins: dict[str, Origin] = {}
        self._waiting: dict[str, EntryPoint] = {}
        self._problems: dict[Problem, None] = {}
        self._events: dict[PluginEvent, None] = {}
        self.loads: tuple[PluginLoad, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all plugins that can be used, sorted."""
        return tuple(sorted(self._plugins.keys() | self._waiting.keys()))

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What went wrong when plugins were loaded."""
        return tuple(self._problems)

    @property
    def events(self) -> tuple[PluginEvent, ...]:
        """What became of each entry point and plugin."""
        return tuple(self._events)

    def __contains__(self, name: object) -> bool:
        return name in self._plugins or name in self._waiting

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[T]:
        return map(self.get, self.names)

    def add(self, offer: Any, *, replace: bool = False, origin: Origin | None = None) -> None:
        """Add a plugin.

        Args:
            offer: What an entry point would offer.
            replace: Whether it may take the place of one of the same name.
            origin: The entry point it came from; None where code adds it.

        Raises:
            MedkgError: `kind.error`: it breaks a rule, or the name is taken.
        """
        plugin = self.kind.check(offer, origin)
        name = self.kind.name_of(plugin)
        if name in self and not replace:
            raise self.kind.error(
                f"{self.kind.label} {name!r} is registered already by {self._origins.get(name, 'code')}; "
                "uninstall one of the two distributions, rename one, or pass replace=True"
            )
        self._plugins[name] = plugin
        self._waiting.pop(name, None)
        self._origins.pop(name, None)
        if origin is not None:
            self._origins[name] = origin

    def load_plugins(self, requested: Collection[str] = ()) -> tuple[Problem, ...]:
        """Register what is installed and let in; doing it again adds only what is new.

        Args:
            requested: Distributions, entry points and import paths that pipelines name in `plugins:`.

        Returns:
            What went wrong; the other plugins are registered all the same.
        """
        paths = sorted(name for name in requested if ":" in name and self.policy.allows_import(name))
        group = self.kind.group
        imports = [(Origin("", path, UNKNOWN, UNKNOWN), EntryPoint("", path, group)) for path in paths]
        found = [*self._installed.of(group), *(imports if self.kind.is_eager else ())]
        return self._load(found, requested, self._installed.problems())

    def load_entry_points(self, points: Iterable[EntryPoint]) -> tuple[Problem, ...]:
        """Register what certain entry points offer; otherwise like `load_plugins`."""
        distributions = Distributions()
        return self._load([(distributions.origin(point), point) for point in points])

    def _load(
        self,
        found: Iterable[tuple[Origin, EntryPoint]],
        requested: Collection[str] = (),
        problems: Iterable[Problem] = (),
    ) -> tuple[Problem, ...]:
        """Let in, import where the kind is eager, and settle collisions."""
        let_in: list[tuple[Origin, EntryPoint]] = []
        events: list[PluginEvent] = []
        for origin, point in sorted(found, key=_order):
            refused = self._refusal(origin, point, requested)
            if refused is None:
                let_in.append((origin, point))
            if refused is not None or self.kind.is_eager:
                events.append(refused or PluginEvent(origin, Outcome.DISCOVERED))
        problems_found = [*problems]
        offers: dict[str, list[tuple[Origin, Any]]] = defaultdict(list)
        if self.kind.is_eager:
            imported = import_plugins(self.kind, let_in, self.policy.load_seconds)
            problems_found += imported.problems
            events += imported.events
            self.loads = tuple(imported.loads)
            for origin, plugin in imported.plugins:
                offers[self.kind.name_of(plugin)].append((origin, plugin))
        else:
            for origin, point in let_in:
                offers[point.name].append((origin, point))
        for name, offered in offers.items():
            if name in self and name not in self._origins:
                # Registered by code on purpose.
                continue
            origins = [origin for origin, _ in offered]
            settlement = settle(self.kind, name, origins, self.policy.chosen(self.kind.key, name))
            problems_found += settlement.problems
            events += settlement.events
            if settlement.taken is not None and self._origins.get(name) != settlement.taken:
                self._take(name, settlement.taken, offered[origins.index(settlement.taken)][1])
        problems_found += self._vain_replacements(offers)
        self._problems |= dict.fromkeys(problems_found)
        self._events |= dict.fromkeys(events)
        return tuple(problems_found)

    def _refusal(self, origin: Origin, point: EntryPoint, requested: Collection[str]) -> PluginEvent | None:
        """Decide from metadata whether an entry point is let in; None where it is."""
        written, refusal = self.policy.written, self.policy.refusal(origin)
        if refusal is not None:
            subject = "" if self.kind.is_eager else self.kind.subject(point.name)
            return PluginEvent(origin, Outcome.BLOCKED, subject, written, refusal, Refusal.NOT_ALLOWED)
        if self.kind.is_eager and not (
            self.policy.autoload or origin.is_own or _is_requested(origin, requested)
        ):
            details = "autoload is off and no pipeline's `plugins:` section names it"
            return PluginEvent(origin, Outcome.NOT_REQUESTED, "", written, details)
        return None

    def _take(self, name: str, origin: Origin, offer: Any) -> None:
        self._origins[name] = origin
        self._plugins.pop(name, None)
        if self.kind.is_eager:
            self._plugins[name] = offer
        else:
            self._waiting[name] = offer

    def _vain_replacements(self, offers: Mapping[str, list[tuple[Origin, Any]]]) -> Iterator[Problem]:
        """Yield a problem for each replacement by a distribution that does not register the name."""
        for chosen in self.policy.replaces.values() if not self.policy.closed else ():
            origins = [origin for origin, _ in offers.get(chosen.name, ())]
            if chosen.kind == self.kind.key and not any(
                is_from(origin, chosen.distribution) for origin in origins
            ):
                yield Problem(
                    f"`replaces` chooses {chosen.distribution} for the {self.kind.label} {chosen.name!r}, "
                    "but it does not register it",
                    subject=chosen.written,
                    hint="install it, let it in, correct its name, or remove the line",
                )

    def find(self, name: str) -> T | None:
        """Return a plugin that has been imported or added, or None."""
        return self._plugins.get(name)

    def get(self, name: str) -> T:
        """Return a plugin, imported if need be.

        Args:
            name: Its name.

        Raises:
            MedkgError: `kind.error`: there is no such name, it is not let in, several offer it and none is
                chosen, or it cannot be loaded.
        """
        plugin = self._plugins.get(name)
        if plugin is None:
            origin = self.origin(name)
            assert origin is not None, "what code added is not waiting"
            plugin = self._plugins[name] = self._imported(name, origin)
        return plugin

    def origin(self, name: str) -> Origin | None:
        """Return where a plugin came from, None for code; imports nothing, raises like `get`."""
        if name not in self:
            raise self.kind.error(self._why_unknown(name))
        return self._origins.get(name)

    def _why_unknown(self, name: str) -> str:
        subject, label = self.kind.subject(name), f"{self.kind.label} {name!r}"
        for event in self._events:
            if event.subject == subject and event.outcome is Outcome.BLOCKED:
                return f"{label} is offered by {event.origin}, which is not let in: {event.details}"
            if event.subject == subject and event.outcome is Outcome.REJECTED:
                return next(str(problem) for problem in self._problems if problem.message == event.details)
        return f"unknown {label}; {did_you_mean(name, self.names)}"

    def _imported(self, name: str, origin: Origin) -> T:
        imported = import_plugins(self.kind, [(origin, self._waiting[name])], self.policy.load_seconds)
        for _, plugin in imported.plugins:
            called = self.kind.name_of(plugin)
            if called == name:
                for problem in imported.problems:
                    _LOG.warning("%s", problem)
                self._problems |= dict.fromkeys(imported.problems)
                return plugin
            message = f"names an object called {called!r}; name it {name!r}, like its entry point"
            imported.reject(origin, Refusal.BREAKS_RULE, message)
        problem, cause = imported.problems[-1], imported.causes[-1]
        raise self.kind.error(
            f"{self.kind.label} {name!r}: {origin} {problem.message}; {problem.hint}"
        ) from cause


def _is_requested(origin: Origin, requested: Collection[str]) -> bool:
    return (
        origin.target in requested
        or origin.entry_point in requested
        or any(is_from(origin, name) for name in requested)
    )


def _order(item: tuple[Origin, EntryPoint]) -> tuple[bool, str, str, str]:
    origin = item[0]
    return (not origin.is_own, origin.distribution, origin.entry_point, origin.target)
