"""Starting a phase at once, without waiting for a sensor: a process of its own that outlives the caller."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from medkg_dagster.ledger import Phase
from medkg_dagster.runtime.tags import ATTEMPT_TAG, PARTITION_TAG, PIPELINE_TAG

_PROCESS = "medkg_dagster.runtime.launch_process"
_DEFINITIONS = "medkg_dagster.definitions"


@dataclass(frozen=True, slots=True)
class Launcher:
    """A process that loads Dagster and then waits to be told what to run.

    Attributes:
        process: The process.
        log: The file it logs to.
    """

    process: subprocess.Popen[bytes]
    log: Path

    def run(self, phase: Phase) -> None:
        """Let the process run a phase, which the caller has claimed; it goes on by itself."""
        assert self.process.stdin is not None
        tags = {
            PARTITION_TAG: phase.job_id,
            PIPELINE_TAG: phase.pipeline,
            ATTEMPT_TAG: str(phase.attempt),
        }
        self.process.stdin.write(json.dumps({"job": phase.phase, "tags": tags}).encode() + b"\n")
        self.process.stdin.flush()


@contextmanager
def launcher(home: Path) -> Iterator[Launcher]:
    """Start a launching process, which ends by itself where it is not told to run anything.

    It loads while the caller decides, so that the run begins the sooner.

    Args:
        home: The folder for all data; the process logs there.
    """
    folder = home / "launched"
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / f"{uuid4().hex}.log"
    with log.open("ab") as stream:
        process = subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, "-m", _PROCESS, _DEFINITIONS, str(log)],
            stdin=subprocess.PIPE,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
            env=os.environ | {"MEDKG_HOME": str(home)},
        )
    try:
        yield Launcher(process, log)
    finally:
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
