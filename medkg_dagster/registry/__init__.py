"""Entry points to stage types: discovery, the registry, and the factory that builds stages."""

from medkg_dagster.registry.discovery import (
    STAGE_GROUP,
    DiscoveredStage,
    Discovery,
    discover_stages,
    load_entry_points,
)
from medkg_dagster.registry.origin import Origin
from medkg_dagster.registry.stage_factory import StageFactory, build_default_stage_factory
from medkg_dagster.registry.stage_registry import RegisteredStage, StageRegistry

__all__ = [
    "STAGE_GROUP",
    "DiscoveredStage",
    "Discovery",
    "Origin",
    "RegisteredStage",
    "StageFactory",
    "StageRegistry",
    "build_default_stage_factory",
    "discover_stages",
    "load_entry_points",
]
