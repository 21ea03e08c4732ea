"""Whatever the clock does and however long nobody looks, times are dealt with once, and none is lost."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medkg_dagster.domain.cron import Cron
from medkg_dagster.runtime.due_times import ON_TIME, DueTime, due_times
from medkg_dagster.topology.triggers import CatchUp

# From before one change of the clock to after it, in both directions.
STARTS = [datetime(2026, 3, 27, tzinfo=UTC), datetime(2026, 10, 23, tzinfo=UTC)]
CRONS = ["30 2 * * *", "0 */6 * * *", "*/20 * * * *", "0 1,2,3 * * *"]
gaps = st.lists(
    st.integers(0, 20 * 60).map(lambda minutes: timedelta(minutes=minutes)), min_size=1, max_size=4
)


def looks(
    cron: Cron, start: datetime, waits: list[timedelta], catch_up: CatchUp, limit: int
) -> list[DueTime]:
    """Look again and again, as a daemon that is now up, now down; return all that was due."""
    handled, now = cron.latest(start), start
    found: list[DueTime] = []
    for wait in waits:
        now += wait
        due = due_times(cron, handled, now, catch_up, limit)
        if due is not None:
            assert due.handled <= now
            found += due.times
            handled = due.handled
    return found


crons = st.builds(Cron.parse, st.sampled_from(CRONS), st.sampled_from(["Europe/Berlin", "UTC"]))


@given(crons, st.sampled_from(STARTS), gaps, st.integers(30, 60))
def test_all_asks_for_each_time_once_and_its_windows_lie_side_by_side(
    cron: Cron, start: datetime, waits: list[timedelta], limit: int
) -> None:
    # Looks without a wait take what is left over the limit.
    found = looks(cron, start, [*waits, *[timedelta()] * 60], "all", limit)

    end = start + sum(waits, timedelta())
    expected = []
    for at in cron.after(cron.latest(start)):
        if at > end:
            break
        expected.append(at)
    assert [item.end for item in found] == expected
    assert all(one.end == other.start for one, other in pairwise(found))


@given(crons, st.sampled_from(STARTS), gaps)
def test_one_asks_once_a_look_and_covers_what_was_missed(
    cron: Cron, start: datetime, waits: list[timedelta]
) -> None:
    found = looks(cron, start, waits, "one", 5)

    end = start + sum(waits, timedelta())
    assert len(found) <= len(waits)
    assert all(one.end == other.start for one, other in pairwise(found))
    if found:
        assert found[-1].end == cron.latest(end)
        assert found[0].start == cron.latest(start)


@given(crons, st.sampled_from(STARTS), gaps)
def test_none_asks_for_what_is_on_time_alone(cron: Cron, start: datetime, waits: list[timedelta]) -> None:
    handled, now = cron.latest(start), start
    for wait in waits:
        now += wait
        due = due_times(cron, handled, now, "none")
        if due is not None:
            assert [item.end for item in due.times] in ([], [cron.latest(now)])
            assert all(now - item.end <= ON_TIME for item in due.times)
            assert due.missed + len(due.times) >= 1
            handled = due.handled
    assert due_times(cron, handled, now, "none") is None


@pytest.mark.parametrize("catch_up", ["one", "all", "none"])
def test_a_second_look_at_one_moment_finds_nothing(catch_up: CatchUp) -> None:
    cron, now = Cron.parse("0 6 * * *"), datetime(2026, 5, 4, 6, tzinfo=UTC)

    first = due_times(cron, None, now, catch_up)

    assert first is not None
    assert [item.end for item in first.times] == [now]
    assert [item.start for item in first.times] == [now - timedelta(days=1)]
    assert due_times(cron, first.handled, now, catch_up) is None


def test_a_clock_that_was_ahead_does_not_hide_what_becomes_due() -> None:
    cron, now = Cron.parse("0 6 * * *"), datetime(2026, 5, 4, 6, tzinfo=UTC)

    ahead = now + timedelta(days=30)

    assert due_times(cron, ahead, now, "one") is None
    assert due_times(cron, min(ahead, now), now + timedelta(days=1), "one") is not None
