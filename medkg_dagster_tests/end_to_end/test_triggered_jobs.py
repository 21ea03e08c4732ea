"""Jobs that nobody asks for but a trigger, in a deployment whose daemon says when to look."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

from dagster import DagsterInstance

from medkg_dagster.io.times import stamp
from medkg_dagster.ledger import JobKey, JobStatus, TriggerKey, TriggerStep
from medkg_dagster_tests.end_to_end.running import BIN, Running, process

MISSED = 3
FEED = """\
name: minutes
version: "2026-01-01"
stages:
  - {name: ingest, type: ingest, config: {params: {include: ["trials/*"]}}}
triggers:
  - name: feed
    schedule: {cron: "* * * * *", catch_up: all}
    job_id: "minutes-{window_end}"
"""


def test_a_daemon_that_was_down_catches_up_what_the_ledger_says_was_missed(tmp_path: Path) -> None:
    deployment = Running(tmp_path)
    deployment.prepare({"minutes.yaml": FEED})
    last = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=MISSED)
    key = TriggerKey("minutes", "feed")
    with deployment.ledger() as ledger:
        ledger.triggers.take(
            key, "schedule", "minutes", TriggerStep(None, stamp(lambda: last), note="up to then")
        )

    with process(
        deployment, str(BIN / "dagster-daemon"), "run", "-m", "medkg_dagster.definitions", log="d.log"
    ):

        def caught_up() -> bool | None:
            with deployment.ledger() as ledger:
                return len(ledger.triggers.fired(key)) > MISSED or None

        deployment.wait("the trigger to have asked for what was missed", caught_up)
        with deployment.ledger() as ledger:
            asked = sorted(ledger.triggers.fired(key), key=lambda item: item.occasion)[: MISSED + 1]
        for item in asked:
            assert deployment.wait_for_job("minutes", item.job_id).status is JobStatus.SUCCEEDED

    times = [datetime.fromisoformat(item.occasion) for item in asked]
    assert times[0] == last + timedelta(minutes=1)
    assert {later - earlier for earlier, later in pairwise(times)} == {timedelta(minutes=1)}
    with deployment.ledger() as ledger:
        assert [ledger.jobs.get(JobKey("minutes", item.job_id)).attempts for item in asked] == [1] * len(
            asked
        )
    with DagsterInstance.from_config(str(deployment.home / "dagster")) as instance:
        runs = {run.tags["dagster/partition"]: run.tags for run in instance.get_runs()}
    assert {item.job_id for item in asked} <= set(runs)
    # One that the trigger had no time for, on a machine that is overloaded, another sensor started.
    assert "feed" in {runs[item.job_id].get("medkg/trigger") for item in asked}
