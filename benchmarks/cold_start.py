"""What it costs to start a command and to load the definitions."""

import os
import resource
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.figures import Figure, in_turn

ROOT = Path(__file__).parent.parent


def measure(repeats: int = 5) -> Iterator[Figure]:
    """Measure processor time of whole processes.

    Args:
        repeats: Rounds that count.
    """
    command = [str(Path(sys.executable).with_name("medkg")), "stages"]
    _cpu(command)
    stages = statistics.median(_cpu(command) for _ in range(repeats))
    yield Figure.value("cold `medkg stages`", "s CPU", stages, 0.5, "user and system")
    # With Dagster first, as its own processes do.
    ours, reference = "dagster, medkg_dagster.definitions", "dagster"
    pair = in_turn(lambda: _import(ours), lambda: _import(reference), repeats)
    yield Figure.difference("importing the definitions against `import dagster`", "s CPU", pair, 0.3)


def _import(modules: str) -> float:
    return _cpu([sys.executable, "-c", f"import {modules}"])


def _cpu(command: list[str]) -> float:
    # As installed: modules compiled once, not at every start.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(  # noqa: S603 - our own commands
        command, cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
