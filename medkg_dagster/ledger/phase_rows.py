"""Statements on the phases of jobs. Each runs inside the caller's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, Select, and_, func, insert, or_, select, update

from medkg_dagster.ledger.encoding import from_json
from medkg_dagster.ledger.models import GateDecision, Phase, PhaseStatus
from medkg_dagster.ledger.schema import HISTORY, PHASES


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


def find_phase(connection: Connection, key: PhaseKey) -> Phase | None:
    """Return a phase, or None where there is none; the caller holds the job."""
    row = connection.execute(select(PHASES).where(_of(key))).first()
    return None if row is None else _phase(row)


def put_phase(connection: Connection, key: PhaseKey, values: dict[str, Any]) -> Phase:
    """Write columns of a phase, made where there is none; the caller holds the job."""
    changed = connection.execute(update(PHASES).where(_of(key)).values(values))
    if changed.rowcount == 0:
        blank = {"attempt": 1, "stirred": 0}
        connection.execute(insert(PHASES).values({**blank, **key._asdict(), **values}))
    return _phase(connection.execute(select(PHASES).where(_of(key))).one())


def list_phases(connection: Connection, pipeline: str, job_id: str) -> tuple[Phase, ...]:
    """Return the phases of a job, in the order they came to be."""
    query = select(PHASES).where(PHASES.c.pipeline == pipeline, PHASES.c.job_id == job_id)
    return tuple(map(_phase, connection.execute(query.order_by(PHASES.c.since, PHASES.c.phase))))


def stirred_jobs(
    connection: Connection, pipeline: str, phase: str, checked_before: str, limit: int
) -> list[str]:
    """Return ids of waiting jobs whose fields changed since the last look, the longest unseen first."""
    query = (
        _waiting_ids(pipeline, phase)
        .where(
            PHASES.c.stirred == 1,
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


def due_phases(connection: Connection, phase: str, pipeline: str | None, now: str, limit: int) -> list[Phase]:
    """Return phases to start that nobody is starting, the longest due first."""
    query = select(PHASES).where(
        PHASES.c.status == PhaseStatus.DUE.value,
        PHASES.c.phase == phase,
        or_(PHASES.c.starter.is_(None), PHASES.c.lease_until.is_(None), PHASES.c.lease_until < now),
    )
    if pipeline is not None:
        query = query.where(PHASES.c.pipeline == pipeline)
    query = query.order_by(PHASES.c.opened_at, PHASES.c.pipeline, PHASES.c.job_id).limit(limit)
    return [_phase(row) for row in connection.execute(query)]


def waiting_phases(
    connection: Connection, pipeline: str | None, phase: str | None, limit: int
) -> tuple[Phase, ...]:
    """Return phases whose job waits at a gate, the longest waiting first."""
    query = select(PHASES).where(PHASES.c.status == PhaseStatus.WAITING.value)
    for column, value in ((PHASES.c.pipeline, pipeline), (PHASES.c.phase, phase)):
        if value is not None:
            query = query.where(column == value)
    query = query.order_by(PHASES.c.since, PHASES.c.pipeline, PHASES.c.job_id).limit(limit)
    return tuple(map(_phase, connection.execute(query)))


def waiting_mark(connection: Connection, pipeline: str, phase: str) -> str:
    """Return a text that changes whenever a job begins or ends to wait for the phase."""
    query = select(func.count(), func.max(PHASES.c.since)).where(
        PHASES.c.status == PhaseStatus.WAITING.value, PHASES.c.pipeline == pipeline, PHASES.c.phase == phase
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
    names = {"fields"}
    for path in paths:
        parts = path.split(".")
        names |= {".".join(parts[:depth]) for depth in range(1, len(parts) + 1)}
    within = [HISTORY.c.field.startswith(f"{path}.", autoescape=True) for path in paths]
    query = (
        select(HISTORY.c.actor, HISTORY.c.at)
        .where(
            HISTORY.c.pipeline == key.pipeline,
            HISTORY.c.job_id == key.job_id,
            or_(HISTORY.c.field.in_(sorted(names)), *within),
        )
        .order_by(HISTORY.c.id.desc())
        .limit(1)
    )
    row = connection.execute(query).first()
    return None if row is None else (row.actor, row.at)


def _waiting_ids(pipeline: str, phase: str) -> Select[Any]:
    return select(PHASES.c.job_id).where(
        PHASES.c.status == PhaseStatus.WAITING.value, PHASES.c.pipeline == pipeline, PHASES.c.phase == phase
    )


def _of(key: PhaseKey) -> Any:
    return and_(PHASES.c.pipeline == key.pipeline, PHASES.c.job_id == key.job_id, PHASES.c.phase == key.phase)


def _phase(row: Row[Any]) -> Phase:
    return Phase(
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
    )
