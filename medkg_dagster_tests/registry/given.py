"""Entry points that are not installed, wherever a test wants them to come from."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import EntryPoint

from medkg_dagster.plugins import InstalledEntryPoints, Origin
from medkg_dagster.registry import STAGE_GROUP

PLUGINS = "medkg_dagster_tests.registry.plugins"


class GivenEntryPoints(InstalledEntryPoints):
    """Entry points that a test gives.

    Args:
        given: Where each is said to come from, and the attribute of the test plugins that it names.
    """

    def __init__(self, given: Iterable[tuple[Origin, str]]) -> None:
        super().__init__()
        self._given = list(given)

    def of(self, group: str) -> list[tuple[Origin, EntryPoint]]:
        """Return them as entry points of stage types."""
        return [
            (origin, EntryPoint(origin.entry_point, f"{PLUGINS}:{attribute}", group))
            for origin, attribute in self._given
            if group == STAGE_GROUP
        ]
