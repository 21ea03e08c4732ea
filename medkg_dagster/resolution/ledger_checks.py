"""A load held against the ledger: what became of plugins since, and jobs that wait for what is gone."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

from medkg_dagster.errors import Problem
from medkg_dagster.ledger import JobLedger
from medkg_dagster.ledger.models import Registration
from medkg_dagster.plugins.events import Outcome, PluginEvent
from medkg_dagster.resolution.plan import PipelinePlan, PluginReport

_LOG = logging.getLogger("medkg.plugins")
_WARNED_OF = {Outcome.REJECTED, Outcome.BLOCKED, Outcome.REPLACED, Outcome.REMOVED}


def audit_plugins(events: Iterable[PluginEvent], ledger: JobLedger) -> tuple[Registration, ...]:
    """Append to the audit what differs from the last load, and log it; not where nothing can be written."""
    if ledger.is_read_only:
        return ()
    added = ledger.registrations.record(registrations(events))
    gone = {entry.key[:2] for entry in added if entry.outcome == Outcome.REMOVED and not entry.subject}
    for entry in added:
        if entry.subject and entry.outcome == Outcome.REMOVED and entry.key[:2] in gone:
            # Said once, for the entry point.
            continue
        level = logging.WARNING if entry.change or entry.outcome in _WARNED_OF else logging.INFO
        _LOG.log(level, "%s", describe_registration(entry))
    return added


def record_load(report: PluginReport, ledger: JobLedger) -> None:
    """Remember how long the load took, for the metrics."""
    ledger.figures.record_load(report.discovery_seconds, report.stage_seconds)


def registrations(events: Iterable[PluginEvent]) -> tuple[Registration, ...]:
    """Return one record for each entry point and subject; of several events the last one counts."""
    found: dict[tuple[str, str, str], Registration] = {}
    for event in events:
        origin = event.origin
        entry = Registration(
            distribution=origin.distribution,
            version=origin.version,
            entry_point=f"{origin.entry_point} = {origin.target}" if origin.entry_point else origin.target,
            outcome=event.outcome.value,
            subject=event.subject,
            configured_by=event.configured_by,
            details=event.details,
            record_hash=origin.record_hash,
            refusal=event.refusal or "",
        )
        before = found.get(entry.key)
        if before is not None and before.outcome == entry.outcome == Outcome.REJECTED:
            continue
        found[entry.key] = entry
    return tuple(found.values())


def describe_registration(entry: Registration) -> str:
    """Return a record as one line for people."""
    subject = f" {entry.subject}" if entry.subject else ""
    change = f" ({entry.change})" if entry.change else ""
    details = f": {entry.details}" if entry.details else ""
    by = f", by {entry.configured_by}" if entry.configured_by else ""
    what = f"{entry.outcome}{subject}: {entry.entry_point} of {entry.distribution} {entry.version}"
    return f"{what}{change}{by}{details}"


def stranded_jobs(pipelines: Sequence[PipelinePlan], ledger: JobLedger) -> list[Problem]:
    """Return a problem for each gate or phase that jobs wait for and that is defined no longer."""
    known = known_phases(pipelines)
    names = {pipeline.name for pipeline in pipelines}
    found = []
    for item in ledger.phases.open():
        if (item.pipeline, item.phase) in known:
            continue
        place = f"gate '{item.gate}'" if item.gate else f"the start of '{item.phase}'"
        jobs = f"{item.jobs} jobs wait" if item.jobs > 1 else "a job waits"
        cancel = f"`medkg ledger cancel {item.pipeline}/{item.example} --reason WHY` ends one"
        move = (
            f"`medkg gate move {item.pipeline} {item.gate} NEW_GATE --reason WHY` lets them wait at another"
        )
        is_movable = item.gate is not None and item.pipeline in names
        found.append(
            Problem(
                f"{jobs} for {place} of pipeline '{item.pipeline}', which nothing that is loaded defines: "
                f"{item.example}{' and others' if item.jobs > 1 else ''}",
                hint=f"{move}, {cancel}" if is_movable else cancel,
                subject=f"ledger {ledger.place}",
            )
        )
    return found


def known_phases(pipelines: Iterable[PipelinePlan]) -> frozenset[tuple[str, str]]:
    """Return pipeline and Dagster job of every phase, and of all work that goes on while jobs wait."""
    return frozenset(
        (pipeline.name, name)
        for pipeline in pipelines
        for name in (*(phase.job_name for phase in pipeline.phases), *pipeline.work)
    )
