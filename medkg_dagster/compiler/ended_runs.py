"""Sensors that notice runs which ended without telling the ledger."""

import time
import warnings
from pathlib import Path

from dagster import (
    DagsterRunStatus,
    DefaultSensorStatus,
    RunRecord,
    RunsFilter,
    RunStatusSensorContext,
    SensorDefinition,
    SensorEvaluationContext,
    SkipReason,
    run_status_sensor,
    sensor,
)

from medkg_dagster.compiler.job_sensors import TICK_SECONDS, has_ledger
from medkg_dagster.ledger import JobLedger
from medkg_dagster.runtime.resources import run_identity
from medkg_dagster.runtime.run_processes import is_gone
from medkg_dagster.runtime.tags import JOB_TAG, PARTITION_TAG, PIPELINE_TAG, PROCESS_TAG

RUNS_PER_TICK = 100
MUTE_SECONDS = 60.0


def ended_run_sensors(home: Path) -> tuple[SensorDefinition, SensorDefinition]:
    """Return the sensors that tell the ledger of runs which failed or were cancelled from outside.

    Args:
        home: The folder for all data.
    """

    def tell_ledger(context: RunStatusSensorContext) -> None:
        run = context.dagster_run
        pipeline, job_id = run.tags.get(PIPELINE_TAG), run.tags.get(PARTITION_TAG, run.tags.get(JOB_TAG))
        if not pipeline or not job_id or not has_ledger(home):
            return
        with JobLedger.open(home) as ledger:
            if not ledger.jobs(pipeline, job_id=job_id):
                return
            is_cancelled = run.status is DagsterRunStatus.CANCELED
            ended = "was cancelled" if is_cancelled else "failed"
            error = f"run {run.run_id} of {run.job_name} {ended}"
            job = ledger.phases.run_ended(
                pipeline,
                job_id,
                run.job_name,
                run_identity(run),
                is_cancelled=is_cancelled,
                error=f"{error}; `medkg ledger retry {pipeline}/{job_id}` starts it again",
            )
        context.log.info("%s/%s: %s", pipeline, job_id, job.status)

    def build(name: str, status: DagsterRunStatus) -> SensorDefinition:
        with warnings.catch_warnings():
            # Dagster's own decorator passes on a parameter that Dagster calls beta.
            warnings.filterwarnings("ignore", message=".*`owners`", category=Warning)
            return run_status_sensor(
                run_status=status,
                name=name,
                description="Tells the ledger of runs that ended before they could do so themselves.",
                default_status=DefaultSensorStatus.RUNNING,
                minimum_interval_seconds=TICK_SECONDS,
            )(tell_ledger)

    return build("failed_runs", DagsterRunStatus.FAILURE), build("cancelled_runs", DagsterRunStatus.CANCELED)


def lost_run_sensor(*, one_process: bool) -> SensorDefinition:
    """Return the sensor that marks runs as failed whose process is gone, as after a crash of the machine.

    Dagster's default launcher does not see such losses once its code server is gone too, and the run would
    hold its place in the queue for ever.

    Args:
        one_process: Whether all steps of a run share its process, so that every run of a ledger job names it.
    """

    @sensor(
        name="lost_runs",
        description="Marks runs as failed whose process is gone.",
        default_status=DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=TICK_SECONDS,
    )
    def lost_runs(context: SensorEvaluationContext) -> SkipReason:
        begun = RunsFilter(statuses=[DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING])
        lost = [
            record.dagster_run
            for record in context.instance.get_run_records(filters=begun, limit=RUNS_PER_TICK)
            if is_gone(record.dagster_run.tags.get(PROCESS_TAG, "")) or (one_process and _is_mute(record))
        ]
        for run in lost:
            context.log.warning("run %s of %s: its process is gone", run.run_id, run.job_name)
            context.instance.report_run_failed(run, "The process that carried out this run is gone.")
        return SkipReason(f"{len(lost)} runs were lost.")

    return lost_runs


def _is_mute(record: RunRecord) -> bool:
    """Say whether a run of a ledger job began a while ago and has not named its process yet."""
    tags = record.dagster_run.tags
    has_ledger_job = PARTITION_TAG in tags or JOB_TAG in tags
    began = record.start_time or record.create_timestamp.timestamp()
    return has_ledger_job and PROCESS_TAG not in tags and time.time() - began > MUTE_SECONDS
