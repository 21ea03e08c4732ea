"""The `extract` stage: what documents mention (entities) and what they say about it (claims)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from medkg_dagster.stage_api import Claim, Config, Entity, StageRegistration

if TYPE_CHECKING:
    from medkg_dagster.stages.extract.stage import ExtractStage


class ExtractConfig(Config):
    """What is looked for, and how."""

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
    weigh_pairs: bool = Field(
        default=True,
        description=(
            "Whether pairs that title and abstract make probable, though no sentence states them, are "
            "claimed, as possible."
        ),
    )


def register() -> StageRegistration:
    """Register the stage type."""
    return StageRegistration.of(
        "extract",
        _open,
        ExtractConfig,
        description="Finds concepts with CURIEs and claims about them, each with its sentence.",
        state_types={"entities": tuple[Entity, ...], "claims": tuple[Claim, ...]},
        output_counter=_count,
        dependencies=("parse",),
        kinds=("python",),
        per_document=True,
    )


def _open(config: ExtractConfig) -> ExtractStage:
    from medkg_dagster.stages.extract.stage import ExtractStage

    return ExtractStage(config)


def _count(output: tuple[tuple[Entity, ...], tuple[Claim, ...]]) -> int:
    entities, claims = output
    return len(entities) + len(claims)
