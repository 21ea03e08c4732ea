"""Statements on alerts, and on what they tell of. Each runs inside the caller's transaction."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    and_,
    delete,
    func,
    insert,
    literal_column,
    or_,
    select,
    update,
)

from medkg_dagster.ledger.alert_models import (
    AlertChannel,
    AlertCounts,
    AlertRecord,
    AlertStatus,
    FailedRun,
)
from medkg_dagster.ledger.encoding import read_member, storable
from medkg_dagster.ledger.models import JobPhase, PhaseStatus, RunStatus
from medkg_dagster.ledger.schema import ALERT_POSITIONS, ALERTS, PHASES, RUNS
from medkg_dagster.ledger.statements.phase_rows import read_phase

# Written into the statement: a database matches a parameter with no partial index.
_IS_WAITING = ALERTS.c.status == literal_column(f"'{AlertStatus.WAITING}'")
_HAS_FAILED = RUNS.c.status == literal_column(f"'{RunStatus.FAILED}'")
_WAITS_AT_GATE = PHASES.c.status == literal_column(f"'{PhaseStatus.WAITING}'")
_TIMED_OUT = PHASES.c.status == literal_column(f"'{PhaseStatus.TIMED_OUT}'")
_BATCH = 500


def read_positions(connection: Connection) -> dict[tuple[str, str], str]:
    """Return up to when is told what happened, by webhook and event."""
    return {(row.webhook, row.event): row.at for row in connection.execute(select(ALERT_POSITIONS))}


def put_position(connection: Connection, channel: AlertChannel, at: str) -> None:
    """Remember up to when is told what happened; the caller holds the database."""
    place = {"webhook": channel.webhook, "event": channel.event.value}
    where = and_(*(ALERT_POSITIONS.c[name] == value for name, value in place.items()))
    if connection.execute(update(ALERT_POSITIONS).where(where).values(at=at)).rowcount == 0:
        connection.execute(insert(ALERT_POSITIONS).values({**place, "at": at}))


def drop_positions(connection: Connection, channels: Collection[tuple[str, str]]) -> None:
    """Forget up to when was told what nobody asks for any more."""
    for webhook, event in channels:
        of_channel = and_(ALERT_POSITIONS.c.webhook == webhook, ALERT_POSITIONS.c.event == event)
        connection.execute(delete(ALERT_POSITIONS).where(of_channel))


def known_alerts(connection: Connection, alert_ids: Sequence[str]) -> set[str]:
    """Return which of some alerts are recorded."""
    found: set[str] = set()
    for begin in range(0, len(alert_ids), _BATCH):
        part = alert_ids[begin : begin + _BATCH]
        found.update(connection.scalars(select(ALERTS.c.alert_id).where(ALERTS.c.alert_id.in_(part))))
    return found


def add_alerts(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Record alerts that are not recorded yet; the caller holds the database."""
    if rows:
        stored = [
            {name: storable(value) if isinstance(value, str) else value for name, value in row.items()}
            for row in rows
        ]
        connection.execute(insert(ALERTS), stored)


def next_alert(connection: Connection, webhook: str, now: str, latest: str) -> AlertRecord | None:
    """Return the alert that is to be sent first: one that was tried least often, and of those the oldest.

    Args:
        connection: The transaction; the caller holds the database.
        webhook: Whom it is for.
        now: The time.
        latest: When any may be due: a later time was written by a clock that was ahead.
    """
    query = (
        select(ALERTS)
        .where(_IS_WAITING, ALERTS.c.webhook == webhook, _is_due(now, latest))
        .order_by(ALERTS.c.attempts, ALERTS.c.recorded_at, ALERTS.c.alert_id)
        .limit(1)
    )
    row = connection.execute(query).first()
    return None if row is None else _record(row)


def has_due_alerts(connection: Connection, now: str, latest: str) -> bool:
    """Say whether something is to be sent."""
    query = select(ALERTS.c.alert_id).where(_IS_WAITING, _is_due(now, latest)).limit(1)
    return connection.execute(query).first() is not None


def read_alert(connection: Connection, alert_id: str) -> AlertRecord:
    """Return a recorded alert."""
    return _record(connection.execute(select(ALERTS).where(ALERTS.c.alert_id == alert_id)).one())


def put_alert(connection: Connection, alert_id: str, values: Mapping[str, Any]) -> None:
    """Write columns of an alert."""
    stored = {name: storable(value) if isinstance(value, str) else value for name, value in values.items()}
    connection.execute(update(ALERTS).where(ALERTS.c.alert_id == alert_id).values(stored))


def put_off(connection: Connection, webhook: str, until: str) -> None:
    """Let everything that waits for a webhook wait until a time at least."""
    waiting = and_(_IS_WAITING, ALERTS.c.webhook == webhook, ALERTS.c.next_at < until)
    connection.execute(update(ALERTS).where(waiting).values(next_at=until))


