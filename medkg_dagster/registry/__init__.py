"""One registry for every kind of plugin, and the factory that builds stages."""

from __future__ import annotations

import warnings
from typing import Any

from medkg_dagster.plugins import Origin
from medkg_dagster.registry._extension_registry import ExtensionRegistry
from medkg_dagster.registry._importing import PluginKind
from medkg_dagster.registry._plugin_registry import PluginRegistry
from medkg_dagster.registry._stage_factory import StageFactory
from medkg_dagster.registry._stage_registry import STAGE_GROUP, STAGE_TYPES, RegisteredStage, StageRegistry

__all__ = [
    "STAGE_GROUP",
    "STAGE_TYPES",
    "ExtensionRegistry",
    "Origin",
    "PluginKind",
    "PluginRegistry",
    "RegisteredStage",
    "StageFactory",
    "StageRegistry",
]


def __getattr__(name: str) -> Any:
    if name == "build_default_stage_factory":
        warnings.warn(
            "build_default_stage_factory is deprecated; call StageFactory.load_plugins(), or "
            "medkg_dagster.resolution.load_deployment(settings) for what the deployment lets in. "
            "It is accepted until medkg-dagster 1.0",
            DeprecationWarning,
            stacklevel=2,
        )
        return StageFactory.load_plugins
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
