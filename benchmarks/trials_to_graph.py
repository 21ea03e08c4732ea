"""150 real studies from file to graph in one job."""

import sys
import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from benchmarks.figures import Figure
from benchmarks.main_job import STUDIES, run_main_job
from medkg_dagster.ledger import JobKey, JobLedger


def measure(studies: Path = STUDIES) -> Iterator[Figure]:
    """Run the main job in a process of its own.

    Args:
        studies: The folder of studies; nothing is measured where it does not exist.
    """
    if not studies.is_dir():
        sys.stderr.write(f"skipped: no real studies in {studies}\n")
        return
    with tempfile.TemporaryDirectory() as home:
        cost = run_main_job(Path(home), studies, exclude=("api_v2_captures/*",))
        with JobLedger.open(Path(home)) as ledger:
            runs = ledger.stage_runs.of_job(JobKey("auto", "default"))
    peak = cost.peak / (1 << 20)
    yield Figure.value("peak memory, studies to graph in one job", "MB", peak, 1024, "whole process")
    documents = next(run.output_count for run in runs if run.stage == "parse") or 0
    for run in runs:
        seconds = _seconds(run.started_at, run.finished_at)
        rate = documents / seconds
        yield Figure.value(f"{run.stage}, {documents} documents", "docs/s", rate, note=f"{seconds:.2f} s")


def _seconds(start: str, end: str | None) -> float:
    assert end is not None
    return max((datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds(), 1e-3)
