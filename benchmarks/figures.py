"""What a benchmark yields, and the alternating measurement all of them use."""

import gc
import multiprocessing
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from enum import StrEnum


class Comparison(StrEnum):
    """What of a figure is held against its target."""

    RATIO = "x"
    """Ours divided by the reference."""
    DIFFERENCE = "more"
    """Ours less the reference."""
    VALUE = ""
    """Ours alone."""


class Bound(StrEnum):
    """On which side of its target a figure is to stay."""

    AT_MOST = "<="
    AT_LEAST = ">="


@dataclass(frozen=True, slots=True)
class Pair:
    """Two sides measured in turn.

    Attributes:
        ours: Median of our side.
        reference: Median of the other side.
        ratio: Median of the ratios, round by round, so that what disturbs a whole round cancels out.
        difference: Median of the differences, round by round.
    """

    ours: float
    reference: float
    ratio: float
    difference: float


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure.

    Attributes:
        name: What was measured.
        unit: Unit of `ours` and `reference`.
        ours: Our side.
        reference: The other side; None where there is none.
        comparison: What is held against the target.
        measured: Its value.
        target: What it is held against; None for a figure that is only shown.
        note: How to read it.
        bound: Whether the target is the most or the least it may be.
    """

    name: str
    unit: str
    ours: float
    reference: float | None
    comparison: Comparison
    measured: float
    target: float | None
    note: str
    bound: Bound = Bound.AT_MOST

    @classmethod
    def ratio(
        cls,
        name: str,
        unit: str,
        pair: Pair,
        target: float | None,
        note: str = "",
        *,
        bound: Bound = Bound.AT_MOST,
    ) -> "Figure":
        """Return a figure that is how many times the reference ours is."""
        return cls(name, unit, pair.ours, pair.reference, Comparison.RATIO, pair.ratio, target, note, bound)

    @classmethod
    def difference(cls, name: str, unit: str, pair: Pair, target: float | None, note: str = "") -> "Figure":
        """Return a figure that is how much more than the reference ours is."""
        return cls(
            name, unit, pair.ours, pair.reference, Comparison.DIFFERENCE, pair.difference, target, note
        )

    @classmethod
    def value(
        cls,
        name: str,
        unit: str,
        value: float,
        target: float | None = None,
        note: str = "",
        *,
        bound: Bound = Bound.AT_MOST,
    ) -> "Figure":
        """Return a figure without a reference."""
        return cls(name, unit, value, None, Comparison.VALUE, value, target, note, bound)

    @property
    def is_missed(self) -> bool:
        """Whether the figure is on the wrong side of its target."""
        if self.target is None:
            return False
        return self.measured > self.target if self.bound is Bound.AT_MOST else self.measured < self.target

    def row(self) -> str:
        """Return the figure as one line, to stand under `HEADER`."""
        sides = [_number(self.ours, self.unit), _number(self.reference, self.unit)]
        is_alone = self.comparison is Comparison.VALUE
        compared = "-" if is_alone else self._compared(self.measured)
        target = "-" if self.target is None else f"{self.bound} {self._compared(self.target)}"
        verdict = "-" if self.target is None else ("MISSED" if self.is_missed else "ok")
        return _line(self.name, *sides, compared, target, verdict, self.note)

    def _compared(self, number: float) -> str:
        if self.comparison is Comparison.RATIO:
            return f"{number:.2f} x"
        if self.comparison is Comparison.DIFFERENCE:
            return f"{number:+.3f} {self.unit}"
        return _number(number, self.unit)


def _line(*cells: str) -> str:
    widths = (52, -14, -14, -11, -14, 6, 0)
    return "  ".join(
        cell.ljust(width) if width >= 0 else cell.rjust(-width)
        for cell, width in zip(cells, widths, strict=True)
    ).rstrip()


def _number(number: float | None, unit: str) -> str:
    return "-" if number is None else f"{number:,.{0 if abs(number) >= 100 else 3}f} {unit}"


HEADER = _line("figure", "ours", "reference", "compared", "target", "", "")


def in_turn(ours: Callable[[], float], reference: Callable[[], float], repeats: int) -> Pair:
    """Measure two sides A B B A A B …, after one round that does not count.

    Args:
        ours: Returns one measurement of our side.
        reference: Returns one measurement of the other side.
        repeats: Rounds that count.
    """
    rounds = []
    for number in range(repeats + 1):
        # Neither side always follows the other, or one would always find the machine as the other left it.
        if number % 2:
            mine, other = ours(), reference()
        else:
            other, mine = reference(), ours()
        if number:
            rounds.append((mine, other))
    return Pair(
        statistics.median(mine for mine, _ in rounds),
        statistics.median(other for _, other in rounds),
        statistics.median(mine / other for mine, other in rounds),
        statistics.median(mine - other for mine, other in rounds),
    )


def in_own_process(measured: Callable[..., float], *arguments: object) -> Callable[[], float]:
    """Return a measurement that is made in a new process each time, so that none before it changes it.

    How often the collector runs, for example, depends on all that a process holds.

    Args:
        measured: Returns one measurement; its module is imported before the process begins.
        arguments: What it is given.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([measured.__module__])

    def measure() -> float:
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            return pool.submit(measured, *arguments).result()

    return measure


def cpu_seconds(work: Callable[[], object]) -> float:
    """Return the processor time of one call, which other processes disturb less than wall time."""
    gc.collect()  # or one side would pay for what the other left behind
    start = time.process_time()
    work()
    return time.process_time() - start


def wall_seconds(work: Callable[[], object]) -> float:
    """Return the wall time of one call, waiting for the disk included."""
    gc.collect()
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
