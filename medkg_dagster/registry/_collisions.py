"""Several offers of one name: which is taken, decided by configuration and never by order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from medkg_dagster.errors import Problem
from medkg_dagster.plugins import Origin, Replacement, is_from
from medkg_dagster.plugins.events import Outcome, PluginEvent, Refusal
from medkg_dagster.registry._importing import PluginKind, problem_of


@dataclass(frozen=True, slots=True)
class Settlement:
    """What became of the offers of one name.

    Attributes:
        taken: The entry point whose first offer is used; None where none is.
        problems: One for each that is refused.
        events: What became of each.
    """

    taken: Origin | None
    problems: tuple[Problem, ...]
    events: tuple[PluginEvent, ...]


def settle(
    kind: PluginKind[Any], name: str, offered: Sequence[Origin], chosen: Replacement | None
) -> Settlement:
    """Decide: the one distribution that `replaces` names, else the built-in, else the only one, else none.

    Args:
        kind: The kind of plugin.
        name: The name that is offered.
        offered: The entry points that offer it; one that offers it again is in it again.
        chosen: What the deployment's `replaces` says of the name.
    """
    origins = Counter(offered)
    subject = kind.subject(name)
    named = [origin for origin in origins if chosen is not None and is_from(origin, chosen.distribution)]
    if len(named) != 1:
        chosen = None
    own = next((origin for origin in origins if origin.is_own), None)
    taken = named[0] if chosen else own or (offered[0] if len(origins) == 1 else None)
    by = chosen.written if chosen else "entry point"
    problems: list[Problem] = []
    events: list[PluginEvent] = []

    def refuse(origin: Origin, message: str, hint: str) -> None:
        problems.append(problem_of(origin, message, hint=hint))
        rejected = PluginEvent(origin, Outcome.REJECTED, subject, details=message, refusal=Refusal.NAME_TAKEN)
        events.append(rejected)

    for origin, times in origins.items():
        if times > 1:
            refuse(origin, *_repeated(kind, name, times - 1))
    if taken is not None:
        events.append(PluginEvent(taken, Outcome.REGISTERED, subject, by))
    for origin in origins:
        if origin == taken:
            continue
        if chosen:
            events.append(PluginEvent(origin, Outcome.REPLACED, subject, by, f"by {chosen.distribution}"))
        else:
            refuse(origin, *_lost(kind, name, origin, [*origins], taken))
    return Settlement(taken, tuple(problems), tuple(events))


def _repeated(kind: PluginKind[Any], name: str, times: int) -> tuple[str, str]:
    more = f" ({times:,} times too often)" if times > 1 else ""
    message = f"{kind.label} {name!r} is registered already by the same entry point{more}; the first is kept"
    return message, "remove or rename one of the two"


def _lost(
    kind: PluginKind[Any], name: str, origin: Origin, origins: Sequence[Origin], taken: Origin | None
) -> tuple[str, str]:
    """Return what is said of an offer that is not used, and what to do."""
    choice = f"`replaces: {{{kind.key}: {{{name}: {origin.distribution}}}}}` in config/plugins.yaml"
    if taken is not None:
        message = f"{kind.label} {name!r} is registered already by {taken}; the built-in is kept"
        return message, f"rename the {kind.label}, or let it take the built-in's place: {choice}"
    others = " and ".join(str(other) for other in origins if other is not origin)
    message = f"{kind.label} {name!r} is registered by {others} too; none of them is used"
    return message, f"uninstall or block one of the distributions, or choose one: {choice}"
