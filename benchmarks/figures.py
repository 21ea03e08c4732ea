"""What a benchmark yields, and the alternating measurement all of them use."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

REPEATS = 5


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured figure.

    Attributes:
        name: What was measured.
        measured: The figure itself, in `unit`.
        unit: `x` for a ratio of ours to the reference, else seconds, bytes, documents per second.
        target: The most it may be; None for a figure that is only shown.
        details: Both sides, for people.
    """

    name: str
    measured: float
    unit: str
    target: float | None
    details: str

    def row(self) -> str:
        """Return the figure as one line."""
        verdict = "" if self.target is None else ("ok" if self.measured <= self.target else "MISSED")
        limit = "" if self.target is None else f"<= {self.target:g}"
        return f"{self.name:<58} {self.measured:>10.3f} {self.unit:<8} {limit:<9} {verdict:<7} {self.details}"


@dataclass(frozen=True, slots=True)
class Pair:
    """Medians of two sides measured in turn, and the median of their ratios, round by round."""

    ours: float
    reference: float
    ratio: float


def in_turn(ours: Callable[[], float], reference: Callable[[], float], repeats: int = REPEATS) -> Pair:
    """Measure two sides A B A B …, after one round that does not count.

    Args:
        ours: Returns one measurement of our side.
        reference: Returns one measurement of the other side.
        repeats: Rounds that count.
    """
    ours()
    reference()
    rounds = [(ours(), reference()) for _ in range(repeats)]
    return Pair(
        statistics.median(mine for mine, _ in rounds),
        statistics.median(other for _, other in rounds),
        statistics.median(mine / other for mine, other in rounds),
    )


def cpu_seconds(work: Callable[[], object]) -> float:
    """Return the processor time of one call, which other processes disturb less than wall time."""
    start = time.process_time()
    work()
    return time.process_time() - start
