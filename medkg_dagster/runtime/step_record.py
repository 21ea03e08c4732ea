"""What a step tells the ledger: that it begins, and how it ended."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dagster import OpExecutionContext
from pydantic import BaseModel

from medkg_dagster.ledger import (
    GateApproach,
    Job,
    JobLedger,
    RunIdentity,
    RunSelection,
    RunStatus,
    StageStatus,
)
from medkg_dagster.resolution.plan import PipelinePlan, PlannedGate
from medkg_dagster.runtime.dagster_internals import capture_interrupts
from medkg_dagster.runtime.ledger_job_record import LedgerJobRecord, gate_rule
from medkg_dagster.runtime.resources import LedgerJob, run_identity
from medkg_dagster.stage_api import Document, QuarantinedDocument, StageContext
from medkg_dagster.stage_api._documents import DocumentValues, item_type
from medkg_dagster.stage_api._invocation import StageOutcome
from medkg_dagster.topology.names import dagster_name


@dataclass(frozen=True, slots=True, eq=False)
class StepRecord:
    """The step's line to the ledger; all that a step writes there goes through here.

    Attributes:
        ledger: The open ledger.
        job: The ledger job as it was when the run, or in a process of its own the step, began.
        pipeline: The pipeline's plan.
        stage: The stage's name.
        run: The run.
        selection: What the run was asked to do.
    """

    ledger: JobLedger
    job: Job
    pipeline: PipelinePlan
    stage: str
    run: RunIdentity
    selection: RunSelection

    @classmethod
    def of(
        cls, ledger_job: LedgerJob, pipeline: PipelinePlan, stage: str, context: OpExecutionContext
    ) -> "StepRecord":
        """Return the record of one step of a run."""
        selection = _selection(pipeline, context)
        return cls(ledger_job.ledger, ledger_job.job, pipeline, stage, run_identity(context.run), selection)

    def asked_again(self) -> frozenset[str]:
        """Return the documents that somebody wants this stage to work on once more."""
        return self.ledger.stage_runs.asked_again(self.job.key, self.stage)

    @property
    def of_job(self) -> LedgerJobRecord:
        """The ledger job as the stage sees it."""
        return LedgerJobRecord(self.ledger, self.pipeline, self.job.job_id, self.run)

    def begin(self) -> None:
        """Enter the stage's phase and begin the stage.

        A gate's own stage checks the gate itself. A run that leaves that stage out is held to the gate here.

        Raises:
            SupersededRunError: Another run has begun the phase, or there is a later attempt.
            GateConditionError: The stage lies behind a closed gate.
        """
        phases, key = self.ledger.phases, self.job.key
        phase = self.pipeline.phase_of(self.stage)
        gate = self.pipeline.find_gate(phase.after_gate) if phase.after_gate else None
        if gate is None:
            phases.begin(key, phase.job_name, self.run)
        elif self.stage == gate.stage:
            phases.check_turn(key, gate.job_name, self.run)
        elif gate.stage not in self.selection.stages:
            self.ledger.gates.check_gate(key, gate_rule(gate))
        planned = self.pipeline.find_stage(self.stage)
        self.ledger.stage_runs.begin(
            key, self.stage, self.run, stage_type=planned.metadata.stage_type, origin=planned.counted_origin
        )

    def finish(self, outcome: StageOutcome, ctx: StageContext) -> None:
        """Say that the stage has done its work, and that the job waits at the gates it has come to."""
        self.ledger.stage_runs.finish(
            self.job.key,
            self.stage,
            self.run,
            self.selection,
            output_count=outcome.output_count,
            succeeded=ctx.succeeded,
            quarantined=ctx.quarantined,
            counts=_state_counts(outcome.state) | _described_counts(ctx),
            gates=[_approach(gate) for gate in self.pipeline.gates if self.stage in gate.upstream],
            passed=_passed(outcome.state),
        )

    def supersede(self, error: str) -> None:
        """Say that it was another run's turn; the job is left as it stands."""
        self.ledger.runs.end(self.job.key, self.run, RunStatus.REFUSED, error)

    def cancel(self) -> None:
        """Say that somebody stopped the run; further interrupts wait until that is said."""
        key = self.job.key
        error = f"run {self.run.run_id} was cancelled; `medkg ledger retry {key}` starts it again"
        with capture_interrupts():
            self.ledger.runs.end(key, self.run, RunStatus.CANCELLED, error)

    def stop(self, status: StageStatus, error: str, quarantined: Sequence[QuarantinedDocument] = ()) -> None:
        """Say that the stage did not do its work: it failed, is tried again, or was refused at a gate."""
        self.ledger.stage_runs.stop(
            self.job.key,
            self.stage,
            self.run,
            self.selection,
            status=status,
            error=error,
            quarantined=quarantined,
        )


def _selection(pipeline: PipelinePlan, context: OpExecutionContext) -> RunSelection:
    """Return the stages that a run was asked for; of a re-execution from failure those it runs again."""
    selected = {key.path[-1] for key in context.job_def.asset_layer.selected_asset_keys}
    if context.run.step_keys_to_execute is not None:
        selected &= {key.rpartition(".")[2] for key in context.run.step_keys_to_execute}
    stages = [stage.name for stage in pipeline.stages if dagster_name(stage.name) in selected]
    downstream = pipeline.downstream
    return RunSelection(frozenset(stages), {stage: downstream[stage] for stage in stages})


def _approach(gate: PlannedGate) -> GateApproach:
    return GateApproach(gate_rule(gate), gate.upstream, tuple(work.declared.name for work in gate.work))


def _state_counts(state: Mapping[str, Any]) -> dict[str, int]:
    """Return what can be counted in a stage's state: the length of batches, the numbers of receipts."""
    counts: dict[str, int] = {}
    for key, value in state.items():
        if isinstance(value, tuple | list):
            counts[key] = len(value)
        elif isinstance(value, DocumentValues) and item_type(value.value_type) is not None:
            counts[key] = value.items
        elif isinstance(value, BaseModel):
            numbers = ((name, getattr(value, name)) for name in type(value).model_fields)
            counts |= {name: number for name, number in numbers if type(number) is int}
    return counts


def _described_counts(ctx: StageContext) -> dict[str, int]:
    """Return the whole numbers that a stage described."""
    return {name: value for name, value in ctx.described.items() if type(value) is int}


def _passed(state: Mapping[str, Any]) -> set[str]:
    """Return the ids of the documents in a stage's state."""
    values = [value for value in state.values() if isinstance(value, DocumentValues)]
    return {part.document_id for value in values if item_type(value.value_type) is Document for part in value}
