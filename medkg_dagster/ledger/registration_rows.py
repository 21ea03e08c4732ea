"""Statements on the audit of plugin registrations. Each runs inside the caller's transaction."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, func, insert, select

from medkg_dagster.ledger.encoding import storable
from medkg_dagster.ledger.models import Registration
from medkg_dagster.ledger.schema import REGISTRATIONS


def add_registrations(connection: Connection, entries: Iterable[Registration], now: str) -> int:
    """Append what differs from the last record of the same entry point; return how many were added."""
    latest = {(entry.distribution, entry.entry_point): entry for entry in _latest(connection)}
    added = 0
    for entry in entries:
        clean = Registration(
            storable(entry.distribution),
            storable(entry.version),
            storable(entry.entry_point),
            storable(entry.outcome),
            storable(entry.details),
        )
        key = (clean.distribution, clean.entry_point)
        if latest.get(key) == clean:
            continue
        latest[key] = clean
        connection.execute(
            insert(REGISTRATIONS).values(
                at=now,
                distribution=clean.distribution,
                version=clean.version,
                entry_point=clean.entry_point,
                outcome=clean.outcome,
                details=clean.details,
            )
        )
        added += 1
    return added


def list_registrations(connection: Connection, limit: int) -> tuple[Registration, ...]:
    """Return the audit, the latest first."""
    query = select(REGISTRATIONS).order_by(REGISTRATIONS.c.id.desc()).limit(limit)
    return tuple(
        Registration(row.distribution, row.version, row.entry_point, row.outcome, row.details, row.at)
        for row in connection.execute(query)
    )


def _latest(connection: Connection) -> list[Registration]:
    last = select(func.max(REGISTRATIONS.c.id)).group_by(
        REGISTRATIONS.c.distribution, REGISTRATIONS.c.entry_point
    )
    query = select(REGISTRATIONS).where(REGISTRATIONS.c.id.in_(last))
    return [
        Registration(row.distribution, row.version, row.entry_point, row.outcome, row.details)
        for row in connection.execute(query)
    ]
