"""A pipeline's `plugins:` section against what is installed and let in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from medkg_dagster.errors import ConfigError
from medkg_dagster.plugins import Origin, is_from
from medkg_dagster.plugins.events import Outcome, PluginEvent
from medkg_dagster.registry import ExtensionRegistry, StageRegistry
from medkg_dagster.stage_api import ExtensionKind
from medkg_dagster.topology.models import PipelineTopologyConfig
from medkg_dagster.topology.plugin_keys import PluginRequirement
from medkg_dagster.topology.structure import Finding

_NOT_LET_IN = {Outcome.BLOCKED, Outcome.NOT_REQUESTED, Outcome.REJECTED}


def requested_plugins(topologies: Iterable[PipelineTopologyConfig]) -> frozenset[str]:
    """Return the distributions, entry points and import paths that pipelines name for stage types."""
    return frozenset(item.source for topology in topologies for item in topology.plugins.stages)


def unmet_requirements(
    topology: PipelineTopologyConfig, registry: StageRegistry, extensions: ExtensionRegistry
) -> Iterator[Finding]:
    """Yield a finding for each requirement that what is installed does not meet."""
    for index, item in enumerate(topology.plugins.stages):
        path = ("plugins", "stages", index)
        entry = registry.find(item.type)
        if ":" in item.source and not registry.policy.allows_import(item.source):
            yield Finding(
                (*path, "from"),
                f"the import path '{item.source}' is not allowed",
                "add its package to `import_prefixes` in config/plugins.yaml, or name a distribution",
            )
        elif entry is None:
            why = why_not_registered(item.type, item.source, registry.events)
            yield Finding(path, f"needs the stage type '{item.type}' of '{item.source}'", why)
        else:
            yield from _unmet(item, entry.origin, path)
    for kind in ExtensionKind:
        for index, item in enumerate(getattr(topology.plugins, kind.plural)):
            path = ("plugins", kind.plural, index)
            try:
                yield from _unmet(item, extensions.origin(kind, item.type), path)
            except ConfigError as error:
                yield Finding(path, str(error), f"install {item.source}, or let it in")


def why_not_registered(stage_type: str, source: str, events: Iterable[PluginEvent]) -> str | None:
    """Say what became of the plugin that would provide a stage type; None where nothing is known of it.

    Args:
        stage_type: The type that is not registered.
        source: The distribution or entry point it is expected from; empty where that is not known.
        events: What became of plugins.
    """
    for event in events:
        names = {event.origin.entry_point, event.subject}
        if event.outcome in _NOT_LET_IN and (
            stage_type in names or (source and (source in names or is_from(event.origin, source)))
        ):
            return f"{event.origin} is {event.outcome}: {event.details}"
    if ":" in source:
        return "check that the import path names a function that registers it"
    return f"install {source}" if source else None


def _unmet(item: PluginRequirement, origin: Origin | None, path: tuple[str | int, ...]) -> Iterator[Finding]:
    if origin is None or not (
        item.source in {origin.entry_point, origin.target} or is_from(origin, item.source)
    ):
        found = origin or "code"
        hint = f"correct `from`, or install {item.source} and choose it in config/plugins.yaml"
        yield Finding(
            (*path, "from"), f"'{item.type}' must come from '{item.source}', but is from {found}", hint
        )
    elif item.version is not None and not _is_version(origin.version, item.version):
        message = f"'{item.type}' needs {origin.distribution} {item.version}; installed is {origin.version}"
        hint = f"pip install '{origin.distribution}{item.version}'"
        yield Finding((*path, "version"), message, hint)


def _is_version(version: str, specifier: str) -> bool:
    from packaging.specifiers import SpecifierSet
    from packaging.version import InvalidVersion

    try:
        return SpecifierSet(specifier).contains(version, prereleases=True)
    except InvalidVersion:
        return False
