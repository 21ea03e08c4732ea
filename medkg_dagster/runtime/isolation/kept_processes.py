"""Processes that one stage leaves to those that follow it in a run."""

import threading
from typing import Any, Protocol, Self


class Ending(Protocol):
    """A process."""

    def close(self) -> None:
        """End it and all that it started."""


class KeptProcesses:
    """Processes that are idle; leaving the context ends them.

    Whoever makes one of these owns what stages leave there: a run whose steps share a process, else the step.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[Any] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    @property
    def has_one(self) -> bool:
        """Whether one is idle."""
        return bool(self._idle)

    def take(self) -> Any | None:
        """Take one; None where there is none."""
        with self._lock:
            return self._idle.pop() if self._idle else None

    def leave(self, process: Ending) -> None:
        """Leave one to whoever takes it next."""
        with self._lock:
            self._idle.append(process)

    def close(self) -> None:
        """End them all."""
        while process := self.take():
            process.close()
