import fcntl
import subprocess
import sys
from pathlib import Path

import pytest

from medkg_dagster_tests.end_to_end.running import REPOSITORY
from medkg_dagster_tests.examples.environment import Deployment, Environment, copy_of

STAGE_EXAMPLE = "medkg-stage-example"
GATE_AND_SOURCE_EXAMPLE = "medkg-gate-and-source-example"
GENERATED = "medkg-reading-time"
GENERATED_EXTRACTOR = "medkg-variants"
PROJECTS = (STAGE_EXAMPLE, GATE_AND_SOURCE_EXAMPLE, GENERATED, GENERATED_EXTRACTOR)


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A folder of all processes of tests, with the projects and the environment they are installed in."""
    own = tmp_path_factory.getbasetemp()
    folder = (own if worker_id == "master" else own.parent) / "examples"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "made").exists():
            command = [sys.executable, "-m", "medkg_dagster.cli", "plugin", "new"]
            for arguments in ((GENERATED,), (GENERATED_EXTRACTOR, "--kind", "extractor")):
                subprocess.run([*command, *arguments], cwd=folder, check=True)
            for name in (STAGE_EXAMPLE, GATE_AND_SOURCE_EXAMPLE):
                copy_of(REPOSITORY / "examples" / name, folder)
            Environment.create(folder / "venv").install(*(folder / name for name in PROJECTS))
            (folder / "made").touch()
    return folder


@pytest.fixture(scope="session")
def projects(shared: Path) -> dict[str, Path]:
    """Copies of the examples, and a project as `medkg plugin new` makes it."""
    return {name: shared / name for name in PROJECTS}


@pytest.fixture(scope="session")
def environment(shared: Path) -> Environment:
    """A virtual environment in which all of them are installed."""
    return Environment(shared / "venv")


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
