"""Work that goes on while a ledger job waits at a gate: its Dagster job, its run, and its sensor."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dagster import (
    Backoff,
    DefaultSensorStatus,
    ExecutorDefinition,
    Failure,
    Field,
    JobDefinition,
    Nothing,
    OpExecutionContext,
    Out,
    RetryPolicy,
    RunRequest,
    SensorDefinition,
    SensorEvaluationContext,
    SensorResult,
    SkipReason,
    job,
    op,
    sensor,
)

from medkg_dagster.errors import ConfigError, StageContractError, did_you_mean
from medkg_dagster.ledger import JobKey, JobLedger, JobPhase, RunIdentity, RunSelection, StageStatus
from medkg_dagster.resolution.plan import PipelinePlan, Plan, PlannedWork
from medkg_dagster.runtime.launch import tell_run_id
from medkg_dagster.runtime.ledger_job_record import LedgerJobRecord
from medkg_dagster.runtime.materialization import described_metadata
from medkg_dagster.runtime.policies import external_calls, is_retryable
from medkg_dagster.runtime.progress import RunProgress
from medkg_dagster.runtime.resources import run_identity
from medkg_dagster.runtime.run_processes import process_tags
from medkg_dagster.runtime.tags import work_config, work_tags
from medkg_dagster.runtime.ticks import STARTS_PER_TICK, TICK_SECONDS
from medkg_dagster.settings import Settings
from medkg_dagster.stage_api import Extensions, StageContext, WaitingJob, WorkAtGate
from medkg_dagster.stage_api._context import withhold_secrets
from medkg_dagster.stage_api._job_record import refuse_secrets
from medkg_dagster.stage_api._redaction import showable, text_of
from medkg_dagster.topology.names import STATE_RESOURCE


def gate_work_job(
    work: WorkAtGate,
    *,
    plan: Plan,
    settings: Settings,
    extensions: Extensions,
    executor: ExecutorDefinition,
    options: Mapping[str, Field],
) -> JobDefinition:
    """Return the job that does declared work for one ledger job."""
    pipelines = {pipeline.name: pipeline for pipeline in plan.pipelines if work.name in pipeline.work}

    @op(
        name=work.op_name,
        description=work.description,
        config_schema={
            "pipeline": Field(str, description="The pipeline of the ledger job."),
            "job_id": Field(str, description="The ledger job."),
            **options,
        },
        # Nothing is stored, but Dagster opens what could store it.
        out=Out(Nothing, io_manager_key=STATE_RESOURCE),
        retry_policy=RetryPolicy(max_retries=2, delay=5, backoff=Backoff.EXPONENTIAL),
    )
    def do_work(context: OpExecutionContext) -> None:
        context.instance.add_run_tags(context.run_id, process_tags(context.run_id))
        given: dict[str, Any] = dict(context.op_config)
        name, job_id = given.pop("pipeline"), given.pop("job_id")
        try:
            pipeline = _find(pipelines, name, work.name)
            run = GateWorkRun(settings, extensions, pipeline, job_id, pipeline.work[work.name])
            ctx = run.execute(run_identity(context.run), given, context.log)
        except Exception as error:  # noqa: BLE001 - whatever it is, Dagster must not show the secrets it quotes
            message = f"{type(error).__name__}: {text_of(error)}"
            raise Failure(message, allow_retries=is_retryable(error)) from showable(error)
        context.add_output_metadata(described_metadata(ctx))

    @job(
        name=work.name,
        description=f"{work.description} For ledger jobs that wait for `{work.sets}`.",
        executor_def=executor,
    )
    def gate_work() -> None:
        do_work()

    return gate_work


def gate_work_sensor(work: WorkAtGate, settings: Settings) -> SensorDefinition:
    """Return the sensor that starts the work when a job has come to wait for it."""

    @sensor(
        name=work.name,
        job_name=work.name,
        description=f"Starts {work.name} for jobs that wait for `{work.sets}`.",
        default_status=DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=TICK_SECONDS,
    )
    def start_work(_context: SensorEvaluationContext) -> SensorResult | SkipReason:
        if not JobLedger.exists(settings):
            return SkipReason("There is no ledger yet.")
        with JobLedger.of(settings) as ledger:
            due = ledger.phases.take_due(work.name, work.name, limit=STARTS_PER_TICK)
        if not due:
            return SkipReason(f"No job waits for {work.name}.")
        return SensorResult(run_requests=[_run_request(work, phase) for phase in due])

    return start_work


def _find(pipelines: Mapping[str, PipelinePlan], name: str, work: str) -> PipelinePlan:
    if name not in pipelines:
        known = did_you_mean(name, pipelines)
        raise ConfigError(f"no job of pipeline {name!r} waits at a gate for {work!r}; {known}")
    return pipelines[name]


def _run_request(work: WorkAtGate, phase: JobPhase) -> RunRequest:
    return RunRequest(
        run_key=f"{phase.pipeline}:{phase.job_id}:{phase.attempt}",
        run_config=work_config(phase, work.op_name),
        tags=work_tags(phase),
    )


@dataclass(frozen=True, slots=True)
class GateWorkRun:
    """Does the work on one job.

    Attributes:
        settings: Where the ledger and all data are.
        extensions: The extensions that are let in.
        pipeline: The job's pipeline.
        job_id: The job's id.
        work: The work.
    """

    settings: Settings
    extensions: Extensions
    pipeline: PipelinePlan
    job_id: str
    work: PlannedWork

    def execute(self, run: RunIdentity, options: Mapping[str, Any], log: logging.Logger) -> StageContext:
        """Do the work, and set the fields it returns.

        Returns:
            The context of the work, with what it counted and described.

        Raises:
            SupersededRunError: Another run does it, or there is a later attempt.
            StageContractError: The work did not return the field that it declares, or called `sys.exit`.
            StateError: A field holds a secret.
            Exception: Whatever the work raises.
        """
        key, name = JobKey(self.pipeline.name, self.job_id), self.work.declared.name
        with JobLedger.of(self.settings) as ledger:
            tell_run_id(run.run_id)
            ledger.phases.begin(key, name, run)
            stage = self.pipeline.find_stage(self.work.stage)
            origin = stage.counted_origin
            ledger.stage_runs.begin(key, name, run, is_work=True, stage_type=name, origin=origin)
            selection = RunSelection(frozenset({name}), {})
            progress = RunProgress(name, log)
            record = LedgerJobRecord(ledger, self.pipeline, self.job_id, run)
            ctx = StageContext(
                pipeline=self.pipeline.name,
                stage=name,
                job_id=self.job_id,
                home=self.settings.home,
                log=log,
                report_progress=progress,
                calls=external_calls(stage.policy, record.reserve_call, log),
                job=record,
                extensions=self.extensions,
            )
            model = self.work.declared.options_model
            try:
                try:
                    waiting = WaitingJob(
                        stage.definition,
                        self.pipeline.topology.stages,
                        model.model_validate(options) if model else None,
                        run.attempt or 1,
                    )
                    fields = self._fields(ctx, waiting)
                finally:
                    progress.close()
                    withhold_secrets(ctx)
                # One change: work that is said to be done must not leave its job at the gate.
                ledger.stage_runs.finish(
                    key,
                    name,
                    run,
                    selection,
                    output_count=ctx.succeeded,
                    succeeded=ctx.succeeded,
                    quarantined=ctx.quarantined,
                    fields=fields,
                )
            except Exception as error:
                # Whatever stopped it, the ledger must say so before Dagster does.
                message = f"{type(error).__name__}: {text_of(error)}"
                ledger.stage_runs.stop(key, name, run, selection, status=StageStatus.FAILED, error=message)
                raise
        return ctx

    def _fields(self, ctx: StageContext, job: WaitingJob) -> Mapping[str, Any]:
        declared = self.work.declared
        try:
            fields = declared.execute(ctx, job)
        except SystemExit as error:
            # It would end the run, or the code server, and take everything else in the process along.
            raise StageContractError(
                f"work at gates {declared.name!r} called sys.exit({error.code!r}); raise an error instead"
            ) from error
        if not isinstance(fields, Mapping) or declared.sets not in fields:
            raise StageContractError(
                f"work at gates {declared.name!r} must return the fields of the job to set, "
                f"{declared.sets!r} among them; it returned {type(fields).__name__}"
            )
        refuse_secrets(fields)
        return fields
