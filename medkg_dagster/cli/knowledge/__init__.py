"""The extensions that commands open."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medkg_dagster.settings import Settings

if TYPE_CHECKING:
    from medkg_dagster.stage_api import ExtensionCatalogue


def load_extensions(settings: Settings) -> ExtensionCatalogue:
    """Return the extensions that the deployment lets in."""
    from medkg_dagster.stage_api import ExtensionCatalogue
    from medkg_dagster.topology.plugins_file import load_plugin_policy

    policy = load_plugin_policy(settings.config, enabled=settings.plugins).policy
    return ExtensionCatalogue(policy)
