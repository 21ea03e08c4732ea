"""Sensors that start the phases of ledger jobs, and show which jobs wait."""

import logging
import time
from collections.abc import Sequence

from dagster import (
    AssetCheckEvaluation,
    AssetCheckResult,
    AssetChecksDefinition,
    AssetCheckSeverity,
    DefaultSensorStatus,
    DynamicPartitionsDefinition,
    MetadataValue,
    RunRequest,
    SensorDefinition,
    SensorEvaluationContext,
    SensorResult,
    SkipReason,
    asset_check,
    sensor,
)

from medkg_dagster.compiler.translator import PipelineAssets
from medkg_dagster.domain.gate_conditions import describe_condition
from medkg_dagster.domain.job_ids import check_job_id
from medkg_dagster.errors import ConfigError, counted
from medkg_dagster.ledger import JobLedger, JobPhase, Review, RunIdentity, RunStatus
from medkg_dagster.resolution.plan import PipelinePlan, PlannedGate
from medkg_dagster.runtime.ledger_job_record import gate_rule
from medkg_dagster.runtime.materialization import TABLE_ROWS, rows_table
from medkg_dagster.runtime.tags import TRIGGER_TAG, phase_tags
from medkg_dagster.runtime.ticks import STARTS_PER_TICK, TICK_SECONDS
from medkg_dagster.settings import Settings
from medkg_dagster.stage_api._stage_types.outcome_checks import WAITING_CHECK
from medkg_dagster.topology.names import (
    DECISIONS,
    gate_sensor_name,
    partition_set_name,
    submission_sensor_name,
)

# The daemon ticks every five seconds. A sensor whose jobs wait looks again for part of that time, when the
# ledger changes or a gate's interval may have passed, and all gates together for no longer than this, so that
# the daemon's threads stay free for others.
HOLD_SECONDS = 4.3
HOLD_SECONDS_OF_ALL = 8.6
LOOK_AGAIN_SECONDS = 0.5
NOBODY_WAITS = "0"
_START = "start"
_NO_LEDGER = SkipReason("There is no ledger yet.")


def run_request(phase: JobPhase, trigger: str | None = None) -> RunRequest:
    """Return the request for a run of a phase; equal for equal attempts, so that it is carried out once.

    Args:
        phase: The phase.
        trigger: The trigger that asked for it; None for somebody else.
    """
    return RunRequest(
        # Dagster carries out a key once, for ever: without the attempt no retry would ever start.
        run_key=f"{phase.job_id}:{phase.gate or _START}:{phase.attempt}",
        job_name=phase.phase,
        tags=phase_tags(phase) | ({} if trigger is None else {TRIGGER_TAG: trigger}),
    )


def submission_sensor(pipeline: PipelinePlan, settings: Settings) -> SensorDefinition:
    """Return the sensor that starts submitted jobs.

    Args:
        pipeline: The pipeline's plan.
        settings: Where the ledger is.
    """
    name = submission_sensor_name(pipeline.name)

    @sensor(
        name=name,
        job_name=pipeline.phases[0].job_name,
        description=f"Starts what was submitted with `medkg submit {pipeline.name}`.",
        default_status=DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=TICK_SECONDS,
    )
    def submissions(context: SensorEvaluationContext) -> SensorResult | SkipReason:
        if not JobLedger.exists(settings):
            return _NO_LEDGER
        with JobLedger.of(settings) as ledger:
            taken = ledger.phases.take_due(
                pipeline.phases[0].job_name, name, pipeline=pipeline.name, limit=STARTS_PER_TICK
            )
            due = [phase for phase in taken if _can_start(ledger, phase, context.log)]
        return _start(pipeline, due) if due else SkipReason("Nothing was submitted.")

    return submissions


def gate_sensor(
    assets: PipelineAssets, gate: PlannedGate, settings: Settings, hold_seconds: float
) -> SensorDefinition:
    """Return the sensor that opens a gate, ends the wait of overdue jobs and starts the phase behind it.

    Args:
        assets: The pipeline's assets, translated.
        gate: The gate.
        settings: Where the ledger is.
        hold_seconds: How long one tick may look again and again while jobs wait.
    """
    pipeline = assets.pipeline
    name = gate_sensor_name(pipeline.name, gate.name)

    @sensor(
        name=name,
        job_name=gate.job_name,
        description=f"Starts {gate.job_name} for jobs with {describe_condition(gate.condition)}.",
        default_status=DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=TICK_SECONDS,
    )
    def open_gate(context: SensorEvaluationContext) -> SensorResult | SkipReason:
        if not JobLedger.exists(settings):
            return _NO_LEDGER
        with JobLedger.of(settings) as ledger:
            review, due, mark = _look(ledger, pipeline, gate, name, hold_seconds)
            for job_id, problem in review.problems.items():
                context.log.error("%s/%s cannot be judged: %s", pipeline.name, job_id, problem)
            changed = mark != (context.cursor or NOBODY_WAITS)
            shown = _waiting_check(ledger, assets, gate, mark) if changed else []
        if not due and not changed:
            return SkipReason(
                f"{counted(int(mark.split()[0]), 'job waits', 'jobs wait')}; looked at {review.looked}."
            )
        started = _start(pipeline, due)
        return SensorResult(
            run_requests=started.run_requests,
            dynamic_partitions_requests=started.dynamic_partitions_requests,
            cursor=mark,
            asset_events=shown,
        )

    return open_gate


