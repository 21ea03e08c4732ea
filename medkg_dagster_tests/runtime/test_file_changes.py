"""Whatever files go through, each state in which one keeps still is ready once, and no other."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from medkg_dagster.ledger import TriggerItem
from medkg_dagster.runtime.file_changes import file_changes

START = datetime(2026, 1, 1, tzinfo=UTC)
STILL = timedelta(seconds=10)

# What a file is at a look, and how many seconds later the next look is.
looks = st.lists(st.tuples(st.sampled_from(["", "1", "2"]), st.integers(0, 25)), min_size=1, max_size=15)


def remember(known: dict[str, TriggerItem], items: Mapping[str, TriggerItem | None]) -> None:
    for path, item in items.items():
        if item is None:
            known.pop(path, None)
        else:
            known[path] = item


@given(looks)
def test_a_file_is_ready_when_it_has_kept_still_and_not_before(history: list[tuple[str, int]]) -> None:
    known: dict[str, TriggerItem] = {}
    now, dealt, begun = START, "", {"": START}
    last = ""
    for version, wait in history:
        if version != last:
            begun[version] = now
            last = version
        found = file_changes({"f": version} if version else {}, known, now, STILL)
        expected = version != dealt and now - begun[version] >= STILL and now > begun[version]
        assert ("f" in found.ready) == expected
        if expected:
            change = found.ready["f"]
            assert change.kind == ("gone" if not version else "changed" if dealt else "appeared")
            remember(known, {"f": change.item})
            dealt = version
        remember(known, found.watched)
        now += timedelta(seconds=wait)
    if not dealt and not last:
        assert known == {}


def test_what_is_not_dealt_with_stays_ready() -> None:
    known: dict[str, TriggerItem] = {}
    remember(known, file_changes({"f": "1"}, known, START, STILL).watched)

    for seconds in (10, 20, 30):
        assert list(file_changes({"f": "1"}, known, START + timedelta(seconds=seconds), STILL).ready) == ["f"]


def test_a_clock_that_was_ahead_does_not_hide_a_file() -> None:
    known: dict[str, TriggerItem] = {}
    remember(known, file_changes({"f": "1"}, known, START + timedelta(days=1), STILL).watched)
    remember(known, file_changes({"f": "1"}, known, START, STILL).watched)

    assert list(file_changes({"f": "1"}, known, START + STILL, STILL).ready) == ["f"]
