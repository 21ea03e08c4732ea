"""The extensions that commands open."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medkg_dagster.settings import Settings

if TYPE_CHECKING:
    from medkg_dagster.registry import ExtensionRegistry


def load_extensions(settings: Settings) -> ExtensionRegistry:
    """Return the extensions that the deployment lets in."""
    from medkg_dagster.registry import ExtensionRegistry
    from medkg_dagster.topology.plugins_file import load_plugin_policy

    policy = load_plugin_policy(settings.config, enabled=settings.plugins).policy
    return ExtensionRegistry(policy)
