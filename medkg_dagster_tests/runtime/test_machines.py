"""Runs that are carried out on several machines, over what only one of them sees."""

from pathlib import Path

import pytest
from dagster import (
    DagsterInstance,
    ExecutorDefinition,
    in_process_executor,
)
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.execution.api import execute_run
from dagster._core.launcher import DefaultRunLauncher

from medkg_dagster.compiler.compile_plan import compile_plan
from medkg_dagster.ledger import JobKey, JobLedger
from medkg_dagster.registry import StageFactory
from medkg_dagster.resolution import load_plan
from medkg_dagster.runtime.machines import only_local
from medkg_dagster.runtime.tags import PARTITION_TAG, PIPELINE_TAG
from medkg_dagster.settings import Settings
from medkg_dagster_tests.compiler.deployment import instance_in_memory
from medkg_dagster_tests.end_to_end.shipped_pipeline import CONFIG, write_article

POSTGRESQL = "postgresql://medkg@db/medkg"


class K8sRunLauncher(DefaultRunLauncher):
    """Called as the one that starts a pod for each run."""


def executed_by(name: str) -> ExecutorDefinition:
    """Return an executor that is called as another one and works in this process."""
    return in_process_executor.copy_for_configured(name, None, in_process_executor.config_schema)


def run(home: Path, papers: Path, instance: DagsterInstance, by: str, *, shared: bool = False) -> str:
    """Run the pipeline `auto`; return the first error of it, empty where it succeeded."""
    write_article(papers, 1)
    factory = StageFactory.load_plugins()
    settings = Settings(home=home, config=CONFIG, shared_home=shared)
    definitions = compile_plan(load_plan(CONFIG, factory), factory, settings)
    job = definitions.resolve_job_def("auto").with_executor_def(executed_by(by))
    ingest = {"config": {"adapter": "files", "params": {"path": str(papers)}}}
    created = instance.create_run_for_job(
        job,
        run_config={"ops": {"auto__stages": {"ops": {"ingest": ingest}}}},
        tags={PARTITION_TAG: "default", PIPELINE_TAG: "auto"},
    )
    result = execute_run(InMemoryJob(job), created, instance)
    failures = [event.step_failure_data.error for event in result.all_events if event.is_step_failure]
    return "" if result.success else str(failures[0])


@pytest.mark.parametrize("by", ["celery", "celery-k8s", "k8s", "our_kubernetes"])
def test_an_executor_of_several_machines_is_refused_before_the_first_stage_works(
    tmp_path: Path, by: str
) -> None:
    home = tmp_path / "home"
    with instance_in_memory() as instance:
        said = run(home, tmp_path / "papers", instance, by)

    assert f"the executor '{by}' carries out runs on several machines, but MEDKG_HOME, {home}, is" in said
    assert "set MEDKG_SHARED_HOME=1) and the ledger is in SQLite (set MEDKG_LEDGER_URL" in said
    with JobLedger.open(home) as ledger:
        (stage,) = ledger.stage_runs.of_job(JobKey("auto", "default"))
        assert (stage.stage, stage.status) == ("ingest", "failed")
        assert ledger.documents.list() == ()
    assert not (home / "state").exists()


def test_a_shared_folder_does_not_make_sqlite_fit(tmp_path: Path) -> None:
    with instance_in_memory() as instance:
        said = run(tmp_path / "home", tmp_path / "papers", instance, "celery", shared=True)

    assert "carries out runs on several machines, but the ledger is in SQLite" in said


def test_a_launcher_of_several_machines_is_refused_too(tmp_path: Path) -> None:
    (tmp_path / "dagster").mkdir()
    (tmp_path / "dagster" / "dagster.yaml").write_text(
        f"run_launcher: {{module: {__name__}, class: K8sRunLauncher}}\ntelemetry: {{enabled: false}}\n"
    )
    with DagsterInstance.from_config(str(tmp_path / "dagster")) as instance:
        said = run(tmp_path / "home", tmp_path / "papers", instance, "in_process")

    assert "the run launcher 'K8sRunLauncher' carries out runs on several machines" in said


def test_on_one_machine_nothing_is_refused(tmp_path: Path) -> None:
    with instance_in_memory() as instance:
        assert run(tmp_path / "home", tmp_path / "papers", instance, "ours") == ""


def test_with_a_shared_folder_and_postgresql_nothing_is_local(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, config=CONFIG, ledger_url=POSTGRESQL, shared_home=True)

    assert only_local(settings) == ()
