"""The extractor `dictionary`, as it is registered; its work is in `dictionary_extractor`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from medkg_dagster.stage_api import Config, Extension, ExtensionKind

if TYPE_CHECKING:
    from medkg_dagster.stages.extract.dictionary_extractor import DictionaryExtractor


class DictionaryParameters(Config):
    """What the extractor `dictionary` looks for, and how."""

    vocabulary: Path | None = Field(
        default=None,
        description=(
            "A vocabulary as TSV with the columns curie, name, category and synonyms (separated by |); "
            "none uses the installed one, else the bundled one."
        ),
    )
    min_term_length: int = Field(
        default=3,
        ge=1,
        description="Names with fewer characters are matched in the structured fields, not in the text.",
    )
    negation: bool = Field(
        default=True,
        description="Whether mentions under a negation are marked, and what is denied is claimed, as denied.",
    )
    abbreviations: bool = Field(
        default=True,
        description="Whether an abbreviation that a document defines means its long form in all of it.",
    )
    weigh_pairs: bool = Field(
        default=True,
        description=(
            "Whether pairs that title and abstract make probable, though no sentence states them, are "
            "claimed, as possible."
        ),
    )


def _build(parameters: DictionaryParameters, home: Path) -> DictionaryExtractor:
    from medkg_dagster.stages.extract.dictionary_extractor import DictionaryExtractor

    del home
    return DictionaryExtractor(parameters)


DICTIONARY = Extension(
    kind=ExtensionKind.EXTRACTOR,
    name="dictionary",
    description="Names of a vocabulary in fields and text, and rules for what sentences state about them.",
    config_model=DictionaryParameters,
    build=_build,
)
