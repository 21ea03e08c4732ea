"""The documents of a stage that nobody works on yet."""

import threading
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from medkg_dagster.stage_api._document_loop import DocumentTask


@dataclass(frozen=True, slots=True, eq=False)
class Unit:
    """Documents that are worked on at once: as many as the stage type takes.

    Attributes:
        tasks: The work on each.
        is_apart: Whether it is never done in the step's process.
    """

    tasks: Sequence[DocumentTask]
    is_apart: bool


def units(tasks: Sequence[DocumentTask], size: int, *, is_apart: bool) -> list[Unit]:
    """Return some documents in units of a size."""
    return [Unit(tasks[start : start + size], is_apart) for start in range(0, len(tasks), size)]


class DocumentQueue:
    """Hands out units, to the step's thread and to those that serve other processes.

    Args:
        waiting: The units.
    """

    def __init__(self, waiting: Iterable[Unit]) -> None:
        self._lock = threading.Lock()
        self._apart: deque[Unit] = deque()
        self._anywhere: deque[Unit] = deque()
        self.give_back(list(waiting))

    def __len__(self) -> int:
        """Return how many units wait."""
        return len(self._apart) + len(self._anywhere)

    @property
    def may_work_here(self) -> bool:
        """Whether something waits that the step's process may do."""
        return bool(self._anywhere)

    @property
    def must_go_apart(self) -> bool:
        """Whether something waits that the step's process may not do."""
        return bool(self._apart)

    def take_here(self) -> Unit | None:
        """Take a unit for the step's process; None where there is none for it."""
        with self._lock:
            return self._anywhere.popleft() if self._anywhere else None

    def take(self, most: int) -> list[Unit]:
        """Take some units for another process, first those that only such a one may do."""
        with self._lock:
            return [
                (self._apart or self._anywhere).popleft()
                for _ in range(min(most, len(self._apart) + len(self._anywhere)))
            ]

    def give_back(self, some: Sequence[Unit]) -> None:
        """Put units where they come from: they are the next again."""
        with self._lock:
            for unit in reversed(some):
                (self._apart if unit.is_apart else self._anywhere).appendleft(unit)
