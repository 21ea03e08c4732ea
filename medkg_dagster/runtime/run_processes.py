"""Which process carries out a run, and whether it is still there."""

import os
import signal
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from medkg_dagster.runtime.tags import PROCESS_TAG

_WATCH_SECONDS = 1.0
_START_TIME = 21 - 2  # field 22 of /proc/PID/stat, counted from the one behind the command's closing bracket
_ENDED = {"Z", "X"}


def process_tags(run_id: str) -> dict[str, str]:
    """Return the tag by which a run says that this process carries it out.

    Dagster copies a run's tags to its re-execution, so the tag says of which run it tells.
    """
    return {PROCESS_TAG: f"{run_id} {this_process()}"}


def process_of(run_id: str, tags: Mapping[str, str]) -> str:
    """Return the process that a run's tags name as its own; empty where they name none yet."""
    named, _, process = tags.get(PROCESS_TAG, "").partition(" ")
    return process if named == run_id else ""


def this_process() -> str:
    """Return a text that names this process, also once its number is used again."""
    return _name(os.getpid(), _state_of(os.getpid())[1])


def is_gone(process: str) -> bool:
    """Say whether a process of this machine has ended; one of another machine is taken to live.

    Args:
        process: What `this_process` returned there.
    """
    return _is_of_this_machine(process) and not is_here(process)


def is_here(process: str) -> bool:
    """Say whether a process is there, on this machine.

    Args:
        process: What `this_process` returned in it.
    """
    if not _is_of_this_machine(process):
        return False
    pid, _, started = process.rpartition("@")[0].partition("+")
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # somebody else's
    state, began = _state_of(int(pid))
    # One that was killed, and that nobody has asked about yet, has ended all the same.
    return state not in _ENDED and (not started or started == began)


@contextmanager
def ending_with(process: str) -> Iterator[None]:
    """Kill this process when another one of this machine is gone: the one whose work it does meanwhile.

    Without it a step goes on after its run is lost, beside the attempt that follows. A kill leaves what a
    kill of the machine leaves, which the next attempt repairs. A worker that does the steps of many runs is
    killed for the one that it is at.

    Args:
        process: What `this_process` returned there; empty where nobody has named one.
    """
    if not process or process == this_process():
        yield
        return
    done = threading.Event()

    def watch() -> None:
        while not done.wait(_WATCH_SECONDS):
            if is_gone(process):
                os.kill(os.getpid(), signal.SIGKILL)

    watching = threading.Thread(target=watch, name="medkg-run-watch", daemon=True)
    watching.start()
    try:
        yield
    finally:
        done.set()
        watching.join()


def _is_of_this_machine(process: str) -> bool:
    place, _, host = process.rpartition("@")
    pid = place.partition("+")[0]
    return host == socket.gethostname() and pid.isascii() and pid.isdecimal()


def _name(pid: int, started: str) -> str:
    return f"{pid}+{started}@{socket.gethostname()}"


def _state_of(pid: int) -> tuple[str, str]:
    """Return a process's state and when it began, in ticks since boot; empty where that is not told."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return "", ""
    fields = stat.rpartition(")")[2].split()
    return fields[0], fields[_START_TIME]
