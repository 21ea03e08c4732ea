"""`config/alerts.yaml`: what is written in it, and what is wrong with one that is not valid."""

from __future__ import annotations

from pathlib import Path

import pytest

from medkg_dagster.domain.alerts import AlertEvent
from medkg_dagster.errors import ConfigError
from medkg_dagster.stage_api import Secret
from medkg_dagster.topology.alerts_file import AlertsFile, LoadedAlerts, WebhookFormat, load_alerts

EVERYTHING = """\
# Who is told of what.
ui: https://dagster.example.org
gate_wait_seconds: 3600
late_seconds: 600
alerts:
  - name: ops
    url: https://hooks.example.org/medkg
    secret: {env: OPS_SECRET}
    events: [run.failed, schedule.missed]
  - name: curators
    format: slack
    url: {env: SLACK_URL}
"""
ONE = "alerts: [{name: ops, url: 'https://example.org', secret: {env: OPS}, "


def load(folder: Path, text: str) -> LoadedAlerts:
    (folder / "alerts.yaml").write_text(text)
    return load_alerts(folder)


def test_every_key_is_taken(tmp_path: Path) -> None:
    loaded = load(tmp_path, EVERYTHING)
    ops, curators = loaded.content.alerts

    assert loaded.problems == ()
    assert (loaded.content.ui, loaded.content.gate_wait_seconds, loaded.content.late_seconds) == (
        *("https://dagster.example.org", 3600.0, 600.0),
    )
    assert (ops.name, ops.url, ops.secret) == (
        "ops",
        "https://hooks.example.org/medkg",
        Secret(env="OPS_SECRET"),
    )
    assert ops.events == (AlertEvent.RUN_FAILED, AlertEvent.SCHEDULE_MISSED)
    assert (curators.format, curators.url) == (WebhookFormat.SLACK, Secret(env="SLACK_URL"))
    assert curators.events == tuple(AlertEvent)


@pytest.mark.parametrize("text", [None, "", "# nothing yet\n", "alerts:\n", "{}\n"])
def test_without_webhooks_nobody_is_told(tmp_path: Path, text: str | None) -> None:
    assert (load_alerts(tmp_path) if text is None else load(tmp_path, text)) == LoadedAlerts(AlertsFile())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (ONE + "events: [run.faild]}]", "there is no such event; did you mean 'run.failed'?"),
        (ONE + "events: []}]", "at least 1 item"),
        (ONE + "evnts: []}]", "unknown key 'evnts'"),
        (ONE + "format: teams}]", "'standard' or 'slack'"),
        ("alerts: [{name: ops, url: 'https://example.org'}]", "is signed: add `secret: {env: NAME}`"),
        ("alerts: [{name: ops, url: ftp://example.org, format: slack}]", "begins with https://"),
        ("alerts: [{name: ops, url: 'https://a:b@example.org', format: slack}]", "is a secret"),
        ("alerts: [{name: ops, url: 'https://x.org', secret: whsec_abc}]", "must not be written in plain"),
        ("late_seconds: 5\n", "late_seconds"),
        ("webhooks: []\n", "unknown key 'webhooks'"),
        (
            "alerts:\n" + 2 * "  - {name: ops, url: 'https://x.org', format: slack}\n",
            "'ops' is the name of several webhooks",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    loaded = load(tmp_path, text)

    assert loaded.content == AlertsFile()
    told = "\n".join(map(str, loaded.problems))
    assert said in told
    assert f"{tmp_path / 'alerts.yaml'}:" in told
    assert "whsec_abc" not in told


def test_an_address_in_the_environment_is_checked_when_it_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, curators = load(tmp_path, EVERYTHING).content.alerts

    monkeypatch.delenv("SLACK_URL", raising=False)
    with pytest.raises(ConfigError, match="SLACK_URL is not set"):
        curators.address()
    monkeypatch.setenv("SLACK_URL", "T0/B0/abc")
    with pytest.raises(ConfigError, match="SLACK_URL holds no address") as refused:
        curators.address()
    assert "abc" not in str(refused.value)
    monkeypatch.setenv("SLACK_URL", "https://hooks.example.org/T0/B0/abc")
    assert curators.address() == "https://hooks.example.org/T0/B0/abc"
