"""Several registrations of one name: which is taken, decided by configuration and never by order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from medkg_dagster.errors import Problem
from medkg_dagster.plugins import Origin, Replacement, is_from
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
    if chosen is not None:
        matching = [entry for entry in candidates if is_from(_origin(entry), chosen.distribution)]
        if len(matching) == 1:
            events += _replaced(name, candidates, matching[0], chosen)
            return Settlement(matching[0], tuple(problems), tuple(events))
    taken, refused = _built_in_or_only(name, candidates)
    problems += refused
    events += [PluginEvent(_origin(taken), Outcome.REGISTERED, name)] if taken else []
    losers = [entry for entry in candidates if entry is not taken]
    events += [_rejected(entry, name, problem) for entry, problem in zip(losers, refused, strict=True)]
    return Settlement(taken, tuple(problems), tuple(events))


def _repeated(name: str, entry: RegisteredStage, times: int) -> Problem:
    more = f" ({times:,} times too often)" if times > 1 else ""
    message = f"stage type {name!r} is registered already by the same entry point{more}; the first is kept"
    return _refused(entry, message, "remove or rename one of the two")


def _built_in_or_only(
    name: str, candidates: Sequence[RegisteredStage]
) -> tuple[RegisteredStage | None, list[Problem]]:
    if len(candidates) == 1:
        return candidates[0], []
    own = next((entry for entry in candidates if _origin(entry).is_own), None)
    if own is not None:
        others = [entry for entry in candidates if entry is not own]
        message = f"stage type {name!r} is registered already by {own.origin}; the built-in is kept"
        return own, [_refused(entry, message, _rename_or_choose(name, entry)) for entry in others]
    return None, [
        _refused(
            entry,
            f"stage type {name!r} is registered by {_others(entry, candidates)} too; none of them is used",
            f"uninstall or block one of the distributions, or choose one: {_choice(name, entry)}",
        )
        for entry in candidates
    ]


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
