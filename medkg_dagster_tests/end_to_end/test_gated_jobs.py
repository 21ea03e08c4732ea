"""Jobs that wait, in a deployment of real processes: nothing here calls a sensor or a run by hand."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest
from dagster import DagsterInstance

from medkg_dagster.ledger import JobKey, JobStatus
from medkg_dagster_tests.end_to_end.running import REPOSITORY, Running, served

REVIEWED = """\
name: reviewed
version: "2026-01-01"
stages:
  - {name: ingest, type: ingest, config: {params: {include: ["trials/*"]}}}
  - {name: parse, type: parse, depends_on: [ingest]}
  - {name: gate_approval, type: gate, depends_on: [parse]}
  - {name: ir_validation, type: ir-validation, depends_on: [gate_approval]}
gates:
  - name: approval
    condition: {field: approved, equals: true}
"""
PLAIN = """\
name: plain
version: "2026-01-01"
stages:
  - {name: ingest, type: ingest, config: {params: {include: ["trials/*"]}}}
  - {name: parse, type: parse, depends_on: [ingest]}
"""
# A process that a command has started goes on by itself.
pytestmark = pytest.mark.filterwarnings(r"ignore:subprocess \d+ is still running:ResourceWarning")


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A deployment that `dg dev` serves from the checkout, with jobs submitted before."""
    running = Running(tmp_path_factory.mktemp("gated"))
    running.prepare({"plain.yaml": PLAIN, "reviewed.yaml": REVIEWED})
    for job_id in ("pass", "now"):
        running.medkg("submit", "reviewed", "--job-id", job_id)
    with served(running, ("dg", "dev"), cwd=REPOSITORY):
        yield running


def test_where_a_daemon_runs_it_starts_the_job_that_medkg_run_follows(deployment: Running) -> None:
    wait_for_heartbeat(deployment)

    done = deployment.medkg("run", "plain")

    assert done.stdout.endswith("plain/default succeeded\n")
    with deployment.ledger() as ledger:
        (phase,) = ledger.phases.of_job(JobKey("plain", "default"))
    # One that has no time for it, on a machine that is overloaded, is not waited for.
    assert (phase.starter == "plain__submissions") != ("the daemon does not start it" in done.stderr), phase


def wait_for_heartbeat(deployment: Running) -> None:
    """Wait until the daemon has just said that it calls sensors, which it does every 30 seconds."""
    with DagsterInstance.from_config(str(deployment.home / "dagster")) as instance:

        def look() -> bool | None:
            beat = instance.get_daemon_heartbeats().get("SENSOR")
            return (beat is not None and time.time() - beat.timestamp < 5) or None

        deployment.wait("a heartbeat of the daemon", look)


def test_a_field_of_the_wrong_type_opens_nothing_and_says_so_and_the_right_one_lets_the_job_go_on(
    deployment: Running,
) -> None:
    deployment.wait_for_job("reviewed", "pass", JobStatus.WAITING)

    warned = deployment.medkg("ledger", "set", "reviewed/pass", 'approved="true"', "--by", "ann")
    listed = json.loads(deployment.medkg("gate", "list", "--json").stdout)

    assert "boolean" in warned.stderr
    assert [row["gate"] for row in listed if row["job_id"] == "pass"] == ["approval"]

    def looked_at() -> bool | None:
        with deployment.ledger() as ledger:
            (_, gate) = ledger.phases.of_job(JobKey("reviewed", "pass"))
        return "'true'" in str(gate.observed) or '"true"' in str(gate.observed) or None

    deployment.wait("the sensor to have looked at the wrong value", looked_at)
    with deployment.ledger() as ledger:
        assert ledger.jobs.get(JobKey("reviewed", "pass")).status is JobStatus.WAITING

    deployment.medkg("ledger", "set", "reviewed/pass", "approved=true", "--by", "ann")
    job = deployment.wait_for_job("reviewed", "pass")

    assert job.status is JobStatus.SUCCEEDED
    with deployment.ledger() as ledger:
        history = [(entry.field, entry.actor) for entry in ledger.jobs.history(JobKey("reviewed", "pass"))]
        (_, gate) = ledger.phases.of_job(JobKey("reviewed", "pass"))
    assert ("approved", "ann") in history
    assert gate.opened_by == "ann"


def test_approving_now_starts_the_next_phase_at_once_and_only_once(deployment: Running) -> None:
    deployment.wait_for_job("reviewed", "now", JobStatus.WAITING)

    decision = ("--by", "ann", "--reason", "go", "--now")
    for _ in range(2):
        deployment.medkg("gate", "approve", "reviewed/now", "approval", *decision)
    job = deployment.wait_for_job("reviewed", "now")

    assert job.status is JobStatus.SUCCEEDED
    with deployment.ledger() as ledger:
        runs = {
            run.run_id
            for run in ledger.stage_runs.of_job(JobKey("reviewed", "now"))
            if run.stage == "ir_validation"
        }
        (_, gate) = ledger.phases.of_job(JobKey("reviewed", "now"))
    assert runs == {gate.run_id}
    assert job.attempts == 2
