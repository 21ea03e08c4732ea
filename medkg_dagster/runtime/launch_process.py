"""The process behind `launch`: loads a module of definitions, and runs what standard input names."""

import contextlib
import fcntl
import gc
import json
import os
import runpy
import sys
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medkg_dagster.runtime.instance_process import daemon_heartbeat, is_recent
from medkg_dagster.runtime.launch import DAEMON_RUNS, NO_DAEMON, RUN_ID_FILE, run_id_file
from medkg_dagster.settings import Settings
from medkg_dagster.topology.names import ENDED_RUNS_SENSOR

if TYPE_CHECKING:
    from dagster import DagsterInstance, Definitions

_LOOKED_BACK_SECONDS = 3600.0


def main() -> None:
    """Run the job that standard input names; without one, end and leave no log."""
    module, log = sys.argv[1:]
    # What is loaded stays until the process ends, and the collector would go through it again and again.
    gc.disable()
    from dagster import DagsterInstance

    defs = import_module(module).defs
    with _made_by_one(Path(os.environ["DAGSTER_HOME"])):
        instance = DagsterInstance.get()
        # Each of them makes a database where there is none.
        instance.get_runs(limit=1)
        instance.all_instigator_state()
        instance.get_asset_keys(limit=1)
    gc.freeze()
    gc.enable()
    with instance:
        has_daemon = is_recent(daemon_heartbeat(instance))
        if not has_daemon:
            _tell_of_ended_runs(defs, instance)
        _answer(DAEMON_RUNS if has_daemon else NO_DAEMON)
        line = sys.stdin.readline()
        if not line:
            Path(log).unlink(missing_ok=True)
            return
        requested = json.loads(line)
        if Settings.from_environment().executor == "in_process":
            job = defs.resolve_job_def(requested["job"])
            result = job.execute_in_process(
                requested["config"],
                instance=instance,
                tags=requested["tags"],
                run_id=requested["run_id"],
                raise_on_error=False,
            )
            sys.exit(0 if result.success else 1)
    os.environ[RUN_ID_FILE] = str(run_id_file(Path(log)))
    _execute_in_processes(module, requested, Path(log).with_suffix(".json"))


@contextlib.contextmanager
def _made_by_one(folder: Path) -> Iterator[None]:
    """Let one process at a time look for Dagster's databases: of two that make them, one fails."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        # Where file systems know no locks, it is left to chance.
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _tell_of_ended_runs(defs: "Definitions", instance: "DagsterInstance") -> None:
    """Let the ledger hear of runs that were killed, as the daemon does; their jobs would run for ever."""
    from dagster import build_sensor_context

    since = str(time.time() - _LOOKED_BACK_SECONDS)
    sensor: Any = defs.resolve_sensor_def(ENDED_RUNS_SENSOR)
    sensor(build_sensor_context(instance=instance, cursor=since))


def _answer(text: str) -> None:
    """Tell whoever started the process, if he still listens; what is printed later goes to the log."""
    with contextlib.suppress(BrokenPipeError):
        print(text, flush=True)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())


def _execute_in_processes(module: str, requested: dict[str, Any], config: Path) -> None:
    """Carry out the command of Dagster's that gives each step a process; it reads configuration from a file.

    It does so in this process, which has imported already what the command needs.
    """
    config.write_text(json.dumps(requested["config"]))
    job = ["job", "execute", "-m", module, "-j", requested["job"], "--tags", json.dumps(requested["tags"])]
    sys.argv = ["dagster", *job, "--config", str(config)]
    runpy.run_module("dagster", run_name="__main__")


if __name__ == "__main__":
    main()
