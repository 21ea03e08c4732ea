"""The sensor that notices runs which ended without telling the ledger."""

import time
from collections.abc import Mapping, Sequence
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
from medkg_dagster.ledger import GateRule, JobKey, JobLedger, RunStatus
from medkg_dagster.ledger.models import LOST
from medkg_dagster.runtime.resources import run_identity
from medkg_dagster.runtime.run_processes import is_gone, process_of
from medkg_dagster.runtime.tags import ATTEMPT_TAG, JOB_TAG, PARTITION_TAG, PIPELINE_TAG
from medkg_dagster.runtime.ticks import TICK_SECONDS
from medkg_dagster.settings import Settings
from medkg_dagster.topology.names import ENDED_RUNS_SENSOR

RUNS_PER_TICK = 100
NAMING_SECONDS = 60.0
"""After this time a run has named its process, or ended before it could."""
_AT_WORK = (DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING)
_ENDED_BADLY = {DagsterRunStatus.FAILURE: RunStatus.FAILED, DagsterRunStatus.CANCELED: RunStatus.CANCELLED}


def ended_run_sensor(
    settings: Settings, own_jobs: AbstractSet[str], phases: Mapping[str, GateRule | None]
) -> SensorDefinition:
    """Return the sensor that tells the ledger of runs which failed, were cancelled, or were lost.

    A run is lost when its process is gone, as after a crash of the machine. Dagster's default launcher does
    not see that once its code server is gone too, and the run would hold its place in the queue for ever.
    The phase of a lost run is started once more, but not again when that run is lost too: what it works on
    may be what ends it.

    Args:
        settings: Where the ledger is.
        own_jobs: Dagster jobs whose runs name the process that carries them out.
        phases: The Dagster jobs that sensors start, each with the gate in front of it.
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
                    again = run.job_name in phases and _begin_again(ledger, run, phases[run.job_name])
                    if again:
                        context.log.warning("run %s: lost, and started once more", run.run_id)
                    else:
                        record_end(ledger, run, _ENDED_BADLY[run.status], in_silence=True)
                except (MedkgError, ValueError) as error:
                    # What the rows of one job hold must not keep the ledger from hearing of the others.
                    context.log.error("run %s: %s", record.dagster_run.run_id, error)
        latest = records[-1].update_timestamp.timestamp()
        return SensorResult(
            skip_reason=f"Told the ledger of {counted(len(records), 'run')}.", cursor=str(latest)
        )

    return ended_runs


def _begin_again(ledger: JobLedger, run: DagsterRun, rule: GateRule | None) -> bool:
    """Have the phase of a run that was lost start once more; return whether it does."""
    if run.status is not DagsterRunStatus.FAILURE or ATTEMPT_TAG not in run.tags:
        return False
    key, said = _key_of(run), f"run {run.run_id} of {run.job_name} {LOST}"
    if not ledger.jobs.list(key.pipeline, job_id=key.job_id):
        return False
    identity = run_identity(run)
    return ledger.phases.begin_lost_run_again(key, identity, rule, actor=ENDED_RUNS_SENSOR, error=said)


def _ended_in_silence(ledger: JobLedger, run: DagsterRun) -> bool:
    """Say whether a run began, and ended without telling the ledger how, as its process does if it can."""
    return any(
        known.run_id == run.run_id and known.status is RunStatus.STARTED
        for known in ledger.runs.of_job(_key_of(run))
    )


def _key_of(run: DagsterRun) -> JobKey:
    return JobKey(run.tags.get(PIPELINE_TAG, ""), run.tags.get(PARTITION_TAG, run.tags.get(JOB_TAG, "")))


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


def record_end(ledger: JobLedger, run: DagsterRun, status: RunStatus, *, in_silence: bool = False) -> None:
    """Record how a run ended; nothing changes where it works on no ledger job, or has said so itself.

    Args:
        ledger: The open ledger.
        run: The run.
        status: How it ended.
        in_silence: Whether its own process is to have told so, if it could.
    """
    key = _key_of(run)
    if not key.pipeline or not key.job_id or not ledger.jobs.list(key.pipeline, job_id=key.job_id):
        return
    became = "was cancelled" if status is RunStatus.CANCELLED else "failed"
    if in_silence and status is RunStatus.FAILED and _ended_in_silence(ledger, run):
        became = LOST
    said = f"run {run.run_id} of {run.job_name} {became}"
    ledger.runs.end(key, run_identity(run), status, f"{said}; `medkg ledger retry {key}` starts it again")
