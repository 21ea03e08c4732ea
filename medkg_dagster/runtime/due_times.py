"""Which times of a schedule are due: a function of its times, of how far it has come, and of the time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice, takewhile

from medkg_dagster.domain.cron import Cron
from medkg_dagster.topology.triggers import CatchUp

ON_TIME = timedelta(minutes=5)
"""A time at which somebody looks this much later has not been missed."""
JOBS_PER_TICK = 200
_COUNTED = 10_000


@dataclass(frozen=True, slots=True)
class DueTime:
    """A time for which a job is to be asked for.

    Attributes:
        start: Since when there was none, in UTC: the begin of the window that the job covers.
        end: The time, in UTC: the end of the window.
    """

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class DueTimes:
    """What is due at one look.

    Attributes:
        times: Times that are due, in order.
        handled: The time up to which all is dealt with then.
        missed: How many times before that get no job of their own.
        is_more: Whether more are due than one look takes.
    """

    times: tuple[DueTime, ...]
    handled: datetime
    missed: int = 0
    is_more: bool = False


def due_times(
    cron: Cron, handled: datetime | None, now: datetime, catch_up: CatchUp, limit: int = JOBS_PER_TICK
) -> DueTimes | None:
    """Return what is due; None where nothing is.

    Windows lie next to each other: each begins where the one before ended, whatever was missed in between.

    Args:
        cron: The schedule's times.
        handled: The time up to which all is dealt with; None before the first look.
        now: The time.
        catch_up: What becomes of times at which nobody looked.
        limit: How many times one look takes.
    """
    latest = cron.latest(now)
    if handled is None:
        # What was before anybody looked for the first time has not been missed.
        start = handled = cron.before(latest)
    else:
        # A clock that was ahead has come further than there is time.
        start = handled = min(handled, latest)
    if handled >= latest:
        return None

    if catch_up == "all":
        times = list(islice(takewhile(lambda at: at <= latest, cron.after(start)), limit))
        found = tuple(DueTime(begin, end) for begin, end in zip((start, *times), times, strict=False))
        return DueTimes(found, times[-1], is_more=times[-1] < latest)
    before = sum(1 for _ in islice(takewhile(lambda at: at < latest, cron.after(start)), _COUNTED))
    if catch_up == "one":
        return DueTimes((DueTime(start, latest),), latest, before)
    if now - latest > ON_TIME:
        return DueTimes((), latest, before + 1)
    return DueTimes((DueTime(cron.before(latest), latest),), latest, before)
