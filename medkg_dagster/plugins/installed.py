"""The entry points that are installed, found by one look at every distribution."""

from __future__ import annotations

import functools
from collections.abc import Callable
from importlib.metadata import EntryPoint, EntryPoints, entry_points

from medkg_dagster.plugins.origin import Distributions, Origin


class InstalledEntryPoints:
    """Entry points by group with their origins; nothing is imported, and distributions are read once."""

    def __init__(self) -> None:
        self._distributions = Distributions()

    @functools.cached_property
    def _select(self) -> Callable[..., EntryPoints]:
        return entry_points().select

    def of(self, group: str) -> list[tuple[Origin, EntryPoint]]:
        """Return the entry points of a group."""
        return [(self._distributions.origin(point), point) for point in self._select(group=group)]
