"""The entry points that are installed, found by one look at every distribution."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from importlib.metadata import Distribution, EntryPoint, EntryPoints, distributions, entry_points

from medkg_dagster.errors import Problem
from medkg_dagster.plugins.loading import error_text
from medkg_dagster.plugins.origin import UNKNOWN, Distributions, Origin

_GROUPS = "medical_kg.orchestration."
_FILE = "entry_points.txt"


class InstalledEntryPoints:
    """Entry points by group with their origins; nothing is imported, and distributions are read once."""

    def __init__(self) -> None:
        self._distributions = Distributions()
        self._problems: list[Problem] = []

    @functools.cached_property
    def _select(self) -> Callable[..., EntryPoints]:
        try:
            return entry_points().select
        except Exception:  # noqa: BLE001 - one damaged distribution must not hide all others
            return EntryPoints(self._readable()).select

    def of(self, group: str) -> list[tuple[Origin, EntryPoint]]:
        """Return the entry points of a group."""
        return [(self._distributions.origin(point), point) for point in self._select(group=group)]

    def problems(self) -> tuple[Problem, ...]:
        """Return what is wrong with distributions whose entry points cannot be read."""
        _ = self._select
        return tuple(self._problems)

    def _readable(self) -> Iterator[EntryPoint]:
        """Read one distribution after the other, as `entry_points` does: of one name the first counts."""
        seen: set[str] = set()
        for distribution in distributions():
            name, version, _ = self._distributions.describe(distribution)
            if name in seen:
                continue
            seen.update({name} - {UNKNOWN})
            try:
                yield from distribution.entry_points
            except Exception as error:  # noqa: BLE001 - see above
                if _may_be_a_plugin(distribution):
                    self._problems.append(
                        Problem(
                            f"its {_FILE} cannot be read: {error_text(error)}; no plugin of it is found",
                            subject=f"distribution {name} {version} in {distribution.locate_file('')}",
                            hint="reinstall or uninstall it",
                        )
                    )


def _may_be_a_plugin(distribution: Distribution) -> bool:
    try:
        return _GROUPS in (distribution.read_text(_FILE) or "")
    except (UnicodeDecodeError, OSError):
        return True
