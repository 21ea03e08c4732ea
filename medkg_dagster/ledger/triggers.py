"""Triggers: how far they have come, and the jobs that they ask for, in one change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection

from medkg_dagster.io.sql import Database
from medkg_dagster.io.times import Clock, stamp
from medkg_dagster.ledger.database import lock_database
from medkg_dagster.ledger.encoding import dump_json, to_json
from medkg_dagster.ledger.gate_transaction import GateTransaction
from medkg_dagster.ledger.models import JobKey, JobStatus
from medkg_dagster.ledger.statements import job_rows, trigger_rows
from medkg_dagster.ledger.statements.phase_rows import PhaseKey
from medkg_dagster.ledger.trigger_models import (
    ChangedJob,
    EndedStage,
    Fired,
    Firing,
    TriggerItem,
    TriggerKey,
    TriggerOutcome,
    TriggerState,
    TriggerStep,
)

_AT_WORK = {JobStatus.RUNNING, JobStatus.WAITING}


class TriggerLedger:
    """The triggers of a ledger. Every method is one transaction and may raise `LedgerError`."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def find(self, key: TriggerKey) -> TriggerState | None:
        """Return how far a trigger has come; None where it never did anything."""
        with self._database.reading() as connection:
            return trigger_rows.find_state(connection, key)

    def list(self) -> tuple[TriggerState, ...]:
        """Return how far all triggers have come that ever did something."""
        with self._database.reading() as connection:
            return trigger_rows.list_states(connection)

    def fired(self, key: TriggerKey, limit: int = 20) -> tuple[Fired, ...]:
        """Return what a trigger asked for, the latest first."""
        with self._database.reading() as connection:
            return trigger_rows.list_fired(connection, key, limit)

    def forget_fired(self, before: str, *, is_dry: bool = False) -> int:
        """Forget what triggers asked for before a time and cannot come to again.

        Args:
            before: The time, as the ledger writes it.
            is_dry: Only count.

        Returns:
            How many firings went, or would go. The jobs that they asked for stay.
        """
        with self._database.writing() as connection:
            lock_database(connection)
            return trigger_rows.forget_fired(connection, before, is_dry=is_dry)

    def items(self, key: TriggerKey) -> dict[str, TriggerItem]:
        """Return everything that a trigger has dealt with, by name."""
        with self._database.reading() as connection:
            return trigger_rows.find_items(connection, key)

    def changed_jobs(
        self, key: TriggerKey, upstream: str, since: str, limit: int | None = None
    ) -> Sequence[ChangedJob]:
        """Return the jobs of another pipeline that a trigger has not dealt with as they are now, in order.

        Args:
            key: The trigger.
            upstream: The other pipeline.
            since: Only those that have changed since then.
            limit: At most so many; None for all.
        """
        with self._database.reading() as connection:
            return trigger_rows.changed_jobs(connection, key, upstream, since, limit)

    def ended_stages(
        self, key: TriggerKey, upstream: str, stage: str, since: str, limit: int | None = None
    ) -> Sequence[EndedStage]:
        """Return where a stage of another pipeline finished and a trigger has not dealt with it, in order.

        Args:
            key: The trigger.
            upstream: The other pipeline.
            stage: The stage's name.
            since: Only those that have finished since then.
            limit: At most so many; None for all.
        """
        with self._database.reading() as connection:
            return trigger_rows.ended_stages(connection, key, upstream, stage, since, limit)

    def take(self, key: TriggerKey, kind: str, phase: str, step: TriggerStep) -> tuple[Fired, ...]:
        """Ask for jobs, and remember up to where the trigger has come: both or neither.

        What is killed at any moment has done nothing, or all; and of two that look at once one does it.

        Args:
            key: The trigger.
            kind: What it looks at.
            phase: The Dagster job of its pipeline's first phase.
            step: How far it goes.

        Returns:
            What became of the firings; nothing where somebody else has taken the step.

        Raises:
            ConfigError: No job can have the id of one.
        """
        with self._database.writing() as connection:
            lock_database(connection)
            known = trigger_rows.find_state(connection, key)
            if step.seen != (None if known is None else known.handled):
                return ()
            fired = []
            handled, items = step.handled, dict(step.items)
            for firing in step.firings:
                if not trigger_rows.has_fired(connection, key, firing.occasion):
                    item = self._fire(connection, key, phase, firing)
                    fired.append(item)
                    if item.outcome is TriggerOutcome.BUSY and firing.since is not None:
                        handled = min(handled or firing.since, firing.since)
                        continue
                    trigger_rows.add_fired(connection, key, item)
                items |= firing.items
            trigger_rows.put_items(connection, key, items)
            self._remember(connection, key, kind, replace(step, handled=handled), known, fired)
            return tuple(fired)

    def _remember(  # noqa: PLR0917 - who, how far, from where, with what
        self,
        connection: Connection,
        key: TriggerKey,
        kind: str,
        step: TriggerStep,
        known: TriggerState | None,
        fired: Sequence[Fired],
    ) -> None:
        values: dict[str, Any] = {"kind": kind, "handled": step.handled}
        outcome, reason, job_id = step.note_as, step.note, None if known is None else known.job_id
        if fired:
            outcome, reason, job_id = fired[-1].outcome, fired[-1].reason, fired[-1].job_id
        values |= {"missed": step.missed + (0 if known is None else known.missed)}
        has_news = known is None or (outcome, reason, job_id) != (known.outcome, known.reason, known.job_id)
        if has_news and (known is None or reason):
            values |= {"at": stamp(self._clock), "outcome": outcome.value, "reason": reason, "job_id": job_id}
        trigger_rows.put_state(connection, key, values)

    def _fire(self, connection: Connection, key: TriggerKey, phase: str, firing: Firing) -> Fired:
        job = JobKey(key.pipeline, firing.job_id)
        by = job_rows.Attribution(key.actor, stamp(self._clock), firing.reason)
        known = job_rows.add_job(connection, job, firing.request, by)
        outcome, reason = TriggerOutcome.SUBMITTED, firing.reason
        change = GateTransaction(connection, self._clock, PhaseKey(*job, phase))
        change.because = (key.actor, firing.reason)
        if known.problem or dump_json(known.request) != to_json(dict(firing.request), "the request"):
            outcome = TriggerOutcome.REFUSED
            reason = (
                f"there is a job '{job}' with another request; give the trigger another job_id, and take out "
                f"what that job gave with `medkg ledger remove {job}`"
            )
        elif known.status is JobStatus.SUBMITTED and change.phase is None:
            change.make_due(key.actor)
            change.conclude()
        elif known.status is JobStatus.SUBMITTED:
            outcome = TriggerOutcome.JOINED
            reason = f"{firing.reason}: the job has yet to begin, and works on this too"
        elif known.status in _AT_WORK:
            outcome = TriggerOutcome.BUSY
            reason = f"{firing.reason}: the job is {known.status}, so it was left alone"
        else:
            outcome = TriggerOutcome.STARTED_AGAIN
            change.retry_runs(None)
            change.expect_anew()
            change.make_due(key.actor)
            change.conclude()
        return Fired(firing.occasion, firing.job_id, outcome, reason, by.at)
