"""Declarative biomedical pipelines, compiled from YAML and stage plugins into Dagster definitions."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from medkg_dagster.component import StagePipelineComponent

__all__ = ["StagePipelineComponent", "__version__"]

__version__ = "0.1.0"

_COMPONENT = "StagePipelineComponent"

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """Import the component where it is asked for, so that commands start without Dagster."""
        if name != _COMPONENT:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        return getattr(import_module(f"{__name__}.component"), name)


def __dir__() -> list[str]:
    """List the component too: `dg` finds components by the names of a module."""
    return sorted({*globals(), _COMPONENT})
