"""What triggers did, as frozen values. Times are UTC, ISO 8601 with microseconds and a trailing Z."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple


class TriggerKey(NamedTuple):
    """Which trigger of which pipeline.

    Attributes:
        pipeline: The pipeline's name.
        trigger: The trigger's name, unique in the pipeline.
    """

    pipeline: str
    trigger: str

    @property
    def actor(self) -> str:
        """The trigger as the actor of a change."""
        return f"trigger {self.trigger}"


class TriggerOutcome(StrEnum):
    """What a trigger came to."""

    SUBMITTED = "submitted"
    """There is a new job."""
    STARTED_AGAIN = "started again"
    """A job that had ended is to run once more."""
    JOINED = "joined"
    """Nothing was done: the job has yet to begin, and works on this too."""
    BUSY = "busy"
    """Nothing was done: the job had not ended yet."""
    REFUSED = "refused"
    """Nothing was done: there is a job of that id with another request."""
    MISSED = "missed"
    """Nobody looked in time, and nothing is caught up."""
    NOTHING = "nothing"
    """Nothing called for a job."""


class TriggerItem(NamedTuple):
    """Something that a trigger looks at, as it was when that was last dealt with.

    Attributes:
        version: Which state of it that was.
        mark: What else is to be remembered of it; text of the trigger's own.
    """

    version: str
    mark: str = ""


@dataclass(frozen=True, slots=True)
class Firing:
    """A job that a trigger asks for.

    Attributes:
        occasion: What calls for it: a time, a change; of equal ones the trigger asks once.
        job_id: The job's id.
        request: What it is to work on; JSON values.
        reason: Why, for people.
        items: What has been dealt with once the job is asked for; None for what is no more.
        since: Where a job that is at work is asked for later, when what calls for it happened: the trigger
            comes no further until then. None where it is not.
    """

    occasion: str
    job_id: str
    request: Mapping[str, Any]
    reason: str
    items: Mapping[str, TriggerItem | None] = field(default_factory=dict)
    since: str | None = None


@dataclass(frozen=True, slots=True)
class Fired:
    """What became of a firing.

    Attributes:
        occasion: What called for it.
        job_id: The job's id.
        outcome: What became of it.
        reason: Why.
        at: When.
    """

    occasion: str
    job_id: str
    outcome: TriggerOutcome
    reason: str
    at: str


@dataclass(frozen=True, slots=True)
class TriggerStep:
    """How far a trigger goes in one look.

    Attributes:
        seen: Up to where it had come when somebody looked; the step is not taken where that has changed.
        handled: Up to where it comes.
        firings: The jobs it asks for.
        missed: At how many times nobody looked that get no job of their own.
        note: What else there is to say; shown where no job is asked for.
        items: What has been dealt with whatever becomes of the jobs; None for what is no more.
        note_as: What the trigger came to where no job is asked for.
    """

    seen: str | None
    handled: str | None
    firings: tuple[Firing, ...] = ()
    missed: int = 0
    note: str = ""
    items: Mapping[str, TriggerItem | None] = field(default_factory=dict)
    note_as: TriggerOutcome = TriggerOutcome.MISSED


@dataclass(frozen=True, slots=True)
class TriggerState:
    """How far a trigger has come.

    Attributes:
        key: Which trigger.
        kind: What it looks at.
        handled: Up to where it has come: of a schedule the last time that was dealt with.
        at: When it last did something.
        outcome: What it last came to.
        reason: Why.
        job_id: The job that it asked for last; None before the first.
        missed: At how many times nobody looked in time, in all, that got no job of their own.
    """

    key: TriggerKey
    kind: str
    handled: str | None
    at: str
    outcome: TriggerOutcome
    reason: str
    job_id: str | None
    missed: int


class ChangedJob(NamedTuple):
    """A job of another pipeline that has changed.

    Attributes:
        job_id: The job's id.
        at: When.
        version: Which change that was.
        fields: Its fields.
        known: What the trigger remembers of it; None where it never saw it.
        problem: Why its fields cannot be read, and count as none; None where they can.
    """

    job_id: str
    at: str
    version: str
    fields: Mapping[str, Any]
    known: TriggerItem | None
    problem: str | None


class EndedStage(NamedTuple):
    """A stage of a job of another pipeline that has finished.

    Attributes:
        job_id: The job's id.
        at: When.
        version: Which run of it that was.
    """

    job_id: str
    at: str
    version: str
