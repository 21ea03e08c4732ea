"""One gated job and what tests do with it, in few words."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from medkg_dagster.domain.gate_conditions import GateCondition
from medkg_dagster.ledger import (
    GateDecision,
    GateRule,
    Job,
    JobKey,
    JobLedger,
    JobPhase,
    PhaseStatus,
    Review,
    RunIdentity,
)
from medkg_dagster.ledger.gates import GateLedger
from medkg_dagster.ledger.phases import PhaseLedger
from medkg_dagster.stage_api import GatePassage
from medkg_dagster_tests.ledger.conftest import FakeClock

PIPELINE = "papers"
FIRST = "papers"
BEHIND = "papers__after_ready"
TIMEOUT = 600.0


def gate(on_timeout: str = "fail", timeout: float | None = TIMEOUT, **condition: Any) -> GateRule:
    """Return the gate `ready`, by default of the field `ready` being true."""
    described = {"field": "ready", "equals": True, **condition}
    if "clauses" in condition:
        described = condition
    limits = {"timeout_seconds": timeout, "on_timeout": on_timeout, "poll_interval_seconds": 1.0}
    return GateRule(BEHIND, "ready", GateCondition.model_validate({**described, **limits}))


@dataclass
class GatedJob:
    """A job of a pipeline with one gate."""

    ledger: JobLedger
    clock: FakeClock
    rule: GateRule = field(default_factory=gate)
    job_id: str = "j1"

    @property
    def phases(self) -> PhaseLedger:
        return self.ledger.phases

    @property
    def gates(self) -> GateLedger:
        return self.ledger.gates

    @property
    def job(self) -> Job:
        return self.ledger.jobs.get(JobKey(PIPELINE, self.job_id))

    @property
    def phase(self) -> JobPhase:
        """The phase behind the gate."""
        return next(
            item for item in self.phases.of_job(JobKey(PIPELINE, self.job_id)) if item.phase == BEHIND
        )

    @property
    def started(self) -> bool:
        return self.phase.status is PhaseStatus.STARTED

    def submit(self, request: dict[str, Any] | None = None, by: str = "ann") -> Job:
        return self.phases.submit(JobKey(PIPELINE, self.job_id), FIRST, request or {}, actor=by)

    def arrive(self, run_id: str = "r1") -> JobPhase:
        """Let a run of the first phase bring the job to its gate."""
        self.phases.begin(JobKey(PIPELINE, self.job_id), FIRST, RunIdentity(run_id))
        return self.gates.arrive(JobKey(PIPELINE, self.job_id), self.rule, RunIdentity(run_id, 1))

    def set(self, value: Any = True, path: str = "ready", by: str = "ocr") -> None:
        self.ledger.jobs.set_fields(JobKey(PIPELINE, self.job_id), {path: value}, actor=by)

    def review(self, after: float = 2.0) -> Review:
        """Look at the gate, some seconds later so that nothing was looked at just now."""
        self.clock.advance(after)
        return self.gates.review(PIPELINE, self.rule)

    def approve(self, by: str = "ann", reason: str = "checked", **options: Any) -> JobPhase:
        return self._decide(GateDecision.APPROVED, by, reason, **options)

    def reject(self, by: str = "bob", reason: str = "unfit", **options: Any) -> JobPhase:
        return self._decide(GateDecision.REJECTED, by, reason, **options)

    def take(self, starter: str = "sensor", phase: str = BEHIND) -> tuple[JobPhase, ...]:
        return self.phases.take_due(phase, starter, pipeline=PIPELINE)

    def go_through(
        self, run_id: str = "r2", attempt: int | None = None, lineage: tuple[str, ...] = ()
    ) -> GatePassage:
        return self.gates.pass_gate(
            JobKey(PIPELINE, self.job_id), self.rule, RunIdentity(run_id, attempt, lineage)
        )

    def retry(self, phase: str = BEHIND, by: str = "ann") -> JobPhase:
        rule = self.rule if phase == BEHIND else None
        return self.phases.retry(JobKey(PIPELINE, self.job_id), phase, rule, actor=by, reason="again")

    def gate_history(self) -> list[tuple[Any, Any, str]]:
        """What the history says of the gate: old, new, actor."""
        entries = self.ledger.jobs.history(JobKey(PIPELINE, self.job_id))
        return [(item.old, item.new, item.actor) for item in entries if item.field == "gates.ready"]

    def _decide(self, decision: GateDecision, by: str, reason: str, **options: Any) -> JobPhase:
        return self.gates.decide(
            JobKey(PIPELINE, self.job_id), self.rule, decision, actor=by, reason=reason, **options
        )
