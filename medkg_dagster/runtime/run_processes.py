"""Which process carries out a run, and whether it is still there."""

import os
import socket
from pathlib import Path

_START_TIME = 21 - 2  # field 22 of /proc/PID/stat, counted from the one behind the command's closing bracket


def this_process() -> str:
    """Return a text that names this process, also once its number is used again."""
    return _name(os.getpid(), _start_time(os.getpid()))


def is_gone(process: str) -> bool:
    """Say whether a process of this machine has ended; one of another machine is taken to live.

    Args:
        process: What `this_process` returned there.
    """
    place, _, host = process.rpartition("@")
    pid, _, started = place.partition("+")
    if host != socket.gethostname() or not pid.isdecimal():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False  # somebody else's: it is there
    return bool(started) and started != _start_time(int(pid))


def _name(pid: int, started: str) -> str:
    return f"{pid}+{started}@{socket.gethostname()}"


def _start_time(pid: int) -> str:
    """Return when a process began, in ticks since boot; empty where the system does not tell."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    return stat.rpartition(")")[2].split()[_START_TIME]
