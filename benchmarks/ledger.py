"""The ledger: updates of fields by several processes at once, and one look at a gate where many jobs wait."""

from __future__ import annotations

import itertools
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Iterator
from multiprocessing.synchronize import Barrier
from pathlib import Path

from sqlalchemy import create_engine, insert, update

from benchmarks.figures import Bound, Figure
from medkg_dagster.domain.gate_conditions import GateCondition
from medkg_dagster.ledger import LEDGER_FILE, GateRule, JobKey, JobLedger, PhaseStatus
from medkg_dagster.ledger.schema import JOBS, PHASES

PIPELINE = "measured"
SHARED = "shared"
OWN = "own"
CONDITION = {"field": "ready", "equals": True, "timeout_seconds": 86_400, "poll_interval_seconds": 0.001}
RULE = GateRule("measured__after_ready", "ready", GateCondition.model_validate(CONDITION))


def measure_updates(processes: int = 4, updates: int = 2_000, repeats: int = 3) -> Iterator[Figure]:
    """Measure field updates per second on SQLite, all processes together.

    Args:
        processes: Writers at once.
        updates: Updates of each of them; each is a transaction with its row of history.
        repeats: Rounds; the median counts.
    """
    for job, title in ((OWN, "each on a job of its own"), (SHARED, "all on one job")):
        rates = []
        for _ in range(repeats):
            with tempfile.TemporaryDirectory() as folder:
                rates.append(_rate(Path(folder), job, processes, updates))
        yield Figure.value(
            f"field updates, {processes} processes {title}",
            "/s",
            statistics.median(rates),
            1_000,
            "none lost",
            bound=Bound.AT_LEAST,
        )


def _rate(home: Path, job: str, processes: int, updates: int) -> float:
    """Return updates per second, after a check that the ledger has every one.

    Raises:
        RuntimeError: An update was lost.
    """
    names = [SHARED if job == SHARED else f"{OWN}-{worker}" for worker in range(processes)]
    with JobLedger.open(home) as ledger:
        for name in names:
            ledger.jobs.ensure(JobKey(PIPELINE, name), actor="benchmark")
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(processes + 1)
    workers = [
        context.Process(target=_write, args=(home, name, worker, updates, start))
        for worker, name in enumerate(names)
    ]
    for worker in workers:
        worker.start()
    start.wait()
    began = time.perf_counter()
    for worker in workers:
        worker.join()
    seconds = time.perf_counter() - began
    kept = _kept(home, set(names))
    if kept != processes * updates:
        raise RuntimeError(f"{kept} of {processes * updates} updates are in the ledger")
    return processes * updates / seconds


def _write(home: Path, job: str, worker: int, updates: int, start: Barrier) -> None:
    with JobLedger.open(home) as ledger:
        ledger.jobs.get(JobKey(PIPELINE, job))
        start.wait()
        for number in range(updates):
            ledger.jobs.set_fields(
                JobKey(PIPELINE, job), {f"worker_{worker}.done": number}, actor=f"worker {worker}"
            )


def _kept(home: Path, jobs: set[str]) -> int:
    """Return how many updates the history has, each following on the one before it."""
    kept = 0
    with JobLedger.open(home) as ledger:
        for job in jobs:
            last: dict[str, int | None] = {}
            for entry in ledger.jobs.history(JobKey(PIPELINE, job)):
                if entry.field != "status" and entry.old == last.get(entry.field):
                    last[entry.field] = entry.new
                    kept += 1
            fields = ledger.jobs.get(JobKey(PIPELINE, job)).fields
            if any(fields[field.split(".")[0]]["done"] != value for field, value in last.items()):
                return 0
    return kept


def measure_waiting(jobs: int = 10_000, changed_jobs: int = 100, repeats: int = 5) -> Iterator[Figure]:
    """Measure a look at a gate with nothing to see, and with some jobs whose fields have changed.

    Args:
        jobs: Jobs that wait at the gate.
        changed_jobs: Jobs whose fields have changed since the last look, without opening the gate.
        repeats: Rounds; the median counts.
    """
    with tempfile.TemporaryDirectory() as folder, JobLedger.open(Path(folder)) as ledger:
        _let_wait(ledger, Path(folder), jobs)
        numbers = itertools.count()  # a field that is set to what it is does not change
        for changed, unreadable in ((0, 0), (changed_jobs, 0), (changed_jobs, changed_jobs)):
            seconds = [
                _look(ledger, Path(folder), changed, unreadable, next(numbers)) for _ in range(repeats)
            ]
            title = f"a look at {jobs:,} waiting jobs, {changed or 'none'} changed"
            title += f", {unreadable} cannot be read" if unreadable else ""
            yield Figure.value(title, "s", statistics.median(seconds), 1.0, "one tick of a sensor")


def _look(ledger: JobLedger, home: Path, changed: int, unreadable: int, number: int) -> float:
    """Return the seconds of what a sensor does in a tick.

    Raises:
        RuntimeError: It did not look at the jobs that changed.
    """
    for job in range(changed):
        ledger.jobs.set_fields(JobKey(PIPELINE, f"job-{job:05}"), {"progress": number}, actor="benchmark")
    deep = f'{{"ready{number}":{"[" * 900}{"]" * 900}}}'
    engine = create_engine(f"sqlite:///{home / LEDGER_FILE}")
    with engine.begin() as connection:
        names = [f"job-{job:05}" for job in range(changed, changed + unreadable)]
        connection.execute(update(JOBS).where(JOBS.c.job_id.in_(names)).values(fields=deep))
    engine.dispose()
    time.sleep(0.01)
    start = time.perf_counter()
    review = ledger.gates.review(PIPELINE, RULE)
    ledger.phases.take_due(RULE.phase, "sensor", pipeline=PIPELINE)
    ledger.gates.waiting_mark(PIPELINE, RULE.phase)
    seconds = time.perf_counter() - start
    if (review.looked, review.opened, len(review.problems)) != (changed + unreadable, 0, unreadable):
        raise RuntimeError(
            f"{changed} jobs changed, {unreadable} cannot be read, and the ledger looked at {review}"
        )
    return seconds


def _let_wait(ledger: JobLedger, home: Path, jobs: int) -> None:
    """Let one job arrive at the gate and write its like for the others."""
    ledger.jobs.ensure(JobKey(PIPELINE, "job-00000"), actor="benchmark")
    phase = ledger.phases.plan_work(JobKey(PIPELINE, "job-00000"), RULE.phase, actor="benchmark")
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
