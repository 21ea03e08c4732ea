"""Statements on the phases of jobs. Each runs inside the caller's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Self

from sqlalchemy import (
    Connection,
    Row,
    Select,
    and_,
    bindparam,
    delete,
    func,
    insert,
    literal_column,
    or_,
    select,
    update,
)

from medkg_dagster.domain.gate_conditions import ABSENT, look_up
from medkg_dagster.errors import LedgerError
from medkg_dagster.io.times import Clock, stamp
from medkg_dagster.ledger.encoding import RowReader, dump_json, from_json, storable
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
LEASE_SECONDS = 60.0
LONGEST_LEASE_SECONDS = 2 * LEASE_SECONDS
"""As seen by the clock of another starter, which may be behind by a lease."""


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


class OpenPhases(NamedTuple):
    """Jobs that wait at one gate, or that one phase is to be started for.

    Attributes:
        pipeline: The pipeline's name.
        phase: The Dagster job.
        gate: The gate in front of it; None where there is none.
        jobs: How many jobs.
        example: The id of one of them.
    """

    pipeline: str
    phase: str
    gate: str | None
    jobs: int
    example: str


class Lease(NamedTuple):
    """The time for which a starter is trusted to start a phase, were it to begin now.

    Attributes:
        now: The time.
        until: When it would end.
        latest: When one of another starter may end, who looked at the clock a little later or has one that is
            a little ahead. One that ends later still was written by a clock that was wrong, and is none.
    """

    now: str
    until: str
    latest: str

    @classmethod
    def by(cls, clock: Clock) -> Self:
        """Return the lease that begins at a clock's time."""
        now = clock()
        seconds = (0.0, LEASE_SECONDS, LONGEST_LEASE_SECONDS)
        return cls(*(stamp(lambda: now, later) for later in seconds))

    def is_free(self, phase: JobPhase) -> bool:
        """Say whether nobody is trusted to start a phase."""
        until = phase.lease_until
        return phase.starter is None or until is None or not self.now <= until <= self.latest


def find_phase(connection: Connection, key: PhaseKey) -> JobPhase | None:
    """Return a phase, or None where there is none; the caller holds the job."""
    row = connection.execute(_SELECT_PHASE, _place(key)).first()
    return None if row is None else read_phase(row)


def put_phase(connection: Connection, key: PhaseKey, values: dict[str, Any]) -> JobPhase:
    """Write columns of a phase, made where there is none; the caller holds the job."""
    stored = {name: storable(value) if isinstance(value, str) else value for name, value in values.items()}
    place = _place(key)
    if connection.execute(_UPDATE_PHASE, {**place, **stored}).rowcount == 0:
        blank = {"attempt": 1, "needs_check": 0, "is_work": 0}
        connection.execute(_INSERT_PHASE, {**blank, **key._asdict(), **stored})
    return read_phase(connection.execute(_SELECT_PHASE, place).one())


def give_up(connection: Connection, key: PhaseKey, error: str, now: str) -> None:
    """Say at a gate that a job cannot be looked at, and end its wait where its time is up.

    What is wrong may lie in any of the job's rows, so nothing else of it is read or written.
    """
    shown = storable(error)
    put_phase(connection, key, {"needs_check": 0, "checked_at": now, "observed": shown})
    closed = {"status": PhaseStatus.TIMED_OUT.value, "closed_as": JobStatus.FAILED.value}
    closed |= {"opened_at": now, "opened_by": "gate", "reason": shown}
    connection.execute(_UPDATE_PHASE.where(_IS_WAITING, PHASES.c.deadline <= now), {**_place(key), **closed})


def list_phases(connection: Connection, job: JobKey) -> tuple[JobPhase, ...]:
    """Return the phases of a job, in the order they came to be."""
    query = select(PHASES).where(PHASES.c.pipeline == job.pipeline, PHASES.c.job_id == job.job_id)
    return tuple(map(read_phase, connection.execute(query.order_by(PHASES.c.since, PHASES.c.phase))))


def jobs_to_check(  # noqa: PLR0917 - where, which, from when to when, how many
    connection: Connection, pipeline: str, phase: str, checked_before: str, now: str, limit: int
) -> list[str]:
    """Return ids of waiting jobs whose fields changed since the last look, the longest unseen first.

    A look in the future was one by a clock that was ahead; it does not count.
    """
    checked = PHASES.c.checked_at
    query = (
        _waiting_ids(pipeline, phase)
        .where(_NEEDS_CHECK, or_(checked.is_(None), checked <= checked_before, checked > now))
        .order_by(checked)
    )
    return list(connection.scalars(query.limit(limit)))


def overdue_jobs(connection: Connection, pipeline: str, phase: str, now: str, limit: int) -> list[str]:
    """Return ids of waiting jobs whose deadline has passed, or that began to wait in the future.

    The longest overdue come first. A clock that was ahead has put off the end of the others' wait.
    """
    deadline = PHASES.c.deadline
    waiting = _waiting_ids(pipeline, phase).where(deadline.is_not(None)).limit(limit)
    return [
        *connection.scalars(waiting.where(deadline <= now).order_by(deadline)),
        *connection.scalars(waiting.where(PHASES.c.since > now)),
    ]


def has_due_phases(connection: Connection, phase: str, pipeline: str | None, lease: Lease) -> bool:
    """Say whether there are phases to start that nobody is starting."""
    return connection.execute(_due(phase, pipeline, lease).limit(1)).first() is not None


