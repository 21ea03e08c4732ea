"""A virtual environment of its own with the examples installed, and deployments that run in it."""

from __future__ import annotations

import os
import shutil
import site
import subprocess
import venv
from dataclasses import dataclass
from pathlib import Path

from medkg_dagster_tests.end_to_end.running import copy_instance

PATIENCE = 480.0
_SETTINGS = ("MEDKG_", "DAGSTER_", "PYTHON", "PIP_")


@dataclass(frozen=True)
class Environment:
    """A virtual environment that sees what is installed around it and writes nothing there.

    Attributes:
        folder: Its folder.
    """

    folder: Path

    @classmethod
    def create(cls, folder: Path) -> Environment:
        """Make one; the packages of the running environment are seen through a `.pth` file."""
        venv.create(folder, with_pip=False, symlinks=True)
        environment = cls(folder)
        (inner,) = folder.glob("lib/python*/site-packages")
        outer = [path for path in site.getsitepackages() if Path(path).is_dir()]
        lines = "".join(f"import site; site.addsitedir({path!r})\n" for path in outer)
        (inner / "outer.pth").write_text(lines)
        return environment

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin" / "python"

    def run(
        self, *arguments: str, cwd: Path, check: bool = True, **settings: str
    ) -> subprocess.CompletedProcess[str]:
        """Run the interpreter with arguments; nothing but what is given here is configured."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(_SETTINGS)}
        quiet = {"PYTHONDONTWRITEBYTECODE": "1", "DAGSTER_DISABLE_TELEMETRY": "1"}
        done = subprocess.run(
            [str(self.python), *arguments],
            env=inherited | quiet | settings,
            cwd=cwd,
            check=False,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def install(self, *projects: Path) -> None:
        """Build and install projects without downloading anything."""
        offline = ("--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check")
        self.run(
            *("-m", "pip", "install", "--quiet", "--no-cache-dir", *offline),
            *map(str, projects),
            cwd=self.folder,
        )


@dataclass(frozen=True)
class Deployment:
    """A folder with pipelines and data, used from an environment.

    Attributes:
        environment: Where commands run.
        folder: Holds `config` and `home`.
    """

    environment: Environment
    folder: Path

    @classmethod
    def create(cls, environment: Environment, folder: Path, repository: Path, pipelines: Path) -> Deployment:
        """Make one with the pipelines of a folder and the settings this project ships."""
        orchestration = folder / "config" / "orchestration"
        shutil.copytree(pipelines, orchestration / "pipelines")
        shutil.copy(repository / "config" / "orchestration" / "resilience.yaml", orchestration)
        copy_instance(folder / "home" / "dagster")
        return cls(environment, folder)

    @property
    def home(self) -> Path:
        """The folder for all data."""
        return self.folder / "home"

    def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run the interpreter in the deployment."""
        return self.environment.run(
            *arguments,
            cwd=self.folder,
            check=check,
            MEDKG_HOME=str(self.home),
            MEDKG_CONFIG=str(self.folder / "config"),
            MEDKG_STRICT="1",
            DAGSTER_HOME=str(self.home / "dagster"),
        )

    def medkg(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a console command."""
        return self.run("-m", "medkg_dagster.cli", *arguments, check=check)

    def execute(self, job: str, job_id: str, *, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a Dagster job on a ledger job, as people do from a shell."""
        command = ("-m", "dagster", "job", "execute", "-m", "medkg_dagster.definitions", "-j", job)
        return self.run(*command, "--tags", f'{{"dagster/partition": "{job_id}"}}', check=check)


def run_own_tests(environment: Environment, project: Path) -> str:
    """Run the tests of a project against what is installed; return what pytest says."""
    return environment.run("-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", cwd=project).stdout


def copy_of(project: Path, target: Path) -> Path:
    """Copy a project without what builds and tests leave behind."""
    left_behind = shutil.ignore_patterns("__pycache__", ".*cache", ".hypothesis", "dist", ".medkg")
    return Path(shutil.copytree(project, target / project.name, ignore=left_behind))
