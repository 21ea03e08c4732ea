"""Stage types from entry points, each under its own guard."""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, EntryPoint, entry_points
from typing import Any

from medkg_dagster.errors import Problem, StageRegistryError
from medkg_dagster.registry.origin import Origin
from medkg_dagster.stage_api.registration import StageRegistration

STAGE_GROUP = "medical_kg.orchestration.stages"
OWN_DISTRIBUTION = "medkg-dagster"

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
    """

    stages: tuple[DiscoveredStage, ...]
    problems: tuple[Problem, ...]


def discover_stages(group: str = STAGE_GROUP) -> Discovery:
    """Import every stage plugin that is installed.

    Args:
        group: The entry point group.

    Returns:
        What they registered, and what went wrong.
    """
    return load_entry_points(entry_points(group=group))


def load_entry_points(points: Iterable[EntryPoint]) -> Discovery:
    """Import entry points and call what they name; a broken one becomes a problem and the others go on."""
    stages: list[DiscoveredStage] = []
    problems: list[Problem] = []
    known: dict[int, tuple[str, str]] = {}
    found = [(_origin(point, known), point) for point in points]
    for origin, point in sorted(found, key=_order):
        try:
            # One by one: what a plugin yields before it breaks counts.
            stages.extend(DiscoveredStage(registration, origin) for registration in _registrations(point))
        except StageRegistryError as error:
            problems.append(problem_of(origin, str(error), error))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a plugin breaks, the others must load
            described = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            problems.append(problem_of(origin, f"cannot be loaded: {described}", error))
    return Discovery(tuple(stages), tuple(problems))


def problem_of(
    origin: Origin, message: str, error: BaseException | None = None, hint: str = _REINSTALL
) -> Problem:
    """Return a problem that names an entry point, keeping the traceback in its details."""
    details = "".join(traceback.format_exception(error)) if error is not None else None
    return Problem(message, subject=str(origin), hint=hint, details=details)


def _order(item: tuple[Origin, EntryPoint]) -> tuple[bool, str, str, str]:
    origin = item[0]
    return (origin.distribution != OWN_DISTRIBUTION, origin.distribution, origin.entry_point, origin.target)


def _origin(point: EntryPoint, known: dict[int, tuple[str, str]]) -> Origin:
    distribution = point.dist
    if distribution is None:
        return Origin(point.name, point.value, "?", "?")
    if id(distribution) not in known:
        known[id(distribution)] = _name_and_version(distribution)
    return Origin(point.name, point.value, *known[id(distribution)])


def _name_and_version(distribution: Distribution) -> tuple[str, str]:
    metadata = distribution.metadata
    return str(metadata["Name"] or "?"), str(metadata["Version"] or "?")


def _registrations(point: EntryPoint) -> Iterator[StageRegistration]:
    plugin: Any = point.load()
    if not callable(plugin):
        raise StageRegistryError(
            f"names {type(plugin).__name__} {str(plugin)[:60]!r}; it must name a function without "
            "arguments that returns a StageRegistration or several"
        )
    returned = plugin()
    if isinstance(returned, StageRegistration):
        yield returned
        return
    if isinstance(returned, str | bytes | dict) or not isinstance(returned, Iterable):
        raise StageRegistryError(
            f"returned {type(returned).__name__}; it must return a StageRegistration or an iterable of them"
        )
    yield from returned
