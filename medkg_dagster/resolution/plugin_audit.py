"""What became of plugins, written to the ledger's audit and to the log."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from medkg_dagster.ledger import JobLedger
from medkg_dagster.ledger.models import Registration
from medkg_dagster.plugins.events import Outcome, PluginEvent

_LOG = logging.getLogger("medkg.plugins")
_WARNED_OF = {Outcome.REJECTED, Outcome.BLOCKED, Outcome.REPLACED, Outcome.REMOVED}


def audit_plugins(events: Iterable[PluginEvent], ledger: JobLedger) -> tuple[Registration, ...]:
    """Append to the audit what differs from the last load, and log it.

    Args:
        events: Everything that became of plugins in this load.
        ledger: The open ledger.

    Returns:
        The records that were added.
    """
    added = ledger.registrations.record(registrations(events))
    gone = {entry.key[:2] for entry in added if entry.outcome == Outcome.REMOVED and not entry.subject}
    for entry in added:
        if entry.subject and entry.outcome == Outcome.REMOVED and entry.key[:2] in gone:
            # Said once, for the entry point.
            continue
        level = logging.WARNING if entry.change or entry.outcome in _WARNED_OF else logging.INFO
        _LOG.log(level, "%s", describe_registration(entry))
    return added


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
