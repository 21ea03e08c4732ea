"""Statements on the phases of jobs. Each runs inside the caller's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import (
    Connection,
    Row,
    Select,
    and_,
    bindparam,
    func,
    insert,
    literal_column,
    or_,
    select,
    update,
)

from medkg_dagster.domain.gates import ABSENT, look_up
from medkg_dagster.ledger.encoding import dump_json, from_json, storable
from medkg_dagster.ledger.models import GateDecision, JobKey, JobPhase, JobStatus, PhaseStatus
from medkg_dagster.ledger.schema import HISTORY, PHASES

# Written into the statement: a database matches a parameter with no partial index.
_IS_WAITING = PHASES.c.status == literal_column(f"'{PhaseStatus.WAITING}'")
_IS_DUE = PHASES.c.status == literal_column(f"'{PhaseStatus.DUE}'")
_NEEDS_CHECK = PHASES.c.needs_check == literal_column("1")

# Built once: building a statement takes longer than carrying it out.
_OF_PHASE = and_(
    PHASES.c.pipeline == bindparam("of_pipeline"),
    PHASES.c.job_id == bindparam("of_job_id"),
    PHASES.c.phase == bindparam("of_phase"),
)
_SELECT_PHASE = select(PHASES).where(_OF_PHASE)
_UPDATE_PHASE = update(PHASES).where(_OF_PHASE)
_INSERT_PHASE = insert(PHASES)

_ALL_FIELDS = "fields"  # how the history calls a change made in SQL
_REMEMBERED = 200


class PhaseKey(NamedTuple):
    """Which phase of which job.

    Attributes:
        pipeline: The pipeline's name.
        job_id: The job's id.
        phase: The Dagster job that runs it.
    """

    pipeline: str
    job_id: str
    phase: str

    @property
    def job(self) -> JobKey:
        """Which job."""
        return JobKey(self.pipeline, self.job_id)


def find_phase(connection: Connection, key: PhaseKey) -> JobPhase | None:
    """Return a phase, or None where there is none; the caller holds the job."""
    row = connection.execute(_SELECT_PHASE, _place(key)).first()
    return None if row is None else _phase(row)


def put_phase(connection: Connection, key: PhaseKey, values: dict[str, Any]) -> JobPhase:
    """Write columns of a phase, made where there is none; the caller holds the job."""
    stored = {name: storable(value) if isinstance(value, str) else value for name, value in values.items()}
    place = _place(key)
    if connection.execute(_UPDATE_PHASE, {**place, **stored}).rowcount == 0:
        blank = {"attempt": 1, "needs_check": 0, "is_work": 0}
        connection.execute(_INSERT_PHASE, {**blank, **key._asdict(), **stored})
    return _phase(connection.execute(_SELECT_PHASE, place).one())


def list_phases(connection: Connection, job: JobKey) -> tuple[JobPhase, ...]:
    """Return the phases of a job, in the order they came to be."""
    query = select(PHASES).where(PHASES.c.pipeline == job.pipeline, PHASES.c.job_id == job.job_id)
    return tuple(map(_phase, connection.execute(query.order_by(PHASES.c.since, PHASES.c.phase))))


def jobs_to_check(
    connection: Connection, pipeline: str, phase: str, checked_before: str, limit: int
) -> list[str]:
    """Return ids of waiting jobs whose fields changed since the last look, the longest unseen first."""
    query = (
        _waiting_ids(pipeline, phase)
        .where(
            _NEEDS_CHECK,
            or_(PHASES.c.checked_at.is_(None), PHASES.c.checked_at <= checked_before),
        )
        .order_by(PHASES.c.checked_at)
    )
    return list(connection.scalars(query.limit(limit)))


def overdue_jobs(connection: Connection, pipeline: str, phase: str, now: str, limit: int) -> list[str]:
    """Return ids of waiting jobs whose deadline has passed, the longest overdue first."""
    query = (
        _waiting_ids(pipeline, phase)
        .where(PHASES.c.deadline.is_not(None), PHASES.c.deadline <= now)
        .order_by(PHASES.c.deadline)
    )
    return list(connection.scalars(query.limit(limit)))


def has_due_phases(connection: Connection, phase: str, pipeline: str | None, now: str) -> bool:
    """Say whether there are phases to start that nobody is starting."""
    return connection.execute(_due(phase, pipeline, now).limit(1)).first() is not None


def hold_due_phases(
    connection: Connection, phase: str, pipeline: str | None, now: str, limit: int
) -> list[JobPhase]:
    """Return phases to start that nobody is starting, the longest due first.

    They are held until the transaction ends; those that another one holds are left to it.
    """
    query = _due(phase, pipeline, now).order_by(PHASES.c.opened_at, PHASES.c.pipeline, PHASES.c.job_id)
    return [_phase(row) for row in connection.execute(query.limit(limit).with_for_update(skip_locked=True))]


def waiting_phases(
    connection: Connection, pipeline: str | None, phase: str | None, limit: int
) -> tuple[JobPhase, ...]:
    """Return phases whose job waits at a gate, the longest waiting first."""
    query = select(PHASES).where(_IS_WAITING)
    for column, value in ((PHASES.c.pipeline, pipeline), (PHASES.c.phase, phase)):
        if value is not None:
            query = query.where(column == value)
    query = query.order_by(PHASES.c.since, PHASES.c.pipeline, PHASES.c.job_id).limit(limit)
    return tuple(map(_phase, connection.execute(query)))


def decided_phases(connection: Connection, pipeline: str | None, limit: int) -> tuple[JobPhase, ...]:
    """Return phases whose gate was decided before the job came to it, the earliest decided first."""
    query = select(PHASES).where(
        PHASES.c.status == PhaseStatus.EXPECTED.value, PHASES.c.decision.is_not(None)
    )
    if pipeline is not None:
        query = query.where(PHASES.c.pipeline == pipeline)
    query = query.order_by(PHASES.c.since, PHASES.c.pipeline, PHASES.c.job_id).limit(limit)
    return tuple(map(_phase, connection.execute(query)))


def waiting_mark(connection: Connection, pipeline: str, phase: str) -> str:
    """Return a text that changes whenever a job begins or ends to wait for the phase."""
    query = select(func.count(), func.max(PHASES.c.since)).where(
        _IS_WAITING, PHASES.c.pipeline == pipeline, PHASES.c.phase == phase
    )
    count, latest = connection.execute(query).one()
    return f"{count} {latest or ''}".strip()


def last_change(connection: Connection, key: PhaseKey, paths: Sequence[str]) -> tuple[str, str] | None:
    """Return who changed one of the fields last, and when; None where nobody did.

    Args:
        connection: The transaction.
        key: The phase; its job is meant.
        paths: Dotted paths; a change of what they lie in or of what lies in them counts too.
    """
    names = {_ALL_FIELDS}
    for path in paths:
        parts = path.split(".")
        names |= {".".join(parts[:depth]) for depth in range(1, len(parts) + 1)}
    within = [HISTORY.c.field.startswith(f"{path}.", autoescape=True) for path in paths]
    query = (
        select(HISTORY.c.field, HISTORY.c.old, HISTORY.c.new, HISTORY.c.actor, HISTORY.c.at)
        .where(
            HISTORY.c.pipeline == key.pipeline,
            HISTORY.c.job_id == key.job_id,
            or_(HISTORY.c.field.in_(sorted(names)), *within),
        )
        .order_by(HISTORY.c.id.desc())
        .limit(_REMEMBERED)
    )
    for row in connection.execute(query):
        if any(_has_changed(row.field, row.old, row.new, path) for path in paths):
            return row.actor, row.at
    return None


def _has_changed(changed: str, old: str | None, new: str | None, path: str) -> bool:
    """Say whether the change of a field, which the path may lie in, has changed what is at the path."""
    if changed == _ALL_FIELDS:
        rest = path
    elif path.startswith(f"{changed}."):
        rest = path.removeprefix(f"{changed}.")
    else:
        return changed == path or changed.startswith(f"{path}.")
    return _text_at(old, rest) != _text_at(new, rest)


def _text_at(value: str | None, path: str) -> str | None:
    found = look_up({"": from_json(value)}, f".{path}")
    return None if found is ABSENT else dump_json(found)


def _due(phase: str, pipeline: str | None, now: str) -> Select[Any]:
    query = select(PHASES).where(
        _IS_DUE,
        PHASES.c.phase == phase,
        or_(PHASES.c.starter.is_(None), PHASES.c.lease_until.is_(None), PHASES.c.lease_until < now),
    )
    return query if pipeline is None else query.where(PHASES.c.pipeline == pipeline)


def _waiting_ids(pipeline: str, phase: str) -> Select[Any]:
    return select(PHASES.c.job_id).where(_IS_WAITING, PHASES.c.pipeline == pipeline, PHASES.c.phase == phase)


def _place(key: PhaseKey) -> dict[str, Any]:
    return {"of_pipeline": key.pipeline, "of_job_id": key.job_id, "of_phase": key.phase}


def _phase(row: Row[Any]) -> JobPhase:
    return JobPhase(
        pipeline=row.pipeline,
        job_id=row.job_id,
        phase=row.phase,
        gate=row.gate,
        status=PhaseStatus(row.status),
        attempt=row.attempt,
        since=row.since,
        deadline=row.deadline,
        timeout_seconds=row.timeout_seconds,
        observed=row.observed,
        baseline=from_json(row.baseline),
        decision=None if row.decision is None else GateDecision(row.decision),
        opened_at=row.opened_at,
        opened_by=row.opened_by,
        reason=row.reason,
        starter=row.starter,
        lease_until=row.lease_until,
        run_id=row.run_id,
        closed_as=None if row.closed_as is None else JobStatus(row.closed_as),
        is_work=bool(row.is_work),
    )
