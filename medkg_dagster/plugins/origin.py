"""Where a plugin came from, read from installed metadata before anything is imported."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass, field
from importlib.metadata import Distribution, EntryPoint

OWN_DISTRIBUTION = "medkg-dagster"
UNKNOWN = "?"


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

    def __str__(self) -> str:
        if not self.entry_point:
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
        # Entry points keep their distribution alive, and the table keeps it too, so ids are not used again.
        found = self._known.get(id(point.dist))
        if found is None:
            found = self._known[id(point.dist)] = (point.dist, _described(point.dist))
        name, version, record_hash = found[1]
        return Origin(point.name, point.value, name, version, record_hash)


def _described(distribution: Distribution) -> tuple[str, str, str]:
    # The standard library parses all of METADATA, long description included, for these two lines.
    headers = _headers(distribution.read_text("METADATA") or distribution.read_text("PKG-INFO") or "")
    record = distribution.read_text("RECORD")
    digest = hashlib.sha256(record.encode()).hexdigest() if record else ""
    return headers.get("name", UNKNOWN), headers.get("version", UNKNOWN), digest


def _headers(text: str) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in io.StringIO(text):
        name, colon, value = line.partition(":")
        if not colon or len(headers) == 2:
            break
        if name.lower() in {"name", "version"} and value.strip():
            headers[name.lower()] = value.strip()
    return headers
