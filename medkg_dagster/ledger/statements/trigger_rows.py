"""Statements on triggers and what they did. Each runs inside the caller's transaction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Row, Table, and_, insert, select, update

from medkg_dagster.ledger.encoding import read_member, storable
from medkg_dagster.ledger.schema import FIRINGS, TRIGGERS
from medkg_dagster.ledger.trigger_models import Fired, TriggerKey, TriggerOutcome, TriggerState


def find_state(connection: Connection, key: TriggerKey) -> TriggerState | None:
    """Return how far a trigger has come; None where it never did anything."""
    row = connection.execute(select(TRIGGERS).where(_of(TRIGGERS, key))).first()
    return None if row is None else _state(row)


def list_states(connection: Connection) -> tuple[TriggerState, ...]:
    """Return how far all triggers have come that ever did something."""
    query = select(TRIGGERS).order_by(TRIGGERS.c.pipeline, TRIGGERS.c.trigger_name)
    return tuple(map(_state, connection.execute(query)))


def put_state(connection: Connection, key: TriggerKey, values: Mapping[str, Any]) -> None:
    """Write how far a trigger has come; the caller holds the database."""
    stored = {name: storable(value) if isinstance(value, str) else value for name, value in values.items()}
    if connection.execute(update(TRIGGERS).where(_of(TRIGGERS, key)).values(stored)).rowcount == 0:
        connection.execute(insert(TRIGGERS).values({**_place(key), "missed": 0, **stored}))


def has_fired(connection: Connection, key: TriggerKey, occasion: str) -> bool:
    """Say whether a trigger has asked for a job on that occasion."""
    query = select(FIRINGS.c.at).where(_of(FIRINGS, key), FIRINGS.c.occasion == storable(occasion))
    return connection.execute(query).first() is not None


def add_fired(connection: Connection, key: TriggerKey, fired: Fired) -> None:
    """Remember what a trigger asked for."""
    values = {
        "occasion": storable(fired.occasion),
        "at": fired.at,
        "outcome": fired.outcome.value,
        "job_id": storable(fired.job_id),
        "reason": storable(fired.reason),
    }
    connection.execute(insert(FIRINGS).values({**_place(key), **values}))


def list_fired(connection: Connection, key: TriggerKey, limit: int) -> tuple[Fired, ...]:
    """Return what a trigger asked for, the latest first."""
    query = select(FIRINGS).where(_of(FIRINGS, key)).order_by(FIRINGS.c.at.desc(), FIRINGS.c.occasion.desc())
    return tuple(
        Fired(
            row.occasion,
            row.job_id,
            read_member(TriggerOutcome, row.outcome, "ledger_trigger_firings.outcome"),
            row.reason,
            row.at,
        )
        for row in connection.execute(query.limit(limit))
    )


def _of(table: Table, key: TriggerKey) -> Any:
    return and_(table.c.pipeline == key.pipeline, table.c.trigger_name == key.trigger)


def _place(key: TriggerKey) -> dict[str, str]:
    return {"pipeline": key.pipeline, "trigger_name": key.trigger}


def _state(row: Row[Any]) -> TriggerState:
    return TriggerState(
        TriggerKey(row.pipeline, row.trigger_name),
        row.kind,
        row.handled,
        row.at,
        read_member(TriggerOutcome, row.outcome, "ledger_triggers.outcome"),
        row.reason,
        row.job_id,
        row.missed,
    )
