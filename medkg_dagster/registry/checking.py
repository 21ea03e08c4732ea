"""Every registration that plugins gave, checked: which also runs code of theirs, and so needs a guard."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass

from medkg_dagster.errors import Problem, StageRegistryError
from medkg_dagster.plugins import LoadGuard, Origin
from medkg_dagster.plugins.events import Outcome, PluginEvent
from medkg_dagster.plugins.loading import error_text
from medkg_dagster.registry.discovery import Discovery, problem_of
from medkg_dagster.registry.registered import RegisteredStage, checked

MAX_TOLD = 10
"""So many different problems of one entry point are told one by one."""


@dataclass(frozen=True, slots=True)
class CheckedStages:
    """What became of registrations.

    Attributes:
        entries: Those that hold to the rules.
        problems: What is wrong with the others.
        events: The same for the audit.
    """

    entries: tuple[RegisteredStage, ...]
    problems: tuple[Problem, ...]
    events: tuple[PluginEvent, ...]


def check_stages(discovery: Discovery) -> CheckedStages:
    """Check every registration.

    Args:
        discovery: What the entry points gave.
    """
    entries: list[RegisteredStage] = []
    problems: list[Problem] = []
    events: list[PluginEvent] = []
    told: dict[Origin, set[str]] = defaultdict(set)
    untold: Counter[Origin] = Counter()
    with LoadGuard(discovery.policy.load_seconds) as guard:
        for stage in discovery.stages:
            registration, origin = stage.registration, stage.origin
            try:
                entries.append(guard.run(str(origin), lambda: checked(registration, origin)))  # noqa: B023 - called at once
            except Exception as error:  # noqa: BLE001 - a plugin's signatures and reprs may do anything, and others must load
                message = _message(error)
                if message in told[origin] or len(told[origin]) >= MAX_TOLD:
                    untold[origin] += 1
                    continue
                told[origin].add(message)
                problems.append(problem_of(origin, message, error))
                events.append(PluginEvent(origin, Outcome.REJECTED, details=message))
    problems += [
        problem_of(origin, f"{number:,} more of its registrations are refused")
        for origin, number in untold.items()
    ]
    return CheckedStages(tuple(entries), tuple(problems), tuple(events))


def _message(error: Exception) -> str:
    if isinstance(error, StageRegistryError):
        return str(error)
    return f"a registration cannot be checked: {error_text(error)}"
