"""One look at a gate at which many jobs wait."""

import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import create_engine, insert

from benchmarks.figures import Figure
from medkg_dagster.domain.gates import GateCondition
from medkg_dagster.ledger import LEDGER_FILE, GateRule, JobKey, JobLedger, PhaseStatus
from medkg_dagster.ledger.schema import JOBS, PHASES

PIPELINE = "measured"
CONDITION = {"field": "ready", "equals": True, "timeout_seconds": 86_400, "poll_interval_seconds": 0.001}
RULE = GateRule("measured__after_ready", "ready", GateCondition.model_validate(CONDITION))


def measure(jobs: int = 10_000, changed_jobs: int = 100, repeats: int = 5) -> Iterator[Figure]:
    """Measure a look at a gate with nothing to see, and with some jobs whose fields have changed.

    Args:
        jobs: Jobs that wait at the gate.
        changed_jobs: Jobs whose fields have changed since the last look, without opening the gate.
        repeats: Rounds; the median counts.
    """
    with tempfile.TemporaryDirectory() as folder, JobLedger.open(Path(folder)) as ledger:
        _let_wait(ledger, Path(folder), jobs)
        for changed in (0, changed_jobs):
            seconds = [_look(ledger, changed, number) for number in range(repeats)]
            title = f"a look at {jobs:,} waiting jobs, {changed or 'none'} changed"
            yield Figure.value(title, "s", statistics.median(seconds), 1.0, "one tick of a sensor")


def _look(ledger: JobLedger, changed: int, number: int) -> float:
    """Return the seconds of what a sensor does in a tick.

    Raises:
        RuntimeError: It did not look at the jobs that changed.
    """
    for job in range(changed):
        ledger.jobs.set_fields(JobKey(PIPELINE, f"job-{job:05}"), {"progress": number}, actor="benchmark")
    time.sleep(0.01)
    start = time.perf_counter()
    review = ledger.phases.review(PIPELINE, RULE)
    ledger.phases.take_due(RULE.phase, "sensor", pipeline=PIPELINE)
    ledger.phases.waiting_mark(PIPELINE, RULE.phase)
    seconds = time.perf_counter() - start
    if review.looked != changed or review.opened:
        raise RuntimeError(f"{changed} jobs changed, and the ledger looked at {review}")
    return seconds


def _let_wait(ledger: JobLedger, home: Path, jobs: int) -> None:
    """Let one job arrive at the gate and write its like for the others."""
    ledger.jobs.ensure(JobKey(PIPELINE, "job-00000"), actor="benchmark")
    phase = ledger.phases.plan_start(JobKey(PIPELINE, "job-00000"), RULE.phase, actor="benchmark")
    times = {"created_at": phase.since, "updated_at": phase.since}
    names = [f"job-{number:05}" for number in range(jobs)]
    waits = {
        "pipeline": PIPELINE,
        "phase": RULE.phase,
        "gate": RULE.gate,
        "status": PhaseStatus.WAITING.value,
        "attempt": 1,
        "since": phase.since,
        "deadline": "2999-01-01T00:00:00.000000Z",
        "timeout_seconds": 86_400.0,
        "needs_check": 0,
        "checked_at": phase.since,
        "baseline": "{}",
    }
    job = {"pipeline": PIPELINE, "status": "waiting", "request": "{}", "fields": "{}", "attempts": 1}
    engine = create_engine(f"sqlite:///{home / LEDGER_FILE}")
    with engine.begin() as connection:
        connection.execute(PHASES.delete())
        connection.execute(JOBS.delete())
        connection.execute(insert(JOBS), [{**job, **times, "revision": 0, "job_id": name} for name in names])
        connection.execute(insert(PHASES), [{**waits, "job_id": name} for name in names])
    engine.dispose()
