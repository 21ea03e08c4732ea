"""What a step tells the ledger: that it begins, how it ended, and that its job has come to a gate."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dagster import OpExecutionContext
from pydantic import BaseModel

from medkg_dagster.ledger import Job, JobLedger, RunIdentity
from medkg_dagster.resolution.plan import PipelinePlan
from medkg_dagster.runtime.dagster_internals import capture_interrupts
from medkg_dagster.runtime.ledger_job_record import LedgerJobRecord
from medkg_dagster.runtime.phase_changes import arrive_at_gates, enter_phase
from medkg_dagster.runtime.resources import LedgerJob, run_identity
from medkg_dagster.stage_api import QuarantinedDocument, StageContext
from medkg_dagster.stage_api._invocation import StageOutcome
from medkg_dagster.topology.names import dagster_name


@dataclass(slots=True, eq=False)
class StepRecord:
    """The step's line to the ledger; all that a step writes there goes through here.

    Attributes:
        ledger: The open ledger.
        job: The ledger job as it was when the run, or in a process of its own the step, began.
        pipeline: The pipeline's plan.
        stage: The stage's name.
        phase: The Dagster job of the run.
        run: The run.
        asked: Dagster names of the stages that the run was asked for.
        has_begun: Whether the ledger knows that the stage has begun.
    """

    ledger: JobLedger
    job: Job
    pipeline: PipelinePlan
    stage: str
    phase: str
    run: RunIdentity
    asked: frozenset[str]
    has_begun: bool = False

    @classmethod
    def of(
        cls, ledger_job: LedgerJob, pipeline: PipelinePlan, stage: str, context: OpExecutionContext
    ) -> "StepRecord":
        """Return the record of one step of a run."""
        selected = context.job_def.asset_layer.selected_asset_keys
        asked = frozenset(key.path[-1] for key in selected)
        run = context.run
        return cls(ledger_job.ledger, ledger_job.job, pipeline, stage, run.job_name, run_identity(run), asked)

    @property
    def of_job(self) -> LedgerJobRecord:
        """The ledger job as the stage sees it."""
        return LedgerJobRecord(self.ledger, self.pipeline, self.job.job_id, self.run)

    def begin(self) -> None:
        """Enter the stage's phase and begin the stage.

        Raises:
            SupersededRunError: Another run has begun the phase, or there is a later attempt.
            GateConditionError: The stage lies behind a closed gate.
        """
        enter_phase(self.pipeline, self.stage, self.ledger, self.job, self.run, self.asked)
        is_gate = any(gate.stage == self.stage for gate in self.pipeline.gates)
        self.ledger.stage_runs.begin(self.job.key, self.stage, self.run.run_id, keep_status=is_gate)
        self.has_begun = True

    def finish(self, outcome: StageOutcome, ctx: StageContext) -> None:
        """Say that the stage has done its work, and that the job waits at the gates it has come to."""
        self.ledger.stage_runs.finish(
            self.job.key,
            self.stage,
            self.run.run_id,
            output_count=outcome.output_count,
            succeeded=ctx.succeeded,
            quarantined=ctx.quarantined,
            counts=_state_counts(outcome.state),
        )
        arrive_at_gates(self.pipeline, self.stage, self.ledger, self.job, self.run, self.asked)
        self._settle()

    def refuse(self, error: str, quarantined: Sequence[QuarantinedDocument]) -> None:
        """Say that it was not this run's turn; the job is left as it stands."""
        if self.has_begun:
            self._fail(error, quarantined)

    def retry(self, error: str, quarantined: Sequence[QuarantinedDocument]) -> None:
        """Say that the attempt failed, and that there is another one."""
        self._fail(error, quarantined)

    def fail(self, error: str, quarantined: Sequence[QuarantinedDocument]) -> None:
        """Say that the stage failed for good, and the job with it."""
        self._fail(error, quarantined)
        self._settle()

    def cancel(self) -> None:
        """Say that somebody stopped the run; further interrupts wait until that is said."""
        key = self.job.key
        error = f"run {self.run.run_id} was cancelled; `medkg ledger retry {key}` starts it again"
        with capture_interrupts():
            self.ledger.phases.run_ended(key, self.phase, self.run, is_cancelled=True, error=error)

    def _fail(self, error: str, quarantined: Sequence[QuarantinedDocument]) -> None:
        self.ledger.stage_runs.fail(self.job.key, self.stage, self.run.run_id, error, quarantined)

    def _settle(self) -> None:
        """Let the ledger say how the job stands, judged by the stages that this run was asked for."""
        names = [stage.name for stage in self.pipeline.stages]
        stages = tuple(name for name in names if dagster_name(name) in self.asked)
        gates = {gate.stage for gate in self.pipeline.gates}
        unselected = tuple(name for name in names if name not in {*stages, *gates})
        self.ledger.stage_runs.update_job_status(
            self.job.key, stages, run_id=self.run.run_id, selected=stages, unselected=unselected
        )


def _state_counts(state: Mapping[str, Any]) -> dict[str, int]:
    """Return what can be counted in a stage's state: the length of batches, the numbers of receipts."""
    counts: dict[str, int] = {}
    for key, value in state.items():
        if isinstance(value, tuple | list):
            counts[key] = len(value)
        elif isinstance(value, BaseModel):
            numbers = ((name, getattr(value, name)) for name in type(value).model_fields)
            counts |= {name: number for name, number in numbers if type(number) is int}
    return counts
