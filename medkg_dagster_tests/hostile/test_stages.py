"""Stages that break their contract: their step fails and says who; the pipelines of others run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from dagster import DagsterInstance, ExecuteInProcessResult

from medkg_dagster.compiler.compile_plan import compile_plan
from medkg_dagster.ledger import JobKey, JobLedger, JobStatus
from medkg_dagster.settings import Settings
from medkg_dagster_tests.compiler.deployment import instance_in_memory
from medkg_dagster_tests.deployments.installed import Site
from medkg_dagster_tests.hostile.stages_that_break_their_contract import ROWS, Row

POLICIES = """\
policies:
  default: {max_attempts: 1, backoff: {strategy: none, initial: 0.0, maximum: 0.0, jitter: false}}
"""
BAD = 'name: bad\nversion: "2026-01-01"\nstages: [{name: bad, type: lab-type}]\n'
READERS = """\
name: readers
version: "2026-01-01"
stages:
  - {name: source, type: lab-type}
  - {name: greedy, type: greedy, depends_on: [source]}
  - {name: modest, type: modest, depends_on: [source, greedy]}
"""
TWO_READERS = """\
class Source:
    def execute(self, ctx): return ["a", "b"]

class Greedy:
    def execute(self, ctx, *, lab):
        lab.clear()
        return ["mine"]

class Modest:
    def execute(self, ctx, *, lab): return list(lab)

def keep(state, name, output):
    output.append("handled by " + name)
    state["kept"] = output

def register():
    listed = {"lab": list[str]}
    kept = dict(state_key="kept", output_handler=keep, state_types={"kept": list[str]})
    kept["dependencies"] = ("lab-type",)
    yield StageRegistration(metadata(state_types=listed), lambda definition: Source())
    yield StageRegistration(metadata(stage_type="greedy", **kept), lambda definition: Greedy())
    yield StageRegistration(metadata(stage_type="modest", **kept), lambda definition: Modest())
"""


@pytest.fixture
def instance() -> Iterator[DagsterInstance]:
    with instance_in_memory() as made:
        yield made


def run(site: Site, job: str, instance: DagsterInstance) -> ExecuteInProcessResult:
    (site.config / "orchestration" / "resilience.yaml").write_text(POLICIES)
    deployment = site.load()
    assert deployment.plan.problems == ()
    definitions = compile_plan(deployment.plan, deployment.factory, Settings(site.home, site.config))
    return definitions.resolve_job_def(job).execute_in_process(instance=instance, raise_on_error=False)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.title)
def test_a_broken_contract_fails_its_own_step_and_names_the_stage_type(
    site: Site, row: Row, instance: DagsterInstance
) -> None:
    site.install("lab", row.source)
    site.pipeline("bad", BAD)

    result = run(site, "bad", instance)

    failure = result.failure_data_for_node("bad__stages.bad")
    assert failure is not None
    assert failure.user_failure_data is not None
    assert row.expected in str(failure.user_failure_data.description)
    with JobLedger.open(site.home) as ledger:
        assert ledger.jobs.get(JobKey("bad", "default")).status is JobStatus.FAILED


def test_what_a_stage_does_to_its_input_no_other_stage_sees(site: Site, instance: DagsterInstance) -> None:
    site.install("lab", TWO_READERS)
    site.pipeline("readers", READERS)

    result = run(site, "readers", instance)

    assert result.success
    (modest,) = result.asset_materializations_for_node("readers__stages.modest")
    assert '"a",\n "b",\n "handled by modest"' in str(modest.metadata["kept_preview"].value)


def test_after_a_stage_has_broken_the_pipelines_of_others_run(site: Site, instance: DagsterInstance) -> None:
    site.install(
        "lab",
        "class Stage:\n    def execute(self, ctx): sys.exit(1)\n\n"
        "def register(): return StageRegistration(metadata(), lambda definition: Stage())\n",
    )
    site.pipeline("bad", BAD)

    assert not run(site, "bad", instance).success
    assert run(site, "good", instance).success
