"""Triggers: how far they have come, and the jobs that they ask for, in one change."""

from __future__ import annotations

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
    Fired,
    Firing,
    TriggerKey,
    TriggerOutcome,
    TriggerState,
    TriggerStep,
)

_NOT_ENDED = {JobStatus.SUBMITTED, JobStatus.RUNNING, JobStatus.WAITING}


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
            fired = [
                self._fire(connection, key, phase, firing)
                for firing in step.firings
                if not trigger_rows.has_fired(connection, key, firing.occasion)
            ]
            for item in fired:
                trigger_rows.add_fired(connection, key, item)
            last = fired[-1] if fired else None
            values = {
                "kind": kind,
                "handled": step.handled,
                "at": stamp(self._clock),
                "missed": step.missed + (0 if known is None else known.missed),
                "outcome": (last.outcome if last else TriggerOutcome.MISSED).value,
                "reason": last.reason if last else step.note,
            }
            trigger_rows.put_state(connection, key, values | ({"job_id": last.job_id} if last else {}))
            return tuple(fired)

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
        elif known.status in _NOT_ENDED:
            outcome = TriggerOutcome.BUSY
            reason = f"{firing.reason}: the job is {known.status}, so it was left alone"
        else:
            outcome = TriggerOutcome.STARTED_AGAIN
            change.retry_runs(None)
            change.expect_anew()
            change.make_due(key.actor)
            change.conclude()
        return Fired(firing.occasion, firing.job_id, outcome, reason, by.at)