def _look(
    ledger: JobLedger, pipeline: PipelinePlan, gate: PlannedGate, starter: str, hold_seconds: float
) -> tuple[Review, Sequence[JobPhase], str]:
    """Look at a gate, and while jobs wait there a little longer, because the next tick is seconds away.

    Returns:
        What the looks did, what is to be started, and the mark of those who wait.
    """
    until = time.monotonic() + hold_seconds
    total = Review()

    def look() -> tuple[Sequence[JobPhase], str]:
        nonlocal total
        total += ledger.gates.review(pipeline.name, gate_rule(gate))
        due = ledger.phases.take_due(gate.job_name, starter, pipeline=pipeline.name, limit=STARTS_PER_TICK)
        return due, ledger.gates.waiting_mark(pipeline.name, gate.job_name)

    due, mark = look()
    if due or mark == NOBODY_WAITS or hold_seconds <= 0:
        return total, due, mark
    with ledger.watching() as wait:
        while not due and mark != NOBODY_WAITS and (left := until - time.monotonic()) > 0:
            wait(min(left, LOOK_AGAIN_SECONDS))
            due, mark = look()
    return total, due, mark


def waiting_check(assets: PipelineAssets, gate: PlannedGate, settings: Settings) -> AssetChecksDefinition:
    """Return the check on a gate's asset that warns while jobs wait there, and lists them.

    Args:
        assets: The pipeline's assets, translated.
        gate: The gate.
        settings: Where the ledger is.
    """

    @asset_check(
        name=WAITING_CHECK,
        asset=assets.key(gate.stage),
        description=f"No job waits for {describe_condition(gate.condition)}.",
    )
    def no_job_waits() -> AssetCheckResult:
        with JobLedger.of(settings) as ledger:
            mark = ledger.gates.waiting_mark(assets.pipeline.name, gate.job_name)
            evaluation = _waiting_check(ledger, assets, gate, mark)[0]
        return AssetCheckResult(
            passed=evaluation.passed, severity=evaluation.severity, metadata=evaluation.metadata
        )

    return no_job_waits


def _can_start(ledger: JobLedger, phase: JobPhase, log: logging.Logger) -> bool:
    """Say whether Dagster takes a job's id; where not, end the job: it would refuse all of a tick."""
    try:
        check_job_id(phase.job_id)
    except ConfigError as error:
        log.error("%s: %s", phase.key, error)
        run = RunIdentity(f"{phase.starter}, attempt {phase.attempt}", phase.attempt, job_name=phase.phase)
        ledger.runs.end(phase.key, run, RunStatus.FAILED, str(error))
        return False
    return True


def _start(pipeline: PipelinePlan, due: Sequence[JobPhase]) -> SensorResult:
    keys = [phase.job_id for phase in due]
    partitions = DynamicPartitionsDefinition(name=partition_set_name(pipeline.name))
    return SensorResult(
        run_requests=[run_request(phase) for phase in due],
        dynamic_partitions_requests=[partitions.build_add_request(keys)] if keys else [],
    )


def _waiting_check(
    ledger: JobLedger, assets: PipelineAssets, gate: PlannedGate, mark: str
) -> list[AssetCheckEvaluation]:
    count = int(mark.split(maxsplit=1)[0])
    waiting = ledger.gates.waiting(assets.pipeline.name, gate.job_name, limit=TABLE_ROWS)
    rows = [
        {
            "job": phase.job_id,
            "since": phase.since,
            "until": phase.deadline or "no limit",
            "observed": phase.observed or "not looked at yet",
            **{decision: gate.decision_command(decision, str(phase.key)) for decision in DECISIONS},
        }
        for phase in waiting
    ]
    return [
        AssetCheckEvaluation(
            asset_key=assets.key(gate.stage),
            check_name=WAITING_CHECK,
            passed=not count,
            severity=AssetCheckSeverity.WARN,
            metadata={
                "jobs_waiting": MetadataValue.int(count),
                "expected": MetadataValue.text(describe_condition(gate.condition)),
                "waiting": rows_table(rows),
            },
        )
    ]
