"""Kinds of plugins, and the way from entry points to checked plugins, each step under the guard."""

from __future__ import annotations

import time
import traceback
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import EntryPoint
from typing import Any, Generic, TypeVar

from medkg_dagster.errors import ConfigError, MedkgError, PluginTimeoutError, Problem, counted
from medkg_dagster.io.collector import collector_paused
from medkg_dagster.plugins import LoadGuard, Origin
from medkg_dagster.plugins.events import Outcome, PluginEvent, PluginLoad, Refusal
from medkg_dagster.plugins.loading import error_text, load_target
from medkg_dagster.plugins.surroundings import Surroundings, kept_surroundings

T = TypeVar("T")

MAX_LISTED = 10
"""So many different problems of one entry point are listed one by one; the others are counted."""

_QUICKER = "let it import and connect inside its builder, or raise load_seconds in plugins.yaml"
_REINSTALL = "upgrade or uninstall the distribution, or tell its authors"


def _the_target(target: Any) -> Iterable[Any]:
    return (target,)


@dataclass(frozen=True, slots=True)
class PluginKind(Generic[T]):
    """A kind of plugin: where its entry points are, and what makes a plugin of what they name.

    Attributes:
        group: The entry point group.
        label: What people call one: `stage type`, `index store`.
        check: Makes the plugin of one offer and its entry point, None for one that code adds; raises `error`.
        name_of: Returns a plugin's name.
        offers: Returns what the target of an entry point offers, unchecked: the target itself by default.
        is_eager: Whether entry points are imported when plugins are loaded, so that one of them may offer
            several names; otherwise each offers its own name, and is imported when somebody asks for that.
        error: What an unknown name and a broken rule raise.
    """

    group: str
    label: str
    check: Callable[[Any, Origin | None], T]
    name_of: Callable[[T], str]
    offers: Callable[[Any], Iterable[Any]] = _the_target
    is_eager: bool = False
    error: type[MedkgError] = ConfigError

    @property
    def key(self) -> str:
        """The last word of the group, the kind's key in `replaces` and `plugins:`."""
        return self.group.rpartition(".")[2]

    def subject(self, name: str) -> str:
        """Return what the audit calls a plugin."""
        return name if self.is_eager else f"{self.label} {name}"


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
        self,
        origin: Origin,
        refusal: Refusal,
        message: str,
        error: BaseException | None = None,
        hint: str = _REINSTALL,
    ) -> None:
        """Take note of what is wrong with an entry point."""
        self.problems.append(problem_of(origin, message, error, hint))
        self.events.append(PluginEvent(origin, Outcome.REJECTED, details=message, refusal=refusal))
        self.causes.append(error)

    def remark(self, origin: Origin, message: str, hint: str = _REINSTALL) -> None:
        """Take note of what an entry point did besides; what it offers counts all the same."""
        self.problems.append(problem_of(origin, message, hint=hint))
        self.causes.append(None)


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
        surroundings = Surroundings()
        with collector_paused():
            for origin, point in points:
                start = time.perf_counter()
                try:
                    with kept_surroundings(surroundings, partial(imported.remark, origin)):
                        guard.run(str(origin), lambda: _collect(kind, origin, point, offers))  # noqa: B023 - called at once
                except PluginTimeoutError as error:
                    message = f"took longer than {load_seconds:g} s to load and was interrupted"
                    imported.reject(origin, Refusal.TOO_SLOW, message, error, _QUICKER)
                except kind.error as error:
                    imported.reject(origin, Refusal.BREAKS_RULE, str(error), error)
                except Exception as error:  # noqa: BLE001 - whatever a plugin breaks, the others must load
                    message = f"cannot be loaded: {error_text(error)}"
                    imported.reject(origin, Refusal.CANNOT_LOAD, message, error)
                else:
                    if guard.seconds > load_seconds:
                        message = f"took {guard.seconds:.0f} s to load, which nothing could interrupt"
                        imported.remark(origin, message, _QUICKER)
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
    listed: dict[Origin, set[str]] = defaultdict(set)
    unlisted: Counter[Origin] = Counter()
    for origin, offer in offers:
        try:
            plugin = guard.run(str(origin), lambda: kind.check(offer, origin))  # noqa: B023 - called at once
        except Exception as error:  # noqa: BLE001 - see above, and the others must load
            is_rule = isinstance(error, kind.error)
            message = str(error) if is_rule else f"a registration cannot be checked: {error_text(error)}"
            if message in listed[origin] or len(listed[origin]) >= MAX_LISTED:
                unlisted[origin] += 1
                continue
            listed[origin].add(message)
            imported.reject(origin, Refusal.BREAKS_RULE, message, error)
        else:
            imported.plugins.append((origin, plugin))
    for origin, number in unlisted.items():
        imported.problems.append(
            problem_of(
                origin,
                f"{counted(number, 'more of its registrations is', 'more of its registrations are')} refused",
            )
        )
