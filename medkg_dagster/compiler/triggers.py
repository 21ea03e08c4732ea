"""Triggers as Dagster schedules and sensors: they ask for jobs in the ledger, and start those at once."""

import logging
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Protocol

from dagster import (
    DefaultScheduleStatus,
    DefaultSensorStatus,
    DynamicPartitionsDefinition,
    RunRequest,
    ScheduleDefinition,
    ScheduleEvaluationContext,
    SensorDefinition,
    SensorEvaluationContext,
    SensorResult,
    SkipReason,
    sensor,
)

from medkg_dagster.compiler.job_sensors import run_request
from medkg_dagster.domain.placeholders import utc_text
from medkg_dagster.errors import LedgerError
from medkg_dagster.ledger import Fired, JobKey, JobLedger, PhaseStatus, TriggerOutcome
from medkg_dagster.resolution.plan import PipelinePlan, PlannedTrigger
from medkg_dagster.runtime.due_times import ON_TIME
from medkg_dagster.runtime.file_looks import look_at_files
from medkg_dagster.runtime.tags import PARTITION_TAG
from medkg_dagster.runtime.ticks import STARTS_PER_TICK, TICK_SECONDS
from medkg_dagster.runtime.trigger_looks import Look, look_at_schedule
from medkg_dagster.runtime.upstream_looks import look_at_fields, look_at_stage
from medkg_dagster.settings import Settings
from medkg_dagster.topology.names import partition_set_name, trigger_name
from medkg_dagster.topology.triggers import ScheduleTrigger

AWAY_SECONDS = 20.0
"""How long a tick, which may take a minute, waits for a ledger that is away."""
LOOK_AGAIN_SECONDS = 2.0
_SHOWN = 10
_ASKED = {TriggerOutcome.SUBMITTED, TriggerOutcome.STARTED_AGAIN}


def trigger_definitions(
    pipeline: PipelinePlan, settings: Settings
) -> tuple[list[ScheduleDefinition], list[SensorDefinition]]:
    """Return the schedules and the sensors of a pipeline's triggers.

    Args:
        pipeline: The pipeline.
        settings: Where the ledger is.
    """
    schedules, sensors = [], []
    for trigger in pipeline.triggers:
        written = trigger.definition
        if written.schedule is not None:
            schedules.append(_schedule(pipeline, trigger, written.schedule, settings))
        elif written.files is not None:
            look = partial(look_at_files, pipeline=pipeline, trigger=trigger, watched=written.files)
            sensors.append(_sensor(pipeline, trigger, settings, look, written.files.poll_seconds))
        elif written.ledger is not None:
            look = partial(look_at_fields, pipeline=pipeline, trigger=trigger, watched=written.ledger)
            sensors.append(_sensor(pipeline, trigger, settings, look))
        elif written.asset is not None:
            look = partial(look_at_stage, pipeline=pipeline, trigger=trigger, watched=written.asset)
            sensors.append(_sensor(pipeline, trigger, settings, look))
    return schedules, sensors


def _schedule(
    pipeline: PipelinePlan, trigger: PlannedTrigger, schedule: ScheduleTrigger, settings: Settings
) -> ScheduleDefinition:
    """Return the schedule of a trigger: Dagster says when to look; what is due, the ledger says."""

    def look(context: ScheduleEvaluationContext) -> Iterator[RunRequest | SkipReason]:
        # The machine of the daemon, which says that it is time, may have another clock; but who tries a time
        # to come in the UI asks for nothing.
        clock, scheduled = datetime.now(UTC), context.scheduled_execution_time
        if scheduled - clock > ON_TIME:
            yield SkipReason(f"{utc_text(scheduled)} has not come yet.")
            return
        now = max(clock, scheduled)
        found, requests = _ask_patiently(settings, pipeline, trigger, schedule, now)
        _tell(context.log, found, has_started=bool(requests))
        yield from requests
        if not requests:
            yield SkipReason(_told(found))

    is_on = trigger.definition.default_status == "running"
    return ScheduleDefinition(
        name=trigger_name(pipeline.name, trigger.name),
        job_name=pipeline.phases[0].job_name,
        cron_schedule=schedule.times.text,
        execution_timezone=schedule.timezone,
        description=_description(pipeline, trigger),
        default_status=DefaultScheduleStatus.RUNNING if is_on else DefaultScheduleStatus.STOPPED,
        execution_fn=look,
    )


