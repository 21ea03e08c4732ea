"""Plugin packages, really installed: a folder on the path with modules and their `dist-info`."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from medkg_dagster.resolution import Deployment, load_deployment
from medkg_dagster.settings import Settings
from medkg_dagster_tests.clock import LOAD_SECONDS

GOOD = """\
name: good
version: "2026-01-01"
stages:
  - {name: ingest, type: ingest}
  - {name: parse, type: parse, depends_on: [ingest]}
"""
PRELUDE = """\
import sys, time
from medkg_dagster_tests.clock import late
from medkg_dagster.stage_api import *
from pydantic import BaseModel, ConfigDict, SecretStr, model_validator


class Work:
    def execute(self, ctx):
        return ()


def build(definition):
    return Work()


def metadata(**changes):
    described = dict(
        stage_type="lab-type",
        state_key="lab",
        output_handler=write_key("lab"),
        output_counter=len,
        description="A stage type of a test.",
        state_types={"lab": tuple[str, ...]},
    )
    return StageMetadata(**{**described, **changes})


def one(**changes):
    return StageRegistration(metadata(**changes), build)


"""
STAGES = "medical_kg.orchestration.stages"


class Site:
    """A folder of installed packages, and a deployment that finds them."""

    def __init__(self, folder: Path) -> None:
        self.packages = folder / "site"
        self.config = folder / "config"
        self.home = folder / "home"
        self.packages.mkdir()
        (self.config / "orchestration" / "pipelines").mkdir(parents=True)
        (self.config / "orchestration" / "resilience.yaml").write_text("policies: {default: {}}\n")
        self.pipeline("good", GOOD)
        self.policy(f"load_seconds: {LOAD_SECONDS}\n")

    def install(
        self,
        module: str,
        source: str,
        *,
        distribution: str = "lab-plugin",
        version: str = "1.0",
        entry_points: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        """Install a package of one module; its entry point `lab` names `register` by default."""
        (self.packages / f"{module}.py").write_text(PRELUDE + source)
        info = self.packages / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        (info / "RECORD").write_text(f"{module}.py,sha256={hash(source):x},{len(source)}\n")
        groups = entry_points or {STAGES: {"lab": f"{module}:register"}}
        lines = [
            line
            for group, points in groups.items()
            for line in (f"[{group}]", *(f"{name} = {target}" for name, target in points.items()))
        ]
        (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
        importlib.invalidate_caches()

    def pipeline(self, name: str, text: str) -> None:
        """Write a pipeline file."""
        (self.config / "orchestration" / "pipelines" / f"{name}.yaml").write_text(text)

    def policy(self, text: str) -> None:
        """Write `plugins.yaml`."""
        (self.config / "plugins.yaml").write_text(text)

    def load(self, *, plugins: bool = True) -> Deployment:
        """Load everything, as the code location does."""
        return load_deployment(Settings(self.home, self.config, plugins=plugins))


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A deployment whose packages can be installed by a test; their modules are forgotten afterwards."""
    made = Site(tmp_path)
    monkeypatch.syspath_prepend(str(made.packages))
    before = set(sys.modules)
    yield made
    for name in set(sys.modules) - before:
        if name.startswith("lab"):
            del sys.modules[name]
