"""What people are told of outside: the events, and an alert about one of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class AlertEvent(StrEnum):
    """What may have happened."""

    RUN_FAILED = "run.failed"
    """A run of a ledger job failed, or its process is gone."""
    GATE_WAITS = "gate.waits"
    """A job has waited at a gate for longer than it should, or until its time was up."""
    DECISION_WANTED = "decision.wanted"
    """A job waits at a gate which no work of the pipeline itself opens."""
    JOB_QUARANTINED = "job.quarantined"
    """A job was quarantined, because a gate did not open in time."""
    PLUGIN_REFUSED = "plugin.refused"
    """A plugin could not be loaded, or broke the rules."""
    PLUGIN_CHANGED = "plugin.changed"
    """A plugin has another version or other files, or is gone."""
    SCHEDULE_MISSED = "schedule.missed"
    """A schedule was due, and nothing has arrived since."""


@dataclass(frozen=True, slots=True)
class Alert:
    """Something that happened, to be told of once.

    Attributes:
        event: What kind of thing it is.
        identity: What makes two alerts of one event tell of the same thing.
        at: When it came to be, as the ledger writes times.
        summary: What happened, in a sentence.
        data: What else there is to say; JSON values.
    """

    event: AlertEvent
    identity: str
    at: str
    summary: str
    data: Mapping[str, Any] = field(default_factory=dict)
