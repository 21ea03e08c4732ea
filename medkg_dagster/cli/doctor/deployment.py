"""What is installed: versions, and plugins with pipelines."""

from __future__ import annotations

import platform
import sqlite3
from collections import Counter
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version

from packaging.requirements import Requirement

from medkg_dagster import __version__
from medkg_dagster.cli.doctor.finding import Finding, fine, wrong
from medkg_dagster.errors import counted
from medkg_dagster.plugins import OWN_DISTRIBUTION
from medkg_dagster.settings import Settings


def look_at_versions() -> Iterator[Finding]:
    """Yield which versions are installed, and which of them do not fit."""
    dagster = _installed("dagster")
    yield fine(
        "versions",
        f"medkg-dagster {__version__}, dagster {dagster}, Python {platform.python_version()}, "
        f"SQLite {sqlite3.sqlite_version}",
    )
    for requirement in map(Requirement, requires(OWN_DISTRIBUTION) or ()):
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        there = _installed(requirement.name)
        if there is None or not requirement.specifier.contains(there, prereleases=True):
            has = f"{requirement.name} is {there}" if there else f"{requirement.name} is not installed"
            yield wrong("versions", f"{has}", f"`pip install '{requirement}'`")
    webserver = _installed("dagster-webserver")
    if webserver not in {None, dagster}:
        yield wrong(
            "versions",
            f"dagster-webserver is {webserver}, and dagster {dagster}: they belong together",
            f"`pip install dagster-webserver=={dagster}`",
        )


def look_at_plugins(settings: Settings) -> Iterator[Finding]:
    """Yield whether every pipeline and plugin loads."""
    from medkg_dagster.resolution import load_deployment

    plan = load_deployment(settings).plan
    became = Counter(event.outcome.value for event in plan.report.events)
    origins = {event.origin.distribution for event in plan.report.events} - {OWN_DISTRIBUTION}
    said = (
        f"{counted(len(plan.pipelines), 'pipeline')}, {became['registered']} plugins registered, "
        f"{counted(len(origins), 'distribution')} of others"
    )
    if plan.problems:
        yield wrong("plugins", f"{said}, {counted(len(plan.problems), 'problem')}", "`medkg check`")
    else:
        yield fine("plugins", said)


def _installed(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None
