"""What is counted when a stage ends."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, select

from medkg_dagster.ledger.encoding import from_json
from medkg_dagster.ledger.models import StageStatus
from medkg_dagster.ledger.schema import STAGE_RUNS
from medkg_dagster.ledger.statements import counter_rows
from medkg_dagster.ledger.statements.counter_rows import Counter
from medkg_dagster.ledger.statements.stage_rows import StageKey

UNKNOWN = "unknown"
"""Type and origin of a stage that was begun by a release which did not say so."""


def count_stage_end(connection: Connection, key: StageKey) -> None:
    """Count that the latest run of a stage has ended, as its row says.

    Args:
        connection: A connection inside the transaction that wrote how it ended.
        key: The stage.
    """
    of_stage = (STAGE_RUNS.c[name] == value for name, value in key._asdict().items())
    row = connection.execute(select(STAGE_RUNS).where(*of_stage)).one()
    labels = (key.pipeline, key.stage, row.stage_type or UNKNOWN, row.origin or UNKNOWN)
    ended = row.finished_at or row.started_at
    amounts: dict[Counter, float] = {
        (counter_rows.STAGE_RUNS, (*labels, row.status)): 1,
        (counter_rows.STAGE_SECONDS, labels): counter_rows.seconds_spent(row.started_at, ended),
        (counter_rows.STAGE_DOCUMENTS, (*labels, "succeeded")): _amount(row.succeeded),
        (counter_rows.STAGE_DOCUMENTS, (*labels, "quarantined")): _amount(row.quarantined),
    }
    counts = from_json(row.counts)
    for name in ("reused", "computed"):
        amounts[counter_rows.STAGE_MEMO, (*labels, name)] = _amount(counts.get(name, 0))
    counter_rows.count(connection, amounts)
    if row.status == StageStatus.FINISHED:
        at = datetime.fromisoformat(ended).timestamp()
        counter_rows.raise_to(connection, {(counter_rows.STAGE_SUCCESS, labels): at})


def _amount(value: object) -> float:
    """Return a count, 0 where somebody has written in SQL what is none."""
    return max(0.0, value) if isinstance(value, int | float) else 0.0
