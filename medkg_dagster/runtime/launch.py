"""Starting a phase at once, without waiting for a sensor: a process of its own, detached from the caller."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

from medkg_dagster.ledger import Phase
from medkg_dagster.runtime.tags import ATTEMPT_TAG, PARTITION_TAG, PIPELINE_TAG

DEFINITIONS = "medkg_dagster.definitions"


def launch_phase(phase: Phase, home: Path) -> Path:
    """Start the run of a phase in a process that outlives the caller.

    Args:
        phase: The phase, claimed by the caller.
        home: The folder for all data.

    Returns:
        The file the process logs to.
    """
    folder = home / "launched"
    folder.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256(phase.job_id.encode()).hexdigest()[:12]
    log = folder / f"{phase.phase}-{digest}-{phase.attempt}.log"
    tags = {
        PARTITION_TAG: phase.job_id,
        PIPELINE_TAG: phase.pipeline,
        ATTEMPT_TAG: str(phase.attempt),
    }
    command = [sys.executable, "-m", "dagster", "job", "execute", "-m", DEFINITIONS]
    command += ["-j", phase.phase, "--tags", json.dumps(tags)]
    with log.open("ab") as stream:
        subprocess.Popen(  # noqa: S603 - our own command
            command,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
            env=os.environ | {"MEDKG_HOME": str(home)},
        )
    return log
