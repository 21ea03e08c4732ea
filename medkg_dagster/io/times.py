"""Times as ledger and graph write them: UTC, ISO 8601 with microseconds and a Z, so that text sorts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """Return the time, with its zone."""
    return datetime.now(UTC)


def stamp(clock: Clock, seconds: float = 0.0) -> str:
    """Return the clock's time, or one so many seconds later."""
    moment = clock().astimezone(UTC) + timedelta(seconds=seconds)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def moment_text(moment: datetime) -> str:
    """Return a time, with its zone, as they write it."""
    return stamp(lambda: moment)


def seconds_between(start: str, end: str) -> float:
    """Return the seconds from one stamp to a later one, 0 where the later one is earlier."""
    return max(0.0, (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds())