def hold_due_phases(
    connection: Connection, phase: str, pipeline: str | None, lease: Lease, limit: int
) -> list[JobPhase]:
    """Return phases to start that nobody is starting, the longest due first.

    They are held until the transaction ends; those that another one holds are left to it.
    """
    # Two daemons may tick at once on PostgreSQL; neither waits for what the other is about to take.
    query = _due(phase, pipeline, lease).order_by(PHASES.c.opened_at, PHASES.c.pipeline, PHASES.c.job_id)
    return [
        read_phase(row) for row in connection.execute(query.limit(limit).with_for_update(skip_locked=True))
    ]


def waiting_phases(
    connection: Connection, pipeline: str | None, phase: str | None, limit: int
) -> tuple[JobPhase, ...]:
    """Return phases whose job waits at a gate, the longest waiting first."""
    query = select(PHASES).where(_IS_WAITING)
    for column, value in ((PHASES.c.pipeline, pipeline), (PHASES.c.phase, phase)):
        if value is not None:
            query = query.where(column == value)
    query = query.order_by(PHASES.c.since, PHASES.c.pipeline, PHASES.c.job_id).limit(limit)
    return tuple(map(read_phase, connection.execute(query)))


def open_phases(connection: Connection) -> list[OpenPhases]:
    """Return what waits at gates or is to be started, by pipeline and phase."""
    columns = (PHASES.c.pipeline, PHASES.c.phase, PHASES.c.gate)
    query = (
        select(*columns, func.count(), func.min(PHASES.c.job_id))
        .where(or_(_IS_WAITING, _IS_DUE))
        .group_by(*columns)
        .order_by(PHASES.c.pipeline, PHASES.c.phase)
    )
    return [OpenPhases(*row) for row in connection.execute(query)]


def delete_phase(connection: Connection, key: PhaseKey) -> None:
    """Remove a phase; the caller holds the job."""
    connection.execute(delete(PHASES).where(_OF_PHASE), _place(key))


def jobs_at_gate(connection: Connection, pipeline: str, gate: str, job_id: str | None) -> list[PhaseKey]:
    """Return the phases of jobs that wait at a gate, or that it has been opened for or decided ahead."""
    query = select(PHASES.c.pipeline, PHASES.c.job_id, PHASES.c.phase).where(
        PHASES.c.pipeline == pipeline,
        PHASES.c.gate == gate,
        PHASES.c.status.in_([PhaseStatus.WAITING.value, PhaseStatus.DUE.value, PhaseStatus.EXPECTED.value]),
    )
    if job_id is not None:
        query = query.where(PHASES.c.job_id == job_id)
    return [PhaseKey(*row) for row in connection.execute(query.order_by(PHASES.c.job_id))]


def decided_phases(connection: Connection, pipeline: str | None, limit: int) -> tuple[JobPhase, ...]:
    """Return phases whose gate was decided before the job came to it, the earliest decided first."""
    query = select(PHASES).where(
        PHASES.c.status == PhaseStatus.EXPECTED.value, PHASES.c.decision.is_not(None)
    )
    if pipeline is not None:
        query = query.where(PHASES.c.pipeline == pipeline)
    query = query.order_by(PHASES.c.since, PHASES.c.pipeline, PHASES.c.job_id).limit(limit)
    return tuple(map(read_phase, connection.execute(query)))


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
    try:
        found = look_up({"": from_json(value)}, f".{path}")
    except LedgerError:
        return None  # nothing that can be read was there
    return None if found is ABSENT else dump_json(found)


def _due(phase: str, pipeline: str | None, lease: Lease) -> Select[Any]:
    until = PHASES.c.lease_until
    query = select(PHASES).where(
        _IS_DUE,
        PHASES.c.phase == phase,
        or_(PHASES.c.starter.is_(None), until.is_(None), until < lease.now, until > lease.latest),
    )
    return query if pipeline is None else query.where(PHASES.c.pipeline == pipeline)


def _waiting_ids(pipeline: str, phase: str) -> Select[Any]:
    return select(PHASES.c.job_id).where(_IS_WAITING, PHASES.c.pipeline == pipeline, PHASES.c.phase == phase)


def _place(key: PhaseKey) -> dict[str, Any]:
    return {"of_pipeline": key.pipeline, "of_job_id": key.job_id, "of_phase": key.phase}


def read_phase(row: Row[Any]) -> JobPhase:
    """Return the phase that a row of its table is."""
    read = RowReader()
    decision, closed_as = row.decision, row.closed_as
    if decision is not None:
        decision = read.member("decision", GateDecision, decision, GateDecision.REJECTED)
    if closed_as is not None:
        closed_as = read.member("closed_as", JobStatus, closed_as, JobStatus.FAILED)
    return JobPhase(
        pipeline=row.pipeline,
        job_id=row.job_id,
        phase=row.phase,
        gate=row.gate,
        status=read.member("status", PhaseStatus, row.status, PhaseStatus.CANCELLED),
        attempt=row.attempt,
        since=row.since,
        deadline=row.deadline,
        timeout_seconds=row.timeout_seconds,
        observed=row.observed,
        baseline=None if row.baseline is None else read.json("baseline", row.baseline, dict),
        decision=decision,
        opened_at=row.opened_at,
        opened_by=row.opened_by,
        reason=row.reason,
        starter=row.starter,
        lease_until=row.lease_until,
        run_id=row.run_id,
        closed_as=closed_as,
        is_work=bool(row.is_work),
        problem=read.problem,
    )
