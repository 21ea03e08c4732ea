"""The validation context that pipelines are loaded with: what is installed may be named in configurations."""

from medkg_dagster.stage_api.extension_catalogue import CONTEXT_KEY, ExtensionCatalogue

INSTALLED = {CONTEXT_KEY: ExtensionCatalogue()}
