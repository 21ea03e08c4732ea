"""`medkg alerts`, and what the doctor and `medkg prune` say of alerts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from medkg_dagster.domain.alerts import Alert, AlertEvent
from medkg_dagster.ledger import JobKey, JobLedger
from medkg_dagster.ledger.alert_models import AlertChannel
from medkg_dagster.ledger.alerts import Found
from medkg_dagster_tests.cli.conftest import Medkg
from medkg_dagster_tests.webhook_receiver import SECRET, Receiver, receiving, status

AT = "2026-01-01T00:00:00.000000Z"


@pytest.fixture
def receiver(gated_medkg: Medkg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """A receiver, named `ops` in the deployment's file."""
    del gated_medkg
    monkeypatch.setenv("OPS_SECRET", SECRET)
    with receiving() as live:
        hook = f"alerts: [{{name: ops, url: '{live.url}', secret: {{env: OPS_SECRET}}}}]\n"
        (tmp_path / "config" / "alerts.yaml").write_text(hook)
        yield live


def record(home: Path, *names: str, age: timedelta = timedelta()) -> None:
    """Record alerts: the first is sent, the second given up."""
    moment = datetime.now(UTC) - age
    with JobLedger.open(home, clock=lambda: moment) as book:
        book.jobs.ensure(JobKey("reviewed", "spring"), actor="test")
        alerts = [Alert(AlertEvent.RUN_FAILED, name, AT, f"{name} failed") for name in names]
        found = Found(AlertChannel("ops", AlertEvent.RUN_FAILED), alerts, AT)
        book.alerts.record([found], lambda alert: {"type": alert.event.value}, lambda many: many[0])
        by_summary = {item.summary: item.alert_id for item in book.alerts.list()}
        book.alerts.sent(by_summary[f"{names[0]} failed"])
        book.alerts.give_up(by_summary[f"{names[1]} failed"], "status 410")


@pytest.mark.usefixtures("receiver")
def test_what_was_sent_waits_and_was_given_up_is_listed(gated_medkg: Medkg, home: Path) -> None:
    assert gated_medkg("alerts").output == "no alerts; 1 webhook is told of what happens\n"
    assert not home.exists()
    record(home, "r1", "r2", "r3")

    shown = gated_medkg("alerts")
    assert shown.exit_code == 0, shown.output
    assert {"sent", "failed", "waiting", "status", "410"} <= set(shown.output.split())
    (given_up,) = json.loads(gated_medkg("alerts", "--status", "failed", "--json").stdout)
    assert (given_up["summary"], given_up["error"]) == ("r2 failed", "status 410")
    refused = gated_medkg("alerts", "--webhook", "opps")
    assert refused.stderr == "medkg: no webhook is called 'opps'; did you mean 'ops'? known: ops\n"


def test_a_webhook_is_tried_out(gated_medkg: Medkg, receiver: Receiver) -> None:
    done = gated_medkg("alerts", "test", "ops")

    assert done.output == "webhook 'ops' has taken the message, with status 204\n"
    assert receiver.received[0].json["type"] == "test"

    receiver.answers = [status(500)]
    failed = gated_medkg("alerts", "test", "ops")
    assert (failed.exit_code, failed.stderr) == (
        *(1, "medkg: webhook 'ops' has not taken the message: status 500\n"),
    )


@pytest.mark.usefixtures("receiver")
def test_what_was_given_up_is_sent_again_when_somebody_asks(gated_medkg: Medkg, home: Path) -> None:
    assert "there is no ledger yet" in gated_medkg("alerts", "retry").stderr
    record(home, "r1", "r2")

    assert gated_medkg("alerts", "retry", "ops").output.startswith("1 alert will be sent once more")
    assert json.loads(gated_medkg("alerts", "--status", "failed", "--json").stdout) == []


@pytest.mark.usefixtures("receiver")
def test_a_file_that_is_not_valid_is_said_with_its_place(gated_medkg: Medkg, tmp_path: Path) -> None:
    file = tmp_path / "config" / "alerts.yaml"
    file.write_text(file.read_text().replace("}]", ", events: [run.fail]}]"))

    for command in (("alerts",), ("alerts", "test", "ops"), ("check",)):
        told = gated_medkg(*command)
        assert told.exit_code == 1
        assert f"{file}:1: " in told.output
        assert "did you mean 'run.failed'?" in told.output


def examine(medkg: Medkg) -> list[str]:
    told = json.loads(medkg("doctor", "--json").stdout)
    return [
        f"{check['status']}: {check['found']} {check['way_out']}".strip()
        for check in told["checks"]
        if check["name"] == "alerts"
    ]


def test_the_doctor_says_who_cannot_be_told(
    gated_medkg: Medkg, home: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert examine(gated_medkg) == ["ok: webhook 'ops' can be reached, 0 alerts to send"]
    assert receiver.received == []
    record(home, "r1", "r2")
    (wrong,) = examine(gated_medkg)
    assert wrong == (
        "wrong: webhook 'ops': 1 alert was given up: status 410 `medkg alerts test ops` tries, "
        "`medkg alerts retry ops` sends them again"
    )
    monkeypatch.setenv("OPS_SECRET", "whsec_c2hvcnQ=")
    (wrong,) = examine(gated_medkg)
    assert wrong.startswith("wrong: webhook 'ops': the secret of a webhook has 5 bytes")


def test_the_doctor_says_that_nobody_answers(gated_medkg: Medkg, receiver: Receiver, tmp_path: Path) -> None:
    with receiving() as ended:
        pass
    file = tmp_path / "config" / "alerts.yaml"
    file.write_text(file.read_text().replace(receiver.url, ended.url))

    (wrong,) = examine(gated_medkg)

    assert wrong.startswith("wrong: webhook 'ops' cannot be reached: Connection refused")
    assert "/hook" not in wrong


@pytest.mark.usefixtures("receiver")
def test_prune_forgets_alerts_that_were_sent_long_ago(gated_medkg: Medkg, home: Path) -> None:
    record(home, "r1", "r2", "r3", age=timedelta(days=100))
    record(home, "r4", "r5")

    assert "2 alerts would go" in gated_medkg("prune", "--older-than", "90d", "--dry-run").output
    assert json.loads(gated_medkg("prune", "--older-than", "90d", "--json").stdout)["alerts"] == 2
    left = json.loads(gated_medkg("alerts", "--json").stdout)
    assert {item["summary"] for item in left} == {"r3 failed", "r4 failed", "r5 failed"}
