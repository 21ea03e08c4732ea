"""Everything a user can write, run or meet is documented, with the default it really has."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path

import click
import pytest
from pydantic import BaseModel, Field

from medkg_dagster import errors
from medkg_dagster.cli import main
from medkg_dagster.domain.gate_conditions import GateOperator
from medkg_dagster.ledger.models import JobStatus, StageStatus
from medkg_dagster.ledger.schema import METADATA as LEDGER_TABLES
from medkg_dagster.registry import STAGE_GROUP, ExtensionRegistry, RegisteredStage, StageFactory
from medkg_dagster.stage_api import (
    Extension,
    ExtensionKind,
    StageContext,
    StageMetadata,
)
from medkg_dagster_tests.docs.documented import (
    commands,
    undocumented_fields,
    undocumented_names,
    undocumented_options,
    unknown_fields,
    with_heading,
)
from medkg_dagster_tests.docs.markdown import DOCS, Section, prose, sections

OWN_DISTRIBUTION = "medkg-dagster"
STAGES = DOCS / "guides" / "stages.md"
AUTHORING = DOCS / "guides" / "pipeline-authoring.md"
CUSTOM_STAGES = DOCS / "guides" / "custom-stages.md"
COMMANDS = DOCS / "guides" / "cli.md"
LEDGER = DOCS / "guides" / "ledger.md"
RUNNING = DOCS / "guides" / "running.md"
ARCHITECTURE = DOCS / "architecture.md"

COMMAND_TREE = dict(commands(main, "medkg"))

KINDS = {
    ExtensionKind.SOURCE: "Source",
    ExtensionKind.EMBEDDER: "Embedder",
    ExtensionKind.EXTRACTOR: "Extractor",
    ExtensionKind.RERANKER: "Reranker",
    ExtensionKind.INDEX_STORE: "Index store",
    ExtensionKind.GRAPH_STORE: "Graph store",
}


def own_stage_types() -> list[RegisteredStage]:
    registry = StageFactory.load_plugins().registry
    return [item for item in registry if item.origin and item.origin.distribution == OWN_DISTRIBUTION]


def own_extensions() -> list[Extension]:
    found = [
        ExtensionRegistry().find(kind, name)
        for kind in ExtensionKind
        for name in ExtensionRegistry().names(kind)
    ]
    return [item for item in found if item.build.__module__.startswith("medkg_dagster.")]


@pytest.mark.parametrize("stage", own_stage_types(), ids=lambda stage: stage.metadata.stage_type)
def test_every_stage_type_is_documented_with_its_keys_inputs_and_config(stage: RegisteredStage) -> None:
    metadata = stage.metadata
    section = with_heading(sections(STAGES), metadata.stage_type)

    assert section is not None, f"{STAGES.name} has no section {metadata.stage_type}"
    wired = {*metadata.state_keys, *metadata.dependencies, *metadata.optional_dependencies}
    assert undocumented_names(wired, section.text) == []
    if metadata.config_model is not None:
        assert undocumented_fields(metadata.config_model, section) == []
        assert unknown_fields(metadata.config_model, section) == []


@pytest.mark.parametrize("extension", own_extensions(), ids=lambda item: f"{item.kind.name}-{item.name}")
def test_every_source_embedder_and_store_is_documented_with_its_parameters(extension: Extension) -> None:
    section = with_heading(sections(STAGES), f"{KINDS[extension.kind]} `{extension.name}`")

    assert section is not None, f"{STAGES.name} has no section {KINDS[extension.kind]} `{extension.name}`"
    if section.rows() or extension.config_model.model_fields:
        assert undocumented_fields(extension.config_model, section) == []
        assert unknown_fields(extension.config_model, section) == []


def test_every_extension_point_is_documented() -> None:
    assert undocumented_names([STAGE_GROUP, *ExtensionKind], prose(CUSTOM_STAGES)) == []


def test_every_operator_of_a_gate_is_documented() -> None:
    assert undocumented_names(GateOperator, prose(AUTHORING)) == []


@pytest.mark.parametrize("described", [StageMetadata, StageContext])
def test_everything_a_stage_author_uses_is_documented(described: type) -> None:
    names = {field.name for field in dataclasses.fields(described)}
    methods = {
        name
        for name, value in vars(described).items()
        if inspect.isfunction(value) and not name.startswith("_") and described is StageContext
    }
    shown = {re.split(r"\W", item)[0] for item in re.findall(r"`([^`]+)`", prose(CUSTOM_STAGES))}

    assert (names | methods) - shown == set()


@pytest.mark.parametrize("typed", COMMAND_TREE)
def test_every_command_is_documented_with_its_options(typed: str) -> None:
    assert undocumented_options(COMMAND_TREE[typed], with_heading(sections(COMMANDS), typed)) == []


def test_no_command_is_documented_that_does_not_exist() -> None:
    documented = {heading.strip("`") for heading in sections(COMMANDS) if heading.startswith("`medkg")}

    assert documented == set(COMMAND_TREE)


def environment_variables() -> Iterator[str]:
    """Yield the MEDKG_* variables that the package reads anywhere."""
    package = Path(errors.__file__).parent
    for file in package.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield from re.findall(r"\bMEDKG_[A-Z_]+\b", node.value)


def test_every_environment_variable_is_documented() -> None:
    settings = with_heading(sections(RUNNING), "Settings")

    assert settings is not None
    assert set(environment_variables()) - set(settings.rows()) == set()


def test_every_error_is_documented() -> None:
    classes = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, errors.MedkgError)
    }
    section = with_heading(sections(ARCHITECTURE), "Errors")

    assert section is not None
    assert classes - set(section.rows()) == set()


def test_the_page_of_errors_says_which_are_tried_again() -> None:
    section = with_heading(sections(ARCHITECTURE), "Errors")
    assert section is not None

    said = {name: row[-1] for name, row in section.rows().items() if len(row) == 4}

    shown = {True: "yes", False: "no"}
    assert said == {
        name: "-"
        if (issubclass(kind, errors.DocumentError) and not kind.is_retryable) or name == "MedkgError"
        else ("in another run" if kind.was_retried else shown[kind.is_retryable])
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, errors.MedkgError)
    }


def places_to_change() -> dict[str, tuple[str, tuple[str, ...]]]:
    """What can be changed, with the file to go to and the names to look for there."""
    section = with_heading(sections(ARCHITECTURE), "To change something")
    assert section is not None
    rows = [line.strip("| ").split(" | ") for line in section.text.splitlines() if line.startswith("|")][2:]
    return {
        subject: (re.findall(r"`([^`]+)`", path)[0], tuple(re.findall(r"`([^`]+)`", names)))
        for subject, path, names in rows
    }


def names_defined_in(file: Path) -> set[str]:
    """The classes, functions and constants at the top of a Python file; the words of any other."""
    text = file.read_text("utf-8")
    if file.suffix != ".py":
        return set(re.findall(r"[\w.-]+", text))
    found: set[str] = set()
    for node in ast.parse(text).body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        found.update(target.id for target in targets if isinstance(target, ast.Name))
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            found.add(node.name)
    return found


@pytest.mark.parametrize(("path", "names"), places_to_change().values(), ids=places_to_change())
def test_what_the_page_sends_people_to_is_there(repository: Path, path: str, names: tuple[str, ...]) -> None:
    assert (repository / path).is_file()
    assert names
    assert set(names) - names_defined_in(repository / path) == set()


@pytest.mark.parametrize(
    "subject", ["stage", "key", "gates are polled", "store", "source", "name in the UI", "table", "error"]
)
def test_the_page_knows_where_to_go_for(subject: str) -> None:
    assert any(subject in known for known in places_to_change())


def test_every_table_and_column_of_the_ledger_is_documented() -> None:
    for table in LEDGER_TABLES.tables.values():
        section = with_heading(sections(LEDGER), table.name)
        assert section is not None, f"{LEDGER.name} has no section {table.name}"
        assert {column.name for column in table.columns} == set(section.rows()), table.name


@pytest.mark.parametrize("statuses", [JobStatus, StageStatus])
def test_every_status_of_the_ledger_is_documented(statuses: type[StrEnum]) -> None:
    assert undocumented_names(statuses, prose(LEDGER)) == []


class _Added(BaseModel):
    size: int = 5
    added: bool = Field(default=False)


@pytest.mark.parametrize(
    ("table", "missing"),
    [
        ("| `size` | integer | `5` | How large. |", "added has no row"),
        ("| `size` | integer | `5` | How large. |\n| `added` | | | |", "added needs a type"),
        ("| `size` | integer | `4` | How large. |\n| `added` | boolean | `false` | New. |", "`5`, not `4`"),
    ],
)
def test_a_field_without_its_row_or_with_another_default_is_found(table: str, missing: str) -> None:
    (problem,) = undocumented_fields(_Added, Section("`thing`", table))

    assert missing in problem


def test_an_option_that_is_not_named_is_found() -> None:
    command = click.Command("look", params=[click.Option(["--deep"]), click.Argument(["place"])])

    assert undocumented_options(command, Section("`medkg look`", "Takes `PLACE`.")) == [
        "`medkg look`: --deep"
    ]
