"""Which task is next: hosts take turns, so that a slow one holds up nobody else."""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(slots=True)
class _Host(Generic[T]):
    waiting: deque[T] = field(default_factory=deque)
    active: int = 0
    paused_until: float = 0.0
    is_listed: bool = False


class HostQueues(Generic[T]):
    """Tasks waiting for their host.

    Args:
        per_host: Tasks of one host that may be active at once.
    """

    def __init__(self, per_host: int) -> None:
        self._per_host = per_host
        self._hosts: dict[str, _Host[T]] = {}
        self._turns: deque[str] = deque()
        self._later: list[tuple[float, int, str, T | None]] = []
        self._number = itertools.count()
        self._waiting = 0

    def __len__(self) -> int:
        return self._waiting

    def add(self, host: str, task: T, *, when: float | None = None) -> None:
        """Let a task wait for its host's turn, from a moment on where one is given."""
        self._waiting += 1
        if when is not None:
            heapq.heappush(self._later, (when, next(self._number), host, task))
            return
        self._hosts.setdefault(host, _Host()).waiting.append(task)
        self._list(host)

    def pause(self, host: str, until: float) -> None:
        """Leave a host alone until a moment."""
        entry = self._hosts.setdefault(host, _Host())
        if until > entry.paused_until:
            entry.paused_until = until
            heapq.heappush(self._later, (until, next(self._number), host, None))

    def take(self, now: float) -> tuple[str, T] | None:
        """Return the next task that may start, which makes it active; None where there is none now."""
        self._wake(now)
        while self._turns:
            host = self._turns.popleft()
            entry = self._hosts[host]
            entry.is_listed = False
            if not entry.waiting or entry.active >= self._per_host or entry.paused_until > now:
                continue
            task = entry.waiting.popleft()
            entry.active += 1
            self._waiting -= 1
            self._list(host)
            return host, task
        return None

    def release(self, host: str) -> None:
        """Say that a task of a host is no longer active."""
        self._hosts[host].active -= 1
        self._list(host)

    def next_moment(self) -> float | None:
        """Return when something that waits for its time may start; None where nothing does."""
        return self._later[0][0] if self._later else None

    def take_all(self) -> list[T]:
        """Return every waiting task and forget it."""
        tasks = [task for entry in self._hosts.values() for task in entry.waiting]
        tasks += [task for _, _, _, task in self._later if task is not None]
        for entry in self._hosts.values():
            entry.waiting.clear()
        self._later.clear()
        self._waiting = 0
        return tasks

    def _wake(self, now: float) -> None:
        while self._later and self._later[0][0] <= now:
            _, _, host, task = heapq.heappop(self._later)
            if task is not None:
                self._hosts.setdefault(host, _Host()).waiting.append(task)
            self._list(host)

    def _list(self, host: str) -> None:
        entry = self._hosts.setdefault(host, _Host())
        if entry.waiting and entry.active < self._per_host and not entry.is_listed:
            entry.is_listed = True
            self._turns.append(host)
