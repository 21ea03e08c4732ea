"""Times of schedules: the same as Dagster's, whose daemon says when to look, on every day of the year."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest
from dagster import TimeWindowPartitionsDefinition
from hypothesis import example, given
from hypothesis import strategies as st

from medkg_dagster.domain.cron import Cron

ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Sydney", "Asia/Kolkata"]


def fields(low: int, high: int) -> st.SearchStrategy[str]:
    numbers = st.integers(low, high)
    ranges = st.tuples(numbers, numbers).filter(lambda pair: pair[0] < pair[1])
    return st.one_of(
        st.just("*"),
        numbers.map(str),
        st.lists(numbers, min_size=2, max_size=3, unique=True).map(lambda found: ",".join(map(str, found))),
        ranges.map(lambda pair: f"{pair[0]}-{pair[1]}"),
    )


crons = st.tuples(
    st.sampled_from(["0", "30", "*", "*/15", "10,40"]),
    fields(0, 23),
    fields(1, 28),
    fields(1, 12),
    fields(0, 6),
).map(" ".join)
# Round the days on which clocks are changed, and a year round.
moments = st.one_of(
    st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1)),
    *(
        st.datetimes(day - timedelta(days=2), day + timedelta(days=2))
        for day in (datetime(2026, 3, 8), datetime(2026, 3, 29), datetime(2026, 4, 5), datetime(2026, 11, 1))
    ),
).map(lambda moment: moment.replace(tzinfo=UTC))


@given(crons, st.sampled_from(ZONES), moments)
@example("30 2 * * *", "Europe/Berlin", datetime(2026, 3, 28, tzinfo=UTC))
@example("30 2 * * *", "Europe/Berlin", datetime(2026, 10, 24, tzinfo=UTC))
@example("*/15 * * * *", "Europe/Berlin", datetime(2026, 10, 25, tzinfo=UTC))
def test_times_are_those_at_which_dagster_looks(text: str, zone: str, moment: datetime) -> None:
    windows = TimeWindowPartitionsDefinition(
        start=moment, cron_schedule=text, timezone=zone, fmt="%Y-%m-%dT%H:%M:%S%z"
    )

    found = list(islice(Cron.parse(text, zone).after(moment - timedelta(microseconds=1)), 5))

    expected, at = [], moment
    for _ in range(5):
        window = windows.get_next_partition_window(at, respect_bounds=False)
        assert window is not None
        expected.append(window.start.astimezone(UTC))
        at = expected[-1] + timedelta(seconds=1)
    assert found == expected


@given(crons, st.sampled_from(ZONES), moments)
def test_looking_back_finds_the_same_times(text: str, zone: str, moment: datetime) -> None:
    cron = Cron.parse(text, zone)
    first, second = islice(cron.after(moment), 2)

    assert cron.latest(second) == second
    assert cron.before(second) == first
    assert cron.latest(first - timedelta(seconds=1)) < first


@pytest.mark.parametrize(
    ("text", "moment", "expected"),
    [
        ("30 2 * * *", "2026-03-28T12:00Z", ["2026-03-29T01:00Z", "2026-03-30T00:30Z"]),
        ("30 2 * * *", "2026-10-24T12:00Z", ["2026-10-25T01:30Z", "2026-10-26T01:30Z"]),
        ("30 * * * *", "2026-03-29T00:00Z", ["2026-03-29T00:30Z", "2026-03-29T01:30Z"]),
        ("30 * * * *", "2026-10-25T00:00Z", ["2026-10-25T00:30Z", "2026-10-25T01:30Z"]),
    ],
    ids=["forward, a day", "back, a day", "forward, hours", "back, hours"],
)
def test_a_changed_clock_leaves_no_day_out_and_no_hour(text: str, moment: str, expected: list[str]) -> None:
    times = Cron.parse(text, "Europe/Berlin").after(datetime.fromisoformat(moment))

    assert list(islice(times, 2)) == [datetime.fromisoformat(item) for item in expected]


def test_days_of_the_month_and_of_the_week_are_either() -> None:
    times = Cron.parse("0 6 13 * fri").after(datetime(2026, 2, 1, tzinfo=UTC))

    assert [at.day for at in islice(times, 4)] == [6, 13, 20, 27]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("6 0 * *", "write five fields"),
        ("0 25 * * *", "the hour '25' is not from 0 to 23"),
        ("0 6 * foo *", "the month 'foo' is not from 1 to 12, or jan to dec"),
        ("0 6 5-2 * *", "the day of the month '5-2' does not go up"),
        ("0 6 * * 5/2", "the day of the week '5/2' is none of"),
        ("*/90 * * * *", "has steps of 90"),
        ("0 0 30 2 *", "that day never comes"),
        ("@often", "write five fields"),
    ],
)
def test_what_is_no_time_is_refused_with_the_reason(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("*", r"\*")):
        Cron.parse(text)


@pytest.mark.parametrize("text", ["@daily", "0 0 * * *", " 0  0 * *  * "])
def test_a_name_stands_for_its_fields(text: str) -> None:
    assert Cron.parse(text).text == "0 0 * * *"
