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

from medkg_dagster.errors import ConfigError
from medkg_dagster.io.atomic_files import write_atomically
from medkg_dagster.ledger import JobPhase
from medkg_dagster.runtime.tags import phase_tags, work_config, work_tags
from medkg_dagster.settings import Settings, find_dagster_home
from medkg_dagster.stage_api import WorkAtGate

DAEMON_RUNS = "daemon"
NO_DAEMON = "no daemon"
RUN_ID_FILE = "_MEDKG_RUN_ID_FILE"
"""The variable of the environment that names the file for `tell_run_id`."""

_PROCESS = "medkg_dagster.runtime.launch_process"
_DEFINITIONS = "medkg_dagster.definitions"
_INSTANCE_FILE = "dagster.yaml"
_PACKAGE = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Launcher:
    """A process that loads Dagster and then waits to be told what to run.

    Attributes:
        process: The process.
        log: The file it logs to.
    """

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def has_ended(self) -> bool:
        """Whether the process has come to its end."""
        return self.process.poll() is not None

    def sees_daemon(self) -> bool:
        """Say whether Dagster's daemon calls sensors for this instance; waits until Dagster is loaded.

        Returns:
            False also where the process ended before it could tell; its log says why.
        """
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip() == DAEMON_RUNS.encode()

    def run(self, phase: JobPhase, work: WorkAtGate | None = None) -> str | None:
        """Let the process run a phase, which the caller has claimed; it goes on by itself.

        One that ends meanwhile does not hear it, which shows in `has_ended` and in its log.

        Args:
            phase: The phase.
            work: What it is of, where it is work that goes on while the job waits at a gate.

        Returns:
            The id that the run will have; None where each step has a process, as Dagster's command for that
            takes no id, see `told_run_id`.
        """
        assert self.process.stdin is not None
        run_id = str(uuid4()) if Settings.from_environment().executor == "in_process" else None
        requested = {
            "run_id": run_id,
            "job": phase.phase,
            "tags": work_tags(phase) if work else phase_tags(phase),
            "config": work_config(phase, work.op_name) if work else {},
        }
        with contextlib.suppress(BrokenPipeError):  # for a command it would be the end, without a word
            self.process.stdin.write(json.dumps(requested).encode() + b"\n")
            self.process.stdin.flush()
        return run_id

    def told_run_id(self) -> str:
        """Return the id of the run that the ended process told of; empty where it told of none."""
        try:
            return run_id_file(self.log).read_text()
        except FileNotFoundError:
            return ""


def run_id_file(log: Path) -> Path:
    """Return the file that tells which run a launched process carries out, by the file it logs to."""
    return log.with_suffix(".run")


def tell_run_id(run_id: str) -> None:
    """Tell who launched this process, or the process that started it, which run it carries out.

    That is told before the ledger hears of the run: of a process which has told nothing it knows no run.

    Args:
        run_id: The run; one that begins in it later is another's.
    """
    named = os.environ.get(RUN_ID_FILE)
    if named and not (file := Path(named)).exists():
        write_atomically(file, run_id.encode())


@contextmanager
def launcher(home: Path) -> Iterator[Launcher]:
    """Start a launching process, which ends by itself where it is not told to run anything.

    It loads while the caller decides, so that the run begins the sooner.

    Args:
        home: The folder for all data; the process logs there.

    Raises:
        ConfigError: The folder cannot be made or written to, or `DAGSTER_HOME` is not what Dagster asks for.
    """
    log = home / "launched" / f"{uuid4().hex}.log"
    with _writing_in(home):
        log.parent.mkdir(parents=True, exist_ok=True)
        log.touch()
    instance = {"DAGSTER_HOME": str(dagster_home(home)), "DAGSTER_DISABLE_TELEMETRY": "1"}
    with log.open("ab") as stream:
        process = subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, "-m", _PROCESS, _DEFINITIONS, str(log)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stream,
            start_new_session=True,
            env=os.environ | {"MEDKG_HOME": str(home)} | instance,
        )
    try:
        yield Launcher(process, log)
    finally:
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        if process.stdout is not None:
            process.stdout.close()


def dagster_home(home: Path) -> Path:
    """Return the folder of the Dagster instance, made where it is ours.

    A folder of ours that is new gets the instance's settings: without them Dagster would phone home.

    Args:
        home: The folder for all data.

    Raises:
        ConfigError: `DAGSTER_HOME` is not what Dagster asks for, or a folder of ours cannot be made.
    """
    folder = find_dagster_home(home)
    if os.environ.get("DAGSTER_HOME"):
        return folder
    settings = folder / _INSTANCE_FILE
    with _writing_in(home):
        folder.mkdir(parents=True, exist_ok=True)
        if not settings.exists():
            shipped = _PACKAGE / "config" / _INSTANCE_FILE
            if not shipped.exists():
                shipped = _PACKAGE.parent / "config" / _INSTANCE_FILE
            # Whole or not at all: another process may be about to read it.
            write_atomically(settings, shipped.read_bytes())
    return folder


@contextmanager
def _writing_in(home: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigError(
            f"MEDKG_HOME names {home}, which cannot be written to: {error.strerror}; "
            "name a folder that can, or make room there"
        ) from error
