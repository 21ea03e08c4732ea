"""A backup beside writers, against `cp`, and how long they wait."""

from __future__ import annotations

import multiprocessing
import shutil
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.figures import Bound, Figure, in_turn
from medkg_dagster.backup.making import back_up
from medkg_dagster.ledger import LEDGER_FILE, JobKey, JobLedger
from medkg_dagster.settings import Settings

if TYPE_CHECKING:
    from multiprocessing.queues import Queue

# Writers of SQLite that never pause keep each other waiting, whatever else goes on.
_PAUSE_SECONDS = 0.005

_FILL = """
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
INSERT INTO ledger_history (pipeline, job_id, field, new, actor, at)
SELECT 'measured', 'old', 'field', hex(randomblob(1500)), 'benchmark', 't' FROM n;
"""


def measure(megabytes: int = 1_000, writers: int = 2, repeats: int = 3) -> Iterator[Figure]:
    """Measure a backup of a ledger that processes write to, and `cp` of its file, in turn.

    Args:
        megabytes: The size of the ledger.
        writers: Processes that set fields all the time.
        repeats: Rounds that count.
    """
    with tempfile.TemporaryDirectory() as folder:
        home, target = Path(folder, "home"), Path(folder, "copied")
        _fill(home, megabytes, writers)
        context = multiprocessing.get_context("spawn")
        ended, waits = context.Event(), context.Queue()
        working = [
            context.Process(target=_write, args=(home, number, ended, waits)) for number in range(writers)
        ]
        for process in working:
            process.start()
        settings = Settings(home=home, config=home)
        pair = in_turn(
            lambda: _seconds(target, lambda: back_up(settings, target)),
            lambda: _seconds(target, lambda: _copy(home / LEDGER_FILE, target)),
            repeats,
        )
        ended.set()
        longest = max(waits.get() for _ in working)
        for process in working:
            process.join()
    title = f"`cp` of {megabytes:,} MB with {writers} writers, against a backup"
    yield Figure.value(title, "x", 1 / pair.ratio, 0.5, "wall time", bound=Bound.AT_LEAST)
    yield Figure.value("the longest that a writer waited meanwhile", "s", longest, 1.0, "wall time")


def _fill(home: Path, megabytes: int, writers: int) -> None:
    with JobLedger.open(home) as ledger:
        for number in range(writers):
            ledger.jobs.ensure(_key(number), actor="benchmark")
    with closing(sqlite3.connect(home / LEDGER_FILE)) as opened:
        opened.executescript(f"BEGIN; {_FILL.format(rows=megabytes * 250)} COMMIT;")
        opened.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _key(number: int) -> JobKey:
    return JobKey("measured", f"job{number}")


def _write(home: Path, number: int, ended: Event, waits: Queue[float]) -> None:
    longest, count = 0.0, 0
    with JobLedger.open(home) as ledger:
        while not ended.is_set():
            began = time.perf_counter()
            ledger.jobs.set_fields(_key(number), {"count": count}, actor="benchmark")
            longest, count = max(longest, time.perf_counter() - began), count + 1
            time.sleep(_PAUSE_SECONDS)
    waits.put(longest)


def _copy(file: Path, target: Path) -> None:
    target.mkdir()
    subprocess.run(["cp", str(file), str(target / file.name)], check=True)  # noqa: S603, S607 - the reference


def _seconds(target: Path, work: Callable[[], object]) -> float:
    shutil.rmtree(target, ignore_errors=True)
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
