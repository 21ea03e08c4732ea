"""A Dagster project of somebody's own: a package with a `defs` folder, loaded as `dg` loads it."""

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dagster import DagsterInstance, Definitions, ExecuteInProcessResult, load_from_defs_folder
from dagster.components.core.component_tree import ComponentTree

COMPONENT = "medkg_dagster.StagePipelineComponent"

NOTES = """\
name: notes
version: "2026-01-01"
stages:
  - {name: ingest, type: ingest, config: {adapter: files, params: {path: %s}}}
  - {name: parse, type: parse, depends_on: [ingest]}
  - {name: chunk, type: chunk, depends_on: [parse]}
"""

RESILIENCE = """\
policies:
  default: {max_attempts: 1}
"""

OWN_ASSETS = """\
from pathlib import Path

import dagster as dg


class TextFiles(dg.ConfigurableIOManager):
    folder: str

    def _file(self, context):
        return Path(self.folder) / ("_".join(context.asset_key.path) + ".txt")

    def handle_output(self, context, obj):
        self._file(context).write_text(str(obj))

    def load_input(self, context):
        return self._file(context).read_text()


@dg.asset
def greeting() -> str:
    return "hello"


@dg.asset
def shouted(greeting: str) -> str:
    return greeting.upper()


@dg.definitions
def own():
    return dg.Definitions(
        assets=[greeting, shouted],
        jobs=[dg.define_asset_job("own_job", ["greeting", "shouted"])],
        resources={"io_manager": TextFiles(folder=%r)},
        executor=dg.multiprocess_executor,
    )
"""


class Project:
    """A project's folder.

    Args:
        folder: Where it is made.
        name: The name of its package, unlike any other of this process.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.name = name
        self.defs = folder / "src" / name / "defs"
        self.own = folder / "own"
        self.home = folder / ".medkg"
        self.documents = folder / "documents"
        for made in (self.defs, self.own, self.documents):
            made.mkdir(parents=True)
        (folder / "pyproject.toml").write_text(
            f'[tool.dg]\ndirectory_type = "project"\n[tool.dg.project]\nroot_module = "{name}"\n'
        )
        for package in (self.defs, self.defs.parent):
            (package / "__init__.py").write_text("")
        (self.defs / "own.py").write_text(OWN_ASSETS % str(self.own))
        for number in range(3):
            text = f"Case {number}\n\nPatient {number} with melanoma received nivolumab and recovered.\n"
            (self.documents / f"note{number}.txt").write_text(text)

    def notes(self, name: str = "notes") -> str:
        """Return a pipeline over the project's documents."""
        return (NOTES % self.documents).replace("name: notes", f"name: {name}")

    def add(
        self,
        folder: str,
        files: Mapping[str, str],
        attributes: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> Path:
        """Add a component and its files; returns its folder."""
        place = self.defs / folder
        declared = {"type": COMPONENT, "attributes": dict(attributes or {}), **more}
        for name, text in {"defs.yaml": json.dumps(declared), **files}.items():
            file = place / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        return place

    def load(self) -> Definitions:
        """Load the whole project, as the code server does."""
        return load_from_defs_folder(path_within_project=self.folder)

    def load_part(self, folder: str) -> Definitions:
        """Load one folder of the project alone, as `dg list defs --path` does."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # as `load_from_defs_folder` does
            return ComponentTree.for_project(self.folder).build_defs(self.defs / folder)

    def run(self, definitions: Definitions, job: str, instance: DagsterInstance) -> ExecuteInProcessResult:
        """Run a job in this process."""
        return definitions.resolve_job_def(job).execute_in_process(instance=instance)
