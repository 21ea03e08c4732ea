"""Runs one program, and sees that it and all it starts are gone afterwards; a script for `ChildProcess`.

    python -I -S child_supervisor.py PARENT DESCRIPTORS MEMORY COMMAND...

PARENT is the id of the process that starts it, DESCRIPTORS a comma-separated list of those that the program
inherits, MEMORY how many bytes the program and all it starts may take together, 0 for any. It imports nothing
but the standard library, so that it starts in some hundredths of a second and stays small.

On Linux it is a *subreaper*: a process whose parent has ended becomes its child and not that of init,
whatever session it has moved to. So it has no children left if and only if everything is gone.
"""

from __future__ import annotations

import contextlib
import os
import resource
import select
import signal
import sys
import time
from pathlib import Path

PARENT_CHECK_SECONDS = 0.25
LONGEST_END_SECONDS = 10.0
TOOK_TOO_MUCH_MEMORY = 117
"""The exit code where the program and what it started took more than they may."""

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_ENDING = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
_PARENT_FIELD = 4 - 3  # field 4 of /proc/PID/stat, counted from the one behind the command's closing bracket


def main() -> None:
    """Run the program; end as it does."""
    parent, descriptors, memory, command = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4:]
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    wakeup = _wake_on_signals()
    supervisor = os.getpid()
    child = os.fork()
    if child == 0:
        _become(command, supervisor)
    # The other end must see when the program closes them.
    for descriptor in filter(None, descriptors.split(",")):
        os.close(int(descriptor))
    null = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(null, standard)
    status = _watch(child, parent, wakeup, memory)
    _end_everything(child)
    _end_as(status)


def _wake_on_signals() -> int:
    """Return a descriptor from which the numbers of signals can be read as they come."""
    readable, writable = os.pipe()
    os.set_blocking(writable, False)
    signal.set_wakeup_fd(writable, warn_on_full_buffer=False)
    for number in (signal.SIGCHLD, *_ENDING):
        signal.signal(number, lambda *_: None)
    return readable


def _become(command: list[str], supervisor: int) -> None:
    """Replace this process, just forked, by the program."""
    signal.set_wakeup_fd(-1)
    # What Python ignores would stay ignored in the program.
    for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD, *_ENDING):
        signal.signal(number, signal.SIG_DFL)
    # A session of its own: what it sends to its process group must not reach the supervisor.
    os.setsid()
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    # Had the supervisor ended before that call, nothing would tell.
    if os.getppid() != supervisor:
        os._exit(1)
    try:
        os.execvp(command[0], command)  # noqa: S606 - the command of our own package
    except OSError as error:
        os.write(2, f"{command[0]} cannot be started: {error}\n".encode())
    os._exit(127)


def _watch(child: int, parent: int, wakeup: int, memory: int) -> int | None:
    """Return the program's status when it has ended; None, or that of too much memory, to end it."""
    while True:
        # Orphans come here to be reaped too.
        ended, status = os.waitpid(-1, os.WNOHANG)
        if ended == child:
            return status
        if ended:
            continue
        # The parent is looked for and not waited for: PR_SET_PDEATHSIG would fire when the *thread* ends that
        # started this process, and a pipe stays open in any other process that the parent forked.
        if os.getppid() != parent:
            return None
        if memory and _takes_more_than(memory):
            return TOOK_TOO_MUCH_MEMORY << 8
        if select.select([wakeup], [], [], PARENT_CHECK_SECONDS)[0] and _ENDING & {*os.read(wakeup, 4096)}:
            return None


def _end_everything(child: int) -> None:
    """Kill what is left until nothing is; also what is forked meanwhile."""
    until = time.monotonic() + LONGEST_END_SECONDS
    while time.monotonic() < until:
        # The group is all that systems without /proc tell of grandchildren.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child, signal.SIGKILL)
        for process in _descendants():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(process, signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(0.01)


def _takes_more_than(memory: int) -> bool:
    """Whether the program and what it started take more together; alone it has a limit of its own."""
    family = [os.getpid()]
    for process in family:
        for children in Path("/proc").glob(f"{process}/task/*/children"):
            with contextlib.suppress(OSError):
                family += map(int, children.read_text().split())
    return len(family) > 2 and sum(map(_taken, family[1:])) > memory


def _taken(process: int) -> int:
    """Return how many bytes a process takes, of pages that it shares with others its part."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) << 10
    return 0


def _descendants() -> list[int]:
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parent = stat.read_text(errors="replace").rpartition(")")[2].split()[_PARENT_FIELD]
            children.setdefault(int(parent), []).append(int(stat.parent.name))
    found = [os.getpid()]
    for process in found:
        found += children.get(process, [])
    return found[1:]


def _end_as(status: int | None) -> None:
    """End with the exit code, or by the signal, that ended the program."""
    if status is None:
        os._exit(1)
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        if number != signal.SIGKILL:
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    os._exit(os.waitstatus_to_exitcode(status))


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        import ctypes  # by the supervisor alone, not by everybody who starts one

        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


if __name__ == "__main__":
    main()
