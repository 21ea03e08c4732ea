"""What became of plugins in one load: the records of the audit."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from medkg_dagster.plugins.origin import Origin


class Outcome(StrEnum):
    """What became of an entry point, a stage type or an extension."""

    DISCOVERED = "discovered"
    REGISTERED = "registered"
    REPLACED = "replaced"
    OVERRIDDEN = "overridden"
    REJECTED = "rejected"
    BLOCKED = "blocked"
    NOT_REQUESTED = "not asked for"
    REMOVED = "removed"


class Refusal(StrEnum):
    """Why an entry point, a stage type or an extension is not used, in a word that can be counted."""

    CANNOT_LOAD = "cannot load"
    TOO_SLOW = "too slow"
    BREAKS_RULE = "breaks a rule"
    NAME_TAKEN = "name taken"
    NOT_ALLOWED = "not allowed"


@dataclass(frozen=True, slots=True)
class PluginEvent:
    """One thing that became of a plugin.

    Attributes:
        origin: The entry point or import path.
        outcome: What became of it.
        subject: What it is about: a stage type, an extension, `pipeline.stage`; empty for the entry point.
        configured_by: Who or what decided so: `entry point`, or a file and line.
        details: Why, where it is not plain.
        refusal: Why it is not used, where it was rejected or blocked.
    """

    origin: Origin
    outcome: Outcome
    subject: str = ""
    configured_by: str = "entry point"
    details: str = ""
    refusal: Refusal | None = None


@dataclass(frozen=True, slots=True)
class PluginLoad:
    """How long one entry point took to load.

    Attributes:
        origin: The entry point.
        seconds: Wall time of importing it and calling what it names.
    """

    origin: Origin
    seconds: float
