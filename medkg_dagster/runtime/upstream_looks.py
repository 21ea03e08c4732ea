"""Looks at what another pipeline did: its jobs' fields, and its stages that have finished.

Both are read from the ledger's rows, not from a stream of events: what happened while nobody looked is there.
A row is written with the time before its transaction ends, so that one may come to be seen after a later one;
each look therefore goes back a little, and leaves out what it remembers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from medkg_dagster.domain.gate_conditions import GateCondition, GateOperator, judge, observed_fields
from medkg_dagster.io.times import moment_text
from medkg_dagster.ledger import JobLedger, TriggerItem, TriggerOutcome, TriggerStep
from medkg_dagster.ledger.trigger_models import ChangedJob
from medkg_dagster.resolution.plan import PipelinePlan, PlannedTrigger
from medkg_dagster.runtime.trigger_looks import Look, has_job_each, made_firing
from medkg_dagster.runtime.trigger_record import TriggerRecord
from medkg_dagster.topology.triggers import AssetTrigger, LedgerTrigger

OVERLAP = timedelta(minutes=10)
"""More than a transaction takes, and more than the clocks of machines differ by."""
EVENTS_PER_LOOK = 100
_NAMED, _SHOWN = 3, 200
_BEGINS = "It has begun to look; what was before calls for nothing."


class _Event(NamedTuple):
    """Something that calls for a job: at which job, when, why, and what is then remembered of it."""

    job_id: str
    at: str
    why: str
    item: TriggerItem


def look_at_stage(
    ledger: JobLedger, pipeline: PipelinePlan, trigger: PlannedTrigger, watched: AssetTrigger, now: datetime
) -> Look:
    """Ask for jobs where a stage of another pipeline has finished.

    Args:
        ledger: The open ledger.
        pipeline: The trigger's pipeline.
        trigger: The trigger.
        watched: What it looks at.
        now: The time, with a time zone.
    """
    record = TriggerRecord(ledger, pipeline, trigger)
    state = record.find()
    since = _since(None if state is None else state.handled, now)
    limit = None if state is None else EVENTS_PER_LOOK
    found = ledger.triggers.ended_stages(record.key, watched.pipeline, watched.stage, since, limit)
    if state is None:
        return _begin(record, now, {item.job_id: TriggerItem(item.version) for item in found})
    if not found:
        return Look((), f"Stage {watched.stage} of {watched.pipeline} has not finished since the last look.")
    events = [
        _Event(item.job_id, item.at, f"stage {watched.stage} finished", TriggerItem(item.version))
        for item in found
    ]
    return _ask(record, watched.pipeline, state.handled, found[-1].at, events)


def look_at_fields(
    ledger: JobLedger, pipeline: PipelinePlan, trigger: PlannedTrigger, watched: LedgerTrigger, now: datetime
) -> Look:
    """Ask for jobs where the fields of another pipeline's job have come to fulfil a condition.

    Args:
        ledger: The open ledger.
        pipeline: The trigger's pipeline.
        trigger: The trigger.
        watched: What it looks at.
        now: The time, with a time zone.
    """
    record = TriggerRecord(ledger, pipeline, trigger)
    state = record.find()
    since = "" if state is None else _since(state.handled, now)
    limit = None if state is None else EVENTS_PER_LOOK
    found = ledger.triggers.changed_jobs(record.key, watched.pipeline, since, limit)
    judged = [(job, _judge(watched.condition, job)) for job in found]
    if state is None:
        return _begin(record, now, {job.job_id: item for job, (_, item) in judged})
    if not found:
        return Look((), f"No job of {watched.pipeline} has changed since the last look.")
    events = [_Event(job.job_id, job.at, why, item) for job, (why, item) in judged if why is not None]
    others = {job.job_id: item for job, (why, item) in judged if why is None}
    problems = tuple(f"{watched.pipeline}/{job.job_id}: {job.problem}" for job in found if job.problem)
    look = _ask(record, watched.pipeline, state.handled, found[-1].at, events, others)
    return Look(look.fired, look.note, problems)


def _judge(condition: GateCondition, job: ChangedJob) -> tuple[str | None, TriggerItem]:
    """Return why a job calls for one, None where it does not; and what to remember of it.

    A condition calls when it comes to hold, and one that looks for changes at each change while it does.
    """
    before = json.loads(job.known.mark) if job.known else {}
    verdict = judge(condition, job.fields, before.get("observed") if job.known else None)
    observed = observed_fields(condition, job.fields)
    calls = verdict.held and not before.get("held", False)
    if any(clause.operator is GateOperator.CHANGED for clause in condition.clauses):
        calls = verdict.held and (calls or observed != before.get("observed"))
    item = TriggerItem(job.version, json.dumps({"held": verdict.held, "observed": observed}, sort_keys=True))
    return (str(verdict)[:_SHOWN] if calls else None), item


def _begin(record: TriggerRecord, now: datetime, items: Mapping[str, TriggerItem]) -> Look:
    step = TriggerStep(None, moment_text(now), note=_BEGINS, items=items, note_as=TriggerOutcome.NOTHING)
    record.take(step)
    return Look((), _BEGINS)


def _ask(  # noqa: PLR0917 - who, for what, from where to where
    record: TriggerRecord,
    upstream: str,
    seen: str | None,
    handled: str,
    events: Sequence[_Event],
    others: Mapping[str, TriggerItem | None] | None = None,
) -> Look:
    groups = (
        [[event] for event in events] if has_job_each(record.trigger) else [list(events)] if events else []
    )
    firings = []
    for group in groups:
        last = group[-1]
        values: dict[str, Any] = {"job_id": last.job_id}
        named = "; ".join(f"{upstream}/{event.job_id}: {event.why}" for event in group[:_NAMED])
        more = f"; and {len(group) - _NAMED} more" if len(group) > _NAMED else ""
        items = {event.job_id: event.item for event in group}
        occasion = f"{last.job_id} {last.item.version}"
        why = f"{named}{more}"
        firings.append(made_firing(record.trigger, values, occasion, why, items, group[0].at))
    step = TriggerStep(seen, max(seen or "", handled), tuple(firings), items=others or {})
    fired = record.take(step)
    return Look(fired, "" if fired else f"Nothing in {upstream} calls for a job.")


def _since(handled: str | None, now: datetime) -> str:
    """Return since when to look; a clock that was ahead has come further than there is time."""
    reached = now if handled is None else min(datetime.fromisoformat(handled), now)
    return moment_text(reached - OVERLAP)
