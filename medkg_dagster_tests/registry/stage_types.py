"""Stage types made up for tests."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from medkg_dagster.stage_api import StageDefinitionView, StageMetadata, StageRegistration


class FakeStage:
    """Does nothing."""

    def execute(self, ctx: Any, **inputs: Any) -> None:
        """Do nothing."""


def build(definition: StageDefinitionView) -> FakeStage:
    """Build a stage that does nothing."""
    del definition
    return FakeStage()


def write_nothing(state: Any, stage_name: str, output: Any) -> None:
    """Handle no output."""


def count_nothing(output: Any) -> int:
    """Count no output."""
    del output
    return 0


def metadata(
    name: str,
    keys: str | tuple[str, ...] | None = None,
    dependencies: tuple[str, ...] = (),
    optional: tuple[str, ...] = (),
    model: type[BaseModel] | None = None,
    version: str = "1",
) -> StageMetadata:
    """Describe a stage type."""
    return StageMetadata(
        name,
        keys,
        write_nothing,
        count_nothing,
        "A stage type of a test.",
        dependencies,
        optional,
        config_model=model,
        version=version,
    )


def registration(name: str, *args: Any, **kwargs: Any) -> StageRegistration:
    """Describe a stage type with a builder."""
    return StageRegistration(metadata(name, *args, **kwargs), build)
