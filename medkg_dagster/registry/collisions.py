"""Several registrations of one name: which is taken, decided by configuration and never by order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from medkg_dagster.errors import Problem
from medkg_dagster.plugins import Origin, Replacement, choose_offer
from medkg_dagster.plugins.events import Outcome, PluginEvent
from medkg_dagster.registry.discovery import problem_of
from medkg_dagster.registry.registered import RegisteredStage


@dataclass(frozen=True, slots=True)
class Settlement:
    """What became of the registrations of one name.

    Attributes:
        taken: The one that is used; None where none is.
        problems: One for each that is refused.
        events: What became of each.
    """

    taken: RegisteredStage | None
    problems: tuple[Problem, ...]
    events: tuple[PluginEvent, ...]


def settle(name: str, offered: Sequence[RegisteredStage], chosen: Replacement | None) -> Settlement:
    """Decide between the registrations of one stage type.

    Args:
        name: The stage type.
        offered: Its registrations, each of an entry point.
        chosen: What the deployment's `replaces` says of the name.
    """
    problems: list[Problem] = []
    events: list[PluginEvent] = []
    candidates: list[RegisteredStage] = []
    again: dict[Origin, int] = {}
    for entry in offered:
        if all(other.origin != entry.origin for other in candidates):
            candidates.append(entry)
        else:
            again[_origin(entry)] = again.get(_origin(entry), 0) + 1
    for entry in candidates:
        times = again.get(_origin(entry), 0)
        if times:
            problems.append(_repeated(name, entry, times))
            events.append(_rejected(entry, name, problems[-1]))
    choice = choose_offer([_origin(entry) for entry in candidates], chosen)
    taken = None if choice.position is None else candidates[choice.position]
    if taken is not None and choice.replacement is not None:
        events += _replaced(name, candidates, taken, choice.replacement)
        return Settlement(taken, tuple(problems), tuple(events))
    events += [PluginEvent(_origin(taken), Outcome.REGISTERED, name)] if taken else []
    for entry in candidates:
        if entry is not taken:
            problems.append(_lost(name, entry, candidates, taken))
            events.append(_rejected(entry, name, problems[-1]))
    return Settlement(taken, tuple(problems), tuple(events))


def _repeated(name: str, entry: RegisteredStage, times: int) -> Problem:
    more = f" ({times:,} times too often)" if times > 1 else ""
    message = f"stage type {name!r} is registered already by the same entry point{more}; the first is kept"
    return _refused(entry, message, "remove or rename one of the two")


def _lost(
    name: str, entry: RegisteredStage, candidates: Sequence[RegisteredStage], taken: RegisteredStage | None
) -> Problem:
    if taken is not None:
        message = f"stage type {name!r} is registered already by {taken.origin}; the built-in is kept"
        return _refused(entry, message, _rename_or_choose(name, entry))
    message = f"stage type {name!r} is registered by {_others(entry, candidates)} too; none of them is used"
    hint = f"uninstall or block one of the distributions, or choose one: {_choice(name, entry)}"
    return _refused(entry, message, hint)


def _replaced(
    name: str, candidates: Sequence[RegisteredStage], taken: RegisteredStage, chosen: Replacement
) -> Iterator[PluginEvent]:
    yield PluginEvent(_origin(taken), Outcome.REGISTERED, name, chosen.written)
    for entry in candidates:
        if entry is not taken:
            yield PluginEvent(
                _origin(entry), Outcome.REPLACED, name, chosen.written, f"by {chosen.distribution}"
            )


def _others(entry: RegisteredStage, candidates: Sequence[RegisteredStage]) -> str:
    return " and ".join(str(other.origin) for other in candidates if other is not entry)


def _rename_or_choose(name: str, entry: RegisteredStage) -> str:
    return f"rename the stage type, or let it take the built-in's place: {_choice(name, entry)}"


def _choice(name: str, entry: RegisteredStage) -> str:
    return f"`replaces: {{stages: {{{name}: {_origin(entry).distribution}}}}}` in config/plugins.yaml"


def _refused(entry: RegisteredStage, message: str, hint: str) -> Problem:
    return problem_of(_origin(entry), message, hint=hint)


def _rejected(entry: RegisteredStage, name: str, problem: Problem) -> PluginEvent:
    return PluginEvent(_origin(entry), Outcome.REJECTED, name, details=problem.message)


def _origin(entry: RegisteredStage) -> Origin:
    assert entry.origin is not None, "only registrations of entry points collide here"
    return entry.origin
