"""Rules and dashboard in `deploy/monitoring` speak of metrics that there are."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from medkg_dagster.monitoring.exposition import exposition
from medkg_dagster.monitoring.families import FAMILIES
from medkg_dagster_tests.conftest import REPOSITORY

FOLDER = REPOSITORY / "deploy" / "monitoring"
LABELS = {family.shown: set(family.labels) for family in FAMILIES}
_METRIC = re.compile(r"\b(medkg_\w+)(?:\{([^}]*)\})?")
_BY = re.compile(r"by \(([^)]*)\)")


def expressions() -> Iterator[tuple[str, str]]:
    """Yield place and text of each expression."""
    for group in yaml.safe_load((FOLDER / "rules.yml").read_text())["groups"]:
        for rule in group["rules"]:
            yield rule["alert"], rule["expr"]
    for panel in json.loads((FOLDER / "grafana-dashboard.json").read_text())["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]


@pytest.mark.parametrize(("place", "expression"), [*expressions()])
def test_metrics_and_labels_of_an_expression_are_there(place: str, expression: str) -> None:
    used = _METRIC.findall(expression)
    assert used, place
    assert {name for name, _ in used} <= set(LABELS)
    for name, matched in used:
        assert set(re.findall(r"(\w+)\s*[=!]~?", matched)) <= LABELS[name], name
    grouped = {label.strip() for labels in _BY.findall(expression) for label in labels.split(",")}
    assert all(grouped <= LABELS[name] for name, _ in used) or len({name for name, _ in used}) > 1


def test_every_metric_is_on_the_dashboard() -> None:
    shown = {name for _, expression in expressions() for name, _ in _METRIC.findall(expression)}

    assert shown == set(LABELS)


def test_labels_in_legends_and_annotations_are_there() -> None:
    everything = set.union(*LABELS.values())
    for panel in json.loads((FOLDER / "grafana-dashboard.json").read_text())["panels"]:
        for target in panel["targets"]:
            assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= everything
    rules = (FOLDER / "rules.yml").read_text()
    assert set(re.findall(r"\$labels\.(\w+)", rules)) <= everything


def test_panels_do_not_lie_on_each_other() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in json.loads((FOLDER / "grafana-dashboard.json").read_text())["panels"]:
        at: dict[str, Any] = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken
        assert max(x for x, _ in cells) < 24
        taken |= cells


def test_the_rules_are_unit_tested_by_promtool() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("no promtool: it comes with Debian's package prometheus")
    for arguments in (["test", "rules", "rules_test.yml"], ["check", "config", "prometheus.yml"]):
        done = subprocess.run([promtool, *arguments], cwd=FOLDER, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_a_unit_test_where_it_fires_and_one_where_it_does_not() -> None:
    alerts = {
        rule["alert"] for rule in yaml.safe_load((FOLDER / "rules.yml").read_text())["groups"][0]["rules"]
    }
    cases = [
        case
        for test in yaml.safe_load((FOLDER / "rules_test.yml").read_text())["tests"]
        for case in test["alert_rule_test"]
    ]

    assert {case["alertname"] for case in cases if case.get("exp_alerts")} == alerts
    assert {case["alertname"] for case in cases if not case.get("exp_alerts")} == alerts


def test_the_rules_ask_at_the_address_that_is_served_by_default(tmp_path: Path) -> None:
    from medkg_dagster.settings import METRICS_PORT

    scraped = yaml.safe_load((FOLDER / "prometheus.yml").read_text())["scrape_configs"][0]
    assert scraped["static_configs"][0]["targets"] == [f"127.0.0.1:{METRICS_PORT}"]
    assert list(text_string_to_metric_families(exposition(None, tmp_path).decode()))


def test_every_metric_and_alert_is_documented() -> None:
    page = (REPOSITORY / "docs" / "guides" / "monitoring.md").read_text()
    for family in FAMILIES:
        labels = ", ".join(f"`{label}`" for label in family.labels) or "-"
        assert f"| `{family.shown}` | {family.kind} | {labels} | {family.help} |" in page
    for alert in re.findall(r"alert: (\w+)", (FOLDER / "rules.yml").read_text()):
        assert f"| `{alert}` | " in page
