"""What the ledger's database is, and what is said where it fails."""

from __future__ import annotations

from sqlalchemy import Connection

from medkg_dagster.errors import LedgerError
from medkg_dagster.io.sql import DatabaseKind, VersionTable, lock_writers
from medkg_dagster.ledger.migrations import MIGRATIONS, make_anew
from medkg_dagster.ledger.schema import METADATA, SCHEMA_VERSIONS

_LOCK = 6_110_853_225_041


def ledger_kind(now: str) -> DatabaseKind:
    """Describe the ledger's database.

    Args:
        now: The time to record for migrations.
    """
    return DatabaseKind(
        name="ledger",
        error=LedgerError,
        address_error=LedgerError,
        version=VersionTable(SCHEMA_VERSIONS, {"applied_at": now}),
        migrations=MIGRATIONS,
        anew=make_anew,
        tables=METADATA.tables.keys(),
        lock=_LOCK,
        setting="MEDKG_LEDGER_URL",
        restore="restore a backup, or move it aside to start anew",
        hints=(("append-only", "history and audit are kept as they were written"),),
        shares_file=True,
    )


def lock_database(connection: Connection) -> None:
    """Hold off other writers until the transaction ends."""
    lock_writers(connection, _LOCK)
