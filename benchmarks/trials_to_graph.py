"""150 real studies from file to graph in one job."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import yaml

from benchmarks.figures import Figure
from medkg_dagster.ledger import JobKey, JobLedger

ROOT = Path(__file__).parent.parent
STUDIES = ROOT.parent / "shared" / "data" / "clinicaltrials"

_RUN = """
import resource, subprocess, sys
done = subprocess.run(sys.argv[1:], capture_output=True, text=True)
sys.stderr.write(done.stderr if done.returncode else "")
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(done.returncode)
"""


def measure(studies: Path = STUDIES) -> Iterator[Figure]:
    """Run the main job in a process of its own.

    Args:
        studies: The folder of studies; nothing is measured where it does not exist.
    """
    if not studies.is_dir():
        sys.stderr.write(f"skipped: no real studies in {studies}\n")
        return
    with tempfile.TemporaryDirectory() as home:
        config = Path(home) / "run.yaml"
        ingest = {
            "config": {"adapter": "files", "params": {"path": str(studies), "exclude": ["api_v2_captures/*"]}}
        }
        config.write_text(yaml.safe_dump({"ops": {"auto__stages": {"ops": {"ingest": ingest}}}}))
        dagster = str(Path(sys.executable).with_name("dagster"))
        command = [
            dagster,
            "job",
            "execute",
            "-m",
            "medkg_dagster.definitions",
            "-j",
            "auto",
            "-c",
            str(config),
        ]
        done = subprocess.run(  # noqa: S603 - our own command
            [sys.executable, "-c", _RUN, *command],
            cwd=ROOT,
            env=os.environ | {"MEDKG_HOME": home},
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        with JobLedger.open(Path(home)) as ledger:
            runs = ledger.stage_runs.of_job(JobKey("auto", "default"))
    peak = int(done.stdout) / 1024
    yield Figure.value("peak memory, studies to graph in one job", "MB", peak, 1024, "whole process")
    documents = next(run.output_count for run in runs if run.stage == "parse") or 0
    for run in runs:
        seconds = _seconds(run.started_at, run.finished_at)
        rate = documents / seconds
        yield Figure.value(f"{run.stage}, {documents} documents", "docs/s", rate, note=f"{seconds:.2f} s")


def _seconds(start: str, end: str | None) -> float:
    assert end is not None
    return max((datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds(), 1e-3)
