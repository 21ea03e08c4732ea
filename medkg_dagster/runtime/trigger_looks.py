"""One look of a trigger: what is due is asked for in the ledger, and remembered with it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from medkg_dagster.domain.placeholders import fill, short_text, utc_text
from medkg_dagster.errors import counted
from medkg_dagster.io.times import Clock, stamp
from medkg_dagster.ledger import Fired, Firing, JobLedger, TriggerKey, TriggerStep
from medkg_dagster.resolution.plan import PipelinePlan, PlannedTrigger
from medkg_dagster.runtime.due_times import DueTimes, due_times


@dataclass(frozen=True, slots=True)
class Look:
    """What one look came to.

    Attributes:
        fired: The jobs that were asked for, with what became of each.
        note: Why nothing else happened, for people.
    """

    fired: tuple[Fired, ...]
    note: str


def look_at_schedule(
    ledger: JobLedger, pipeline: PipelinePlan, trigger: PlannedTrigger, now: datetime
) -> Look:
    """Ask for the jobs of a schedule that are due.

    Args:
        ledger: The open ledger.
        pipeline: The trigger's pipeline.
        trigger: The trigger.
        now: The time, with a time zone.
    """
    schedule = trigger.definition.schedule
    key = TriggerKey(pipeline.name, trigger.name)
    state = ledger.triggers.find(key)
    seen = None if state is None else state.handled
    handled = None if seen is None else datetime.fromisoformat(seen)
    due = due_times(schedule.times, handled, now, schedule.catch_up)
    if due is None:
        following = next(schedule.times.after(now))
        return Look((), f"Nothing is due; the next time is {utc_text(following)}.")
    note = _told(due)
    step = TriggerStep(seen, _stamped(due.handled), _firings(trigger, due), due.missed, note)
    fired = ledger.triggers.take(key, trigger.kind, pipeline.phases[0].job_name, step)
    if not fired and due.times:
        return Look((), "Somebody else has asked for what was due.")
    return Look(fired, note)


def _firings(trigger: PlannedTrigger, due: DueTimes) -> tuple[Firing, ...]:
    firings = []
    for at in due.times:
        zone = trigger.definition.schedule.times.zone
        values = {"window_start": at.start.astimezone(zone), "window_end": at.end.astimezone(zone)}
        job_id, request = fill(trigger.job_id, values, short_text), fill(trigger.request, values)
        covered = f", for {counted(due.missed, 'earlier time')} too" if due.missed else ""
        firings.append(Firing(utc_text(at.end), job_id, request, f"due at {utc_text(at.end)}{covered}"))
    return tuple(firings)


def _told(due: DueTimes) -> str:
    if due.times:
        return "More is due, and will be asked for at the next look." if due.is_more else ""
    times = counted(due.missed, "time has", "times have")
    return f"{times} passed unseen up to {utc_text(due.handled)}; nothing is caught up."


def _stamped(moment: datetime) -> str:
    return stamp(_fixed(moment))


def _fixed(moment: datetime) -> Clock:
    return lambda: moment.astimezone(UTC)
