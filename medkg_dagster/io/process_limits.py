"""Limits that a process sets itself, and that hold for each process it starts."""

from __future__ import annotations

import math
import resource
from pathlib import Path

_CPU_GRACE_SECONDS = 5


def limit_memory(limit: int, *, headroom: int = 0) -> None:
    """Limit the address space of this process; an allocation beyond it fails with `MemoryError`.

    macOS accepts the limit and does not hold to it.

    Args:
        limit: The most bytes.
        headroom: By how many bytes `lift_memory_limit` raises it, to say that memory has run out.
    """
    _limit(resource.RLIMIT_AS, limit, limit + headroom)


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
