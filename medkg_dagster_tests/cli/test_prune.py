"""`medkg prune` on a real instance of Dagster."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from dagster import DagsterInstance, job, op

from medkg_dagster.ledger import Firing, JobKey, JobLedger, TriggerKey, TriggerStep
from medkg_dagster.runtime.launch import dagster_home
from medkg_dagster.runtime.prune_process import remove
from medkg_dagster.runtime.tags import PARTITION_TAG, PIPELINE_TAG
from medkg_dagster_tests.cli.conftest import Medkg
from medkg_dagster_tests.ledger.stage_histories import LedgerRun


@op
def nothing() -> None: ...


@job
def auto() -> None:
    nothing()


@pytest.fixture
def instance(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DagsterInstance]:
    """Two runs each of a job that has ended and of one that has not, and one of no job."""
    with JobLedger.open(home) as book:
        for name in ("ended", "goes-on"):
            book.jobs.ensure(JobKey("auto", name), actor="test")
        run = LedgerRun(book, JobKey("auto", "ended"), ("parse",))
        run.start()
        run.finish()
    folder = dagster_home(home)
    monkeypatch.setenv("DAGSTER_HOME", str(folder))
    with DagsterInstance.from_config(str(folder)) as opened:
        opened.add_dynamic_partitions("auto", ["ended", "goes-on"])
        opened.all_instigator_state()
        for name in ("ended", "goes-on", "ended", "goes-on"):
            assert auto.execute_in_process(
                instance=opened, tags={PIPELINE_TAG: "auto", PARTITION_TAG: name}
            ).success
        assert auto.execute_in_process(instance=opened).success
        monkeypatch.delenv("DAGSTER_HOME")
        yield opened


def test_old_runs_and_partitions_go_and_the_last_run_of_a_job_that_goes_on_stays(
    medkg: Medkg, instance: DagsterInstance, home: Path
) -> None:
    last = instance.get_runs(limit=2)[1]
    dry = json.loads(medkg("prune", "--older-than", "0s", "--dry-run", "--json").stdout)
    before = instance.get_runs_count()

    done = medkg("prune", "--older-than", "0s")

    removed = {"runs": 4, "kept_runs": 1, "partitions": 1, "kept_partitions": 1}
    assert (dry["dagster"], before) == (removed, 5)
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("4 runs of Dagster and 1 partition from before ")
    assert "1 run as old stays" in done.stdout
    assert [run.run_id for run in instance.get_runs()] == [last.run_id]
    assert instance.get_dynamic_partitions("auto") == ["goes-on"]
    assert {path.stem for path in (home / "dagster" / "history" / "runs").glob("*.db")} <= {
        last.run_id,
        "index",
    }
    again = json.loads(medkg("prune", "--older-than", "0s", "--json").stdout)["dagster"]
    assert (again["runs"], again["partitions"]) == (0, 0)


def test_what_is_not_so_old_stays(instance: DagsterInstance, home: Path) -> None:
    long_ago = datetime(2020, 1, 1, tzinfo=UTC)

    told = remove(instance, long_ago, {}, is_dry=False)

    assert told == {"runs": 0, "kept_runs": 0, "partitions": 0, "kept_partitions": 0}
    assert instance.get_runs_count() == 5
    with JobLedger.open(home) as book:
        assert book.jobs.ended_before("2020-01-01T00:00:00.000000Z") == frozenset()
        assert book.jobs.ended_before("2999-01-01T00:00:00.000000Z") == {JobKey("auto", "ended")}


def test_without_an_instance_state_alone_is_pruned(medkg: Medkg, home: Path) -> None:
    with JobLedger.open(home) as book:
        book.jobs.ensure(JobKey("auto", "default"), actor="test")

    done = medkg("prune", "--older-than", "90d")

    assert done.exit_code == 0
    assert done.stdout.splitlines()[:2] == ["Dagster has no storage here yet", "nothing to remove"]
    assert not (home / "dagster").exists()


def test_what_triggers_asked_for_long_ago_goes_and_the_jobs_stay(medkg: Medkg, home: Path) -> None:
    with JobLedger.open(home) as book:
        fired = Firing("2026-11-01", "nightly-2026-11-01", {}, "due")
        step = TriggerStep(None, "2999-01-01", (fired,))
        book.triggers.take(TriggerKey("auto", "nightly"), "schedule", "auto", step)

    dry = medkg("prune", "--older-than", "0s", "--dry-run")
    done = json.loads(medkg("prune", "--older-than", "0s", "--json").stdout)

    assert "the record of 1 job that a trigger asked for would go; the jobs stay" in dry.stdout
    assert done["triggers"] == 1
    assert json.loads(medkg("prune", "--older-than", "0s", "--json").stdout)["triggers"] == 0
    assert [job["job_id"] for job in json.loads(medkg("ledger", "list", "--json").stdout)] == [
        "nightly-2026-11-01"
    ]
