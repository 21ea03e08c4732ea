"""From entry points to checked plugins, each step under the guard; a broken one becomes a problem."""

from __future__ import annotations

import time
import traceback
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint
from typing import Any, Generic, TypeVar

from medkg_dagster.errors import PluginTimeoutError, Problem
from medkg_dagster.plugins import LoadGuard, Origin
from medkg_dagster.plugins.collector import collector_paused
from medkg_dagster.plugins.events import Outcome, PluginEvent, PluginLoad
from medkg_dagster.plugins.loading import error_text, load_target
from medkg_dagster.registry.plugin_kind import PluginKind

T = TypeVar("T")

MAX_TOLD = 10
"""So many different problems of one entry point are told one by one."""

_REINSTALL = "upgrade or uninstall the distribution, or tell its authors"


@dataclass(frozen=True, slots=True)
class Imported(Generic[T]):
    """What entry points gave.

    Attributes:
        plugins: The plugins that hold to the rules, with their entry points, in the order of these.
        problems: What is wrong with the others.
        events: The same for the audit.
        loads: How long each entry point took.
        causes: The error behind each problem, where there is one.
    """

    plugins: list[tuple[Origin, T]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    events: list[PluginEvent] = field(default_factory=list)
    loads: list[PluginLoad] = field(default_factory=list)
    causes: list[BaseException | None] = field(default_factory=list)

    def reject(
        self, origin: Origin, message: str, error: BaseException | None = None, hint: str = _REINSTALL
    ) -> None:
        """Take note of what is wrong with an entry point."""
        self.problems.append(problem_of(origin, message, error, hint))
        self.events.append(PluginEvent(origin, Outcome.REJECTED, details=message))
        self.causes.append(error)


def import_plugins(
    kind: PluginKind[T], points: Iterable[tuple[Origin, EntryPoint]], load_seconds: float
) -> Imported[T]:
    """Import entry points and check what they offer; a broken one becomes a problem and the others go on.

    Args:
        kind: The kind of plugin.
        points: The entry points, all of them let in.
        load_seconds: The limit of each import and of each check.
    """
    imported: Imported[T] = Imported()
    offers: list[tuple[Origin, Any]] = []
    with LoadGuard(load_seconds) as guard:
        with collector_paused():
            for origin, point in points:
                start = time.perf_counter()
                try:
                    guard.run(str(origin), lambda: _collect(kind, origin, point, offers))  # noqa: B023 - called at once
                except PluginTimeoutError as error:
                    message = f"took longer than {load_seconds:g} s to load and was interrupted"
                    hint = (
                        "let it import and connect inside its builder, or raise load_seconds in plugins.yaml"
                    )
                    imported.reject(origin, message, error, hint)
                except kind.error as error:
                    imported.reject(origin, str(error), error)
                except Exception as error:  # noqa: BLE001 - whatever a plugin breaks, the others must load
                    imported.reject(origin, f"cannot be loaded: {error_text(error)}", error)
                imported.loads.append(PluginLoad(origin, time.perf_counter() - start))
        _check(kind, offers, guard, imported)
    return imported


def problem_of(
    origin: Origin, message: str, error: BaseException | None = None, hint: str = _REINSTALL
) -> Problem:
    """Return a problem that names an entry point, keeping the traceback in its details."""
    details = "".join(traceback.format_exception(error)) if error is not None else None
    if origin.is_import_path and hint == _REINSTALL:
        hint = "correct the import path in the pipeline file, or what it names"
    return Problem(message, subject=str(origin), hint=hint, details=details)


def _collect(
    kind: PluginKind[T], origin: Origin, point: EntryPoint, offers: list[tuple[Origin, Any]]
) -> None:
    # One by one: what a plugin yields before it breaks counts.
    for offer in kind.offers(load_target(point)):
        offers.append((origin, offer))  # noqa: PERF401 - see above


def _check(
    kind: PluginKind[T], offers: Iterable[tuple[Origin, Any]], guard: LoadGuard, imported: Imported[T]
) -> None:
    """Check every offer; that also runs code of plugins, their signatures and reprs."""
    told: dict[Origin, set[str]] = defaultdict(set)
    untold: Counter[Origin] = Counter()
    for origin, offer in offers:
        try:
            plugin = guard.run(str(origin), lambda: kind.check(offer, origin))  # noqa: B023 - called at once
        except Exception as error:  # noqa: BLE001 - see above, and the others must load
            is_rule = isinstance(error, kind.error)
            message = str(error) if is_rule else f"a registration cannot be checked: {error_text(error)}"
            if message in told[origin] or len(told[origin]) >= MAX_TOLD:
                untold[origin] += 1
                continue
            told[origin].add(message)
            imported.reject(origin, message, error)
        else:
            imported.plugins.append((origin, plugin))
    for origin, number in untold.items():
        imported.problems.append(problem_of(origin, f"{number:,} more of its registrations are refused"))
