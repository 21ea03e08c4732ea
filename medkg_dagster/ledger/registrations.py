"""The audit of plugin registrations."""

from __future__ import annotations

from collections.abc import Iterable

from medkg_dagster.io.sql import Database
from medkg_dagster.io.times import Clock, stamp
from medkg_dagster.ledger.database import lock_database
from medkg_dagster.ledger.models import Registration
from medkg_dagster.ledger.statements import registration_rows


class RegistrationLedger:
    """What became of plugins, load by load.

    Every method is one transaction and may raise `LedgerError`.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def record(self, entries: Iterable[Registration]) -> tuple[Registration, ...]:
        """Append to the audit what differs from the last record of the same subject, and what is gone.

        Args:
            entries: Everything that became of plugins in one load.

        Returns:
            The records that were added.
        """
        entries = tuple(entries)
        with self._database.reading() as connection:
            # Most loads change nothing, and then nobody has to wait for a write.
            if not registration_rows.changed_registrations(connection, entries):
                return ()
        with self._database.writing() as connection:
            lock_database(connection)
            changed = registration_rows.changed_registrations(connection, entries)
            registration_rows.add_registrations(connection, changed, stamp(self._clock))
            return tuple(changed)

    def list(self, limit: int = 100, subject: str | None = None) -> tuple[Registration, ...]:
        """Return the audit of registrations, the latest first.

        Args:
            limit: How many records.
            subject: Only those of a stage type, extension, distribution or `pipeline.stage`.
        """
        with self._database.reading() as connection:
            return registration_rows.list_registrations(connection, limit, subject)
