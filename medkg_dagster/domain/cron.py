"""Times of a schedule, as cron writes them: five fields, in a time zone, through changes of the clock.

Where the clock is put forward, a time that does not exist is taken for the end of the gap, so that no day is
left out; where it is put back, a time that comes twice is its later one. What repeats every hour goes by the
hours that pass: it leaves out what does not exist and comes twice where the hour does. So does Dagster.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import Self
from zoneinfo import ZoneInfo

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_PART = re.compile(r"(?:(?P<all>\*)|(?P<low>\w+)(?:-(?P<high>\w+))?)(?:/(?P<step>[0-9]{1,3}))?", re.ASCII)
_NAMED = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_DAY = timedelta(days=1)
_LONGEST_WAIT = timedelta(days=9 * 366)
"""29 February is eight years away around 2100; what does not come within this time never comes."""


@dataclass(frozen=True, slots=True)
class _Field:
    """One of the five fields: what it is called, what it may say, and words for that."""

    name: str
    low: int
    high: int
    words: tuple[str, ...] = ()

    def values(self, text: str) -> frozenset[int]:
        """Return what the text of the field stands for.

        Raises:
            ValueError: The text is not of the form `*`, `5`, `1-5`, `*/15`, `8-18/2`, or several with commas.
        """
        found: set[int] = set()
        for part in text.lower().split(","):
            match = _PART.fullmatch(part)
            if match is None or (match["step"] and not match["all"] and not match["high"]):
                raise ValueError(
                    f"the {self.name} {part!r} is none of *, 5, 1-5, */15, 8-18/2, or several with commas"
                )
            step = int(match["step"] or 1)
            low = self.low if match["all"] else self._number(match["low"])
            high = self.high if match["all"] else self._number(match["high"] or match["low"])
            if match["high"] and low >= high:
                raise ValueError(f"the {self.name} {part!r} does not go up; write the lower one first")
            if not 0 < step <= self.high:
                raise ValueError(f"the {self.name} {part!r} has steps of {step}; 1 to {self.high} will do")
            found.update(range(low, high + 1, step))
        return frozenset(found)

    def _number(self, text: str) -> int:
        number = int(text) if text.isdigit() else -1
        if text in self.words:
            number = self.words.index(text) + self.low
        if not self.low <= number <= self.high:
            words = f", or {self.words[0]} to {self.words[-1]}" if self.words else ""
            raise ValueError(f"the {self.name} {text!r} is not from {self.low} to {self.high}{words}")
        return number


_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of the month", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of the week", 0, 7, _DAYS),
)


@dataclass(frozen=True, slots=True)
class Cron:
    """The times that five fields and a time zone name.

    Attributes:
        text: The five fields.
        zone: The time zone.
        minutes: The minutes of an hour, in order.
        hours: The hours of a day, in order.
        days: The days of a month.
        months: The months.
        weekdays: The days of the week, Monday being 0.
        is_either_day: Whether either kind of day will do, as where both are narrowed; else both must fit.
    """

    text: str
    zone: ZoneInfo
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    is_either_day: bool

    @classmethod
    def parse(cls, text: str, timezone: str = "UTC") -> Self:
        """Return the times that are written.

        Args:
            text: Five fields, or `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`.
            timezone: The name of a time zone that there is.

        Raises:
            ValueError: The text is no such thing, or names a time that never comes.
        """
        named = _NAMED.get(text.strip().lower(), text)
        parts = named.split()
        if len(parts) != len(_FIELDS):
            raise ValueError("write five fields: minute, hour, day of the month, month, day of the week")
        minutes, hours, days, months, weekdays = (
            field.values(part) for field, part in zip(_FIELDS, parts, strict=True)
        )
        of_week = frozenset((day - 1) % 7 for day in weekdays)
        narrowed = len(days) < 31 and parts[4] not in {"*", "*/1"}
        ordered = tuple(sorted(minutes)), tuple(sorted(hours))
        made = cls(" ".join(parts), ZoneInfo(timezone), *ordered, days, months, of_week, narrowed)
        if next(made.after(datetime(2024, 1, 1, tzinfo=UTC)), None) is None:
            raise ValueError("that day never comes")
        return made

    def after(self, moment: datetime) -> Iterator[datetime]:
        """Yield the times after a moment, in UTC, without end."""
        last, day = moment, moment.astimezone(self.zone).date() - _DAY
        end = day + _LONGEST_WAIT
        while day < end:
            if self._has(day):
                for found in self._times_of(day):
                    if found > last:
                        yield found
                        last, end = found, day + _LONGEST_WAIT
            day += _DAY

    def latest(self, moment: datetime) -> datetime:
        """Return the last time that is not after a moment, in UTC."""
        day = moment.astimezone(self.zone).date() + _DAY
        while True:
            found = self._times_of(day) if self._has(day) else ()
            earlier = [at for at in found if at <= moment]
            if earlier:
                return earlier[-1]
            day -= _DAY

    def before(self, moment: datetime) -> datetime:
        """Return the last time before a moment, in UTC."""
        return self.latest(moment - timedelta(microseconds=1))

    def _has(self, day: date) -> bool:
        if day.month not in self.months:
            return False
        fits = (day.day in self.days, day.weekday() in self.weekdays)
        return any(fits) if self.is_either_day else all(fits)

    def _times_of(self, day: date) -> tuple[datetime, ...]:
        return _times_of(self.zone, day, self.hours, self.minutes)


@lru_cache(maxsize=64)
def _times_of(
    zone: ZoneInfo, day: date, hours: tuple[int, ...], minutes: tuple[int, ...]
) -> tuple[datetime, ...]:
    """Return the times of a day, in UTC and in order."""
    is_hourly = len(hours) == 24
    found: set[datetime] = set()
    for hour in hours:
        for minute in minutes:
            written = datetime.combine(day, time(hour, minute), zone)
            folds = {written.replace(fold=fold).astimezone(UTC) for fold in (0, 1)}
            # A time in a gap is read by the clock of either side, and is then another one.
            exists = any(
                at.astimezone(zone).replace(tzinfo=None) == written.replace(tzinfo=None) for at in folds
            )
            if exists:
                found.update(folds if is_hourly else {max(folds)})
            elif not is_hourly:
                found.add(_end_of_gap(zone, *sorted(folds)))
    return tuple(sorted(found))


def _end_of_gap(zone: ZoneInfo, early: datetime, late: datetime) -> datetime:
    """Return when the clock is put forward, which is between the two readings of a time in the gap."""
    before = early.astimezone(zone).utcoffset()
    minutes = int((late - early).total_seconds() // 60)
    steps = [early + timedelta(minutes=step) for step in range(minutes + 1)]
    return next(at for _, at in pairwise(steps) if at.astimezone(zone).utcoffset() != before)
