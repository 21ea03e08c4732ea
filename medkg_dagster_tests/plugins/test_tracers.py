"""Definitions and plugins load under debuggers, profilers and coverage, in the main thread and in others."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

# What a debugger sets: a function that is called for every line.
DEBUGGER = """\
import runpy
import sys
import threading


def trace(frame, event, argument):
    return trace


threading.settrace(trace)
sys.settrace(trace)
runpy.run_path(sys.argv[1], run_name="__main__")
"""
PROGRAM = """\
import threading

from medkg_dagster.definitions import defs, deployment
from medkg_dagster.registry import StageFactory


def resolve():
    factory = StageFactory.load_plugins()
    assert not factory.problems
    for pipeline in deployment.plan.pipelines:
        for stage in pipeline.topology.stages:
            resolved.append(type(factory.resolve(pipeline.topology, stage)).__name__)


resolved = []
resolve()
thread = threading.Thread(target=resolve)
thread.start()
thread.join()
assert defs.resolve_job_def("auto")
half = len(resolved) // 2
assert half and resolved[:half] == resolved[half:]
print("resolved", resolved[0])
"""


@pytest.mark.parametrize(
    "tracer",
    [
        ("debugger.py",),
        ("-m", "cProfile", "-o", "profile.out"),
        ("-m", "coverage", "run", "--include=*/medkg_dagster/*"),
    ],
    ids=["sys.settrace", "cProfile", "coverage"],
)
def test_definitions_are_imported_and_plugins_resolved_under(tracer: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "debugger.py").write_text(DEBUGGER)
    (tmp_path / "program.py").write_text(PROGRAM)

    done = subprocess.run(
        [sys.executable, *tracer, "program.py"],
        env=os.environ | {"MEDKG_HOME": str(tmp_path / "home"), "MEDKG_STRICT": "1"},
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
        timeout=480,
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("resolved Ingest"), done.stdout
    assert "interrupted" not in done.stderr
