"""One step of a run: configure, invoke, record in the ledger, describe for the asset catalog."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dagster import Failure, MetadataValue, OpExecutionContext, Output
from pydantic import BaseModel

from medkg_dagster.errors import GateConditionError, MedkgError, SupersededRunError
from medkg_dagster.ledger import Job, RunIdentity
from medkg_dagster.registry import StageFactory
from medkg_dagster.resolution.plan import PipelinePlan, PlannedStage
from medkg_dagster.runtime.ledger_job_record import LedgerJobRecord
from medkg_dagster.runtime.materialization import output_metadata, quarantine_table
from medkg_dagster.runtime.phase_changes import arrive_at_gates, enter_phase
from medkg_dagster.runtime.policies import external_calls, is_retryable
from medkg_dagster.runtime.progress import RunProgress
from medkg_dagster.runtime.requests import requested_config
from medkg_dagster.runtime.resources import LedgerJob, run_identity
from medkg_dagster.runtime.stage_call import StageCall
from medkg_dagster.runtime.state_storage import archive_state
from medkg_dagster.stage_api import StageContext
from medkg_dagster.stage_api._redaction import redact, showable, text_of
from medkg_dagster.topology.models import StageDefinition
from medkg_dagster.topology.names import LEDGER_JOB_RESOURCE, dagster_name


@dataclass(frozen=True, slots=True, eq=False)
class StepRunner:
    """Runs one planned stage inside an op.

    Attributes:
        pipeline: The pipeline's plan.
        planned: The stage's plan.
        factory: Builds the stage.
    """

    pipeline: PipelinePlan
    planned: PlannedStage
    factory: StageFactory

    def __call__(self, context: OpExecutionContext, inputs: Mapping[str, Any]) -> Iterator[Output[Any]]:
        """Run the stage and yield its state as the op's output `result`.

        Raises:
            Failure: The stage failed; retries are allowed only where they could help.
        """
        ledger_job: LedgerJob = getattr(context.resources, LEDGER_JOB_RESOURCE)
        job, ledger = ledger_job.job, ledger_job.ledger
        run = run_identity(context.run)
        progress = RunProgress(self.planned.name, context.log)
        ctx = self._context(context, ledger_job, run, progress)
        try:
            enter_phase(self.pipeline, self.planned.name, ledger, job, run, asked_stages(context))
        except MedkgError as error:
            # It is not this run's turn, so the job is left as it stands.
            raise self._failure(ctx, error) from showable(error)
        is_gate = any(gate.stage == self.planned.name for gate in self.pipeline.gates)
        ledger.stage_runs.begin(job.key, self.planned.name, context.run_id, keep_status=is_gate)
        try:
            definition = self._configured(context, job)
            outcome = StageCall(self.pipeline, self.planned, self.factory).run(definition, ctx, inputs)
            metadata = output_metadata(ctx, outcome)
            stored = (
                archive_state(outcome.state, self.planned.metadata.state_types) if outcome.state else None
            )
        except Exception as error:  # noqa: BLE001 - whatever it is, the ledger must say so before Dagster does
            summary = f"{type(error).__name__}: {text_of(error)}"
            ledger.stage_runs.fail(job.key, self.planned.name, context.run_id, summary, ctx.quarantined)
            if not isinstance(error, GateConditionError | SupersededRunError) and not self._is_tried_again(
                context, error
            ):
                self._settle(context, ledger_job)
            raise self._failure(ctx, error) from showable(error)
        finally:
            progress.close()
        context.log.info(
            "%s: %d out, %d documents quarantined, %.2f s",
            self.planned.name,
            outcome.output_count,
            len(ctx.quarantined),
            outcome.seconds,
        )
        yield Output(stored, "result", metadata=metadata)
        # Dagster has stored the output when it asks for more; a state that is not stored is not finished.
        ledger.stage_runs.finish(
            job.key,
            self.planned.name,
            context.run_id,
            output_count=outcome.output_count,
            succeeded=ctx.succeeded,
            quarantined=ctx.quarantined,
            counts=state_counts(outcome.state),
        )
        arrive_at_gates(self.pipeline, self.planned.name, ledger, job, run, asked_stages(context))
        self._settle(context, ledger_job)

    def _context(
        self,
        context: OpExecutionContext,
        ledger_job: LedgerJob,
        run: RunIdentity,
        progress: RunProgress,
    ) -> StageContext:
        record = LedgerJobRecord(ledger_job.ledger, self.pipeline, ledger_job.job.job_id, run)
        return StageContext(
            pipeline=self.pipeline.name,
            stage=self.planned.name,
            job_id=ledger_job.job.job_id,
            home=ledger_job.home,
            log=context.log,
            report_progress=progress,
            calls=external_calls(self.planned.policy, record.reserve_call, context.log),
            job=record,
            extensions=self.factory.extensions,
        )

    def _is_tried_again(self, context: OpExecutionContext, error: Exception) -> bool:
        return is_retryable(error) and context.retry_number + 1 < self.planned.policy.max_attempts

    def _settle(self, context: OpExecutionContext, ledger_job: LedgerJob) -> None:
        """Let the ledger say how the job stands, judged by the stages that this run was asked for."""
        asked = asked_stages(context)
        stages = tuple(stage.name for stage in self.pipeline.stages if dagster_name(stage.name) in asked)
        gates = {gate.stage for gate in self.pipeline.gates}
        unselected = tuple(
            stage.name for stage in self.pipeline.stages if stage.name not in {*stages, *gates}
        )
        job = ledger_job.job
        ledger_job.ledger.stage_runs.update_job_status(
            job.key, stages, run_id=context.run_id, selected=stages, unselected=unselected
        )

    def _configured(self, context: OpExecutionContext, job: Job) -> StageDefinition:
        """Return the definition with this run's configuration: launchpad over request over YAML."""
        requested = requested_config(job.request, self.planned)
        config = {**self.planned.definition.config, **requested, **launchpad_config(context)}
        return self.planned.definition.model_copy(update={"config": config})

    def _type(self) -> str:
        """Return the stage type and, where it is a third party's, whose."""
        origin = self.planned.origin
        stage_type = self.planned.metadata.stage_type
        if origin is None or origin.is_own:
            return stage_type
        return f"{stage_type} of {origin.distribution} {origin.version}"

    def _failure(self, ctx: StageContext, error: Exception) -> Failure:
        metadata: dict[str, MetadataValue[Any]] = {
            "stage": MetadataValue.text(f"{self.pipeline.name}.{self.planned.name}"),
            "stage_type": MetadataValue.text(self.planned.metadata.stage_type),
            "ledger_job": MetadataValue.text(ctx.job_id),
        }
        if isinstance(error, GateConditionError):
            metadata |= {
                "gate": MetadataValue.text(error.gate),
                "reason": MetadataValue.text(error.reason),
                "expected": MetadataValue.text(redact(str(error.expected))),
                "observed": MetadataValue.text(redact(str(error.observed))),
            }
        if ctx.quarantined:
            metadata["quarantined"] = quarantine_table(ctx.quarantined)
        text = text_of(error)
        described = text if isinstance(error, MedkgError) else f"{type(error).__name__}: {text}"
        return Failure(
            f"stage {self.planned.name!r} ({self._type()}): {described}",
            metadata=metadata,
            allow_retries=is_retryable(error),
        )


