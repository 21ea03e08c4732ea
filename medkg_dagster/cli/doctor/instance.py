"""Dagster's own storage, daemon, sensors and schedules, as a child process with Dagster reads them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from medkg_dagster.cli.doctor.finding import Finding, fine, note, wrong
from medkg_dagster.cli.output import seconds
from medkg_dagster.errors import ConfigError, counted
from medkg_dagster.settings import Settings, find_dagster_home

if TYPE_CHECKING:
    from medkg_dagster.ledger.figures import LedgerSummary

_DEFINITIONS = "medkg_dagster.definitions"
_DAEMON = "`make dev` starts one, or `dagster-daemon run -m medkg_dagster.definitions`"


def look_at_dagster(settings: Settings, known: LedgerSummary | None) -> Iterator[Finding]:
    """Yield whether Dagster's storage can be reached, its daemon lives, and sensors and schedules are on."""
    from medkg_dagster.runtime.instance_look import has_storage, look_at_instance

    waiting = 0 if known is None else known.due + known.jobs.get("waiting", 0)
    try:
        folder = find_dagster_home(settings.home)
        if not has_storage(folder):
            yield note("dagster", f"{folder} holds no instance yet", "`medkg run auto` makes one")
            yield _no_daemon("none has run", waiting)
            return
        if not os.access(folder, os.W_OK):
            yield note("dagster", f"{folder} cannot be written to, so Dagster cannot look into it")
            return
        told = look_at_instance(settings.home, folder)
    except ConfigError as error:
        yield wrong("dagster", str(error))
        return
    yield fine("dagster", f"{folder}, version {told['dagster']}")
    yield _daemon(told, waiting)
    yield from _switched("sensors", told, lambda name: f"`dagster sensor start {name} -m {_DEFINITIONS}`")
    yield from _switched("schedules", told, lambda name: f"`dagster schedule start {name} -m {_DEFINITIONS}`")


def _daemon(told: dict[str, Any], waiting: int) -> Finding:
    if told["heartbeat"] is None:
        return _no_daemon("none has run", waiting)
    at = seconds(told["heartbeat"])
    if told["is_alive"]:
        return fine("daemon", f"it said at {at} that it is there")
    return _no_daemon(f"it has said nothing since {at}", waiting)


def _no_daemon(said: str, waiting: int) -> Finding:
    """Return that none runs: without work that waits for it, that is how a laptop is."""
    if waiting:
        jobs = counted(waiting, "phase of a job waits", "phases of jobs wait")
        return wrong("daemon", f"{said}, and {jobs} for it to start or to open", _DAEMON)
    return note("daemon", f"{said}; nothing waits for it", _DAEMON)


def _switched(kind: str, told: dict[str, Any], start: Callable[[str], str]) -> Iterator[Finding]:
    states: dict[str, bool] = told[kind]
    off = sorted(name for name, is_on in states.items() if not is_on)
    for name in off:
        yield wrong(kind, f"{name} is off", start(name))
    if not off:
        yield fine(kind, f"{len(states)} on" if states else "there are none")
