"""What Dagster knows of its daemon, sensors and runs, told and removed by a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from medkg_dagster.errors import ConfigError

_PROCESS = "medkg_dagster.runtime.instance_process"
_PRUNING = "medkg_dagster.runtime.prune_process"
_DEFINITIONS = "medkg_dagster.definitions"
_DATABASE = Path("schedules") / "schedules.db"
_ELSEWHERE = ("storage:", "schedule_storage:")
_PATIENCE_SECONDS = 120.0


def has_storage(folder: Path) -> bool:
    """Say whether a folder is that of an instance which has begun; looking would make its databases."""
    settings = folder / "dagster.yaml"
    try:
        lines = settings.read_text().splitlines()
    except OSError:
        lines = []
    return (folder / _DATABASE).exists() or any(line.startswith(_ELSEWHERE) for line in lines)


def look_at_instance(home: Path, folder: Path) -> dict[str, Any]:
    """Return what a process with Dagster tells of an instance.

    Args:
        home: The folder for all data.
        folder: The instance's.

    Returns:
        `dagster`, its version; `heartbeat`, when the daemon was there last, None for never, and `is_alive`;
        `sensors` and `schedules`, whether each is on.

    Raises:
        ConfigError: It does not start, or comes to no end.
    """
    return _told(_PROCESS, [_DEFINITIONS], home, folder, "", _PATIENCE_SECONDS)


def prune_instance(home: Path, folder: Path, asked: dict[str, Any]) -> dict[str, int]:
    """Let a process with Dagster remove old runs and partitions of an instance; see `prune_process`.

    Args:
        home: The folder for all data.
        folder: The instance's.
        asked: `before`, `ended` and `dry_run`.

    Raises:
        ConfigError: It does not start, or fails.
    """
    told: dict[str, int] = _told(_PRUNING, [], home, folder, json.dumps(asked), None)
    return told


def _told(  # noqa: PLR0917 - which process, of what, and what it is given
    process: str, arguments: list[str], home: Path, folder: Path, given: str, patience: float | None
) -> dict[str, Any]:
    instance = {"DAGSTER_HOME": str(folder), "DAGSTER_DISABLE_TELEMETRY": "1", "MEDKG_HOME": str(home)}
    try:
        done = subprocess.run(  # noqa: S603 - our own command
            [sys.executable, "-m", process, *arguments],
            env=os.environ | instance,
            input=given,
            capture_output=True,
            text=True,
            timeout=patience,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ConfigError(
            f"{folder}: Dagster has told nothing within {patience:g} s; see to its storage"
        ) from None
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise ConfigError(f"{folder}: Dagster does not start: {last}; see to dagster.yaml and `medkg check`")
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told
