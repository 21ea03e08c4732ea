"""Triggers as Dagster schedules: they ask for jobs in the ledger, and start those at once."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from dagster import (
    DefaultScheduleStatus,
    RunRequest,
    ScheduleDefinition,
    ScheduleEvaluationContext,
    SkipReason,
)

from medkg_dagster.compiler.job_sensors import run_request
from medkg_dagster.errors import LedgerError
from medkg_dagster.ledger import Fired, JobKey, JobLedger, PhaseStatus, TriggerOutcome
from medkg_dagster.resolution.plan import PipelinePlan, PlannedTrigger
from medkg_dagster.runtime.ticks import STARTS_PER_TICK
from medkg_dagster.runtime.trigger_looks import Look, look_at_schedule
from medkg_dagster.settings import Settings
from medkg_dagster.topology.names import trigger_name

_SHOWN = 10
_ASKED = {TriggerOutcome.SUBMITTED, TriggerOutcome.STARTED_AGAIN}
_STATUS = {"running": DefaultScheduleStatus.RUNNING, "stopped": DefaultScheduleStatus.STOPPED}


def trigger_schedule(
    pipeline: PipelinePlan, trigger: PlannedTrigger, settings: Settings
) -> ScheduleDefinition:
    """Return the schedule of a trigger.

    Dagster says when to look; what is due, the ledger says.

    Args:
        pipeline: The trigger's pipeline.
        trigger: The trigger.
        settings: Where the ledger is.
    """
    schedule = trigger.definition.schedule

    def look(context: ScheduleEvaluationContext) -> Iterator[RunRequest | SkipReason]:
        # The machine of the daemon, which says that it is time, may have another clock.
        now = max(datetime.now(UTC), context.scheduled_execution_time)
        with JobLedger.of(settings) as ledger:
            found = look_at_schedule(ledger, pipeline, trigger, now)
            requests = _started(ledger, pipeline, trigger, found.fired)
        if refused := _refused(found):
            if not requests:
                raise LedgerError("; ".join(refused))
            context.log.error("%s", "; ".join(refused))
        yield from requests
        if not requests:
            yield SkipReason(_told(found))

    return ScheduleDefinition(
        name=trigger_name(pipeline.name, trigger.name),
        job_name=pipeline.phases[0].job_name,
        cron_schedule=schedule.times.text,
        execution_timezone=schedule.timezone,
        description=trigger.definition.description or f"Asks for jobs of {pipeline.name}: {schedule.cron}.",
        default_status=_STATUS[trigger.definition.default_status],
        execution_fn=look,
    )


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


def _refused(found: Look) -> list[str]:
    return [item.reason for item in found.fired if item.outcome is TriggerOutcome.REFUSED]


def _told(found: Look) -> str:
    """Return what a look came to that starts nothing here."""
    told = [f"{item.job_id}: {item.outcome}, {item.reason}" for item in found.fired[:_SHOWN]]
    return "; ".join([*told, *filter(None, [found.note])]) or "Nothing was asked for."
