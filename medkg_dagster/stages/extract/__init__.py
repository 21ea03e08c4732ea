"""The `extract` stage: what documents mention (entities) and what they say about it (claims)."""

from __future__ import annotations

from collections.abc import MutableMapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from medkg_dagster.stage_api import Claim, Entity, StageDefinitionView, StageMetadata, StageRegistration

if TYPE_CHECKING:
    from medkg_dagster.stages.extract.stage import ExtractStage


class ExtractConfig(BaseModel):
    """What is looked for, and how."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    vocabulary: Path | None = Field(
        default=None,
        description=(
            "A vocabulary as TSV with the columns curie, name, category and synonyms (separated by |); "
            "none uses the bundled one."
        ),
    )
    min_term_length: int = Field(
        default=3,
        ge=1,
        description="Names with fewer characters are matched in the structured fields, not in the text.",
    )
    negation: bool = Field(
        default=True, description="Whether mentions and claims under a negation are marked."
    )
    abbreviations: bool = Field(
        default=True,
        description="Whether an abbreviation that a document defines is read as its long form from there on.",
    )


def build(definition: StageDefinitionView) -> ExtractStage:
    """Build the stage from its YAML.

    Args:
        definition: The stage's definition with the configuration of this run.

    Returns:
        The stage.
    """
    from medkg_dagster.stages.extract.stage import ExtractStage

    return ExtractStage(ExtractConfig.model_validate(definition.config))


def register() -> StageRegistration:
    """Return the registration of the stage type `extract`."""
    return StageRegistration(
        metadata=StageMetadata(
            stage_type="extract",
            state_key=("entities", "claims"),
            output_handler=_write,
            output_counter=_count,
            description="Finds concepts with CURIEs and claims about them, each with its sentence.",
            dependencies=("parse",),
            config_model=ExtractConfig,
            state_types={"entities": tuple[Entity, ...], "claims": tuple[Claim, ...]},
            kinds=("python",),
        ),
        builder=build,
    )


def _write(
    state: MutableMapping[str, Any], stage_name: str, output: tuple[tuple[Entity, ...], tuple[Claim, ...]]
) -> None:
    del stage_name
    state["entities"], state["claims"] = output


def _count(output: tuple[tuple[Entity, ...], tuple[Claim, ...]]) -> int:
    entities, claims = output
    return len(entities) + len(claims)
