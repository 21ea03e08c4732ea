"""Statements on stage runs and quarantined documents. Each runs inside the caller's transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, and_, delete, insert, select, update

from medkg_dagster.domain.holdings import DocumentStatus
from medkg_dagster.ledger.encoding import from_json, read_member, storable
from medkg_dagster.ledger.models import DocumentOutcome, JobKey, StageRun, StageStatus
from medkg_dagster.ledger.schema import DOCUMENT_OUTCOMES, STAGE_RUNS
from medkg_dagster.stage_api import QuarantinedDocument


class StageKey(NamedTuple):
    """Which stage of which job.

    Attributes:
        pipeline: The pipeline's name.
        job_id: The job's id.
        stage: The stage's name.
    """

    pipeline: str
    job_id: str
    stage: str

    @property
    def job(self) -> JobKey:
        """Which job."""
        return JobKey(self.pipeline, self.job_id)


def latest_run_id(connection: Connection, key: StageKey) -> str | None:
    """Return the run that began the stage last; None where none did."""
    return connection.scalar(select(STAGE_RUNS.c.run_id).where(_of(STAGE_RUNS, key)))


def put_stage_run(connection: Connection, key: StageKey, values: dict[str, Any]) -> None:
    """Write the latest run of a stage; the caller holds the job."""
    place = _of(STAGE_RUNS, key)
    changed = connection.execute(update(STAGE_RUNS).where(place).values(values))
    if changed.rowcount == 0:
        blank = {"counts": "{}", "succeeded": 0, "quarantined": 0, "started_at": values.get("finished_at")}
        connection.execute(insert(STAGE_RUNS).values({**blank, **values, **key._asdict()}))


def list_stage_runs(connection: Connection, job: JobKey) -> tuple[StageRun, ...]:
    """Return the latest run of each stage, in the order they began."""
    query = (
        select(STAGE_RUNS)
        .where(_of_job(STAGE_RUNS, job))
        .order_by(STAGE_RUNS.c.started_at, STAGE_RUNS.c.stage)
    )
    return tuple(
        StageRun(
            row.pipeline,
            row.job_id,
            row.stage,
            read_member(StageStatus, row.status, "ledger_stage_runs.status"),
            row.run_id,
            row.output_count,
            from_json(row.counts),
            row.succeeded,
            row.quarantined,
            row.error,
            row.started_at,
            row.finished_at,
        )
        for row in connection.execute(query)
    )


def replace_outcomes(
    connection: Connection,
    key: StageKey,
    quarantined: Sequence[QuarantinedDocument],
    origins: Mapping[str, str],
    now: str,
) -> None:
    """Put the documents a stage run refused in the place of those its predecessor refused."""
    connection.execute(delete(DOCUMENT_OUTCOMES).where(_of(DOCUMENT_OUTCOMES, key)))
    rows = [
        {
            **key._asdict(),
            "document_id": storable(document.document_id),
            "error_class": document.error_class,
            "message": storable(document.message),
            "details": storable(document.details),
            "at": now,
            "origin": origins.get(storable(document.document_id), ""),
            "document_status": document.status.value,
        }
        for document in quarantined
    ]
    if rows:
        connection.execute(insert(DOCUMENT_OUTCOMES), rows)


def list_outcomes(connection: Connection, job: JobKey, stage: str | None) -> tuple[DocumentOutcome, ...]:
    """Return the refused documents of a job or of one stage, in the order they were refused."""
    table = DOCUMENT_OUTCOMES
    query = select(table).where(_of_job(table, job)).order_by(table.c.id)
    if stage is not None:
        query = query.where(table.c.stage == stage)
    return tuple(
        DocumentOutcome(
            row.pipeline,
            row.job_id,
            row.stage,
            row.document_id,
            row.error_class,
            row.message,
            row.details,
            row.at,
            row.origin,
            read_member(DocumentStatus, row.document_status, "ledger_document_outcomes.document_status"),
        )
        for row in connection.execute(query)
    )


def ask_again(connection: Connection, job: JobKey, by: str) -> tuple[str, ...]:
    """Ask for the quarantined documents of a job once more; return the stages that refused them."""
    table = DOCUMENT_OUTCOMES
    refused = and_(_of_job(table, job), table.c.document_status == DocumentStatus.QUARANTINED.value)
    connection.execute(update(table).where(refused).values(asked_by=storable(by)))
    return tuple(connection.scalars(select(table.c.stage).where(refused).distinct()))


def list_asked(connection: Connection, key: StageKey) -> frozenset[str]:
    """Return the documents that a stage refused and that somebody asked for once more."""
    table = DOCUMENT_OUTCOMES
    asked = and_(_of(table, key), table.c.asked_by.is_not(None))
    return frozenset(connection.scalars(select(table.c.document_id).where(asked)))


def _of_job(table: Any, job: JobKey) -> Any:
    return and_(table.c.pipeline == job.pipeline, table.c.job_id == job.job_id)


def _of(table: Any, key: StageKey) -> Any:
    return and_(_of_job(table, key.job), table.c.stage == key.stage)
