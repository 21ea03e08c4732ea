"""Declarative biomedical pipelines, compiled from YAML and stage plugins into Dagster definitions."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from medkg_dagster.compiler.translator import PipelineTranslator
    from medkg_dagster.component import StagePipelineComponent

__all__ = ["PipelineTranslator", "StagePipelineComponent", "__version__"]

__version__ = "0.1.0"

_LAZY = {"PipelineTranslator": "compiler.translator", "StagePipelineComponent": "component"}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """Import what needs Dagster where it is asked for, so that commands start without it."""
        if name not in _LAZY:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)


def __dir__() -> list[str]:
    """List these too: `dg` finds components by the names of a module."""
    return sorted({*globals(), *_LAZY})
