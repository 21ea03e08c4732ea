"""What an alert says: of a run, a gate, a plugin, a schedule; and how each kind of receiver is told."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from urllib.parse import quote

from medkg_dagster.domain.alerts import Alert, AlertEvent
from medkg_dagster.domain.gate_conditions import describe_condition
from medkg_dagster.domain.placeholders import utc_text
from medkg_dagster.errors import counted
from medkg_dagster.io.times import moment_text
from medkg_dagster.ledger import JobKey, JobPhase, JobStatus, Registration
from medkg_dagster.ledger.alert_models import FailedRun
from medkg_dagster.plugins.events import Outcome
from medkg_dagster.resolution.plan import PipelinePlan, PlannedGate, PlannedTrigger
from medkg_dagster.topology import names

_LONGEST = 2_000
_LISTED = 20
_LONGEST_SLACK = 3_000


def run_failed(run: FailedRun) -> Alert:
    """Return the alert about a run that failed."""
    key = JobKey(run.pipeline, run.job_id)
    return Alert(
        AlertEvent.RUN_FAILED,
        f"{key} {run.run_id}",
        run.ended_at,
        f"a run of {run.job_name} failed: {key}",
        {
            **_of_job(key),
            "run_id": run.run_id,
            "dagster_job": run.job_name,
            "error": _cut(run.error),
            "path": f"runs/{quote(run.run_id, safe='')}",
        },
    )


def gate_waits(phase: JobPhase, gate: PlannedGate | None, told_at: str, seconds: float) -> Alert:
    """Return the alert about a job that has waited at a gate for so long, from when it had."""
    place = f"{phase.key} has waited at gate '{phase.gate}' for {_span(seconds)}"
    return Alert(
        AlertEvent.GATE_WAITS, _wait_identity(phase), told_at, place, _at_gate(phase, gate, decides=True)
    )


def gate_timed_out(phase: JobPhase, gate: PlannedGate | None) -> Alert:
    """Return the alert about a job whose time at a gate was up."""
    at = phase.opened_at or phase.since
    data = _at_gate(phase, gate, decides=False) | {"closed_as": phase.closed_as, "reason": _cut(phase.reason)}
    summary = f"gate '{phase.gate}' did not open in time: {phase.key} is {phase.closed_as or 'ended'}"
    event = AlertEvent.JOB_QUARANTINED if phase.closed_as is JobStatus.QUARANTINED else AlertEvent.GATE_WAITS
    return Alert(event, f"{_wait_identity(phase)} {at}", at, summary, data)


def decision_wanted(phase: JobPhase, gate: PlannedGate) -> Alert:
    """Return the alert about a job that somebody is to decide about."""
    wanted = f": {gate.description}" if gate.description else ""
    return Alert(
        AlertEvent.DECISION_WANTED,
        _wait_identity(phase),
        phase.since,
        f"{phase.key} waits for a decision at gate '{gate.name}'{wanted}",
        _at_gate(phase, gate, decides=True),
    )


def plugin_alert(entry: Registration) -> Alert | None:
    """Return the alert about a record of the audit; None where it is about nothing to be told."""
    what = entry.subject or entry.entry_point
    named = f"{what} of {entry.distribution} {entry.version}".strip()
    data = {
        "distribution": entry.distribution,
        "version": entry.version,
        "entry_point": entry.entry_point,
        "subject": entry.subject,
        "outcome": entry.outcome,
        "change": entry.change,
        "details": _cut(entry.details),
        "commands": {"show": "medkg stages --audit"},
        "path": f"assets/{'/'.join(names.LOAD_REPORT)}?view=checks",
    }
    identity = "\t".join((*entry.key, entry.version, entry.record_hash, entry.outcome, entry.at))
    if entry.outcome == Outcome.REJECTED:
        summary = f"plugin refused: {named}: {_cut(entry.details) or 'see the load report'}"
        return Alert(AlertEvent.PLUGIN_REFUSED, identity, entry.at, summary, data)
    if entry.change or entry.outcome == Outcome.REMOVED:
        summary = f"plugin changed: {named}: {entry.change or 'it is gone'}"
        return Alert(AlertEvent.PLUGIN_CHANGED, identity, entry.at, summary, data)
    return None


def schedule_missed(
    pipeline: PipelinePlan, trigger: PlannedTrigger, due: datetime, late: datetime, why: str
) -> Alert:
    """Return the alert about a schedule after whose time nothing has arrived."""
    return Alert(
        AlertEvent.SCHEDULE_MISSED,
        f"{pipeline.name}/{trigger.name} {utc_text(due)}",
        moment_text(late),
        f"nothing has arrived for '{pipeline.name}' since {utc_text(due)}, when '{trigger.name}' was due",
        {
            "pipeline": pipeline.name,
            "trigger": trigger.name,
            "schedule": trigger.looks_at,
            "due_at": utc_text(due),
            "reason": why,
            "commands": {"show": f"medkg triggers {pipeline.name} {trigger.name}"},
            "path": "automation",
        },
    )


def try_out(at: str) -> dict[str, Any]:
    """Return what a receiver is sent to see whether it takes alerts."""
    return {"type": "test", "timestamp": at, "data": {"summary": "medkg alerts can reach you"}}


def summed_up(alerts: Sequence[Alert]) -> Alert:
    """Return the one alert that tells of many of one event."""
    first = alerts[0]
    listed = [alert.summary for alert in alerts[:_LISTED]]
    return replace(
        first,
        identity=f"{len(alerts)} from {first.identity}",
        at=max(alert.at for alert in alerts),
        summary=f"{counted(len(alerts), 'alert')} of {first.event}, the first: {first.summary}",
        data={"count": len(alerts), "first": listed, "commands": _command_of(first)},
    )


def written(alert: Alert, ui: str | None) -> dict[str, Any]:
    """Return an alert as Standard Webhooks has it.

    Args:
        alert: The alert.
        ui: The address of Dagster's UI; None for no links.
    """
    data = {name: value for name, value in alert.data.items() if value is not None}
    path = data.pop("path", None)
    if ui is not None:
        data["link"] = "/".join(filter(None, (ui.rstrip("/"), path)))
    return {"type": alert.event.value, "timestamp": alert.at, "data": {"summary": alert.summary, **data}}


def slack_text(payload: Mapping[str, Any]) -> str:
    """Return an alert as the text of a message."""
    data = payload.get("data", {})
    lines = [f"*{_slack(payload.get('type', ''))}* {_slack(data.get('summary', ''))}"]
    lines += [f"> {_slack(data[name])}" for name in ("error", "reason", "observed") if data.get(name)]
    lines += [f"• {_slack(item)}" for item in data.get("first", ())]
    lines += [f"{_slack(name)}: `{_slack(command)}`" for name, command in data.get("commands", {}).items()]
    if data.get("link"):
        lines.append(f"<{_slack(data['link'])}>")
    return "\n".join(lines)


def slack_body(payload: str) -> bytes:
    """Return what an incoming webhook of Slack takes.

    Args:
        payload: The alert as it is recorded.
    """
    return json.dumps({"text": slack_text(json.loads(payload))}, ensure_ascii=False).encode()


def _of_job(key: JobKey) -> dict[str, Any]:
    job = shlex.quote(str(key))
    return {
        "pipeline": key.pipeline,
        "job": key.job_id,
        "commands": {"show": f"medkg ledger show {job}", "retry": f"medkg ledger retry {job}"},
    }


def _at_gate(phase: JobPhase, gate: PlannedGate | None, *, decides: bool) -> dict[str, Any]:
    data = {
        **_of_job(phase.key),
        "gate": phase.gate,
        "since": phase.since,
        "until": phase.deadline,
        "observed": _cut(phase.observed),
    }
    if gate is not None and decides:
        data["commands"] = {
            decision: gate.decision_command(decision, str(phase.key)) for decision in names.DECISIONS
        }
    if gate is not None:
        data["expected"] = describe_condition(gate.condition)
        data["description"] = gate.description or None
        data["path"] = f"assets/{'/'.join(names.asset_path(phase.pipeline, gate.stage))}?view=checks"
    return data


def _wait_identity(phase: JobPhase) -> str:
    return f"{phase.key} {phase.gate} {phase.since}"


def _command_of(alert: Alert) -> Mapping[str, str]:
    of_gates = {AlertEvent.GATE_WAITS, AlertEvent.DECISION_WANTED}
    if alert.event in of_gates:
        return {"show": "medkg gate list"}
    if alert.event in {AlertEvent.RUN_FAILED, AlertEvent.JOB_QUARANTINED}:
        return {"show": "medkg ledger list"}
    return {"show": "medkg triggers" if alert.event is AlertEvent.SCHEDULE_MISSED else "medkg stages --audit"}


def _slack(text: object) -> str:
    shown = str(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return " ".join(shown.replace("`", "'").split())[:_LONGEST_SLACK]


def _cut(text: str | None) -> str | None:
    return text if text is None or len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _span(seconds: float) -> str:
    for unit, size in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= size:
            number = round(seconds / size, 1)
            return f"{number:g} {unit}{'' if number == 1 else 's'}"
    return counted(round(seconds), "second")
