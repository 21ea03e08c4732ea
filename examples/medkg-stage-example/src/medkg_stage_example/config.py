"""What the stage's `config` may hold."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, Field

from medkg_dagster.stage_api import Config
from medkg_stage_example.record_patterns import MAX_PATTERNS, check_record_pattern


class IdentifierKind(StrEnum):
    """What an identifier is."""

    EMAIL = "email"
    PHONE = "phone"
    DATE = "date"
    RECORD_NUMBER = "record_number"
    NATIONAL_ID = "national_id"
    AGE = "age"

    @property
    def placeholder(self) -> str:
        """What stands in its place, for example `[DATE]`."""
        return f"[{self.name}]"


class ReplacementStyle(StrEnum):
    """What is left of an identifier."""

    PLACEHOLDER = "placeholder"
    REMOVAL = "removal"


class DeidentifyConfig(Config):
    """What is replaced, and by what."""

    kinds: tuple[IdentifierKind, ...] = Field(
        default=tuple(IdentifierKind), min_length=1, description="The kinds of identifiers to replace."
    )
    style: ReplacementStyle = Field(
        default=ReplacementStyle.PLACEHOLDER,
        description="`placeholder` writes the kind in brackets, such as [DATE]; `removal` leaves nothing.",
    )
    keep_years: bool = Field(default=False, description="Keep the year of a date, except of a date of birth.")
    record_patterns: tuple[Annotated[str, AfterValidator(check_record_pattern)], ...] = Field(
        default=(),
        max_length=MAX_PATTERNS,
        description="Regular expressions of your own record numbers, each with bounded repeats only.",
    )
