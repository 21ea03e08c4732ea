"""How much of what there is in a ledger, over all jobs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from medkg_dagster.io.sql import Database
from medkg_dagster.ledger.statements import counter_rows, figure_rows
from medkg_dagster.ledger.statements.figure_rows import Counts


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


@dataclass(frozen=True, slots=True)
class LedgerFigures:
    """What a ledger counts, at one moment.

    Attributes:
        counters: What has happened: by the counter's name, the value by labels.
        jobs: Jobs by status and pipeline.
        documents: Documents by status.
        quarantined: Quarantined documents by pipeline, stage and class of error.
        plugins: What became of plugins at the last load, by distribution, outcome and refusal.
        waiting: By pipeline and phase how many jobs wait at its gate, and since when the first.
        due: By pipeline and phase how many wait to be started, and since when the first.
    """

    counters: Mapping[str, Counts]
    jobs: Counts
    documents: Counts
    quarantined: Counts
    plugins: Counts
    waiting: Mapping[tuple[str, ...], tuple[int, str]]
    due: Mapping[tuple[str, ...], tuple[int, str]]


class FigureLedger:
    """Numbers over all jobs of a ledger.

    Every method is one transaction and may raise `LedgerError`.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def summary(self) -> LedgerSummary:
        """Return the ledger in a few numbers."""
        with self._database.reading() as connection:
            jobs: dict[str, int] = {}
            for (status, _), count in figure_rows.count_jobs(connection).items():
                jobs[status] = jobs.get(status, 0) + int(count)
            due = sum(count for count, _ in figure_rows.due_since(connection).values())
            return LedgerSummary(jobs, due, figure_rows.latest_change(connection))

    def all(self) -> LedgerFigures:
        """Return all that is counted."""
        with self._database.reading() as connection:
            return LedgerFigures(
                counters=counter_rows.read_counters(connection),
                jobs=figure_rows.count_jobs(connection),
                documents=figure_rows.count_documents(connection),
                quarantined=figure_rows.count_quarantined(connection),
                plugins=figure_rows.count_plugins(connection),
                waiting=figure_rows.waiting_since(connection),
                due=figure_rows.due_since(connection),
            )

    def record_load(self, discovery: Mapping[str, float], stages: Mapping[tuple[str, ...], float]) -> None:
        """Remember how long the last load of pipelines and plugins took; not where nothing can be written.

        Args:
            discovery: Seconds of importing entry points, by distribution.
            stages: Seconds of resolving stages, by pipeline, stage, stage type and distribution.
        """
        if self._database.is_read_only:
            return
        with self._database.writing() as connection:
            by_distribution: dict[tuple[str, ...], float] = {
                (name,): seconds for name, seconds in discovery.items()
            }
            counter_rows.replace_all(connection, counter_rows.DISCOVERY, by_distribution)
            counter_rows.replace_all(connection, counter_rows.STAGE_RESOLUTION, stages)
