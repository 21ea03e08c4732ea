import subprocess
import sys
from pathlib import Path

import pytest

from medkg_dagster_tests.examples.environment import Deployment, Environment, copy_of

STAGE_EXAMPLE = "medkg-stage-example"
GATE_AND_SOURCE_EXAMPLE = "medkg-gate-and-source-example"
GENERATED = "medkg-reading-time"


@pytest.fixture(scope="session")
def projects(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> dict[str, Path]:
    """Copies of the examples, and a project as `medkg plugin new` makes it."""
    folder = tmp_path_factory.mktemp("projects")
    subprocess.run(
        [sys.executable, "-m", "medkg_dagster.cli", "plugin", "new", GENERATED], cwd=folder, check=True
    )
    copies = {
        name: copy_of(repository / "examples" / name, folder)
        for name in (STAGE_EXAMPLE, GATE_AND_SOURCE_EXAMPLE)
    }
    return {**copies, GENERATED: folder / GENERATED}


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory, projects: dict[str, Path]) -> Environment:
    """A virtual environment in which all of them are installed."""
    made = Environment.create(tmp_path_factory.mktemp("environment") / "venv")
    made.install(*projects.values())
    return made


@pytest.fixture(scope="session")
def stage_deployment(
    tmp_path_factory: pytest.TempPathFactory,
    environment: Environment,
    projects: dict[str, Path],
    repository: Path,
) -> Deployment:
    """A deployment of the pipelines of the stage example."""
    folder = tmp_path_factory.mktemp("stage_example")
    return Deployment.create(environment, folder, repository, projects[STAGE_EXAMPLE] / "pipelines")


@pytest.fixture(scope="session")
def gate_deployment(
    tmp_path_factory: pytest.TempPathFactory,
    environment: Environment,
    projects: dict[str, Path],
    repository: Path,
) -> Deployment:
    """A deployment of the pipelines of the example with a source and a gate condition."""
    folder = tmp_path_factory.mktemp("gate_example")
    return Deployment.create(environment, folder, repository, projects[GATE_AND_SOURCE_EXAMPLE] / "pipelines")
