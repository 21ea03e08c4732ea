"""One look of a trigger: what calls for a job is asked for in the ledger, and remembered with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from medkg_dagster.domain.job_ids import fitting_job_id
from medkg_dagster.domain.placeholders import (
    PlaceholderValue,
    fill,
    find_placeholders,
    short_text,
    utc_text,
)
from medkg_dagster.errors import counted
from medkg_dagster.io.times import moment_text
from medkg_dagster.ledger import Fired, Firing, JobLedger, TriggerItem, TriggerStep
from medkg_dagster.resolution.plan import PipelinePlan, PlannedTrigger
from medkg_dagster.runtime.due_times import DueTimes, due_times
from medkg_dagster.runtime.trigger_record import TriggerRecord
from medkg_dagster.topology.triggers import ScheduleTrigger


@dataclass(frozen=True, slots=True)
class Look:
    """What one look came to.

    Attributes:
        fired: The jobs that were asked for, with what became of each.
        note: Why nothing else happened, for people.
        problems: What could not be looked at, and why.
    """

    fired: tuple[Fired, ...]
    note: str
    problems: tuple[str, ...] = ()


def look_at_schedule(
    ledger: JobLedger,
    pipeline: PipelinePlan,
    trigger: PlannedTrigger,
    schedule: ScheduleTrigger,
    now: datetime,
) -> Look:
    """Ask for the jobs of a schedule that are due.

    Args:
        ledger: The open ledger.
        pipeline: The trigger's pipeline.
        trigger: The trigger.
        schedule: What it looks at.
        now: The time, with a time zone.
    """
    record = TriggerRecord(ledger, pipeline, trigger)
    state = record.find()
    seen = None if state is None else state.handled
    times = schedule.times
    due = due_times(times, None if seen is None else datetime.fromisoformat(seen), now, schedule.catch_up)
    if due is None:
        return Look((), f"Nothing is due; the next time is {utc_text(next(times.after(now)))}.")
    firings = []
    for at in due.times:
        values = {
            "window_start": at.start.astimezone(times.zone),
            "window_end": at.end.astimezone(times.zone),
        }
        covered = f", for {counted(due.missed, 'earlier time')} too" if due.missed else ""
        due_at = utc_text(at.end)
        firings.append(made_firing(trigger, values, due_at, f"due at {due_at}{covered}"))
    note = _told(due)
    step = TriggerStep(seen, moment_text(due.handled), tuple(firings), due.missed, note)
    fired = record.take(step)
    if not fired and due.times:
        return Look((), "Somebody else has asked for what was due.")
    return Look(fired, note)


def made_firing(  # noqa: PLR0917 - the parts of a firing
    trigger: PlannedTrigger,
    values: Mapping[str, PlaceholderValue],
    occasion: str,
    reason: str,
    items: Mapping[str, TriggerItem | None] | None = None,
    since: str | None = None,
    *,
    in_id: Mapping[str, PlaceholderValue] | None = None,
) -> Firing:
    """Return the job that a trigger asks for on an occasion.

    Args:
        trigger: The trigger.
        values: What its placeholders stand for.
        occasion: What calls for it.
        reason: Why, for people.
        items: What has been dealt with by it.
        since: When what calls for it happened, where a job that is at work is asked for later.
        in_id: What they stand for in its id, where that is something else.
    """
    job_id = fitting_job_id(fill(trigger.job_id, in_id or values, short_text))
    return Firing(occasion, job_id, fill(trigger.request, values), reason, items or {}, since)


def has_job_each(trigger: PlannedTrigger) -> bool:
    """Say whether each occasion has a job of its own, and not one for all of them."""
    return any(find_placeholders(trigger.job_id))


def _told(due: DueTimes) -> str:
    if due.times:
        return "More is due, and will be asked for at the next look." if due.is_more else ""
    times = counted(due.missed, "time has", "times have")
    return f"{times} passed unseen up to {utc_text(due.handled)}; nothing is caught up."
