"""The job that does declared work while ledger jobs wait at a gate, and the sensor that starts it."""

from collections.abc import Mapping
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

from medkg_dagster.errors import ConfigError, did_you_mean
from medkg_dagster.ledger import JobLedger, JobPhase
from medkg_dagster.resolution.plan import PipelinePlan, Plan
from medkg_dagster.runtime.materialization import described_metadata
from medkg_dagster.runtime.policies import is_retryable
from medkg_dagster.runtime.resources import run_identity
from medkg_dagster.runtime.run_processes import process_tags
from medkg_dagster.runtime.tags import ATTEMPT_TAG, JOB_TAG, PIPELINE_TAG
from medkg_dagster.runtime.ticks import STARTS_PER_TICK, TICK_SECONDS
from medkg_dagster.settings import Settings
from medkg_dagster.stage_api import Extensions, WorkAtGate
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
    """Return the job that does declared work for one ledger job.

    Args:
        work: The work.
        plan: The plan.
        settings: Where the ledger is.
        extensions: The extensions that are let in.
        executor: Executes the job's one step.
        options: The config schema of the work's options.
    """
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
        from medkg_dagster.conversion.gate_work_run import GateWorkRun

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
    """Return the sensor that starts the work when a job has come to wait for it.

    Args:
        work: The work.
        settings: Where the ledger is.
    """

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
    config = {"pipeline": phase.pipeline, "job_id": phase.job_id}
    return RunRequest(
        run_key=f"{phase.pipeline}:{phase.job_id}:{phase.attempt}",
        run_config={"ops": {work.op_name: {"config": config}}},
        tags={
            PIPELINE_TAG: phase.pipeline,
            JOB_TAG: phase.job_id,
            ATTEMPT_TAG: str(phase.attempt),
        },
    )
