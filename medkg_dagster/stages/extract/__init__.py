"""The `extract` stage: what documents mention (entities) and what they say about it (claims)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

from pydantic import Field, ValidationInfo, model_validator

from medkg_dagster.stage_api import (
    CheckVerdict,
    Claim,
    Config,
    Entity,
    ExtensionKind,
    OutcomeCheck,
    StageRegistration,
    check_extension,
)
from medkg_dagster.stages.extract.dictionary import DictionaryParameters

if TYPE_CHECKING:
    from medkg_dagster.stages.extract.extract_stage import ExtractStage


class ExtractConfig(Config):
    """Which extractor reads the documents, and with which parameters."""

    extractor: str = Field(
        default="dictionary",
        description=(
            "The extractor: `dictionary` (names of a vocabulary, and rules) or `llm` (a model behind an "
            "OpenAI-compatible endpoint)."
        ),
    )
    params: dict[str, Any] = Field(
        default_factory=dict,
        description="The extractor's own parameters, for example `vocabulary`; the extractor checks them.",
    )

    @model_validator(mode="before")
    @classmethod
    def _take_earlier_keys(cls, given: Any) -> Any:
        """Let the dictionary's parameters stand beside `params`, where earlier files have them."""
        if not isinstance(given, dict) or given.get("extractor", "dictionary") != "dictionary":
            return given
        earlier = {key: given[key] for key in DictionaryParameters.model_fields if key in given}
        if not earlier or not isinstance(params := given.get("params", {}), dict):
            return given
        others = {key: value for key, value in given.items() if key not in earlier}
        return {**others, "params": {**earlier, **params}}

    @model_validator(mode="after")
    def _check_extractor(self, info: ValidationInfo) -> Self:
        check_extension(ExtensionKind.EXTRACTOR, self.extractor, self.params, info)
        return self


def _judge_entities(described: Mapping[str, Any]) -> CheckVerdict:
    without = described.get("documents_without_entities", 0)
    shown: dict[str, Any] = {
        "documents_without": without,
        "looked_with": described.get("vocabulary", "no vocabulary"),
    }
    if without:
        shown["longest"] = described["without_entities"]
    return CheckVerdict(not without, shown)


ENTITIES_FOUND = OutcomeCheck(
    "entities_found", "Something is found in every document, by what was looked with.", _judge_entities
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
        optional_dependencies=("extract",),
        kinds=("python",),
        per_document=True,
        checks=(ENTITIES_FOUND,),
    )


def _open(config: ExtractConfig) -> ExtractStage:
    from medkg_dagster.stages.extract.extract_stage import ExtractStage

    return ExtractStage(config)


def _count(output: tuple[tuple[Entity, ...], tuple[Claim, ...]]) -> int:
    entities, claims = output
    return len(entities) + len(claims)
