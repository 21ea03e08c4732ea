"""Alerts in the ledger: recorded once, sent by one at a time, and not lost by whoever is killed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from medkg_dagster.domain.alerts import Alert, AlertEvent
from medkg_dagster.ledger import JobLedger
from medkg_dagster.ledger.alert_models import AlertChannel, AlertRecord, AlertStatus
from medkg_dagster.ledger.alerts import LEASE_SECONDS, MOST_AT_ONCE, Found
from medkg_dagster_tests.ledger.conftest import FakeClock

OPS = AlertChannel("ops", AlertEvent.RUN_FAILED)
CURATORS = AlertChannel("curators", AlertEvent.RUN_FAILED)
AT = "2026-01-01T00:00:00.000000Z"
DAYS = 86_400


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def ledger(url: str, clock: FakeClock) -> Iterator[JobLedger]:
    with JobLedger.connect(url, clock=clock) as opened:
        yield opened


def failed(*names: str) -> list[Alert]:
    return [Alert(AlertEvent.RUN_FAILED, name, AT, f"run {name} failed") for name in names]


def write(alert: Alert) -> dict[str, Any]:
    return {"type": alert.event.value, "data": {"summary": alert.summary}}


def sum_up(alerts: Any) -> Alert:
    return Alert(AlertEvent.RUN_FAILED, "sum", AT, f"{len(alerts)} runs failed")


def record(ledger: JobLedger, *names: str, channel: AlertChannel = OPS, until: str = AT) -> int:
    return ledger.alerts.record([Found(channel, failed(*names), until)], write, sum_up)


def take(ledger: JobLedger, webhook: str = "ops") -> AlertRecord:
    taken = ledger.alerts.take(webhook)
    assert taken is not None
    return taken


def test_what_happened_is_recorded_once_for_each_webhook(ledger: JobLedger) -> None:
    assert record(ledger, "r1", "r2") == 2
    assert record(ledger, "r2", "r3") == 1
    assert record(ledger, "r1", channel=CURATORS) == 1

    found = ledger.alerts.list()
    assert sorted((item.webhook, item.summary) for item in found) == [
        ("curators", "run r1 failed"),
        *(("ops", f"run r{number} failed") for number in (1, 2, 3)),
    ]
    assert len({item.alert_id for item in found}) == 4
    assert {item.status for item in found} == {AlertStatus.WAITING}


def test_a_position_never_goes_back(ledger: JobLedger) -> None:
    record(ledger, until="2026-01-02")
    record(ledger, until="2026-01-01")

    assert ledger.alerts.positions() == {OPS: "2026-01-02"}


def test_of_two_that_look_at_once_one_records(url: str, ledger: JobLedger) -> None:
    names = [f"r{number}" for number in range(MOST_AT_ONCE)]
    added: list[int] = []
    together = threading.Barrier(4)

    def look() -> None:
        with JobLedger.connect(url) as other:
            together.wait()
            added.append(record(other, *names))

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(added) == [0, 0, 0, MOST_AT_ONCE]
    assert len(ledger.alerts.list()) == MOST_AT_ONCE


def test_many_at_once_are_told_in_one(ledger: JobLedger) -> None:
    names = [f"r{number}" for number in range(MOST_AT_ONCE + 1)]

    assert record(ledger, *names) == len(names)
    assert record(ledger, *names) == 0

    (sent,) = ledger.alerts.list(status=AlertStatus.WAITING)
    assert sent.summary == f"{len(names)} runs failed"
    assert len(ledger.alerts.list(status=AlertStatus.SUMMED_UP)) == len(names)


def test_each_is_sent_by_one_at_a_time(url: str, ledger: JobLedger) -> None:
    names = [f"r{number}" for number in range(12)]
    record(ledger, *names)
    taken: list[str] = []
    together = threading.Barrier(3)

    def send() -> None:
        with JobLedger.connect(url, clock=FakeClock()) as other:
            together.wait()
            while (alert := other.alerts.take("ops")) is not None:
                taken.append(alert.alert_id)

    threads = [threading.Thread(target=send) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(taken) == sorted(item.alert_id for item in ledger.alerts.list())
    assert len(taken) == len(names)


def test_what_somebody_was_killed_in_sending_is_sent_again_under_its_id(
    ledger: JobLedger, clock: FakeClock
) -> None:
    record(ledger, "r1")
    first = take(ledger)
    assert ledger.alerts.take("ops") is None

    clock.advance(LEASE_SECONDS + 1)
    again = take(ledger)
    assert (again.alert_id, again.payload, again.attempts) == (first.alert_id, first.payload, 2)

    ledger.alerts.sent(again.alert_id)
    clock.advance(10 * DAYS)
    assert ledger.alerts.take("ops") is None
    (sent,) = ledger.alerts.list()
    assert (sent.status, sent.error) == (AlertStatus.SENT, None)


def test_what_was_not_taken_waits_and_what_is_new_goes_first(ledger: JobLedger, clock: FakeClock) -> None:
    record(ledger, "r1")
    ledger.alerts.put_off(take(ledger), 30, "status 400", is_of_service=False)
    clock.advance(1)
    record(ledger, "r2")

    assert take(ledger).summary == "run r2 failed"
    assert ledger.alerts.take("ops") is None
    clock.advance(30)
    assert take(ledger).error == "status 400"


def test_a_receiver_in_trouble_is_left_alone_and_others_are_not(ledger: JobLedger, clock: FakeClock) -> None:
    record(ledger, "r1", "r2")
    record(ledger, "r1", channel=CURATORS)
    ledger.alerts.put_off(take(ledger), 30, "status 503", is_of_service=True)

    assert ledger.alerts.take("ops") is None
    assert take(ledger, "curators").webhook == "curators"
    clock.advance(31)
    assert {take(ledger).summary for _ in range(2)} == {"run r1 failed", "run r2 failed"}


def test_a_time_that_a_clock_ahead_wrote_puts_off_for_no_longer_than_may_be(
    ledger: JobLedger, clock: FakeClock
) -> None:
    record(ledger, "r1")
    clock.advance(10 * DAYS)
    ledger.alerts.put_off(take(ledger), 60, "status 503", is_of_service=True)
    clock.advance(-10 * DAYS)

    assert ledger.alerts.has_due()
    assert take(ledger).attempts == 2


def test_what_was_given_up_is_sent_when_somebody_asks(ledger: JobLedger) -> None:
    record(ledger, "r1")
    ledger.alerts.give_up(take(ledger).alert_id, "status 410")
    counts = ledger.alerts.counts()
    assert (counts.counts, counts.errors) == ({("ops", AlertStatus.FAILED): 1}, {"ops": "status 410"})

    assert ledger.alerts.send_again("curators") == 0
    assert ledger.alerts.send_again() == 1
    assert take(ledger).attempts == 1


def test_nothing_waits_for_a_webhook_that_is_gone(ledger: JobLedger) -> None:
    record(ledger, "r1")
    record(ledger, "r1", channel=CURATORS)

    ledger.alerts.keep([CURATORS])

    assert set(ledger.alerts.positions()) == {CURATORS}
    assert [item.webhook for item in ledger.alerts.list(status=AlertStatus.FAILED)] == ["ops"]
    assert take(ledger, "curators").summary == "run r1 failed"


def test_what_was_sent_is_forgotten_and_what_waits_is_not(ledger: JobLedger, clock: FakeClock) -> None:
    record(ledger, "r1", "r2")
    ledger.alerts.sent(take(ledger).alert_id)
    clock.advance(DAYS)
    before = ledger.alerts.now()

    assert ledger.alerts.forget(before, dry_run=True) == 1
    assert len(ledger.alerts.list()) == 2
    assert ledger.alerts.forget(before) == 1
    assert [item.status for item in ledger.alerts.list()] == [AlertStatus.WAITING]
