"""The job that converts downloaded PDFs while their ledger job waits, and the sensor that starts it."""

from dataclasses import asdict
from typing import Any

from dagster import (
    Backoff,
    DefaultSensorStatus,
    ExecutorDefinition,
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

from medkg_dagster.domain.file_records import PDF_CONVERSION
from medkg_dagster.ledger import JobLedger, JobPhase
from medkg_dagster.resolution.plan import Plan
from medkg_dagster.runtime.materialization import rows_table
from medkg_dagster.runtime.resources import run_identity
from medkg_dagster.runtime.run_processes import this_process
from medkg_dagster.runtime.state_storage import STATE_RESOURCE
from medkg_dagster.runtime.tags import ATTEMPT_TAG, JOB_TAG, PIPELINE_TAG, PROCESS_TAG
from medkg_dagster.runtime.ticks import STARTS_PER_TICK, TICK_SECONDS
from medkg_dagster.settings import Settings

CONVERT = "convert_pdfs"
PARSE_TYPE = "parse"


def conversion_job(plan: Plan, settings: Settings, executor: ExecutorDefinition) -> JobDefinition:
    """Return the job that converts the PDFs of one ledger job.

    Args:
        plan: The plan; a PDF is converted as the `parse` stage of its pipeline is configured.
        settings: Where the ledger is.
        executor: Executes the job's one step.
    """
    parse_configs = {
        pipeline.name: stage.definition.config
        for pipeline in plan.pipelines
        for stage in pipeline.stages
        if stage.metadata.stage_type == PARSE_TYPE
    }

    @op(
        name=CONVERT,
        description="Converts downloaded PDFs to the IR, each in a process with limits of time and memory.",
        config_schema={
            "pipeline": Field(str, description="The pipeline of the ledger job."),
            "job_id": Field(str, description="The ledger job."),
            "timeout_seconds": Field(float, default_value=120.0, description="The longest time for one PDF."),
            "memory_bytes": Field(int, default_value=2 * 1024**3, description="The most memory for one PDF."),
            "workers": Field(int, default_value=2, description="PDFs converted at the same time."),
        },
        # Nothing is stored, but Dagster opens what could store it.
        out=Out(Nothing, io_manager_key=STATE_RESOURCE),
        retry_policy=RetryPolicy(max_retries=2, delay=5, backoff=Backoff.EXPONENTIAL),
    )
    def convert_pdfs(context: OpExecutionContext) -> None:
        from medkg_dagster.conversion.gate_work_run import ConversionRun
        from medkg_dagster.conversion.pdf_files import ConversionLimits

        context.instance.add_run_tags(context.run_id, {PROCESS_TAG: this_process()})
        config: dict[str, Any] = context.op_config
        limits = ConversionLimits(
            timeout_seconds=config["timeout_seconds"],
            memory_bytes=config["memory_bytes"],
            workers=config["workers"],
        )
        pipeline = config["pipeline"]
        parse_config = parse_configs.get(pipeline, {})
        conversion = ConversionRun(settings, pipeline, config["job_id"], limits, parse_config)
        report = conversion.execute(run_identity(context.run), context.log)
        context.add_output_metadata(
            {
                "converted": report.converted,
                "reused": report.reused,
                "failed": rows_table([asdict(item) for item in report.failed]),
                "seconds": report.seconds,
            }
        )

    @job(
        name=PDF_CONVERSION,
        description="Converts the PDFs of a ledger job that waits for `pdf_ir_ready`.",
        executor_def=executor,
    )
    def pdf_conversion() -> None:
        convert_pdfs()

    return pdf_conversion


def conversion_sensor(settings: Settings) -> SensorDefinition:
    """Return the sensor that starts a conversion when a job has come to wait for one.

    Args:
        settings: Where the ledger is.
    """

    @sensor(
        name=PDF_CONVERSION,
        job_name=PDF_CONVERSION,
        description="Converts the PDFs of jobs that wait for `pdf_ir_ready`.",
        default_status=DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=TICK_SECONDS,
    )
    def start_conversions(_context: SensorEvaluationContext) -> SensorResult | SkipReason:
        if not JobLedger.exists(settings):
            return SkipReason("There is no ledger yet.")
        with JobLedger.of(settings) as ledger:
            due = ledger.phases.take_due(PDF_CONVERSION, PDF_CONVERSION, limit=STARTS_PER_TICK)
        if not due:
            return SkipReason("No job waits for a conversion.")
        return SensorResult(run_requests=[_run_request(phase) for phase in due])

    return start_conversions


def _run_request(phase: JobPhase) -> RunRequest:
    config = {"pipeline": phase.pipeline, "job_id": phase.job_id}
    return RunRequest(
        run_key=f"{phase.pipeline}:{phase.job_id}:{phase.attempt}",
        run_config={"ops": {CONVERT: {"config": config}}},
        tags={
            PIPELINE_TAG: phase.pipeline,
            JOB_TAG: phase.job_id,
            ATTEMPT_TAG: str(phase.attempt),
        },
    )