def _ask_patiently(
    settings: Settings,
    pipeline: PipelinePlan,
    trigger: PlannedTrigger,
    schedule: ScheduleTrigger,
    now: datetime,
) -> tuple[Look, list[RunRequest]]:
    """Ask for what is due, though the ledger is away for a moment: Dagster looks again at the next time only.

    Raises:
        LedgerError: It stays away.
    """
    until = time.monotonic() + AWAY_SECONDS
    while True:
        try:
            with JobLedger.of(settings) as ledger:
                found = look_at_schedule(ledger, pipeline, trigger, schedule, now)
                return found, _started(ledger, pipeline, trigger, found.fired)
        except LedgerError:
            if time.monotonic() >= until:
                raise
            time.sleep(LOOK_AGAIN_SECONDS)


class _LedgerLook(Protocol):
    """A look at what is in the ledger."""

    def __call__(self, ledger: JobLedger, *, now: datetime) -> Look:
        """Look."""


def _sensor(
    pipeline: PipelinePlan,
    trigger: PlannedTrigger,
    settings: Settings,
    look: _LedgerLook,
    poll_seconds: int = TICK_SECONDS,
) -> SensorDefinition:
    """Return the sensor of a trigger; up to where it has come, the ledger says."""
    is_on = trigger.definition.default_status == "running"

    @sensor(
        name=trigger_name(pipeline.name, trigger.name),
        job_name=pipeline.phases[0].job_name,
        description=_description(pipeline, trigger),
        default_status=DefaultSensorStatus.RUNNING if is_on else DefaultSensorStatus.STOPPED,
        minimum_interval_seconds=poll_seconds,
    )
    def look_for_changes(context: SensorEvaluationContext) -> SensorResult | SkipReason:
        # Also where there is no ledger yet: what is done first after a deployment is to be seen.
        with JobLedger.of(settings) as ledger:
            found = look(ledger, now=datetime.now(UTC))
            requests = _started(ledger, pipeline, trigger, found.fired)
        _tell(context.log, found, has_started=bool(requests))
        if not requests:
            return SkipReason(_told(found))
        keys = [request.tags[PARTITION_TAG] for request in requests]
        partitions = DynamicPartitionsDefinition(name=partition_set_name(pipeline.name))
        return SensorResult(
            run_requests=requests, dynamic_partitions_requests=[partitions.build_add_request(keys)]
        )

    return look_for_changes


def _description(pipeline: PipelinePlan, trigger: PlannedTrigger) -> str:
    asks = f"Asks for jobs of {pipeline.name}: {trigger.looks_at}."
    return trigger.definition.description or asks


def _started(
    ledger: JobLedger, pipeline: PipelinePlan, trigger: PlannedTrigger, fired: Sequence[Fired]
) -> list[RunRequest]:
    """Take it upon the trigger to start the first of its jobs; the sensor of submissions starts the others.

    It starts these, too, where the trigger is killed before Dagster hears of them.
    """
    starter = trigger_name(pipeline.name, trigger.name)
    requests = []
    for item in [item for item in fired if item.outcome in _ASKED][:STARTS_PER_TICK]:
        phase = ledger.phases.claim(JobKey(pipeline.name, item.job_id), pipeline.phases[0].job_name, starter)
        if phase is not None and phase.status is PhaseStatus.DUE and phase.starter == starter:
            requests.append(run_request(phase, trigger.name))
    return requests


def _tell(log: logging.Logger, found: Look, *, has_started: bool) -> None:
    """Log what went wrong; fail the tick where that is all that happened.

    Raises:
        LedgerError: Jobs were asked for by ids that others have, and nothing is to be started.
    """
    refused = [item.reason for item in found.fired if item.outcome is TriggerOutcome.REFUSED]
    for problem in (*refused, *found.problems):
        log.error("%s", problem)
    if refused and not has_started:
        raise LedgerError("; ".join(refused))


def _told(found: Look) -> str:
    """Return what a look came to that starts nothing here."""
    told = [f"{item.job_id}: {item.outcome}, {item.reason}" for item in found.fired[:_SHOWN]]
    return "; ".join([*told, *filter(None, [found.note])]) or "Nothing was asked for."
