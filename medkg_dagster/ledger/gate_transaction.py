"""One change of a job's phase, and everything that goes with it, inside the caller's transaction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection

from medkg_dagster.domain.gate_conditions import GateVerdict, describe_condition, judge, observed_fields
from medkg_dagster.errors import GateConditionError, GateReason, LedgerError, SupersededRunError
from medkg_dagster.io.sql import Database
from medkg_dagster.io.times import Clock, seconds_between
from medkg_dagster.ledger.encoding import dump_json
from medkg_dagster.ledger.job_transaction import JobTransaction
from medkg_dagster.ledger.models import (
    GateDecision,
    GateRule,
    JobPhase,
    JobStatus,
    PhaseStatus,
    RunIdentity,
)
from medkg_dagster.ledger.statements import counter_rows, job_rows, phase_rows
from medkg_dagster.ledger.statements.phase_rows import Lease, PhaseKey
from medkg_dagster.stage_api import GatePassage

GATE = "gate"
CLOSED = frozenset({PhaseStatus.REJECTED, PhaseStatus.TIMED_OUT, PhaseStatus.CANCELLED})
_REFUSED_AS: dict[PhaseStatus, GateReason] = {
    PhaseStatus.TIMED_OUT: "timeout",
    PhaseStatus.CANCELLED: "cancelled",
}
_STATUS_AFTER_TIMEOUT = {
    "fail": JobStatus.FAILED,
    "skip": JobStatus.SKIPPED,
    "quarantine": JobStatus.QUARANTINED,
}
_RETRY_HINT = "`medkg ledger retry` lets the job wait there once more"


class GateTransaction(JobTransaction):
    """Holds one job and changes one of its phases.

    Args:
        connection: A connection inside a write transaction, or a reading one for `passage` alone.
        clock: Gives the time.
        key: The phase.
        lock: Whether other writers of the job are to wait.

    Attributes:
        because: Who changed the phase, and why; None while nothing has changed.

    Raises:
        UnknownJobError: There is no such job.
    """

    def __init__(self, connection: Connection, clock: Clock, key: PhaseKey, *, lock: bool = True) -> None:
        super().__init__(connection, clock, key.job, lock=lock)
        self._key = key
        self.phase = phase_rows.find_phase(connection, key)
        self.because: tuple[str, str | None] | None = None

    def put(self, values: Mapping[str, Any]) -> JobPhase:
        """Write columns of the phase."""
        self.phase = phase_rows.put_phase(self.connection, self._key, dict(values))
        return self.phase

    def make_due(self, actor: str) -> JobPhase:
        """Let the phase be started, once more where it was started before."""
        values: dict[str, Any] = {
            "status": PhaseStatus.DUE.value,
            "attempt": 1 if self.phase is None else self.phase.attempt + 1,
            "starter": None,
            "lease_until": None,
            "run_id": None,
        }
        # Behind a gate these say since when the job waited and who opened it, which a retry must not forget.
        if self.phase is None or self.phase.gate is None:
            values |= {"since": self.now, "opened_at": self.now, "opened_by": actor}
        self.because = self.because or (actor, None)
        return self.put({**values, "closed_as": None})

    def plan_work(self, actor: str) -> JobPhase:
        """Let the phase be started as work that goes on while the job waits at a gate."""
        self.retry_runs(self._key.phase, is_work=True)
        self.make_due(actor)
        return self.put({"is_work": 1})

    def conclude(self) -> None:
        """Let the job stand as the change of its phase says, where there was one."""
        if self.because is not None:
            self.update_job(*self.because)

    def claim(self, phase: JobPhase, starter: str) -> JobPhase:
        """Let a starter have a phase that is due and that nobody else is trusted to start."""
        lease = Lease.by(lambda: self._moment)
        if phase.status is not PhaseStatus.DUE or not lease.is_free(phase):
            return phase
        # A run that the other did start after all is refused by its attempt.
        attempt = phase.attempt + (phase.starter not in {None, starter})
        return self.put({"starter": starter, "lease_until": lease.until, "attempt": attempt})

    def arrive(self, rule: GateRule, run: RunIdentity) -> JobPhase:
        """Let the job wait at the gate, anew where the phase before ran again; a decision counts once."""
        known = self.phase
        if known is None:
            return self.wait(rule, 1, keep_decision=False, actor=run.actor)
        # An attempt that nobody was asked to start is still free.
        is_unused = known.status in {PhaseStatus.EXPECTED, PhaseStatus.WAITING}
        is_decided_ahead = known.status is PhaseStatus.EXPECTED
        attempt = known.attempt + (not is_unused)
        return self.wait(rule, attempt, keep_decision=is_decided_ahead, actor=run.actor)

    def expect_anew(self) -> None:
        """Take the job away from the gates it waits at or is open for: it will come to them again."""
        for phase in phase_rows.list_phases(self.connection, self._key.job):
            if phase.gate is not None and phase.status in {PhaseStatus.WAITING, PhaseStatus.DUE}:
                key = PhaseKey(*phase.key, phase.phase)
                values = {
                    "status": PhaseStatus.EXPECTED.value,
                    # A run that somebody may have started already is refused by its attempt.
                    "attempt": phase.attempt + (phase.status is PhaseStatus.DUE),
                    "decision": None,
                    "opened_at": None,
                    "opened_by": None,
                    "reason": None,
                }
                phase_rows.put_phase(self.connection, key, values)

    def wait(self, rule: GateRule, attempt: int, *, keep_decision: bool, actor: str) -> JobPhase:
        """Let the job wait at the gate, and look at once whether it is open."""
        timeout = rule.condition.timeout_seconds
        values = {
            "gate": rule.gate,
            "status": PhaseStatus.WAITING.value,
            "attempt": attempt,
            "since": self.now,
            "deadline": None if timeout is None else self.later(timeout),
            "timeout_seconds": timeout,
            # Were the look below to fail, the sensor would look at its next tick.
            "needs_check": 1,
            "checked_at": None,
            "observed": None,
            "baseline": dump_json(observed_fields(rule.condition, self.job.fields)),
            "opened_at": None,
            "starter": None,
            "lease_until": None,
            "run_id": None,
            "closed_as": None,
        }
        if not keep_decision:
            values |= {"decision": None, "opened_by": None, "reason": None}
        phase = self.put(values)
        self.because = (actor, f"waits at gate {rule.gate!r}")
        if phase.decision is None:
            return self.look(rule)
        return self.decide(phase.decision, phase.opened_by or "", phase.reason or "")

    def look(self, rule: GateRule) -> JobPhase:
        """Judge the condition; open the gate where it holds, end the wait where its time is up.

        Fields that cannot be read keep it closed, and are shown as what was observed.
        """
        phase, problem = self._known(), self.job.problem
        verdict = judge(rule.condition, self.job.fields, phase.baseline)
        observed = str(verdict) if problem is None else f"cannot be judged: {problem}"
        values: dict[str, Any] = {"needs_check": 0, "checked_at": self.now, "observed": observed}
        if phase.since > self.now:  # by a clock that was ahead
            deadline = None if phase.timeout_seconds is None else self.later(phase.timeout_seconds)
            values |= {"since": self.now, "deadline": deadline}
        phase = self.put(values)
        if verdict.held and problem is None:
            return self._open(self._who_let_it_hold(verdict), str(verdict))
        if phase.deadline is not None and phase.deadline <= self.now:
            return self._time_out(rule, phase)
        return phase

    def decide(self, decision: GateDecision, actor: str, reason: str) -> JobPhase:
        """Open or reject the gate of a job that waits there, or is about to be started."""
        self.put({"decision": decision.value})
        if decision is GateDecision.APPROVED:
            return self._open(actor, _approved(reason))
        return self._close(PhaseStatus.REJECTED, actor, reason, JobStatus.REJECTED)

    def decide_ahead(self, rule: GateRule, decision: GateDecision, actor: str, reason: str) -> JobPhase:
        """Record a decision on a gate that the job has not come to; the last one counts."""
        if self.phase is not None and self.phase.decision is decision:
            return self.phase
        before = None if self.phase is None else self.phase.decision
        phase = self.put(
            {
                "gate": rule.gate,
                "status": PhaseStatus.EXPECTED.value,
                "since": self.now,
                "decision": decision.value,
                "opened_by": actor,
                "reason": reason,
            }
        )
        self._record(before, decision.value, actor, reason)
        return phase

    def refuse_late(self, decision: GateDecision) -> None:
        """Refuse a decision that comes too late to matter; one that says the same again is none.

        Raises:
            LedgerError: The gate has been rejected, has timed out, or the job has gone through.
        """
        phase = self.phase
        if phase is None:
            return
        place = f"gate '{phase.gate}' of job '{phase.key}'"
        if phase.status is PhaseStatus.TIMED_OUT:
            raise LedgerError(f"{place} timed out at {phase.opened_at}; {_RETRY_HINT}")
        if phase.status is PhaseStatus.CANCELLED:
            raise LedgerError(
                f"{place} was cancelled by {phase.opened_by} at {phase.opened_at}; {_RETRY_HINT}"
            )
        if phase.status is PhaseStatus.REJECTED and decision is GateDecision.APPROVED:
            raise LedgerError(
                f"{place} was rejected by {phase.opened_by} at {phase.opened_at}; {_RETRY_HINT}"
            )
        if phase.status is PhaseStatus.STARTED and decision is GateDecision.REJECTED:
            raise LedgerError(
                f"{place} was passed at {phase.opened_at} by run {phase.run_id}; it is too late to reject it"
            )

    def passage(self, rule: GateRule) -> GatePassage:
        """Return how the gate let the job through, checked anew.

        Raises:
            GateConditionError: It is closed.
        """
        phase, condition = self.phase, rule.condition
        expected = describe_condition(condition)
        if phase is not None and (phase.status in CLOSED or phase.decision is GateDecision.REJECTED):
            reason = _REFUSED_AS.get(phase.status, "rejected")
            observed = f"{phase.reason} (by {phase.opened_by} at {phase.opened_at or phase.since})"
            raise GateConditionError(rule.gate, reason, expected, observed)
        # Judged anew: the field that opened the gate may have been taken back before the run began.
        is_approved = phase is not None and phase.decision is GateDecision.APPROVED
        verdict = judge(condition, self.job.fields, None if phase is None else phase.baseline)
        if not is_approved and not (verdict.held and self.job.problem is None):
            raise GateConditionError(rule.gate, "not_met", expected, self.job.problem or str(verdict))
        if phase is not None and phase.opened_at is not None:
            waited = seconds_between(phase.since, phase.opened_at)
            return GatePassage(phase.opened_by or GATE, phase.opened_at, waited, phase.reason or str(verdict))
        if phase is not None and is_approved:
            return GatePassage(phase.opened_by or GATE, self.now, 0.0, _approved(phase.reason or ""))
        waited = 0.0 if phase is None else seconds_between(phase.since, self.now)
        return GatePassage(self._who_let_it_hold(verdict), self.now, waited, str(verdict))

    def _who_let_it_hold(self, verdict: GateVerdict) -> str:
        paths = [item.clause.field for item in verdict.clauses if item.held]
        changed = phase_rows.last_change(self.connection, self._key, paths)
        return changed[0] if changed else GATE

    def _known(self) -> JobPhase:
        if self.phase is None:
            raise LedgerError(f"job '{self._key.job}' has no phase {self._key.phase}")
        return self.phase

    def _open(self, actor: str, because: str) -> JobPhase:
        self.because = (actor, because)
        phase = self._known()
        self._record(phase.status.value, "open", actor, because)
        self._count("approved" if phase.decision is GateDecision.APPROVED else "opened")
        return self.put(
            {
                "status": PhaseStatus.DUE.value,
                "opened_at": self.now,
                "opened_by": actor,
                "reason": because,
            }
        )

    def _time_out(self, rule: GateRule, phase: JobPhase) -> JobPhase:
        error = (
            f"gate '{rule.gate}' did not open within {phase.timeout_seconds:g} s: "
            f"expected {describe_condition(rule.condition)}; observed {phase.observed}"
        )
        return self._close(
            PhaseStatus.TIMED_OUT, GATE, error, _STATUS_AFTER_TIMEOUT[rule.condition.on_timeout]
        )

    def time_out_unseen(self) -> None:
        """End the wait at a gate that is no longer defined; its condition cannot be judged."""
        phase = self.phase
        if phase is not None and phase.status is PhaseStatus.WAITING and (phase.deadline or "") <= self.now:
            error = f"gate '{phase.gate}' is no longer defined, and did not open in time"
            self._close(PhaseStatus.TIMED_OUT, GATE, error, JobStatus.FAILED)

    def move(self, target: GateTransaction, rule: GateRule, actor: str, reason: str) -> JobPhase:
        """Let the job wait at another gate; what was decided on that one ahead counts there."""
        phase = self._known()
        self._record(phase.status.value, f"moved to {rule.gate}", actor, reason)
        phase_rows.delete_phase(self.connection, self._key)
        if phase.status is PhaseStatus.EXPECTED:
            decision = phase.decision or GateDecision.APPROVED
            return target.decide_ahead(rule, decision, phase.opened_by or actor, phase.reason or reason)
        target.wait(rule, 1, keep_decision=True, actor=actor)
        target.because = (actor, reason)
        target.conclude()
        return target.phase or phase

    def cancel(self, actor: str, reason: str) -> JobPhase:
        """Keep a phase that waits or is due from being started."""
        return self._close(PhaseStatus.CANCELLED, actor, reason, JobStatus.CANCELLED)

    def _close(self, status: PhaseStatus, actor: str, reason: str, closed_as: JobStatus) -> JobPhase:
        phase = self._known()
        self.because = (actor, reason)
        if phase.gate is not None:
            self._record(phase.status.value, status.value, actor, reason)
            self._count(status.value)
        return self.put(
            {
                "status": status.value,
                # A run that somebody may have started already is refused by its attempt.
                "attempt": phase.attempt + (phase.status is PhaseStatus.DUE),
                "opened_at": self.now,
                "opened_by": actor,
                "reason": reason,
                "closed_as": closed_as.value,
            }
        )

    def _count(self, outcome: str) -> None:
        phase = self._known()
        labels = (phase.pipeline, phase.gate or "", outcome)
        began = phase.since if phase.status is PhaseStatus.WAITING else self.now
        waited = counter_rows.seconds_spent(began, self.now)
        amounts: dict[counter_rows.Counter, float] = {
            (counter_rows.GATES, labels): 1,
            (counter_rows.GATE_SECONDS, labels): waited,
        }
        counter_rows.count(self.connection, amounts)

    def _record(self, old: str | None, new: str, actor: str, reason: str) -> None:
        changed = {f"gates.{self._known().gate}": (old, new)}
        stamped = job_rows.Attribution(actor, self.now, reason)
        job_rows.record(self.connection, self._key.job, changed, stamped)


def _approved(reason: str) -> str:
    return f"approved: {reason}"


def refuse_superseded(phase: JobPhase, run: RunIdentity) -> None:
    """Refuse a run that was started for an attempt which another run has begun, or which is over.

    Raises:
        SupersededRunError: It is not this run's turn.
    """
    if run.attempt is None:  # a person launched it, knowing what he does
        return
    place = f"phase '{phase.phase}' of job '{phase.key}'"
    if run.attempt != phase.attempt:
        raise SupersededRunError(
            f"{place} is at attempt {phase.attempt}, and this run was started for attempt {run.attempt}; "
            "nothing needs to be done"
        )
    if phase.status is PhaseStatus.STARTED and phase.run_id not in {None, run.run_id, *run.lineage}:
        raise SupersededRunError(f"{place} was begun by run {phase.run_id} already; nothing needs to be done")


@contextmanager
def changing(database: Database, clock: Clock, key: PhaseKey) -> Iterator[GateTransaction]:
    """Change one phase in a transaction of its own, and let its job stand as that says."""
    with database.writing() as connection:
        change = GateTransaction(connection, clock, key)
        yield change
        change.conclude()
