"""The extensions that are let in, a registry for each kind of them."""

from __future__ import annotations

import functools
from operator import attrgetter
from typing import Any

from pydantic import BaseModel

from medkg_dagster.errors import ConfigError, Problem
from medkg_dagster.plugins import InstalledEntryPoints, Origin, PluginPolicy
from medkg_dagster.plugins.events import PluginEvent
from medkg_dagster.registry._importing import PluginKind
from medkg_dagster.registry._plugin_registry import PluginRegistry
from medkg_dagster.stage_api import Extension, ExtensionKind
from medkg_dagster.stage_api._secrets import secret_fields


class ExtensionRegistry:
    """Extensions by kind and name; nothing is imported before it is asked for.

    It is what a stage finds as `ctx.extensions`.

    Args:
        policy: What is let in; everything by default.
        installed: The installed entry points; looked for by default.
    """

    def __init__(
        self, policy: PluginPolicy | None = None, installed: InstalledEntryPoints | None = None
    ) -> None:
        self._policy = policy
        self._installed = installed or InstalledEntryPoints()
        self._registries: dict[ExtensionKind, PluginRegistry[Extension]] = {}

    def of(self, kind: ExtensionKind) -> PluginRegistry[Extension]:
        """Return the registry of a kind; its entry points are read, and none of them imported."""
        if kind not in self._registries:
            described = PluginKind(
                kind.value, kind.label, functools.partial(_checked, kind), attrgetter("name")
            )
            self._registries[kind] = PluginRegistry(described, self._policy, self._installed)
            self._registries[kind].load_plugins()
        return self._registries[kind]

    def names(self, kind: ExtensionKind) -> tuple[str, ...]:
        """Return the sorted names of the extensions of a kind that are let in."""
        return self.of(kind).names

    def find(self, kind: ExtensionKind, name: str) -> Extension:
        """Return an extension, imported if need be.

        Args:
            kind: What is wanted.
            name: The name written in YAML.

        Raises:
            ConfigError: No such name, one that is not let in, several of that name, or it cannot be loaded.
        """
        return self.of(kind).get(name)

    def origin(self, kind: ExtensionKind, name: str) -> Origin | None:
        """Return the entry point of an extension, importing nothing; raises like `find`."""
        return self.of(kind).origin(name)

    def add(self, extension: Extension, *, replace: bool = False) -> None:
        """Add an extension from code; raises `ConfigError` where it breaks a rule or its name is taken."""
        self.of(extension.kind).add(extension, replace=replace)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What is wrong with extensions as far as metadata tells: collisions, vain replacements."""
        return tuple(problem for kind in ExtensionKind for problem in self.of(kind).problems)

    @property
    def events(self) -> tuple[PluginEvent, ...]:
        """What became of each extension."""
        return tuple(event for kind in ExtensionKind for event in self.of(kind).events)


def _checked(kind: ExtensionKind, extension: Any, _origin: Origin | None) -> Extension:
    rule = None
    if not isinstance(extension, Extension):
        rule = f"names {type(extension).__name__} {str(extension)[:60]!r}; it must name an Extension"
    elif extension.kind is not kind:
        rule = f"names an Extension of kind {extension.kind}; it must be of kind {kind}"
    elif not (isinstance(extension.config_model, type) and issubclass(extension.config_model, BaseModel)):
        rule = f"has the config_model {extension.config_model!r}; it must be a pydantic model class"
    elif plain := secret_fields(extension.config_model):
        fields = ", ".join(plain)
        rule = f"takes secrets as plain text in {fields}; declare them as medkg_dagster.stage_api.Secret"
    elif not callable(extension.build):
        rule = f"has the build {extension.build!r}; it must be a function (parameters, home)"
    if rule is not None:
        raise ConfigError(rule)
    return extension  # type: ignore[no-any-return] # checked above
