"""Stage types from entry points, each under its own guard."""

from __future__ import annotations

import dataclasses
import time
import traceback
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint

from medkg_dagster.errors import PluginExitError, PluginTimeoutError, Problem, StageRegistryError
from medkg_dagster.plugins import (
    Distributions,
    InstalledEntryPoints,
    LoadGuard,
    Origin,
    PluginPolicy,
    is_from,
)
from medkg_dagster.plugins.collector import collector_paused
from medkg_dagster.plugins.events import Outcome, PluginEvent, PluginLoad
from medkg_dagster.plugins.loading import error_text, load_target
from medkg_dagster.plugins.origin import UNKNOWN
from medkg_dagster.stage_api.offers import offered_registrations
from medkg_dagster.stage_api.stage_types.registration import StageRegistration

STAGE_GROUP = "medical_kg.orchestration.stages"
STAGES = "stages"

_REINSTALL = "upgrade or uninstall the distribution, or tell its authors"


@dataclass(frozen=True, slots=True)
class DiscoveredStage:
    """A registration as an entry point gave it, not yet checked.

    Attributes:
        registration: The registration.
        origin: The entry point.
    """

    registration: StageRegistration
    origin: Origin


@dataclass(frozen=True, slots=True)
class Discovery:
    """What the entry points gave.

    Attributes:
        stages: Registrations, this project's own first, then by distribution and entry point.
        problems: One for each entry point that failed.
        policy: What was let in.
        events: What became of each entry point.
        loads: How long each took.
    """

    stages: tuple[DiscoveredStage, ...]
    problems: tuple[Problem, ...]
    policy: PluginPolicy = field(default_factory=PluginPolicy)
    events: tuple[PluginEvent, ...] = ()
    loads: tuple[PluginLoad, ...] = ()


def discover_stages(
    policy: PluginPolicy | None = None,
    asked_for: Collection[str] = (),
    group: str = STAGE_GROUP,
    installed: InstalledEntryPoints | None = None,
) -> Discovery:
    """Import the stage plugins that are installed and let in.

    Args:
        policy: What is let in; everything by default.
        asked_for: Distributions, entry points and import paths that pipelines name in `plugins:`.
        group: The entry point group.
        installed: The installed entry points; looked for by default.

    Returns:
        What they registered, and what went wrong.
    """
    policy = policy or PluginPolicy()
    installed = installed or InstalledEntryPoints()
    found = installed.of(group)
    paths = sorted(name for name in asked_for if ":" in name and policy.allows_import(name))
    imports = [(Origin("", path, UNKNOWN, UNKNOWN), EntryPoint("", path, group)) for path in paths]
    discovery = _load([*found, *imports], policy, asked_for)
    return dataclasses.replace(discovery, problems=(*installed.problems(), *discovery.problems))


def load_entry_points(
    points: Iterable[EntryPoint],
    policy: PluginPolicy | None = None,
    asked_for: Collection[str] = (),
) -> Discovery:
    """Import entry points and call what they name; a broken one becomes a problem and the others go on.

    Args:
        points: The entry points; nothing is imported of those that are not let in.
        policy: See `discover_stages`.
        asked_for: See `discover_stages`.
    """
    distributions = Distributions()
    found = [(distributions.origin(point), point) for point in points]
    return _load(found, policy or PluginPolicy(), asked_for)


def _load(
    found: Iterable[tuple[Origin, EntryPoint]],
    policy: PluginPolicy,
    asked_for: Collection[str],
) -> Discovery:
    with collector_paused(), LoadGuard(policy.load_seconds) as guard:
        loading = _Loading(policy, guard)
        for origin, point in sorted(found, key=_order):
            if loading.lets_in(origin, asked_for):
                loading.load(origin, point)
    return Discovery(
        tuple(loading.stages), tuple(loading.problems), policy, tuple(loading.events), tuple(loading.loads)
    )


def problem_of(
    origin: Origin, message: str, error: BaseException | None = None, hint: str = _REINSTALL
) -> Problem:
    """Return a problem that names an entry point, keeping the traceback in its details."""
    details = "".join(traceback.format_exception(error)) if error is not None else None
    if origin.is_import_path and hint == _REINSTALL:
        hint = "correct the import path in the pipeline file, or what it names"
    return Problem(message, subject=str(origin), hint=hint, details=details)


class _Loading:
    """The loading of a group of entry points, one after the other."""

    def __init__(self, policy: PluginPolicy, guard: LoadGuard) -> None:
        self.policy = policy
        self.guard = guard
        self.stages: list[DiscoveredStage] = []
        self.problems: list[Problem] = []
        self.events: list[PluginEvent] = []
        self.loads: list[PluginLoad] = []

    def lets_in(self, origin: Origin, asked_for: Collection[str]) -> bool:
        """Decide from metadata whether an entry point is loaded."""
        refusal = self.policy.refusal(origin)
        if refusal is not None:
            self.events.append(PluginEvent(origin, Outcome.BLOCKED, "", self.policy.written, refusal))
            return False
        if not (self.policy.autoload or origin.is_own or _is_asked_for(origin, asked_for)):
            details = "autoload is off and no pipeline's `plugins:` section names it"
            self.events.append(PluginEvent(origin, Outcome.NOT_ASKED_FOR, "", self.policy.written, details))
            return False
        self.events.append(PluginEvent(origin, Outcome.DISCOVERED))
        return True

    def load(self, origin: Origin, point: EntryPoint) -> None:
        """Import an entry point and take what it registers."""
        start = time.perf_counter()
        try:
            self.guard.run(str(origin), lambda: self._take(origin, point))
        except StageRegistryError as error:
            self._reject(origin, str(error), error)
        except PluginTimeoutError as error:
            message = f"took longer than {self.policy.load_seconds:g} s to load and was interrupted"
            hint = "let it import and connect inside its builder, or raise load_seconds in plugins.yaml"
            self._reject(origin, message, error, hint)
        except PluginExitError as error:
            self._reject(origin, f"cannot be loaded: {error}", error)
        except Exception as error:  # noqa: BLE001 - whatever a plugin breaks, the others must load
            self._reject(origin, f"cannot be loaded: {error_text(error)}", error)
        finally:
            self.loads.append(PluginLoad(origin, time.perf_counter() - start))

    def _take(self, origin: Origin, point: EntryPoint) -> None:
        # One by one: what a plugin yields before it breaks counts.
        for registration in offered_registrations(load_target(point)):
            self.stages.append(DiscoveredStage(registration, origin))

    def _reject(
        self, origin: Origin, message: str, error: BaseException | None = None, hint: str = _REINSTALL
    ) -> None:
        self.problems.append(problem_of(origin, message, error, hint))
        self.events.append(PluginEvent(origin, Outcome.REJECTED, details=message))


def _is_asked_for(origin: Origin, asked_for: Collection[str]) -> bool:
    return (
        origin.target in asked_for
        or origin.entry_point in asked_for
        or any(is_from(origin, name) for name in asked_for)
    )


def _order(item: tuple[Origin, EntryPoint]) -> tuple[bool, str, str, str]:
    origin = item[0]
    return (not origin.is_own, origin.distribution, origin.entry_point, origin.target)
