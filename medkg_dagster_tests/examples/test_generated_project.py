"""What `medkg plugin new` makes, used as its README says."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from medkg_dagster.ledger import JobKey, JobLedger
from medkg_dagster_tests.end_to_end.running import copy_instance
from medkg_dagster_tests.examples.conftest import (
    GENERATED,
    GENERATED_EXTRACTOR,
)
from medkg_dagster_tests.examples.environment import Deployment, Environment, run_own_tests


@pytest.fixture(scope="module")
def deployment(
    tmp_path_factory: pytest.TempPathFactory,
    environment: Environment,
    projects: dict[str, Path],
) -> Deployment:
    """The project's own config folder, with data elsewhere."""
    made = Deployment(environment, tmp_path_factory.mktemp("generated"))
    for name in (GENERATED, GENERATED_EXTRACTOR):
        shutil.copytree(projects[name] / "config", made.folder / "config", dirs_exist_ok=True)
    copy_instance(made.home / "dagster")
    return made


@pytest.mark.parametrize(("name", "passed"), [(GENERATED, "4 passed"), (GENERATED_EXTRACTOR, "3 passed")])
def test_its_own_tests_pass_as_generated(
    environment: Environment, projects: dict[str, Path], name: str, passed: str
) -> None:
    assert passed in run_own_tests(environment, projects[name])


@pytest.mark.parametrize("name", [GENERATED, GENERATED_EXTRACTOR])
def test_the_checks_that_people_run_pass_as_generated(projects: dict[str, Path], name: str) -> None:
    for command in (["check", "--no-cache"], ["format", "--no-cache", "--check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--isolated", "."],
            cwd=projects[name],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


# What plugins are typed against is the stage API, which shows nothing of Dagster's.
MYPY = """\
[mypy]
strict = true
[mypy-dagster.*]
follow_imports = skip
"""


def test_it_and_the_examples_are_typed_to_the_strictest(projects: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "mypy.ini").write_text(MYPY)
    sources = [path / "src" for path in projects.values()]
    tests = [source.parent / "tests" for source in sources]
    command = [sys.executable, "-m", "mypy", "--config-file", "mypy.ini", "--cache-dir", str(tmp_path)]
    done = subprocess.run(
        [*command, *map(str, [*sources, *tests])],
        env={"MYPYPATH": ":".join(map(str, sources))},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_its_config_folder_has_no_problems(deployment: Deployment) -> None:
    assert "no problems" in deployment.medkg("check").stdout


def test_its_extractor_finds_something_in_the_bundled_corpus(deployment: Deployment) -> None:
    deployment.execute("medkg_variants", "default")

    with JobLedger.open(deployment.home) as ledger:
        runs = {run.stage: run for run in ledger.stage_runs.of_job(JobKey("medkg-variants", "default"))}
    assert runs["extract"].output_count


def test_its_pipeline_runs_on_the_bundled_corpus(deployment: Deployment) -> None:
    deployment.execute("medkg_reading_time", "default")

    with JobLedger.open(deployment.home) as ledger:
        runs = {run.stage: run for run in ledger.stage_runs.of_job(JobKey("medkg-reading-time", "default"))}
    assert runs["reading_time"].output_count == runs["ir_validation"].output_count == 20
