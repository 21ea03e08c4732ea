"""What is installed, and where a plugin came from, read from metadata before anything is imported."""

from __future__ import annotations

import functools
import hashlib
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.metadata import Distribution, EntryPoint, EntryPoints, distributions, entry_points

from medkg_dagster.errors import Problem
from medkg_dagster.plugins.loading import error_text

OWN_DISTRIBUTION = "medkg-dagster"
UNKNOWN = "?"
_GROUPS = "medical_kg.orchestration."
_FILE = "entry_points.txt"


@dataclass(frozen=True, slots=True)
class Origin:
    """The entry point, or the import path, that offers a plugin.

    Attributes:
        entry_point: The entry point's name; empty for an import path written in a pipeline file.
        target: What it names, `module:attribute`.
        distribution: The distribution that declares it; `?` where unknown.
        version: The distribution's version; `?` where unknown.
        record_hash: SHA-256 of the distribution's RECORD, the list of its files with their hashes; empty
            where there is none. It changes with any installed file, but not with the
            files of an editable install.
    """

    entry_point: str
    target: str
    distribution: str
    version: str
    record_hash: str = field(default="", compare=False)

    @property
    def is_own(self) -> bool:
        """Whether this project itself ships it."""
        return self.distribution == OWN_DISTRIBUTION

    @property
    def is_import_path(self) -> bool:
        """Whether a pipeline file names it, rather than a distribution's metadata."""
        return not self.entry_point and self.distribution == UNKNOWN

    def __str__(self) -> str:
        if self.is_import_path:
            return f"import path '{self.target}'"
        return f"entry point '{self.entry_point} = {self.target}' of {self.distribution} {self.version}"


class Distributions:
    """Reads name, version and RECORD hash of distributions, each once."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Distribution, tuple[str, str, str]]] = {}

    def origin(self, point: EntryPoint) -> Origin:
        """Return the origin of an entry point."""
        if point.dist is None:
            return Origin(point.name, point.value, UNKNOWN, UNKNOWN)
        name, version, record_hash = self.describe(point.dist)
        return Origin(point.name, point.value, name, version, record_hash)

    def describe(self, distribution: Distribution) -> tuple[str, str, str]:
        """Return name, version and RECORD hash of a distribution; `?` and nothing where they are unknown."""
        # Entry points keep their distribution alive, and the table keeps it too, so ids are not used again.
        found = self._known.get(id(distribution))
        if found is None:
            found = self._known[id(distribution)] = (distribution, _described(distribution))
        return found[1]


def _described(distribution: Distribution) -> tuple[str, str, str]:
    # The standard library parses all of METADATA, long description included, for these two lines.
    headers = _headers(_text(distribution, "METADATA") or _text(distribution, "PKG-INFO"))
    record = _text(distribution, "RECORD")
    digest = hashlib.sha256(record.encode()).hexdigest() if record else ""
    return headers.get("name", UNKNOWN), headers.get("version", UNKNOWN), digest


def _text(distribution: Distribution, file: str) -> str:
    try:
        return distribution.read_text(file) or ""
    except (UnicodeDecodeError, OSError):
        # The distribution is damaged; what is not known of it must not keep others from loading.
        return ""


def _headers(text: str) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in io.StringIO(text):
        name, colon, value = line.partition(":")
        if not colon or len(headers) == 2:
            break
        if name.lower() in {"name", "version"} and value.strip():
            headers[name.lower()] = value.strip()
    return headers


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
