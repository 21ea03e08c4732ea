"""Updates of job fields from several processes at once, and whether the ledger keeps every one of them."""

import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Iterator
from multiprocessing.synchronize import Barrier
from pathlib import Path

from benchmarks.figures import Bound, Figure
from medkg_dagster.ledger import JobKey, JobLedger

PIPELINE = "measured"
SHARED = "shared"
OWN = "own"


def measure(processes: int = 4, updates: int = 2_000, repeats: int = 3) -> Iterator[Figure]:
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
