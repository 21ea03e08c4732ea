"""The sensor that notices runs which ended without telling the ledger."""

import time
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime

from dagster import (
    DagsterInstance,
    DagsterRun,
    DagsterRunStatus,
    DefaultSensorStatus,
    RunRecord,
    RunsFilter,
    SensorDefinition,
    SensorEvaluationContext,
    SensorResult,
    SkipReason,
    sensor,
)

from medkg_dagster.errors import MedkgError, counted
from medkg_dagster.ledger import JobKey, JobLedger, RunStatus
from medkg_dagster.runtime.resources import run_identity
from medkg_dagster.runtime.run_processes import is_gone, process_of
from medkg_dagster.runtime.tags import JOB_TAG, PARTITION_TAG, PIPELINE_TAG
from medkg_dagster.runtime.ticks import TICK_SECONDS
from medkg_dagster.settings import Settings
from medkg_dagster.topology.names import ENDED_RUNS_SENSOR

RUNS_PER_TICK = 100
NAMING_SECONDS = 60.0
"""After this time a run has named its process, or ended before it could."""
_AT_WORK = (DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING)
_ENDED_BADLY = {DagsterRunStatus.FAILURE: RunStatus.FAILED, DagsterRunStatus.CANCELED: RunStatus.CANCELLED}


def ended_run_sensor(settings: Settings, own_jobs: AbstractSet[str]) -> SensorDefinition:
    """Return the sensor that tells the ledger of runs which failed, were cancelled, or were lost.

    A run is lost when its process is gone, as after a crash of the machine. Dagster's default launcher does
    not see that once its code server is gone too, and the run would hold its place in the queue for ever.

    Args:
        settings: Where the ledger is.
        own_jobs: Dagster jobs whose runs name the process that carries them out.
    """

    @sensor(
        name=ENDED_RUNS_SENSOR,
        description="Tells the ledger of runs that ended before they could do so themselves.",
        default_status=DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=TICK_SECONDS,
    )
    def ended_runs(context: SensorEvaluationContext) -> SensorResult | SkipReason:
        for run in lost_runs(context.instance, own_jobs):
            context.log.warning("run %s of %s: its process is gone", run.run_id, run.job_name)
            context.instance.report_run_failed(run, "The process that carried out this run is gone.")
        # No later than now, or a clock that was ahead would hide for as long which runs end.
        seen = datetime.fromtimestamp(min(float(context.cursor or 0), time.time()), UTC)
        records = context.instance.get_run_records(
            filters=RunsFilter(statuses=list(_ENDED_BADLY), updated_after=seen),
            limit=RUNS_PER_TICK,
            order_by="update_timestamp",
            ascending=True,
        )
        if not records:
            return SkipReason("No run ended badly.")
        _free_pools(context.instance, records)
        if not JobLedger.exists(settings):
            return SkipReason("There is no ledger yet.")
        with JobLedger.of(settings) as ledger:
            for record in records:
                try:
                    run = record.dagster_run
                    record_end(ledger, run, _ENDED_BADLY[run.status])
                except (MedkgError, ValueError) as error:
                    # What the rows of one job hold must not keep the ledger from hearing of the others.
                    context.log.error("run %s: %s", record.dagster_run.run_id, error)
        latest = records[-1].update_timestamp.timestamp()
        return SensorResult(
            skip_reason=f"Told the ledger of {counted(len(records), 'run')}.", cursor=str(latest)
        )

    return ended_runs


def _free_pools(instance: DagsterInstance, records: Sequence[RunRecord]) -> None:
    """Give back the places in pools that steps of ended runs hold: who ended without its end does not."""
    storage = instance.event_log_storage
    if storage.supports_global_concurrency_limits:
        for record in records:
            storage.free_concurrency_slots_for_run(record.dagster_run.run_id)


def lost_runs(instance: DagsterInstance, own_jobs: AbstractSet[str]) -> Sequence[DagsterRun]:
    """Return runs that are said to be at work and whose process is gone.

    Args:
        instance: The Dagster instance.
        own_jobs: Dagster jobs whose runs name the process that carries them out.
    """
    records = instance.get_run_records(filters=RunsFilter(statuses=list(_AT_WORK)), limit=RUNS_PER_TICK)
    return [
        record.dagster_run
        for record in records
        if is_gone(process_of(record.dagster_run.run_id, record.dagster_run.tags))
        or (record.dagster_run.job_name in own_jobs and _names_no_process(record))
    ]


def _names_no_process(record: RunRecord) -> bool:
    """Say whether a run of a ledger job began a while ago and has not named its process yet.

    The instance holds the runs of other code locations too; theirs lack the tag that all our jobs carry.
    """
    run = record.dagster_run
    began = record.start_time or record.create_timestamp.timestamp()
    return (
        PIPELINE_TAG in run.tags
        and not process_of(run.run_id, run.tags)
        and time.time() - began > NAMING_SECONDS
    )


def record_end(ledger: JobLedger, run: DagsterRun, status: RunStatus) -> None:
    """Record how a run ended; nothing changes where it works on no ledger job, or has said so itself.

    Args:
        ledger: The open ledger.
        run: The run.
        status: How it ended.
    """
    pipeline, job_id = run.tags.get(PIPELINE_TAG), run.tags.get(PARTITION_TAG, run.tags.get(JOB_TAG))
    if not pipeline or not job_id or not ledger.jobs.list(pipeline, job_id=job_id):
        return
    key = JobKey(pipeline, job_id)
    said = (
        f"run {run.run_id} of {run.job_name} {'was cancelled' if status is RunStatus.CANCELLED else 'failed'}"
    )
    ledger.runs.end(key, run_identity(run), status, f"{said}; `medkg ledger retry {key}` starts it again")
