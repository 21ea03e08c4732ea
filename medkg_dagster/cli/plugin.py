"""`medkg plugin`: the way to a package with a stage type or an extractor of one's own."""

from __future__ import annotations

import importlib.util
import re
import string
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path

import click

from medkg_dagster import __version__
from medkg_dagster.errors import ConfigError, StageRegistryError

MAX_NAME = 80
_DISTRIBUTION = re.compile(r"[A-Za-z](?:[A-Za-z0-9._-]*[A-Za-z0-9])?", re.ASCII)
_SEPARATORS = re.compile(r"[-_.]+")
_PREFIX = "medkg-"
_INPUT_KEY = "document"

_OF_STAGES = {
    "pyproject.toml": "pyproject.txt",
    "README.md": "readme.txt",
    ".gitignore": "gitignore.txt",
    "src/$package/__init__.py": "package.txt",
    "src/$package/py.typed": "py_typed.txt",
    "src/$package/$module.py": "stage.txt",
    "tests/test_$module.py": "test.txt",
    "config/orchestration/pipelines/$pipeline.yaml": "pipeline.txt",
    "config/orchestration/resilience.yaml": "resilience.txt",
}
_OF_EXTRACTORS = {
    **_OF_STAGES,
    "README.md": "extractor_readme.txt",
    "src/$package/$module.py": "extractor.txt",
    "tests/test_$module.py": "extractor_test.txt",
    "config/orchestration/pipelines/$pipeline.yaml": "extractor_pipeline.txt",
}
STAGE, EXTRACTOR = "stage", "extractor"


@click.group()
def plugin() -> None:
    """Write stage types and extractors of your own."""


@plugin.command()
@click.argument("name")
@click.option(
    "--folder", type=click.Path(path_type=Path), help="Where to put it; by default a new folder called NAME."
)
@click.option(
    "--kind",
    type=click.Choice([STAGE, EXTRACTOR]),
    default=STAGE,
    show_default=True,
    help="What to make: a stage type, or an extractor for stages of the type `extract`.",
)
@click.option("--stage-type", help="Its name in YAML, of either kind; by default made from NAME.")
def new(name: str, folder: Path | None, kind: str, stage_type: str | None) -> None:
    """Make a package with a stage type or an extractor, its tests and a pipeline that uses it.

    NAME is the name of the distribution, for example `medkg-reading-time`, which has the stage type
    `reading-time` unless --stage-type names another. The folder must not exist, or be empty.
    """
    project = describe_project(name, stage_type, kind)
    target = write_project(project, folder if folder is not None else Path(name))
    click.echo(f"made {project.distribution} with the {project.what} {project.stage_type} in {target}")
    click.echo("Next, in that folder:")
    click.echo("  pip install --editable '.[test]'")
    click.echo("  pytest")
    click.echo("  medkg check && dagster dev -m medkg_dagster.definitions")


@dataclass(frozen=True, slots=True)
class PluginProject:
    """The names in a new package.

    Attributes:
        distribution: What `pip` calls it.
        package: What Python imports.
        stage_type: What YAML calls the stage type, or the extractor.
        module: The module of it, also the name of the stage type in the pipeline.
        state_key: The key the stage writes.
        class_name: What the stage's classes begin with.
        pipeline: The pipeline that uses it.
        pipeline_asset: That pipeline's job and asset group.
        what: What it is, in words.
        group: The group of its entry point.
        entry: What the entry point names in the module.
        medkg_version: The release of this package it is written for.
    """

    distribution: str
    package: str
    stage_type: str
    module: str
    state_key: str
    class_name: str
    pipeline: str
    pipeline_asset: str
    what: str
    group: str
    entry: str
    medkg_version: str = __version__


