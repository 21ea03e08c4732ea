"""What there is to tell: looked for in the ledger, since the last look."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from medkg_dagster.alerts import messages
from medkg_dagster.domain.alerts import Alert, AlertEvent
from medkg_dagster.io.times import moment_text
from medkg_dagster.ledger import JobLedger, JobPhase, TriggerKey, TriggerState
from medkg_dagster.ledger.alert_models import AlertChannel
from medkg_dagster.ledger.alerts import Found
from medkg_dagster.resolution.plan import PipelinePlan, PlannedGate
from medkg_dagster.topology.alerts_file import AlertsFile

OVERLAP = timedelta(minutes=5)
"""A look begins so long before the last one ended: what was written meanwhile may bear an earlier time."""
REMEMBERED = timedelta(minutes=1)
"""So long may a look that found nothing be forgotten, so that nothing is written every few seconds."""
# What is so still is told of by whoever is asked for the first time, too.
_STANDING = frozenset({AlertEvent.GATE_WAITS, AlertEvent.DECISION_WANTED})
_BEGIN = "1970-01-01T00:00:00.000000Z"


@dataclass(frozen=True, slots=True)
class _Look:
    """One look.

    Attributes:
        ledger: The open ledger.
        pipelines: The pipelines that there are.
        content: Who is told of what.
        now: The time.
    """

    ledger: JobLedger
    pipelines: Mapping[str, PipelinePlan]
    content: AlertsFile
    now: datetime

    def since(self, event: AlertEvent, since: datetime) -> list[Alert]:
        """Return what has happened of an event since a time."""
        found: dict[AlertEvent, Callable[[datetime], Iterator[Alert]]] = {
            AlertEvent.RUN_FAILED: self._failed_runs,
            AlertEvent.GATE_WAITS: self._long_waits,
            AlertEvent.DECISION_WANTED: self._wanted_decisions,
            AlertEvent.JOB_QUARANTINED: partial(self._timed_out, AlertEvent.JOB_QUARANTINED),
            AlertEvent.PLUGIN_REFUSED: partial(self._plugins, AlertEvent.PLUGIN_REFUSED),
            AlertEvent.PLUGIN_CHANGED: partial(self._plugins, AlertEvent.PLUGIN_CHANGED),
            AlertEvent.SCHEDULE_MISSED: self._missed,
        }
        return list(found[event](since))

    def _failed_runs(self, since: datetime) -> Iterator[Alert]:
        yield from map(messages.run_failed, self.ledger.alerts.failed_runs(moment_text(since)))

    def _long_waits(self, since: datetime) -> Iterator[Alert]:
        allowed = timedelta(seconds=self.content.gate_wait_seconds)
        begun = _earlier(since, allowed), moment_text(self.now - allowed)
        for phase in self.ledger.alerts.gate_waits(*begun):
            at = moment_text(datetime.fromisoformat(phase.since) + allowed)
            yield messages.gate_waits(phase, self._gate(phase), at, allowed.total_seconds())
        yield from self._timed_out(AlertEvent.GATE_WAITS, since)

    def _wanted_decisions(self, since: datetime) -> Iterator[Alert]:
        for phase in self.ledger.alerts.gate_waits(moment_text(since), moment_text(self.now)):
            gate = self._gate(phase)
            if gate is not None and wants_decision(self.pipelines[phase.pipeline], gate):
                yield messages.decision_wanted(phase, gate)

    def _timed_out(self, event: AlertEvent, since: datetime) -> Iterator[Alert]:
        for phase in self.ledger.alerts.timed_out_gates(moment_text(since)):
            alert = messages.gate_timed_out(phase, self._gate(phase))
            if alert.event is event:
                yield alert

    def _plugins(self, event: AlertEvent, since: datetime) -> Iterator[Alert]:
        for entry in self.ledger.alerts.registrations(moment_text(since)):
            alert = messages.plugin_alert(entry)
            if alert is not None and alert.event is event:
                yield alert

    def _missed(self, since: datetime) -> Iterator[Alert]:
        """Yield schedules whose time was due, and late since then, without anything having arrived."""
        late = timedelta(seconds=self.content.late_seconds)
        scheduled = [
            (pipeline, trigger, trigger.definition.schedule.times)
            for pipeline in self.pipelines.values()
            for trigger in pipeline.triggers
            if trigger.definition.schedule is not None and trigger.definition.default_status == "running"
        ]
        due = [
            (pipeline, trigger, at)
            for pipeline, trigger, times in scheduled
            if (at := times.latest(self.now - late)) + late > since
        ]
        if not due:
            return
        arrivals = self.ledger.alerts.arrivals()
        states = {state.key: state for state in self.ledger.triggers.list()}
        for pipeline, trigger, at in due:
            arrived = max(
                (arrivals.get((pipeline.name, name), 0.0) for name in _sources(pipeline)), default=0.0
            )
            if arrived < at.timestamp():
                why = _why_nothing(states.get(TriggerKey(pipeline.name, trigger.name)), at)
                yield messages.schedule_missed(pipeline, trigger, at, at + late, why)

    def _gate(self, phase: JobPhase) -> PlannedGate | None:
        pipeline = self.pipelines.get(phase.pipeline)
        return None if pipeline is None else pipeline.find_gate(phase.gate or "")


def look_for_alerts(
    ledger: JobLedger, pipelines: Sequence[PipelinePlan], content: AlertsFile, loaded_at: datetime
) -> int:
    """Record what there is to tell since the last look, and say how much that is.

    Args:
        ledger: The open ledger.
        pipelines: The pipelines that there are.
        content: Who is told of what.
        loaded_at: When this deployment was loaded: a webhook that is new is told of what happened since, and
            of what waits.
    """
    now = datetime.fromisoformat(ledger.alerts.now())
    look = _Look(ledger, {pipeline.name: pipeline for pipeline in pipelines}, content, now)
    channels = [AlertChannel(hook.name, event) for hook in content.alerts for event in hook.events]
    positions = ledger.alerts.positions()
    if set(positions) - set(channels):
        ledger.alerts.keep(channels)
    seen: dict[tuple[AlertEvent, datetime], list[Alert]] = {}
    found = []
    for channel in channels:
        since = _since(positions.get(channel), channel.event, loaded_at, now)
        if (channel.event, since) not in seen:
            seen[channel.event, since] = look.since(channel.event, since)
        is_new = channel not in positions
        alerts = seen[channel.event, since]
        if alerts or is_new or now - datetime.fromisoformat(positions[channel]) > REMEMBERED:
            found.append(Found(channel, alerts, moment_text(now)))
    if not found:
        return 0
    return ledger.alerts.record(found, partial(messages.written, ui=content.ui), messages.summed_up)


def wants_decision(pipeline: PipelinePlan, gate: PlannedGate) -> bool:
    """Say whether somebody is to decide at a gate: no stage type knows work that opens it.

    Args:
        pipeline: The gate's pipeline.
        gate: The gate.
    """
    set_by_work = {work.sets for stage in pipeline.stages for work in stage.contract.work_at_gates}
    return set_by_work.isdisjoint(clause.field for clause in gate.condition.clauses)


def _since(position: str | None, event: AlertEvent, loaded_at: datetime, now: datetime) -> datetime:
    if position is None:
        return datetime.fromisoformat(_BEGIN) if event in _STANDING else loaded_at
    # A clock that was ahead would hide for as long what happens.
    return min(datetime.fromisoformat(position), now) - OVERLAP


def _earlier(moment: datetime, by: timedelta) -> str:
    begin = datetime.fromisoformat(_BEGIN)
    return moment_text(moment - by if moment - begin > by else begin)


def _sources(pipeline: PipelinePlan) -> list[str]:
    """Return the stages that documents come in by."""
    return [stage.name for stage in pipeline.stages if not stage.definition.depends_on]


def _why_nothing(state: TriggerState | None, due: datetime) -> str:
    if state is None or state.handled is None or datetime.fromisoformat(state.handled) < due:
        return "no job was asked for at that time: the schedule is off, or the daemon does not look"
    job = f"; its job is {state.key.pipeline}/{state.job_id}" if state.job_id else ""
    return f"{state.outcome}: {state.reason}{job}"
