"""Phases of jobs: submitting, waiting at gates, opening them, and starting each phase exactly once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from medkg_dagster.errors import LedgerError
from medkg_dagster.io.sql import Database
from medkg_dagster.io.times import Clock, stamp
from medkg_dagster.ledger.encoding import dump_json, to_json
from medkg_dagster.ledger.gate_transaction import CLOSED, GateTransaction, changing, refuse_superseded
from medkg_dagster.ledger.job_transaction import JobTransaction
from medkg_dagster.ledger.models import (
    LOST,
    GateRule,
    Job,
    JobKey,
    JobPhase,
    JobStatus,
    PhaseStatus,
    RunIdentity,
    RunStatus,
)
from medkg_dagster.ledger.statements import job_rows, phase_rows, run_rows
from medkg_dagster.ledger.statements.phase_rows import Lease, OpenPhases, PhaseKey


class PhaseLedger:
    """The phases of the jobs of a ledger. Every method is one transaction.

    Every method may raise `LedgerError`; those that take a job raise `UnknownJobError` where there is none.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def submit(self, key: JobKey, phase: str, request: Mapping[str, Any], *, actor: str) -> Job:
        """Ask for a job; its first phase is due. Asking again for the same changes nothing.

        Args:
            key: The job.
            phase: The Dagster job of the first phase.
            request: What to work on; JSON values.
            actor: Who asks.

        Raises:
            ConfigError: No job can have that id.
            LedgerError: There is a job of that id with another request.
        """
        with self._database.writing() as connection:
            now = stamp(self._clock)
            job = job_rows.add_job(connection, key, request, job_rows.Attribution(actor, now))
            if dump_json(job_rows.require_readable(job).request) != to_json(dict(request), "the request"):
                raise LedgerError(
                    f"pipeline '{key.pipeline}' has a job '{key.job_id}' already, with another request: "
                    f"{dump_json(job.request)}; choose another job id"
                )
            change = GateTransaction(connection, self._clock, PhaseKey(*key, phase))
            if change.phase is None and job.status is JobStatus.SUBMITTED:
                change.make_due(actor)
                return change.update_job(actor)
            return job

    def plan_work(self, key: JobKey, work: str, *, actor: str) -> JobPhase:
        """Let work that goes on while a job waits be started, once more where it was started before.

        Args:
            key: The job.
            work: The Dagster job that does it.
            actor: Who asks.
        """
        with changing(self._database, self._clock, PhaseKey(*key, work)) as change:
            return change.plan_work(actor)

    def of_job(self, key: JobKey) -> tuple[JobPhase, ...]:
        """Return the phases of a job, in the order they came to be."""
        with self._database.reading() as connection:
            job_rows.get_job(connection, key)
            return phase_rows.list_phases(connection, key)

    def open(self) -> tuple[OpenPhases, ...]:
        """Return what waits at gates or is to be started, by pipeline and phase."""
        with self._database.reading() as connection:
            return tuple(phase_rows.open_phases(connection))

    def take_due(
        self,
        phase: str,
        starter: str,
        *,
        pipeline: str | None = None,
        limit: int = 25,
    ) -> tuple[JobPhase, ...]:
        """Take it upon oneself to start phases that are due.

        One starter at a time holds a phase. Who takes over from another whose lease ran out makes a new
        attempt, so that a run which the other did start after all is refused.

        Args:
            phase: The Dagster job.
            starter: Who starts the runs.
            pipeline: Only of this pipeline.
            limit: At most so many.
        """
        with self._database.reading() as connection:
            if not phase_rows.has_due_phases(connection, phase, pipeline, Lease.by(self._clock)):
                return ()
        with self._database.writing() as connection:
            taken = []
            lease = Lease.by(self._clock)
            for item in phase_rows.hold_due_phases(connection, phase, pipeline, lease, limit):
                is_taken_over = item.starter is not None and item.starter != starter
                attempt = item.attempt + is_taken_over
                values = {"starter": starter, "lease_until": lease.until, "attempt": attempt}
                taken.append(phase_rows.put_phase(connection, PhaseKey(*item.key, item.phase), values))
            return tuple(taken)

    def begin(self, key: JobKey, phase: str, run: RunIdentity) -> None:
        """Record that a run begins a phase that no gate holds.

        Args:
            key: The job.
            phase: The Dagster job of the phase.
            run: The run.

        Raises:
            SupersededRunError: Another run has begun this attempt, or there is a later one.
        """
        with changing(self._database, self._clock, PhaseKey(*key, phase)) as change:
            if change.phase is not None:
                refuse_superseded(change.phase, run)
                change.put({"status": PhaseStatus.STARTED.value, "run_id": run.run_id})

    def check_turn(self, key: JobKey, phase: str, run: RunIdentity) -> None:
        """Check that a phase is still this run's to begin or to go on with, and write nothing.

        Raises:
            SupersededRunError: Another run has begun this attempt, or there is a later one.
        """
        with self._database.reading() as connection:
            known = phase_rows.find_phase(connection, PhaseKey(*key, phase))
        if known is not None:
            refuse_superseded(known, run)

    def claim(self, key: JobKey, phase: str, starter: str) -> JobPhase | None:
        """Take it upon oneself to start one phase of one job, where it is due and nobody is starting it.

        Args:
            key: The job.
            phase: The Dagster job.
            starter: Who starts the run.

        Returns:
            The phase, whose `starter` tells whether the caller is to start it; None where there is none.
        """
        with changing(self._database, self._clock, PhaseKey(*key, phase)) as change:
            return None if change.phase is None else change.claim(change.phase, starter)

    def cancel(self, key: JobKey, *, actor: str, reason: str) -> Job:
        """Keep a job from being started: whatever of it waits or is due ends here.

        Args:
            key: The job.
            actor: Who asks.
            reason: Why.

        Raises:
            LedgerError: A run of it is at work, or nothing of it waits or is due.
        """
        with self._database.writing() as connection:
            change = JobTransaction(connection, self._clock, key)
            if change.job.status is JobStatus.RUNNING:
                at_work = run_rows.list_runs(connection, key, {RunStatus.STARTED})
                raise LedgerError(
                    f"job '{key}' is running; terminate its run in the Dagster UI, and the job is cancelled: "
                    f"{', '.join(run.run_id for run in at_work)}"
                )
            ahead = [
                phase
                for phase in phase_rows.list_phases(connection, key)
                if phase.status in {PhaseStatus.WAITING, PhaseStatus.DUE}
            ]
            if not ahead:
                raise LedgerError(
                    f"job '{key}' is {change.job.status}: nothing of it waits or is to be started"
                )
            for phase in ahead:
                GateTransaction(connection, self._clock, PhaseKey(*key, phase.phase)).cancel(actor, reason)
            return change.update_job(actor, reason)

    def retry(self, key: JobKey, phase: str, rule: GateRule | None, *, actor: str, reason: str) -> JobPhase:
        """Begin a new attempt of a phase: start it once more, or wait once more at its gate.

        Args:
            key: The job.
            phase: The Dagster job of the phase.
            rule: The gate in front of it; None where there is none.
            actor: Who asks.
            reason: Why.

        Raises:
            LedgerError: The job waits at the gate; nothing has failed.
        """
        with changing(self._database, self._clock, PhaseKey(*key, phase)) as change:
            known = change.phase
            change.retry_runs(None if rule is None else phase)
            if rule is not None and (known is None or known.status is PhaseStatus.EXPECTED):
                return change.wait(rule, known.attempt if known else 1, keep_decision=True, actor=actor)
            if rule is not None and known is not None and known.status in CLOSED:
                return change.wait(rule, known.attempt + 1, keep_decision=False, actor=actor)
            if known is not None and known.status is PhaseStatus.WAITING:
                raise LedgerError(
                    f"job '{key}' waits at gate '{known.gate}' and nothing has failed there; "
                    "`medkg gate list` shows what it waits for"
                )
            if rule is None:
                change.expect_anew()
            change.because = (actor, reason)
            return change.make_due(actor)

    def begin_lost_run_again(
        self, key: JobKey, run: RunIdentity, rule: GateRule | None, *, actor: str, error: str
    ) -> bool:
        """End a run that was lost, and begin a new attempt of its phase.

        Not where the run before was lost too: what they work on may be what ends them.

        Args:
            key: The job.
            run: The run.
            rule: The gate in front of its phase; None where there is none.
            actor: Who noticed.
            error: What became of the run, `LOST` in it.

        Returns:
            Whether a new attempt is due. Where not, nothing has changed: the run has told how it ended, or is
            not the phase's latest attempt, or is the second in a row that was lost.
        """
        with changing(self._database, self._clock, PhaseKey(*key, run.job_name)) as change:
            phase = change.phase
            begun = {PhaseStatus.DUE, PhaseStatus.STARTED}  # due until the first stage begins
            if phase is None or phase.status not in begun or phase.attempt != run.attempt:
                return False
            runs = run_rows.list_runs(change.connection, key, set(RunStatus))
            of_phase = [item for item in runs if item.job_name == run.job_name]
            if (
                not of_phase
                or of_phase[0].run_id != run.run_id
                or of_phase[0].status is not RunStatus.STARTED
            ):
                return False
            if any(LOST in (item.error or "") for item in of_phase[1:2]):
                return False
            change.end_run(of_phase[0], RunStatus.FAILED, error)
            change.retry_runs(None if rule is None else run.job_name)
            if rule is None:
                change.expect_anew()
            change.because = (actor, error)
            change.make_due(actor)
            return True
