"""The validation context that pipelines are loaded with: what is installed may be named in configurations."""

from medkg_dagster.registry import ExtensionRegistry
from medkg_dagster.stage_api._extensions import CONTEXT_KEY

EXTENSIONS = ExtensionRegistry()
INSTALLED = {CONTEXT_KEY: EXTENSIONS}
