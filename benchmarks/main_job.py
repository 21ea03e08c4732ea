"""Runs of the main job as people start them, and what a run costs."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).parent.parent
STUDIES = ROOT.parent / "shared" / "data" / "clinicaltrials"
"""Real studies; they are no part of the project, and what needs them is left out where they are not."""

_RUN = """
import resource, subprocess, sys, time
begun = time.perf_counter()
done = subprocess.run(sys.argv[1:], capture_output=True, text=True)
wall = time.perf_counter() - begun
sys.stderr.write(done.stderr if done.returncode else "")
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_utime + used.ru_stime, wall, used.ru_maxrss)
sys.exit(done.returncode)
"""


@dataclass(frozen=True, slots=True)
class RunCost:
    """What a run took, with all its processes.

    Attributes:
        cpu: Seconds of processor time.
        wall: Seconds.
        peak: The most memory that one of its processes had, in bytes.
    """

    cpu: float
    wall: float
    peak: int


def run_main_job(home: Path, documents: Path, *, workers: int = 1, exclude: tuple[str, ...] = ()) -> RunCost:
    """Run `dagster job execute -j auto` on a folder, in a process of its own.

    Args:
        home: The folder for all data.
        documents: What to read.
        workers: Processes that work on documents at once.
        exclude: Patterns of files to leave out.
    """
    config = home / "run.yaml"
    parameters = {"path": str(documents), "exclude": list(exclude)}
    ingest = {"config": {"adapter": "files", "params": parameters}}
    config.write_text(yaml.safe_dump({"ops": {"auto__stages": {"ops": {"ingest": ingest}}}}))
    dagster = str(Path(sys.executable).with_name("dagster"))
    command = [dagster, "job", "execute", "-m", "medkg_dagster.definitions", "-j", "auto", "-c", str(config)]
    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-c", _RUN, *command],
        cwd=ROOT,
        env=os.environ | {"MEDKG_HOME": str(home), "MEDKG_WORKERS": str(workers)},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    cpu, wall, kilobytes = done.stdout.split()
    return RunCost(float(cpu), float(wall), int(kilobytes) * 1024)