def give_up_others(connection: Connection, webhooks: Collection[str], now: str, error: str) -> None:
    """Give up what waits for a webhook that is none of some."""
    others = and_(_IS_WAITING, ALERTS.c.webhook.not_in(list(webhooks)))
    ended = {"status": AlertStatus.FAILED.value, "next_at": None, "ended_at": now, "error": error}
    connection.execute(update(ALERTS).where(others).values(ended))


def send_again(connection: Connection, webhook: str | None, now: str) -> int:
    """Let what was given up be sent once more; return how many."""
    given_up = ALERTS.c.status == AlertStatus.FAILED.value
    if webhook is not None:
        given_up = and_(given_up, ALERTS.c.webhook == webhook)
    anew = {"status": AlertStatus.WAITING.value, "next_at": now, "ended_at": None, "attempts": 0}
    # It is given up by its age; that begins anew, too.
    return int(
        connection.execute(update(ALERTS).where(given_up).values({**anew, "recorded_at": now})).rowcount
    )


def list_alerts(
    connection: Connection, webhook: str | None, status: AlertStatus | None, limit: int
) -> tuple[AlertRecord, ...]:
    """Return alerts, the latest first."""
    query = select(ALERTS).order_by(ALERTS.c.recorded_at.desc(), ALERTS.c.alert_id).limit(limit)
    if webhook is not None:
        query = query.where(ALERTS.c.webhook == webhook)
    if status is not None:
        query = query.where(ALERTS.c.status == status.value)
    return tuple(map(_record, connection.execute(query)))


def count_alerts(connection: Connection) -> AlertCounts:
    """Return how many alerts there are, and why those that were not sent were not."""
    by_status = select(ALERTS.c.webhook, ALERTS.c.status, func.count()).group_by(
        ALERTS.c.webhook, ALERTS.c.status
    )
    counts = {
        (webhook, read_member(AlertStatus, status, "ledger_alerts.status")): count
        for webhook, status, count in connection.execute(by_status)
    }
    unsent = (
        select(ALERTS.c.webhook, ALERTS.c.error)
        .where(
            ALERTS.c.status.in_([AlertStatus.WAITING.value, AlertStatus.FAILED.value]),
            ALERTS.c.error.is_not(None),
        )
        .order_by(ALERTS.c.recorded_at)
    )
    return AlertCounts(counts, {row.webhook: row.error for row in connection.execute(unsent)})


def forget_alerts(connection: Connection, before: str, *, dry_run: bool) -> int:
    """Remove what was sent or given up before a time; return how many, or how many would go."""
    old = and_(
        ALERTS.c.status != AlertStatus.WAITING.value,
        ALERTS.c.recorded_at < before,
        func.coalesce(ALERTS.c.ended_at, "") < before,
    )
    if dry_run:
        return int(connection.execute(select(func.count()).select_from(ALERTS).where(old)).scalar_one())
    return int(connection.execute(delete(ALERTS).where(old)).rowcount)


def failed_runs(connection: Connection, since: str) -> tuple[FailedRun, ...]:
    """Return the runs that failed since a time, in order."""
    columns = (RUNS.c.pipeline, RUNS.c.job_id, RUNS.c.run_id, RUNS.c.job_name, RUNS.c.error, RUNS.c.ended_at)
    query = select(*columns).where(_HAS_FAILED, RUNS.c.ended_at > since)
    return tuple(
        FailedRun(*row) for row in connection.execute(query.order_by(RUNS.c.ended_at, RUNS.c.run_id))
    )


def gate_waits(connection: Connection, since: str, until: str) -> tuple[JobPhase, ...]:
    """Return the phases whose job waits at a gate since a time between two, in order."""
    query = select(PHASES).where(
        _WAITS_AT_GATE, PHASES.c.gate.is_not(None), PHASES.c.since > since, PHASES.c.since <= until
    )
    query = query.order_by(PHASES.c.since, PHASES.c.pipeline, PHASES.c.job_id)
    return tuple(map(read_phase, connection.execute(query)))


def timed_out_gates(connection: Connection, since: str) -> tuple[JobPhase, ...]:
    """Return the phases whose gate did not open in time, since a time, in order."""
    query = select(PHASES).where(_TIMED_OUT, PHASES.c.gate.is_not(None), PHASES.c.opened_at > since)
    query = query.order_by(PHASES.c.opened_at, PHASES.c.pipeline, PHASES.c.job_id)
    return tuple(map(read_phase, connection.execute(query)))


def _is_due(now: str, latest: str) -> ColumnElement[bool]:
    return or_(ALERTS.c.next_at <= now, ALERTS.c.next_at > latest)


def _record(row: Row[Any]) -> AlertRecord:
    return AlertRecord(
        alert_id=row.alert_id,
        webhook=row.webhook,
        event=row.event,
        at=row.at,
        summary=row.summary,
        payload=row.payload,
        status=read_member(AlertStatus, row.status, "ledger_alerts.status"),
        attempts=row.attempts,
        next_at=row.next_at,
        error=row.error,
        recorded_at=row.recorded_at,
        ended_at=row.ended_at,
    )
