"""One registry for every kind of plugin, and the factory that builds stages."""

from __future__ import annotations

import warnings
from typing import Any

from medkg_dagster.plugins import Origin
from medkg_dagster.registry.extension_registry import ExtensionRegistry
from medkg_dagster.registry.plugin_kind import PluginKind
from medkg_dagster.registry.plugin_registry import PluginRegistry
from medkg_dagster.registry.stage_factory import StageFactory
from medkg_dagster.registry.stage_registry import StageRegistry
from medkg_dagster.registry.stage_types import STAGE_GROUP, STAGE_TYPES, RegisteredStage

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
