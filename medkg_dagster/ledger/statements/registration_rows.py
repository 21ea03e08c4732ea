"""Statements on the audit of plugin registrations. Each runs inside the caller's transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields, replace

from sqlalchemy import Connection, Row, func, insert, or_, select

from medkg_dagster.ledger.encoding import storable
from medkg_dagster.ledger.models import Registration
from medkg_dagster.ledger.schema import REGISTRATIONS
from medkg_dagster.plugins.events import Outcome

_COLUMNS = tuple(item.name for item in fields(Registration))


def changed_registrations(connection: Connection, entries: Iterable[Registration]) -> list[Registration]:
    """Return what differs from the last records: what is new, what has changed, and what is gone.

    Args:
        connection: An open connection.
        entries: Everything that became of plugins in one load.
    """
    latest = {entry.key: entry for entry in _latest(connection)}
    found = {entry.key: entry for entry in map(_storable, entries)}
    changed = [
        replace(entry, change=_change(latest.get(key), entry))
        for key, entry in found.items()
        if latest.get(key) != entry
    ]
    gone = [
        replace(entry, outcome=Outcome.REMOVED.value, configured_by="", details="", refusal="")
        for key, entry in latest.items()
        if key not in found and entry.outcome != Outcome.REMOVED
    ]
    return [*changed, *gone]


def add_registrations(connection: Connection, entries: Sequence[Registration], now: str) -> None:
    """Append records."""
    for entry in entries:
        values = {name: getattr(entry, name) for name in _COLUMNS}
        connection.execute(insert(REGISTRATIONS).values({**values, "at": now}))


def list_registrations(connection: Connection, limit: int, subject: str | None) -> tuple[Registration, ...]:
    """Return the audit, the latest first; where a subject is given, what is about it or its distribution."""
    query = select(REGISTRATIONS).order_by(REGISTRATIONS.c.id.desc()).limit(limit)
    if subject is not None:
        query = query.where(or_(REGISTRATIONS.c.subject == subject, REGISTRATIONS.c.distribution == subject))
    return tuple(_registration(row) for row in connection.execute(query))


def registrations_since(connection: Connection, since: str) -> tuple[Registration, ...]:
    """Return the records after a time, in order."""
    query = select(REGISTRATIONS).where(REGISTRATIONS.c.at > since).order_by(REGISTRATIONS.c.id)
    return tuple(_registration(row) for row in connection.execute(query))


def _change(before: Registration | None, now: Registration) -> str:
    if before is None:
        return ""
    if before.version != now.version:
        return f"version {before.version} -> {now.version}"
    return "same version, other files" if before.record_hash != now.record_hash else ""


def _latest(connection: Connection) -> list[Registration]:
    """Return the last record of each subject, without time and change."""
    last = select(func.max(REGISTRATIONS.c.id)).group_by(
        REGISTRATIONS.c.distribution, REGISTRATIONS.c.entry_point, REGISTRATIONS.c.subject
    )
    query = select(REGISTRATIONS).where(REGISTRATIONS.c.id.in_(last))
    return [replace(_registration(row), at="", change="") for row in connection.execute(query)]


def _registration(row: Row[tuple[object, ...]]) -> Registration:
    return Registration(**{name: getattr(row, name) for name in _COLUMNS})


def _storable(entry: Registration) -> Registration:
    return Registration(**{name: storable(getattr(entry, name)) for name in _COLUMNS})
