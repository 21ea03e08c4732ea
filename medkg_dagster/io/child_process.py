"""Child processes that are gone, with everything they started, when they end, are stopped, or we end.

`subprocess` and not `multiprocessing`: a worker of Celery is a daemonic process, and those may not have
children of `multiprocessing`. Between this process and the child stands a small supervisor, which survives
a kill of this process by a quarter of a second:

| what ends | Linux | other POSIX systems |
| --- | --- | --- |
| the child ends, or is stopped | all it started ends, in whatever session | its process group ends |
| this process ends, by SIGKILL too | the same, within a second | the same, within a second |
| the supervisor is killed | the child ends; this process ends its group; others may stay | the group ends |

What has the rights of another user (`sudo`) or is stuck in the kernel cannot be killed, and is left after ten
seconds.
"""

from __future__ import annotations

import contextlib
import math
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Self

from medkg_dagster.io import child_supervisor

_SUPERVISOR = str(Path(child_supervisor.__file__).resolve())
_KILL_SECONDS = child_supervisor.LONGEST_END_SECONDS + 5.0
_CPU_GRACE_SECONDS = 5
TOOK_TOO_MUCH_MEMORY = child_supervisor.TOOK_TOO_MUCH_MEMORY


class ChildProcess:
    """A running child process; leaving its context stops it.

    Args:
        command: The program and its arguments.
        stdin: As for `subprocess.Popen`.
        stdout: As for `subprocess.Popen`.
        stderr: As for `subprocess.Popen`.
        inherited: Descriptors that the child gets, under the same numbers.
        family_memory: How many bytes it and all that it starts may take together, measured on Linux four
            times a second: with more all of it ends, with exit code `TOOK_TOO_MUCH_MEMORY`. 0 for any.

    Attributes:
        stdin: Its standard input, where a pipe was asked for.
        stdout: Its standard output, the same.
        stderr: Its standard error, the same.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        stdin: int = subprocess.DEVNULL,
        stdout: int = subprocess.PIPE,
        stderr: int | IO[bytes] = subprocess.PIPE,
        inherited: Sequence[int] = (),
        family_memory: int = 0,
    ) -> None:
        told = [str(os.getpid()), ",".join(map(str, inherited)), str(family_memory)]
        watch = [sys.executable, "-I", "-S", _SUPERVISOR, *told]
        self._supervisor = subprocess.Popen(  # noqa: S603 - our own command
            [*watch, *command],
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            pass_fds=inherited,
            # Interrupts of a terminal go to this process alone, which then stops the child.
            start_new_session=True,
            # Each thread's arena would take 64 MB of an address space that is limited.
            env={"MALLOC_ARENA_MAX": "2", **os.environ},
        )
        self.stdin, self.stdout, self.stderr = (
            self._supervisor.stdin,
            self._supervisor.stdout,
            self._supervisor.stderr,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()

    def poll(self) -> int | None:
        """Return how the child ended, as `subprocess.Popen` does; None while it runs."""
        return self._supervisor.poll()

    def wait(self, seconds: float | None = None) -> int:
        """Wait until the child has ended, and all that it started.

        Raises:
            subprocess.TimeoutExpired: It has not by then.
        """
        return self._supervisor.wait(seconds)

    def kill(self) -> None:
        """End the child and all that it started; what it wrote can still be read."""
        self._supervisor.terminate()
        try:
            self._supervisor.wait(_KILL_SECONDS)
        except subprocess.TimeoutExpired:
            self._supervisor.kill()
            self._supervisor.wait()

    def stop(self) -> None:
        """Kill the child, and close its pipes."""
        self.kill()
        for stream in (self.stdin, self.stdout, self.stderr):
            if stream is not None:
                # The child may have been killed with a request still in the pipe.
                with contextlib.suppress(BrokenPipeError):
                    stream.close()


def describe_end(code: int) -> str:
    """Return how a process ended: `with exit code 3`, `by signal SIGSEGV`."""
    if code >= 0:
        return f"with exit code {code}"
    try:
        return f"by signal {signal.Signals(-code).name}"
    except ValueError:
        return f"by signal {-code}"


def limit_memory(limit: int, *, headroom: int = 0, for_good: bool = True) -> None:
    """Limit the address space of this process; an allocation beyond it fails with `MemoryError`.

    macOS accepts the limit and does not hold to it.

    Args:
        limit: The most bytes.
        headroom: By how many bytes `lift_memory_limit` raises it, to say that memory has run out.
        for_good: Whether it cannot be raised by more.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    _limit(resource.RLIMIT_AS, limit, limit + headroom if for_good else hard)


def lift_memory_limit() -> None:
    """Make use of the headroom."""
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (hard, hard))


def limit_cpu(seconds: float, *, for_good: bool = True) -> None:
    """Limit the processor time that this process takes from now on; SIGXCPU ends it.

    Args:
        seconds: The most seconds, all threads together.
        for_good: Whether the limit cannot be raised again; SIGKILL then follows five seconds of processor
            time later, should the signal be ignored.
    """
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = math.ceil(used.ru_utime + used.ru_stime + seconds)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    _limit(resource.RLIMIT_CPU, soft, soft + _CPU_GRACE_SECONDS if for_good else hard)


def address_space() -> int | None:
    """Return how many bytes of address space this process has; None where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except OSError:
        return None
    return pages * resource.getpagesize()


def _limit(kind: int, soft: int, hard: int) -> None:
    _, highest = resource.getrlimit(kind)
    if highest != resource.RLIM_INFINITY:
        soft, hard = min(soft, highest), min(hard if hard != resource.RLIM_INFINITY else highest, highest)
    resource.setrlimit(kind, (soft, hard))
