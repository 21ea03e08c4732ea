"""Statements on jobs and their history. Each function runs inside the caller's transaction."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, Row, bindparam, insert, select, update

from medkg_dagster.domain.job_ids import check_job_id
from medkg_dagster.errors import LedgerError, UnknownJobError, did_you_mean
from medkg_dagster.ledger.database import lock_database
from medkg_dagster.ledger.encoding import RowReader, dump_json, from_json, storable, to_json
from medkg_dagster.ledger.fields import assign, lookup
from medkg_dagster.ledger.models import HistoryEntry, Job, JobKey, JobStatus
from medkg_dagster.ledger.schema import HISTORY, JOBS

_ABSENT = object()
_LISTED = 10
_COMPARED = 10_000
_SHOWN = 80

_OF_JOB = (JOBS.c.pipeline == bindparam("of_pipeline")) & (JOBS.c.job_id == bindparam("of_job_id"))
_SELECT_JOB = select(JOBS).where(_OF_JOB)
_LOCK_JOB = _SELECT_JOB.with_for_update()
_UPDATE_JOB = update(JOBS).where(_OF_JOB)
_INSERT_HISTORY = insert(HISTORY)


@dataclass(frozen=True, slots=True)
class Attribution:
    """What every change records.

    Attributes:
        actor: Who or what makes the change.
        at: When.
        reason: Why, where the actor says so.
    """

    actor: str
    at: str
    reason: str | None = None


def add_job(connection: Connection, job: JobKey, request: Mapping[str, Any], by: Attribution) -> Job:
    """Add a job unless it is there already, and return it as it stands.

    Raises:
        ConfigError: No job can have that id.
        LedgerError: No pipeline is named.
    """
    if not job.pipeline:
        raise LedgerError("a ledger job needs a pipeline; its name is empty")
    check_job_id(job.job_id)
    lock_database(connection)
    known = find_job(connection, job)
    if known is not None:
        return known
    values = {
        **job._asdict(),
        "status": JobStatus.SUBMITTED.value,
        "request": to_json(dict(request), "the request"),
        "fields": "{}",
        "attempts": 0,
        "revision": 0,
        "created_at": by.at,
        "updated_at": by.at,
    }
    connection.execute(insert(JOBS).values(values))
    record(connection, job, {"status": (None, JobStatus.SUBMITTED.value)}, by)
    return get_job(connection, job)


def get_job(connection: Connection, job: JobKey, *, lock: bool = False) -> Job:
    """Return a job, held against other writers until the transaction ends where `lock` is set."""
    row = find_job(connection, job, lock=lock)
    if row is None:
        hint = did_you_mean(job.job_id, _likely_ids(connection, job))
        raise UnknownJobError(f"pipeline {job.pipeline!r} has no ledger job {job.job_id!r}; {hint}")
    return row


def find_job(connection: Connection, job: JobKey, *, lock: bool = False) -> Job | None:
    """Return a job, or None where there is none."""
    key = {"of_pipeline": job.pipeline, "of_job_id": job.job_id}
    row = connection.execute(_LOCK_JOB if lock else _SELECT_JOB, key).first()
    return None if row is None else _job(row)


def list_jobs(
    connection: Connection, pipeline: str | None, status: str | None, job_id: str | None, limit: int
) -> tuple[Job, ...]:
    """Return jobs, the latest changed first."""
    query = select(JOBS).order_by(JOBS.c.updated_at.desc(), JOBS.c.pipeline, JOBS.c.job_id).limit(limit)
    for column, value in ((JOBS.c.pipeline, pipeline), (JOBS.c.job_id, job_id)):
        if value is not None:
            query = query.where(column == value)
    if status is not None:
        query = query.where(JOBS.c.status == valid_status(status).value)
    return tuple(_job(row) for row in connection.execute(query))


_ENDED = (
    JobStatus.SUCCEEDED,
    JobStatus.FAILED,
    JobStatus.SKIPPED,
    JobStatus.QUARANTINED,
    JobStatus.REJECTED,
    JobStatus.CANCELLED,
)


def list_ended(connection: Connection, before: str) -> frozenset[JobKey]:
    """Return the jobs that came to their end before a time, and were not changed since."""
    ended = [status.value for status in _ENDED]
    query = select(JOBS.c.pipeline, JOBS.c.job_id).where(JOBS.c.status.in_(ended), JOBS.c.updated_at < before)
    return frozenset(JobKey(*row) for row in connection.execute(query))


def list_keys(connection: Connection) -> frozenset[JobKey]:
    """Return which jobs there are."""
    rows = connection.execute(select(JOBS.c.pipeline, JOBS.c.job_id))
    return frozenset(JobKey(row.pipeline, row.job_id) for row in rows)


def change_job(connection: Connection, job: Job, changes: Mapping[str, Any], by: Attribution) -> Job:
    """Set columns of a locked job; only what differs is written and recorded.

    Args:
        connection: The transaction that holds the job.
        job: The job as it stands.
        changes: Column name to new value: `status`, `phase`, `error` or `attempts`.
        by: Who changes it, when and why.

    Returns:
        The job after the change.
    """
    stored: dict[str, Any] = {
        name: storable(value) if type(value) is str else value for name, value in changes.items()
    }
    differing = {name: value for name, value in stored.items() if getattr(job, name) != value}
    if not differing:
        return job
    place = {"of_pipeline": job.pipeline, "of_job_id": job.job_id}
    connection.execute(_UPDATE_JOB, {**place, **differing, "updated_at": by.at})
    recorded = {
        name: (getattr(job, name), value) for name, value in differing.items() if name in {"status", "phase"}
    }
    record(connection, job.key, recorded, by)
    return replace(job, **differing, updated_at=by.at)


def change_stages(connection: Connection, job: Job, stages: Sequence[str]) -> Job:
    """Remember of which stages the pipeline of a locked job consists."""
    connection.execute(
        _UPDATE_JOB,
        {"of_pipeline": job.pipeline, "of_job_id": job.job_id, "pipeline_stages": dump_json(list(stages))},
    )
    return replace(job, pipeline_stages=tuple(stages))


def change_fields(connection: Connection, job: Job, changes: Mapping[str, Any], by: Attribution) -> Job:
    """Set fields of a locked job by dotted path; only what differs is written and recorded."""
    fields = dict(
        require_readable(job).fields
    )  # decoded by this transaction alone, so its objects may change in place
    recorded: dict[str, tuple[Any, Any]] = {}
    for path in sorted(changes):
        new = to_json(changes[path], f"field {path!r}")
        old = lookup(fields, path, _ABSENT)
        if old is not _ABSENT and dump_json(old) == new:
            continue
        assign(fields, path, from_json(new))
        recorded[path] = (None if old is _ABSENT else old, from_json(new))
    if not recorded:
        return job
    connection.execute(
        _UPDATE_FIELDS,
        {
            "of_pipeline": job.pipeline,
            "of_job_id": job.job_id,
            "new_fields": to_json(fields, f"what the fields of job '{job.key}' would be"),
            "now": by.at,
        },
    )
    record(connection, job.key, recorded, by)
    return replace(job, fields=fields, updated_at=by.at)


_UPDATE_FIELDS = (
    update(JOBS)
    .where(_OF_JOB)
    .values(fields=bindparam("new_fields"), updated_at=bindparam("now"), revision=JOBS.c.revision + 1)
)


def list_history(connection: Connection, job: JobKey) -> tuple[HistoryEntry, ...]:
    """Return every change of a job, the oldest first."""
    query = (
        select(HISTORY)
        .where(HISTORY.c.pipeline == job.pipeline, HISTORY.c.job_id == job.job_id)
        .order_by(HISTORY.c.id)
    )
    return tuple(
        HistoryEntry(
            row.pipeline,
            row.job_id,
            row.field,
            _value_of(row.old),
            _value_of(row.new),
            row.actor,
            row.at,
            row.reason,
        )
        for row in connection.execute(query)
    )


def _value_of(text: str | None) -> Any:
    """Return the value of an entry of the history; its beginning as it stands where it cannot be read."""
    try:
        return from_json(text)
    except LedgerError as error:
        return f"{(text or '')[:_SHOWN]} ... ({error})"


def valid_status(status: str) -> JobStatus:
    """Return the status of that name."""
    try:
        return JobStatus(status)
    except ValueError:
        raise LedgerError(f"unknown job status {status!r}; {did_you_mean(status, JobStatus)}") from None


def record(
    connection: Connection,
    job: JobKey,
    changes: Mapping[str, tuple[Any, Any]],
    by: Attribution,
) -> None:
    """Append changes to the history: field to old and new value."""
    rows = [
        {
            **job._asdict(),
            "field": field,
            "old": None if old is None else dump_json(old),
            "new": None if new is None else dump_json(new),
            "actor": storable(by.actor),
            "at": by.at,
            "reason": None if by.reason is None else storable(by.reason),
        }
        for field, (old, new) in changes.items()
    ]
    if rows:
        connection.execute(_INSERT_HISTORY, rows)


def _likely_ids(connection: Connection, job: JobKey) -> list[str]:
    query = select(JOBS.c.job_id).where(JOBS.c.pipeline == job.pipeline).order_by(JOBS.c.updated_at.desc())
    known = list(connection.scalars(query.limit(_COMPARED)))
    close = difflib.get_close_matches(job.job_id, known, n=_LISTED)
    return close or known[:_LISTED]


def _job(row: Row[Any]) -> Job:
    read = RowReader()
    stages = None if row.pipeline_stages is None else read.json("pipeline_stages", row.pipeline_stages, list)
    return Job(
        pipeline=row.pipeline,
        job_id=row.job_id,
        status=read.member("status", JobStatus, row.status, JobStatus.FAILED),
        phase=row.phase,
        request=read.json("request", row.request, dict),
        fields=read.json("fields", row.fields, dict),
        attempts=row.attempts,
        error=row.error,
        created_at=row.created_at,
        updated_at=row.updated_at,
        pipeline_stages=None if stages is None else tuple(map(str, stages)),
        problem=read.problem,
    )


def require_readable(job: Job) -> Job:
    """Return a job of which everything can be read.

    Raises:
        LedgerError: Something cannot.
    """
    if job.problem is not None:
        raise LedgerError(
            f"ledger job '{job.key}' cannot be read, {job.problem}; put the row of ledger_jobs right in SQL, "
            f"or end the job where it waits with `medkg ledger cancel {job.key} --reason WHY`"
        )
    return job
