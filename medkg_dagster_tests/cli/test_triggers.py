import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from medkg_dagster.ledger import JobLedger
from medkg_dagster.resolution import load_deployment
from medkg_dagster.runtime.trigger_looks import look_at_schedule
from medkg_dagster.settings import Settings
from medkg_dagster_tests.cli.conftest import Medkg

PIPELINE = """\
name: nightly-files
version: "2026-01-01"
stages:
  - {name: fetch, type: ingest}
triggers:
  - name: listing
    description: All there is.
    default_status: stopped
    schedule: {cron: "0 6 * * *", timezone: Europe/Berlin, catch_up: none}
  - name: feed
    schedule: {cron: "@daily"}
    request: {params: {path: "/data/{window_start:%Y}"}}
"""


@pytest.fixture
def triggering(medkg: Medkg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Medkg:
    folder = tmp_path / "config" / "orchestration"
    (folder / "pipelines").mkdir(parents=True)
    (folder / "pipelines" / "nightly.yaml").write_text(PIPELINE)
    (folder / "resilience.yaml").write_text("policies:\n  default: {}\n")
    monkeypatch.setenv("MEDKG_CONFIG", str(tmp_path / "config"))
    return medkg


def look(*moments: str) -> None:
    """Let the first trigger look, at these times."""
    settings = Settings.from_environment()
    (pipeline,) = load_deployment(settings).plan.pipelines
    trigger = pipeline.triggers[0]
    schedule = trigger.definition.schedule
    assert schedule is not None
    for moment in moments:
        with JobLedger.of(settings) as ledger:
            look_at_schedule(ledger, pipeline, trigger, schedule, datetime.fromisoformat(moment))


def test_triggers_that_never_looked_are_listed_without_making_a_ledger(triggering: Medkg, home: Path) -> None:
    found = {item["trigger"]: item for item in json.loads(triggering("triggers", "--json").stdout)}

    assert set(found) == {"listing", "feed"}
    assert found["listing"]["looks_at"] == "0 6 * * * (Europe/Berlin), catching up none"
    assert found["listing"]["reason"] == "it has not looked yet"
    assert found["feed"]["job"] == "nightly-files-{window_end}"
    assert datetime.fromisoformat(found["feed"]["next_at"]) > datetime.now(UTC)
    assert not home.exists()


def test_what_a_trigger_did_is_listed_with_the_reason(triggering: Medkg) -> None:
    look("2026-02-03T05:00Z", "2026-02-06T12:00Z")

    result = triggering("triggers", "nightly_files")

    assert result.exit_code == 0, result.output
    row = next(line for line in result.output.splitlines() if line.startswith("nightly-files/listing"))
    assert "missed" in row
    assert "3 times have passed unseen up to 2026-02-06T05:00:00Z; nothing is caught up." in row
    shown = json.loads(triggering("triggers", "nightly-files", "listing", "--json").stdout)
    assert [(item["job_id"], item["outcome"], item["reason"]) for item in shown] == [
        ("nightly-files-listing", "submitted", "due at 2026-02-03T05:00:00Z")
    ]


def test_the_history_of_a_job_names_the_trigger(triggering: Medkg) -> None:
    look("2026-02-03T05:00Z")

    result = triggering("ledger", "show", "nightly-files-listing")

    assert "trigger listing" in result.output
    assert "due at 2026-02-03T05:00:00Z" in result.output


def test_an_unknown_trigger_is_refused_with_what_there_is(triggering: Medkg) -> None:
    result = triggering("triggers", "nightly-files", "fed")

    assert result.exit_code == 1
    assert "has no trigger 'fed'; did you mean 'feed'?" in result.output


def test_a_trigger_that_asked_for_nothing_says_so(triggering: Medkg) -> None:
    assert triggering("triggers", "nightly-files", "feed").output == (
        "nightly-files/feed has asked for nothing yet\n"
    )


def test_pipelines_without_triggers_say_so(medkg: Medkg) -> None:
    assert medkg("triggers", "auto").output == "no triggers\n"


def test_a_plan_shows_its_triggers(triggering: Medkg) -> None:
    result = triggering("plan", "nightly-files")

    assert "0 6 * * * (Europe/Berlin), catching up none" in result.output
    assert "stopped" in result.output
    (listing, feed) = json.loads(triggering("plan", "nightly-files", "--json").stdout)["triggers"]
    assert (listing["kind"], listing["description"]) == ("schedule", "All there is.")
    assert feed["request"]["params"] == {"path": "/data/{window_start:%Y}"}


@pytest.mark.parametrize(
    ("request_of", "line", "message"),
    [
        ("{params: {pat: x}}", 12, "pat"),
        ("{adapter: fils}", 12, "stage 'fetch' refuses this"),
        ("{stages: {fetch: {params: {max_files: '{window_start}'}}}}", 12, "'max_files'"),
    ],
)
def test_a_request_that_the_stages_refuse_is_an_error_of_the_file(
    triggering: Medkg, tmp_path: Path, request_of: str, line: int, message: str
) -> None:
    file = tmp_path / "config" / "orchestration" / "pipelines" / "nightly.yaml"
    file.write_text(PIPELINE.replace('{params: {path: "/data/{window_start:%Y}"}}', request_of))

    result = triggering("check")

    assert result.exit_code == 1
    assert f"nightly.yaml:{line}: trigger 'feed': " in result.output
    assert message in result.output
