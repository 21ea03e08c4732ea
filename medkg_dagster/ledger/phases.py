"""Phases of jobs: submitting, waiting at gates, opening them, and starting each phase exactly once."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from medkg_dagster.errors import GateConditionError, LedgerError
from medkg_dagster.io.sql import Database
from medkg_dagster.ledger.encoding import dump_json, to_json
from medkg_dagster.ledger.gate_transaction import CLOSED, GateTransaction, refuse_superseded
from medkg_dagster.ledger.job_transaction import JobTransaction
from medkg_dagster.ledger.models import (
    GateDecision,
    GateRule,
    Job,
    JobKey,
    JobPhase,
    JobStatus,
    PhaseStatus,
    Review,
    RunIdentity,
    RunStatus,
)
from medkg_dagster.ledger.statements import job_rows, phase_rows, run_rows
from medkg_dagster.ledger.statements.phase_rows import Lease, OpenPhases, PhaseKey
from medkg_dagster.ledger.times import Clock, stamp
from medkg_dagster.stage_api import GatePassage


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
        with self._changing(PhaseKey(*key, work)) as change:
            return change.plan_work(actor)

    def of_job(self, key: JobKey) -> tuple[JobPhase, ...]:
        """Return the phases of a job, in the order they came to be."""
        with self._database.reading() as connection:
            job_rows.get_job(connection, key)
            return phase_rows.list_phases(connection, key)

    def waiting(
        self, pipeline: str | None = None, phase: str | None = None, limit: int = 100
    ) -> tuple[JobPhase, ...]:
        """Return phases whose job waits at a gate, the longest waiting first."""
        with self._database.reading() as connection:
            return phase_rows.waiting_phases(connection, pipeline, phase, limit)

    def open(self) -> tuple[OpenPhases, ...]:
        """Return what waits at gates or is to be started, by pipeline and phase."""
        with self._database.reading() as connection:
            return tuple(phase_rows.open_phases(connection))

    def decided_ahead(self, pipeline: str | None = None, limit: int = 100) -> tuple[JobPhase, ...]:
        """Return phases whose gate was decided before the job came to it, the earliest decided first."""
        with self._database.reading() as connection:
            return phase_rows.decided_phases(connection, pipeline, limit)

    def waiting_mark(self, pipeline: str, phase: str) -> str:
        """Return a text that begins with how many wait, and changes whenever that does."""
        with self._database.reading() as connection:
            return phase_rows.waiting_mark(connection, pipeline, phase)

    def arrive(self, key: JobKey, rule: GateRule, run: RunIdentity) -> JobPhase:
        """Let a job wait at a gate, or go on at once where the condition holds already.

        A job that arrives anew, because the phase before ran again, waits anew; a decision counts once.
        """
        with self._changing(PhaseKey(*key, rule.phase)) as change:
            return change.arrive(rule, run)

    def review(self, pipeline: str, rule: GateRule, limit: int = 200) -> Review:
        """Look at the jobs that wait at a gate: open it, or end the wait of those whose time is up.

        Only jobs whose fields changed since the last look are judged, so that waiting costs nothing.

        Args:
            pipeline: The pipeline's name.
            rule: The gate.
            limit: At most so many jobs that changed, and so many that are overdue.
        """
        checked_before = stamp(self._clock, -rule.condition.poll_interval_seconds)
        with self._database.reading() as connection:
            now = stamp(self._clock)
            looked = [
                *phase_rows.jobs_to_check(connection, pipeline, rule.phase, checked_before, now, limit),
                *phase_rows.overdue_jobs(connection, pipeline, rule.phase, now, limit),
            ]
        if not looked:
            return Review()
        ended, problems = [], {}
        with self._database.writing() as connection:
            for job_id in sorted(set(looked)):  # one order for all, so that no two wait for each other
                key = PhaseKey(pipeline, job_id, rule.phase)
                try:
                    with connection.begin_nested():
                        change = GateTransaction(connection, self._clock, key)
                        if change.phase is not None and change.phase.status is PhaseStatus.WAITING:
                            ended.append(change.look(rule).status)
                            change.conclude()
                        if change.job.problem is not None:
                            problems[job_id] = change.job.problem
                except SQLAlchemyError:
                    raise
                except Exception as error:  # noqa: BLE001 - what one job's rows hold must not stop the others
                    problems[job_id] = f"{type(error).__name__}: {error}"
                    phase_rows.give_up(connection, key, f"cannot be judged: {problems[job_id]}", now)
        return Review(len(ended), ended.count(PhaseStatus.DUE), ended.count(PhaseStatus.TIMED_OUT), problems)

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
        with self._changing(PhaseKey(*key, phase)) as change:
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

    def pass_gate(self, key: JobKey, rule: GateRule, run: RunIdentity) -> GatePassage:
        """Check a gate for a run that wants to go through, and record that it did.

        Raises:
            GateConditionError: The gate is closed.
            SupersededRunError: Another run has begun this attempt, or there is a later one.
        """
        with self._changing(PhaseKey(*key, rule.phase)) as change:
            if change.phase is not None:
                refuse_superseded(change.phase, run)
            try:
                passage = change.passage(rule)
            except GateConditionError as error:
                # Open when the run was asked for and closed since: the job waits on, and the refusal is told
                # once that is written.
                refusal = error
                if change.phase is not None and change.phase.status is PhaseStatus.DUE:
                    change.wait(rule, change.phase.attempt + 1, keep_decision=False, actor=run.actor)
            else:
                self._record_passage(change, rule, run, passage)
                return passage
        raise refusal

    @staticmethod
    def _record_passage(
        change: GateTransaction, rule: GateRule, run: RunIdentity, passage: GatePassage
    ) -> None:
        change.put(
            {
                "gate": rule.gate,
                "status": PhaseStatus.STARTED.value,
                "since": change.phase.since if change.phase else passage.opened_at,
                "opened_at": passage.opened_at,
                "opened_by": passage.opened_by,
                "reason": passage.because,
                "run_id": run.run_id,
            }
        )
        change.because = (run.actor, passage.because)

    def check_gate(self, key: JobKey, rule: GateRule) -> None:
        """Check that a job went through a gate before, or could now.

        Raises:
            GateConditionError: The gate is closed.
        """
        with self._database.reading() as connection:
            change = GateTransaction(connection, self._clock, PhaseKey(*key, rule.phase), lock=False)
            if change.phase is None or change.phase.status is not PhaseStatus.STARTED:
                change.passage(rule)

    def decide(
        self,
        key: JobKey,
        rule: GateRule,
        decision: GateDecision,
        *,
        actor: str,
        reason: str,
        starter: str | None = None,
    ) -> JobPhase:
        """Approve or reject a gate of a job, also before the job has come to it; saying it twice is once.

        Args:
            key: The job.
            rule: The gate.
            decision: What is decided.
            actor: Who decides.
            reason: Why.
            starter: Who will start the next phase at once; None leaves it to the sensor.

        Returns:
            The phase; its `starter` tells whether the caller is the one to start it.

        Raises:
            LedgerError: It is too late: the gate was rejected, timed out, or the job went through.
        """
        with self._changing(PhaseKey(*key, rule.phase)) as change:
            known = change.phase
            if known is None or known.status is PhaseStatus.EXPECTED:
                return change.decide_ahead(rule, decision, actor, reason)
            change.refuse_late(decision)
            is_open = known.status in {PhaseStatus.DUE, PhaseStatus.STARTED}
            if known.status is not PhaseStatus.REJECTED and not (
                is_open and decision is GateDecision.APPROVED
            ):
                known = change.decide(decision, actor, reason)
            return known if starter is None else change.claim(known, starter)

    def claim(self, key: JobKey, phase: str, starter: str) -> JobPhase | None:
        """Take it upon oneself to start one phase of one job, where it is due and nobody is starting it.

        Args:
            key: The job.
            phase: The Dagster job.
            starter: Who starts the run.

        Returns:
            The phase, whose `starter` tells whether the caller is to start it; None where there is none.
        """
        with self._changing(PhaseKey(*key, phase)) as change:
            return None if change.phase is None else change.claim(change.phase, starter)

    def move(
        self, pipeline: str, gate: str, rule: GateRule, *, job_id: str | None, actor: str, reason: str
    ) -> tuple[JobPhase, ...]:
        """Let the jobs that wait at one gate of a pipeline wait at another, as those that come to it now.

        Args:
            pipeline: The pipeline's name.
            gate: The gate they wait at, by the name it had when they came to it.
            rule: The gate they are to wait at.
            job_id: Only this job.
            actor: Who asks.
            reason: Why.

        Returns:
            The phases at the new gate.

        Raises:
            LedgerError: A job of them has come to the new gate before.
        """
        moved = []
        with self._database.writing() as connection:
            for key in phase_rows.jobs_at_gate(connection, pipeline, gate, job_id):
                if key.phase == rule.phase:
                    continue
                old = GateTransaction(connection, self._clock, key)
                new = GateTransaction(connection, self._clock, PhaseKey(*key.job, rule.phase))
                if new.phase is not None and new.phase.status is not PhaseStatus.EXPECTED:
                    raise LedgerError(
                        f"job '{key.job}' has come to gate '{rule.gate}' before, where it is "
                        f"{new.phase.status}; end it with `medkg ledger cancel {key.job} --reason WHY`"
                    )
                moved.append(old.move(new, rule, actor, reason))
        return tuple(moved)

    def time_out_stranded(self, known: Collection[tuple[str, str]]) -> int:
        """End the wait of jobs whose time is up at a gate that nobody looks at any more.

        Args:
            known: The pipelines and phases that there are; their gates are looked at.

        Returns:
            How many jobs failed by it.
        """
        with self._database.reading() as connection:
            now = stamp(self._clock)
            stranded = [
                PhaseKey(found.pipeline, job_id, found.phase)
                for found in phase_rows.open_phases(connection)
                if (found.pipeline, found.phase) not in known
                for job_id in phase_rows.overdue_jobs(connection, found.pipeline, found.phase, now, 200)
            ]
        for key in stranded:
            with self._changing(key) as change:
                change.time_out_unseen()
        return len(stranded)

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
        with self._changing(PhaseKey(*key, phase)) as change:
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

    @contextmanager
    def _changing(self, key: PhaseKey) -> Iterator[GateTransaction]:
        with self._database.writing() as connection:
            change = GateTransaction(connection, self._clock, key)
            yield change
            change.conclude()
