"""What is installed, and where a plugin came from, read from metadata before anything is imported."""

from __future__ import annotations

import functools
import hashlib
import io
import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import Distribution, EntryPoint, distributions
from pathlib import Path

from medkg_dagster.errors import Problem
from medkg_dagster.plugins.loading import error_text

OWN_DISTRIBUTION = "medkg-dagster"
UNKNOWN = "?"
# What calls itself this project, and whose code lies elsewhere; no distribution can have such a name.
IMPOSTOR = f"{OWN_DISTRIBUTION} (not this one)"
_OWN_PACKAGE = __name__.partition(".")[0]
_SEPARATORS = re.compile(r"[-_.]+")
_BUILT_IN = "built-in"
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


@functools.cache
def normalized(name: str) -> str:
    """Return a distribution's name as package indexes compare it: lower case, runs of `-_.` as one `-`."""
    return _SEPARATORS.sub("-", name).lower()


def _origin(point: EntryPoint, name: str, version: str, record_hash: str) -> Origin:
    """Return the origin of an entry point; this project's own is what names its package.

    Whoever is installed can write this project's name into its metadata. What an entry point of our package
    loads are our files, wherever it is declared, as the package that runs this is imported already.
    """
    if normalized(name) == OWN_DISTRIBUTION:
        name = OWN_DISTRIBUTION if _is_ours(point) else IMPOSTOR
    return Origin(point.name, point.value, name, version, record_hash)


class Distributions:
    """Reads name, version and RECORD hash of distributions, each once."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Distribution, tuple[str, str, str]]] = {}

    def origin(self, point: EntryPoint) -> Origin:
        """Return the origin of an entry point."""
        if point.dist is None:
            return Origin(point.name, point.value, UNKNOWN, UNKNOWN)
        name, version, record_hash = self.describe(point.dist)
        return _origin(point, name, version, record_hash)

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


def _folder_name(distribution: Distribution) -> str:
    """Return the name in the name of a distribution's folder, normalized; empty where it has no folder."""
    # The path is private; the public name would be read from METADATA, of everything that is installed.
    stem = str(getattr(distribution, "_path", "")).rpartition(os.sep)[2].rpartition(".")[0]
    return normalized(stem.partition("-")[0])


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
        self._read: set[tuple[str, str]] = set()

    def of(self, group: str) -> list[tuple[Origin, EntryPoint]]:
        """Return the entry points of a group."""
        return [(origin, point) for origin, point in self._found if point.group == group]

    def problems(self) -> tuple[Problem, ...]:
        """Return what is wrong with distributions: files that cannot be read, two versions in one folder."""
        _ = self._found
        return tuple(self._problems)

    @functools.cached_property
    def _found(self) -> list[tuple[Origin, EntryPoint]]:
        # The standard library stops at the first damaged file, and leaves out what an empty folder hides.
        found: list[tuple[Origin, EntryPoint]] = []
        everything = [*distributions()]
        folders = Counter(map(_folder_name, everything))
        for distribution in everything:
            points: list[EntryPoint] = []
            damage = ""
            try:
                text = _read_points(distribution)
                points = [point for point in _parsed(text) if point.group.startswith(_GROUPS)]
            except (ValueError, OSError) as error:
                damage = error_text(error)
            if not points and not damage:
                continue
            folder = _folder_name(distribution)
            if (folder and folders[folder] == 1) or not self._is_hidden(distribution):
                name, version, record_hash = self._distributions.describe(distribution)
                found += [(_origin(point, name, version, record_hash), point) for point in points]
                if damage:
                    message = f"its {_FILE} cannot be read: {damage}; no plugin of it is found, and Dagster"
                    self._tell(distribution, f"{message} may not start", "reinstall or uninstall it")
        return found

    def _is_hidden(self, distribution: Distribution) -> bool:
        """Whether one of the same name comes before it on the path; a folder that is left over is none."""
        name, version, _ = self._distributions.describe(distribution)
        others = [*distributions(name=name)] if name != UNKNOWN else []
        if len(others) < 2:
            return False
        folder = os.path.realpath(str(distribution.locate_file("")))
        for other in others:
            if normalized(name) == OWN_DISTRIBUTION and _has_our_points(other) != _has_our_points(
                distribution
            ):
                continue  # One of them has taken our name, and would hide all that is built in.
            other_name, other_version, _ = self._distributions.describe(other)
            is_beside = os.path.realpath(str(other.locate_file(""))) == folder
            if is_beside and other_version == version:
                # The path may name its folder twice.
                is_known = (folder, name) in self._read
                self._read.add((folder, name))
                return is_known
            if other_name != UNKNOWN:
                if is_beside:
                    message = f"version {other_version} of it is in the same folder, and counts"
                    self._tell(distribution, message, "uninstall both and install one")
                return True
        return False

    def _tell(self, distribution: Distribution, message: str, hint: str) -> None:
        name, version, _ = self._distributions.describe(distribution)
        subject = f"distribution {name} {version} in {distribution.locate_file('')}"
        self._problems.append(Problem(message, subject=subject, hint=hint))


def _read_points(distribution: Distribution) -> str:
    """Return the text of a distribution's entry points; empty where it has none.

    Raises:
        ValueError: There is something of that name, but no text in it.
        OSError: It cannot be read.
    """
    path = getattr(distribution, "_path", None)
    file = os.path.join(path, _FILE) if isinstance(path, Path) else ""  # noqa: PTH118 - of hundreds
    if file and not os.path.isfile(file):  # noqa: PTH113 - likewise
        if os.path.lexists(file):
            # The standard library would wait for a pipe, and takes a folder and a broken link for nothing.
            raise ValueError("it is no file")
        return ""
    text = distribution.read_text(_FILE)
    if text is None and file:
        raise ValueError("it may not be read; check its permissions")
    return text or ""


def _has_our_points(distribution: Distribution) -> bool:
    """Whether a distribution declares entry points of this project's package."""
    try:
        return any(_is_ours(point) for point in _parsed(_read_points(distribution)))
    except (ValueError, OSError):
        return False


def _is_ours(point: EntryPoint) -> bool:
    return point.value.partition(":")[0].startswith(f"{_OWN_PACKAGE}.")


def _parsed(text: str) -> Iterator[EntryPoint]:
    group = None
    for number, line in enumerate(map(str.strip, text.splitlines()), 1):
        name, equals, value = line.partition("=")
        if line.startswith("[") and line.endswith("]"):
            group = line.strip("[]")
        elif line and not line.startswith("#"):
            if group is None or not equals or line.startswith("["):
                raise ValueError(f"line {number} is {line[:80]!r}, not a [group] or name = value below one")
            yield EntryPoint(name.strip(), value.strip(), group)


def counted_origin(distribution: str) -> str:
    """Return a distribution as runs and plugins are counted by it: this project's own is `built-in`."""
    return _BUILT_IN if distribution == OWN_DISTRIBUTION else distribution
