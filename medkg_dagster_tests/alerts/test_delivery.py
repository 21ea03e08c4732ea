"""Recorded alerts on their way out, to a receiver that fails."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from medkg_dagster.alerts.delivery import GIVEN_UP_AFTER, send_due
from medkg_dagster.alerts.messages import slack_text, written
from medkg_dagster.domain.alerts import Alert, AlertEvent
from medkg_dagster.ledger import JobLedger
from medkg_dagster.ledger.alert_models import AlertChannel, AlertStatus
from medkg_dagster.ledger.alerts import LEASE_SECONDS, Found
from medkg_dagster.topology.alerts_file import Webhook
from medkg_dagster_tests.ledger.conftest import FakeClock
from medkg_dagster_tests.webhook_receiver import SECRET, Receiver, close, receiving, status

AT = "2026-01-01T00:00:00.000000Z"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def ledger(tmp_path: Path, clock: FakeClock) -> Iterator[JobLedger]:
    with JobLedger.open(tmp_path, clock=clock) as opened:
        yield opened


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    monkeypatch.setenv("OPS_SECRET", SECRET)
    with receiving() as live:
        yield live


def webhook(receiver: Receiver, name: str = "ops", **more: object) -> Webhook:
    return Webhook.model_validate(
        {"name": name, "url": receiver.url, "secret": {"env": "OPS_SECRET"}, **more}
    )


def record(ledger: JobLedger, *names: str, channel: str = "ops") -> None:
    alerts = [Alert(AlertEvent.RUN_FAILED, name, AT, f"{name} failed", {"job": name}) for name in names]
    found = Found(AlertChannel(channel, AlertEvent.RUN_FAILED), alerts, AT)
    ledger.alerts.record([found], lambda alert: written(alert, None), lambda alerts: alerts[0])


def test_an_alert_comes_signed_and_once(ledger: JobLedger, receiver: Receiver) -> None:
    record(ledger, "r1")

    assert send_due(ledger, [webhook(receiver)]).sent == 1
    assert send_due(ledger, [webhook(receiver)]).sent == 0

    (message,) = receiver.received
    assert message.json == {
        "type": "run.failed",
        "timestamp": AT,
        "data": {"summary": "r1 failed", "job": "r1"},
    }
    signed = f"{message.id}.{message.headers['webhook-timestamp']}.".encode() + message.body
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert message.headers["webhook-signature"] == f"v1,{expected}"


def test_what_was_not_taken_is_sent_again_later_with_the_same_id_and_bytes(
    ledger: JobLedger, receiver: Receiver, clock: FakeClock
) -> None:
    record(ledger, "r1")
    receiver.answers = [status(500), close]
    told: list[str] = []
    for _ in range(3):
        told += send_due(ledger, [webhook(receiver)]).problems
        clock.advance(20)

    assert [problem.partition(" (attempt")[0] for problem in told] == [
        "webhook 'ops': status 500",
        "webhook 'ops': the connection failed (RemoteProtocolError)",
    ]
    assert len(set(receiver.ids)) == 1
    assert len({message.body for message in receiver.received}) == 1
    (sent,) = ledger.alerts.list()
    assert (sent.status, sent.attempts) == (AlertStatus.SENT, 3)


def test_a_sender_that_is_killed_after_the_receiver_took_it_sends_it_again_under_its_id(
    ledger: JobLedger, receiver: Receiver, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(ledger, "r1")

    class KilledError(BaseException):
        """The process is gone: nothing more is written."""

    def kill(_self: object, _alert_id: str) -> None:
        raise KilledError

    with monkeypatch.context() as patched:
        patched.setattr(type(ledger.alerts), "sent", kill)
        with pytest.raises(KilledError):
            send_due(ledger, [webhook(receiver)])

    assert send_due(ledger, [webhook(receiver)]).sent == 0
    clock.advance(LEASE_SECONDS + 1)
    assert send_due(ledger, [webhook(receiver)]).sent == 1
    first, second = receiver.received
    assert (first.id, first.body) == (second.id, second.body)


def test_a_receiver_that_asks_to_wait_is_left_alone_for_so_long(
    ledger: JobLedger, receiver: Receiver, clock: FakeClock
) -> None:
    record(ledger, "r1", "r2")
    receiver.answers = [status(429, Retry_After="120")]
    send_due(ledger, [webhook(receiver)])
    clock.advance(119)
    assert send_due(ledger, [webhook(receiver)]).problems == ()
    assert len(receiver.received) == 1

    clock.advance(2)
    assert send_due(ledger, [webhook(receiver)]).sent == 2


def test_one_that_is_away_does_not_keep_others_from_being_told(ledger: JobLedger, receiver: Receiver) -> None:
    with receiving() as ended:
        pass
    record(ledger, "r1", "r2", channel="away")
    record(ledger, "r1", "r2")

    told = send_due(ledger, [webhook(ended, "away"), webhook(receiver)])

    assert (told.sent, len(told.problems)) == (2, 1)


def test_an_alert_that_one_receiver_refuses_does_not_hold_up_the_next(
    ledger: JobLedger, receiver: Receiver, clock: FakeClock
) -> None:
    record(ledger, "r1", "r2")
    receiver.answers = [status(400)]
    send_due(ledger, [webhook(receiver)])

    assert send_due(ledger, [webhook(receiver)]).sent == 1
    clock.advance(10)
    assert send_due(ledger, [webhook(receiver)]).sent == 1


@pytest.mark.parametrize("by", ["410", "age"])
def test_what_nobody_takes_is_given_up(
    ledger: JobLedger, receiver: Receiver, clock: FakeClock, by: str
) -> None:
    record(ledger, "r1")
    if by == "age":
        clock.advance(GIVEN_UP_AFTER.total_seconds() + 1)
    receiver.answers = [status(410 if by == "410" else 500)]

    send_due(ledger, [webhook(receiver)])

    (given_up,) = ledger.alerts.list()
    assert (given_up.status, given_up.next_at) == (AlertStatus.FAILED, None)


def test_without_its_secret_nothing_is_sent_and_nothing_lost(
    ledger: JobLedger, receiver: Receiver, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(ledger, "r1")
    monkeypatch.delenv("OPS_SECRET")
    (problem,) = send_due(ledger, [webhook(receiver)]).problems
    assert "OPS_SECRET is not set" in problem
    assert receiver.received == []

    monkeypatch.setenv("OPS_SECRET", SECRET)
    clock.advance(10)
    assert send_due(ledger, [webhook(receiver)]).sent == 1


def test_slack_gets_text_that_cannot_steer_it(ledger: JobLedger, receiver: Receiver) -> None:
    record(ledger, "<!channel> & `r1`")

    assert send_due(ledger, [webhook(receiver, format="slack", secret=None)]).sent == 1

    (message,) = receiver.received
    assert message.json == {"text": "*run.failed* &lt;!channel&gt; &amp; 'r1' failed"}
    assert "webhook-signature" not in message.headers


def test_a_slack_message_has_what_to_copy_and_where_to_look() -> None:
    alert = Alert(
        AlertEvent.DECISION_WANTED,
        "j1",
        AT,
        "papers/j1 waits",
        {"commands": {"approve": "medkg gate approve papers/j1 ready --reason '...'"}, "path": "runs/r1"},
    )

    assert slack_text(json.loads(json.dumps(written(alert, "https://d.example.org")))) == (
        "*decision.wanted* papers/j1 waits\n"
        "approve: `medkg gate approve papers/j1 ready --reason '...'`\n"
        "<https://d.example.org/runs/r1>"
    )
