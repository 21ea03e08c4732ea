"""How much of what there is in a ledger, over all jobs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from medkg_dagster.io.sql import Database
from medkg_dagster.ledger.statements import figure_rows


@dataclass(frozen=True, slots=True)
class LedgerSummary:
    """A ledger in a few numbers.

    Attributes:
        jobs: How many jobs there are, by status.
        due: How many phases wait to be started.
        latest_change: When a job was changed last; None where none was.
    """

    jobs: Mapping[str, int]
    due: int
    latest_change: str | None


class LedgerFigures:
    """Numbers over all jobs of a ledger.

    Every method is one transaction and may raise `LedgerError`.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def summary(self) -> LedgerSummary:
        """Return the ledger in a few numbers."""
        with self._database.reading() as connection:
            jobs: dict[str, int] = {}
            for (_, status), count in figure_rows.count_jobs(connection).items():
                jobs[status] = jobs.get(status, 0) + count
            return LedgerSummary(
                jobs, figure_rows.count_due(connection), figure_rows.latest_change(connection)
            )
