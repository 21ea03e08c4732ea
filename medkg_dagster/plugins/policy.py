"""Which plugins a deployment lets in."""

from __future__ import annotations

import difflib
import functools
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from medkg_dagster.errors import Problem
from medkg_dagster.plugins.origin import IMPOSTOR, OWN_DISTRIBUTION, UNKNOWN, Origin, normalized

LOAD_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Replacement:
    """A name for which a deployment chooses the distribution that provides it.

    Attributes:
        kind: The last word of the entry point group: `stages`, `sources`, ...
        name: The stage type or extension.
        distribution: The distribution whose registration is taken.
        written: Where it is configured, for people and for the audit.
    """

    kind: str
    name: str
    distribution: str
    written: str


@dataclass(frozen=True, slots=True)
class PluginPolicy:
    """Which plugins a deployment lets in, decided from metadata before anything is imported.

    An entry of `allow` and `block` is a distribution, or `distribution:entry point`.

    Attributes:
        closed: Why nothing but built-ins is let in (`MEDKG_PLUGINS=off`, an invalid plugins.yaml); empty
            where others are.
        autoload: Whether what is installed is loaded without being requested; otherwise only what a
            pipeline's `plugins:` section names.
        allow: What may be loaded; empty allows everything.
        block: What is never loaded, stronger than `allow`.
        import_prefixes: Packages that a pipeline file may name an import path in.
        replaces: By kind and name the distribution that is chosen.
        load_seconds: After this time the loading of one entry point is reported, and interrupted in the main
            thread.
        written: Where the policy comes from, for people and for the audit.
    """

    closed: str = ""
    autoload: bool = True
    allow: tuple[str, ...] = ()
    block: tuple[str, ...] = ()
    import_prefixes: tuple[str, ...] = ()
    replaces: Mapping[tuple[str, str], Replacement] = field(default_factory=lambda: MappingProxyType({}))
    load_seconds: float = LOAD_SECONDS
    written: str = "default"

    def refusal(self, origin: Origin) -> str | None:
        """Say why an entry point is not loaded; None where it may be. This project's own always may."""
        if origin.is_own:
            return None
        if origin.distribution == IMPOSTOR:
            return (
                f"calls itself {OWN_DISTRIBUTION}, but names code that is not in that package; uninstall it"
            )
        if self.closed:
            return self.closed
        if origin.is_import_path:
            return None if self.allows_import(origin.target) else f"not among what {self.written} imports"
        if _names(self.block, origin):
            return f"blocked by {self.written}"
        return self._not_allowed(origin)

    def _not_allowed(self, origin: Origin) -> str | None:
        if self.block and origin.distribution == UNKNOWN:
            return f"of a distribution without a name, which may be one that {self.written} blocks"
        if self.allow and not _names(self.allow, origin):
            return f"not among what {self.written} allows"
        return None

    def misspelt_blocks(self, distributions: Collection[str]) -> Iterator[Problem]:
        """Yield a problem for each entry of `block` that looks like a misspelt distribution.

        Blocking what is not installed is no mistake; letting in what was meant to be blocked is.

        Args:
            distributions: Names of the installed distributions that have plugins.
        """
        known = {normalized(name): name for name in distributions}
        for entry in self.block:
            name = normalized(entry.partition(":")[0])
            close = difflib.get_close_matches(name, known, n=1, cutoff=0.8) if name not in known else []
            if close:
                yield Problem(
                    f"`block` names '{entry}', which is not installed; '{known[close[0]]}' is",
                    subject=self.written,
                    hint="correct the name, or remove the line",
                )

    def allows_import(self, path: str) -> bool:
        """Say whether a pipeline file may name this import path, `module:attribute`."""
        module = path.partition(":")[0]
        return not self.closed and any(
            module == prefix or module.startswith(f"{prefix}.") for prefix in self.import_prefixes
        )

    def chosen(self, kind: str, name: str) -> Replacement | None:
        """Return the distribution chosen for a stage type or extension; None where none is."""
        return self.replaces.get((kind, name)) if not self.closed else None


def is_from(origin: Origin, distribution: str) -> bool:
    """Say whether an entry point belongs to a distribution, whichever way its name is written."""
    return normalized(origin.distribution) == normalized(distribution)


def _names(entries: tuple[str, ...], origin: Origin) -> bool:
    """Say whether an entry names an entry point, or the distribution it belongs to."""
    distribution = normalized(origin.distribution)
    return not _normalized_entries(entries).isdisjoint(
        {(distribution, ""), (distribution, origin.entry_point)}
    )


@functools.lru_cache(maxsize=16)
def _normalized_entries(entries: tuple[str, ...]) -> frozenset[tuple[str, str]]:
    pairs = (entry.partition(":") for entry in entries)
    return frozenset((normalized(distribution), entry_point) for distribution, _, entry_point in pairs)