def describe_project(name: str, stage_type: str | None = None, kind: str = STAGE) -> PluginProject:
    """Return the names of a new package, all of them fit for use.

    Raises:
        ConfigError: A name cannot be used; the message says why.
    """
    _check_distribution(name)
    normalized = _SEPARATORS.sub("-", name).lower()
    package = normalized.replace("-", "_")
    _check_package(name, package)
    chosen = stage_type if stage_type is not None else normalized.removeprefix(_PREFIX)
    module = _SEPARATORS.sub("_", chosen).lower()
    from medkg_dagster.registry import STAGE_GROUP
    from medkg_dagster.stage_api import ExtensionKind

    is_stage = kind == STAGE
    group = STAGE_GROUP if is_stage else ExtensionKind.EXTRACTOR.value
    what = "stage type" if is_stage else "extractor"
    _check_name(chosen, module, what, group)
    return PluginProject(
        distribution=name,
        package=package,
        stage_type=chosen,
        module=module,
        state_key=module,
        class_name="".join(part[:1].upper() + part[1:] for part in module.split("_")),
        pipeline=normalized,
        pipeline_asset=package,
        what=what,
        group=group,
        entry="register" if is_stage else "EXTRACTOR",
    )


def write_project(project: PluginProject, folder: Path) -> Path:
    """Write a package, all of it or nothing.

    Args:
        project: Its names.
        folder: Where; it must not exist, or be empty.

    Raises:
        ConfigError: The folder holds something, or cannot be written.
    """
    target = folder.expanduser().absolute()
    try:
        if target.exists() and not target.is_dir():
            raise ConfigError(f"{target} is not a folder; name another with --folder")
        if target.is_dir() and any(target.iterdir()):
            raise ConfigError(f"{target} is not empty; name another folder with --folder")
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as scratch:
            made = Path(scratch, "project")
            _write_files(project, made)
            _move(made, target)
    except OSError as error:
        raise ConfigError(f"{target} cannot be written: {error.strerror or error}") from error
    return target


def _check_distribution(name: str) -> None:
    if not _DISTRIBUTION.fullmatch(name) or len(name) > MAX_NAME:
        raise ConfigError(
            f"{name!r} cannot be the name of a package; write letters, digits, '-', '_' and '.', beginning "
            f"with a letter and ending with a letter or digit, at most {MAX_NAME} characters"
        )


def _check_package(name: str, package: str) -> None:
    from medkg_dagster.topology.names import is_reserved

    if is_reserved(package) or package in sys.stdlib_module_names:
        raise ConfigError(f"{name!r} cannot be the name of a package: {package!r} is reserved; add to it")
    if importlib.util.find_spec(package) is not None:
        raise ConfigError(
            f"{name!r} cannot be the name of a new package: {package!r} is installed here already; "
            "choose another"
        )


def _check_name(stage_type: str, key: str, what: str, group: str) -> None:
    from medkg_dagster.plugins import InstalledEntryPoints
    from medkg_dagster.stage_api import StageMetadata, write_key
    from medkg_dagster.stage_api._stage_types.rules import check_metadata
    from medkg_dagster.topology.names import dagster_name, is_reserved

    for origin, taken in InstalledEntryPoints().of(group):
        if dagster_name(taken.name) == key:
            raise ConfigError(
                f"{what} {stage_type!r} is taken by {origin.distribution} ({taken.name}); choose another "
                "with --stage-type"
            )
    if key == _INPUT_KEY:
        raise ConfigError(
            f"{what} {stage_type!r} would write the key it reads, {key!r}; choose another with --stage-type"
        )
    try:
        check_metadata(StageMetadata(stage_type, key, write_key(key), len, "A new stage type."))
    except StageRegistryError as error:
        raise ConfigError(f"{error}; choose another with --stage-type") from error
    if is_reserved(key) or len(stage_type) > MAX_NAME:
        raise ConfigError(
            f"{what} {stage_type!r} is reserved or has more than {MAX_NAME} characters; choose another "
            "with --stage-type"
        )


def _write_files(project: PluginProject, folder: Path) -> None:
    for path, content in _render(project):
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content, encoding="utf-8")


def _render(project: PluginProject) -> Iterator[tuple[str, str]]:
    names = asdict(project)
    templates = files("medkg_dagster") / "cli" / "plugin_template"
    made = _OF_EXTRACTORS if project.what == EXTRACTOR else _OF_STAGES
    for path, template in made.items():
        text = (templates / template).read_text(encoding="utf-8")
        yield string.Template(path).substitute(names), string.Template(text).substitute(names)


def _move(made: Path, target: Path) -> None:
    if not target.exists():
        made.rename(target)
        return
    # The folder may be somebody's working directory, so it stays what it is.
    for item in made.iterdir():
        item.rename(target / item.name)
