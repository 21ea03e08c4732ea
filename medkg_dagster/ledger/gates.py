"""The gates of jobs: waiting there, opening them, and going through."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from medkg_dagster.domain.decision_fields import check_inputs
from medkg_dagster.errors import GateConditionError, LedgerError
from medkg_dagster.io.sql import Database
from medkg_dagster.io.times import Clock, stamp
from medkg_dagster.ledger.gate_transaction import GateTransaction, changing, refuse_superseded
from medkg_dagster.ledger.models import (
    GateDecision,
    GateRule,
    JobKey,
    JobPhase,
    PhaseStatus,
    Review,
    RunIdentity,
)
from medkg_dagster.ledger.statements import phase_rows
from medkg_dagster.ledger.statements.phase_rows import PhaseKey
from medkg_dagster.stage_api import GatePassage


class GateLedger:
    """The gates that the jobs of a ledger wait at. Every method is one transaction.

    Every method may raise `LedgerError`; those that take a job raise `UnknownJobError` where there is none.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def waiting(
        self, pipeline: str | None = None, phase: str | None = None, limit: int = 100
    ) -> tuple[JobPhase, ...]:
        """Return phases whose job waits at a gate, the longest waiting first."""
        with self._database.reading() as connection:
            return phase_rows.waiting_phases(connection, pipeline, phase, limit)

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
        with changing(self._database, self._clock, PhaseKey(*key, rule.phase)) as change:
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

    def pass_gate(self, key: JobKey, rule: GateRule, run: RunIdentity) -> GatePassage:
        """Check a gate for a run that wants to go through, and record that it did.

        Raises:
            GateConditionError: The gate is closed.
            SupersededRunError: Another run has begun this attempt, or there is a later one.
        """
        with changing(self._database, self._clock, PhaseKey(*key, rule.phase)) as change:
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
        inputs: Mapping[str, Any] | None = None,
    ) -> JobPhase:
        """Approve or reject a gate of a job, also before the job has come to it; saying it twice is once.

        What is said with a decision becomes fields of the job in the same change, where the decision counts.

        Args:
            key: The job.
            rule: The gate.
            decision: What is decided.
            actor: Who decides.
            reason: Why.
            starter: Who will start the next phase at once; None leaves it to the sensor.
            inputs: What the gate's `fields` ask for, by name.

        Returns:
            The phase; its `starter` tells whether the caller is the one to start it.

        Raises:
            ConfigError: An input is missing, unknown or of another type than the gate asks for.
            LedgerError: It is too late: the gate was rejected, timed out, or the job went through.
        """
        approves = decision is GateDecision.APPROVED
        said = check_inputs(rule.gate, rule.fields, inputs or {}, approves=approves)
        with changing(self._database, self._clock, PhaseKey(*key, rule.phase)) as change:
            known = change.phase
            if known is None or known.status is PhaseStatus.EXPECTED:
                if known is None or known.decision is not decision:
                    change.change_fields(said, actor, reason)
                return change.decide_ahead(rule, decision, actor, reason)
            change.refuse_late(decision)
            is_open = known.status in {PhaseStatus.DUE, PhaseStatus.STARTED}
            if known.status is not PhaseStatus.REJECTED and not (is_open and approves):
                change.change_fields(said, actor, reason)
                known = change.decide(decision, actor, reason)
            return known if starter is None else change.claim(known, starter)

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
            with changing(self._database, self._clock, key) as change:
                change.time_out_unseen()
        return len(stranded)