def asked_stages(context: OpExecutionContext) -> frozenset[str]:
    """Return the Dagster names of the stages that this run was asked for."""
    return frozenset(key.path[-1] for key in context.job_def.asset_layer.selected_asset_keys)


def state_counts(state: Mapping[str, Any]) -> dict[str, int]:
    """Return what can be counted in a stage's state: the length of batches, the numbers of receipts.

    Args:
        state: State key to value.

    Returns:
        Counts by state key, and for a receipt by the names of its fields.
    """
    counts: dict[str, int] = {}
    for key, value in state.items():
        if isinstance(value, tuple | list):
            counts[key] = len(value)
        elif isinstance(value, BaseModel):
            numbers = ((name, getattr(value, name)) for name in type(value).model_fields)
            counts |= {name: number for name, number in numbers if type(number) is int}
    return counts


def launchpad_config(context: OpExecutionContext) -> dict[str, Any]:
    """Return the configuration a person or sensor gave this run for this op, defaults left out.

    The op's own config has the defaults filled in, and so cannot tell a choice from a default.
    """
    node: Any = context.run.run_config
    for name in context.op_handle.path:
        node = (node.get("ops") or {}).get(name) if isinstance(node, Mapping) else None
    config = node.get("config") if isinstance(node, Mapping) else None
    return dict(config) if isinstance(config, Mapping) else {}
