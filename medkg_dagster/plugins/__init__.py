"""Entry points to loaded objects, each under its own guard; knows nothing of stages."""

from medkg_dagster.plugins.loading import LoadGuard
from medkg_dagster.plugins.origin import (
    OWN_DISTRIBUTION,
    Distributions,
    InstalledEntryPoints,
    Origin,
    counted_origin,
)
from medkg_dagster.plugins.policy import PluginPolicy, Replacement, is_from

__all__ = [
    "OWN_DISTRIBUTION",
    "Distributions",
    "InstalledEntryPoints",
    "LoadGuard",
    "Origin",
    "PluginPolicy",
    "Replacement",
    "counted_origin",
    "is_from",
]
