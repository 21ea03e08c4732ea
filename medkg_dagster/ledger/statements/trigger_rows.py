"""Statements on triggers and what they did. Each runs inside the caller's transaction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Table,
    Text,
    and_,
    bindparam,
    cast,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)

from medkg_dagster.ledger.encoding import RowReader, read_member, storable
from medkg_dagster.ledger.models import StageStatus
from medkg_dagster.ledger.schema import FIRINGS, JOBS, STAGE_RUNS, TRIGGER_ITEMS, TRIGGERS
from medkg_dagster.ledger.trigger_models import (
    ChangedJob,
    EndedStage,
    Fired,
    TriggerItem,
    TriggerKey,
    TriggerOutcome,
    TriggerState,
)


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


def forget_fired(connection: Connection, before: str, *, is_dry: bool) -> int:
    """Forget what triggers asked for before a time, where they have come past it; only count it if dry.

    What a trigger may come to again has to stay, as it would be asked for twice.
    """
    behind = _same(TRIGGERS, FIRINGS) & (TRIGGERS.c.handled > FIRINGS.c.at)
    old = and_(FIRINGS.c.at < before, exists().where(behind))
    if is_dry:
        return connection.execute(select(func.count()).select_from(FIRINGS).where(old)).scalar_one()
    return connection.execute(delete(FIRINGS).where(old)).rowcount


def find_items(connection: Connection, key: TriggerKey) -> dict[str, TriggerItem]:
    """Return everything that a trigger has dealt with, by name."""
    columns = (TRIGGER_ITEMS.c.item, TRIGGER_ITEMS.c.version, TRIGGER_ITEMS.c.mark)
    rows = connection.execute(select(*columns).where(_of(TRIGGER_ITEMS, key)))
    return {row.item: TriggerItem(row.version, row.mark) for row in rows}


def put_items(connection: Connection, key: TriggerKey, items: Mapping[str, TriggerItem | None]) -> None:
    """Remember what a trigger has dealt with; the caller holds the database."""
    if not items:
        return
    rows = [{"of_item": storable(name)} for name in items]
    item = TRIGGER_ITEMS.c.item == bindparam("of_item")
    connection.execute(delete(TRIGGER_ITEMS).where(_of(TRIGGER_ITEMS, key), item), rows)
    kept = [
        {
            **_place(key),
            "item": storable(name),
            "version": storable(item.version),
            "mark": storable(item.mark),
        }
        for name, item in items.items()
        if item is not None
    ]
    if kept:
        connection.execute(insert(TRIGGER_ITEMS), kept)


def changed_jobs(
    connection: Connection, key: TriggerKey, upstream: str, since: str, limit: int | None
) -> list[ChangedJob]:
    """Return jobs of another pipeline that have changed since a time and are not dealt with, in order."""
    version = JOBS.c.updated_at + "/" + cast(JOBS.c.revision, Text)
    query = (
        select(JOBS.c.job_id, JOBS.c.updated_at, version.label("version"), JOBS.c.fields, *_KNOWN)
        .select_from(JOBS.outerjoin(TRIGGER_ITEMS, _item_of(key, JOBS.c.job_id)))
        .where(JOBS.c.pipeline == upstream, JOBS.c.updated_at >= since, _is_new(version))
        .order_by(JOBS.c.updated_at, JOBS.c.job_id)
        .limit(limit)
    )
    return [_changed(row) for row in connection.execute(query)]


def ended_stages(  # noqa: PLR0917 - whose, which stage of what, since when, how many
    connection: Connection, key: TriggerKey, upstream: str, stage: str, since: str, limit: int | None
) -> list[EndedStage]:
    """Return where a stage of another pipeline has finished since a time and is not dealt with, in order."""
    version = STAGE_RUNS.c.run_id + "@" + STAGE_RUNS.c.finished_at
    query = (
        select(STAGE_RUNS.c.job_id, STAGE_RUNS.c.finished_at, version.label("version"))
        .select_from(STAGE_RUNS.outerjoin(TRIGGER_ITEMS, _item_of(key, STAGE_RUNS.c.job_id)))
        .where(
            STAGE_RUNS.c.pipeline == upstream,
            STAGE_RUNS.c.stage == stage,
            STAGE_RUNS.c.status == StageStatus.FINISHED.value,
            STAGE_RUNS.c.finished_at >= since,
            _is_new(version),
        )
        .order_by(STAGE_RUNS.c.finished_at, STAGE_RUNS.c.job_id)
        .limit(limit)
    )
    return [EndedStage(row.job_id, row.finished_at, row.version) for row in connection.execute(query)]


_KNOWN = (TRIGGER_ITEMS.c.version.label("known"), TRIGGER_ITEMS.c.mark)


def _changed(row: Any) -> ChangedJob:
    read = RowReader()
    fields = read.json("fields", row.fields, dict)
    known = None if row.known is None else TriggerItem(row.known, row.mark)
    return ChangedJob(row.job_id, row.updated_at, row.version, fields, known, read.problem)


def _item_of(key: TriggerKey, name: ColumnElement[Any]) -> ColumnElement[bool]:
    return and_(_of(TRIGGER_ITEMS, key), TRIGGER_ITEMS.c.item == name)


def _is_new(version: ColumnElement[Any]) -> ColumnElement[bool]:
    return or_(TRIGGER_ITEMS.c.version.is_(None), TRIGGER_ITEMS.c.version != version)


def _of(table: Table, key: TriggerKey) -> Any:
    return and_(table.c.pipeline == key.pipeline, table.c.trigger_name == key.trigger)


def _same(one: Table, other: Table) -> Any:
    return and_(one.c.pipeline == other.c.pipeline, one.c.trigger_name == other.c.trigger_name)


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
