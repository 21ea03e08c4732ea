"""Installed extensions: let in by the deployment, imported one by one, and only where they are chosen."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from medkg_dagster.errors import ConfigError
from medkg_dagster.plugins import OWN_DISTRIBUTION, PluginPolicy, Replacement
from medkg_dagster.plugins.events import Outcome, PluginEvent
from medkg_dagster.registry import ExtensionRegistry
from medkg_dagster.stage_api import ExtensionKind
from medkg_dagster.stage_api._extensions import open_embedder
from medkg_dagster_tests.clock import LOAD_SECONDS
from medkg_dagster_tests.deployments.installed import Site, site

__all__ = ["site"]

SOURCE = ExtensionKind.SOURCE
LINES = """\
class Config(BaseModel):
    model_config = ConfigDict(extra="forbid")
    path: str = ""


LINES = Extension(ExtensionKind.SOURCE, "lines", "Lines of a file.", Config, lambda given, home: given)
"""


def install(site: Site, distribution: str = "lab-lines", source: str = LINES, name: str = "lines") -> None:
    module = distribution.replace("-", "_")
    points = {SOURCE.value: {name: f"{module}:LINES"}}
    site.install(module, source, distribution=distribution, entry_points=points)


def extensions(*replaces: Replacement, **says: object) -> ExtensionRegistry:
    chosen = {(item.kind, item.name): item for item in replaces}
    return ExtensionRegistry(PluginPolicy(replaces=chosen, load_seconds=LOAD_SECONDS, written="f", **says))  # type: ignore[arg-type] # given by the tests


def choice(distribution: str, name: str = "lines", kind: str = "sources") -> Replacement:
    return Replacement(kind, name, distribution, "plugins.yaml:5")


def provider(found: ExtensionRegistry, name: str) -> str:
    origin = found.origin(SOURCE, name)
    assert origin is not None
    return origin.distribution


def about(found: ExtensionRegistry, name: str = "lines") -> list[PluginEvent]:
    return [event for event in found.events if event.subject == f"source {name}"]


def test_names_problems_and_events_import_nothing(site: Site) -> None:
    install(site, source="raise RuntimeError")
    found = extensions()

    assert "lines" in found.names(SOURCE)
    assert list(found.problems) == []
    assert [event.outcome for event in about(found)] == [Outcome.REGISTERED]
    assert provider(found, "lines") == "lab-lines"
    assert "lab_lines" not in sys.modules


def test_an_extension_is_imported_once_when_it_is_asked_for(site: Site, tmp_path: Path) -> None:
    install(site)
    found = extensions()

    extension = found.find(SOURCE, "lines")

    assert found.find(SOURCE, "lines") is extension
    assert extension.open({"path": "x"}, tmp_path).path == "x"


def test_an_extension_of_another_kind_has_another_name_space(site: Site) -> None:
    install(site)

    with pytest.raises(ConfigError, match="unknown embedder 'lines'; known: hashing, none, onnx, openai"):
        extensions().find(ExtensionKind.EMBEDDER, "lines")


def test_an_unknown_name_lists_those_that_are_let_in(site: Site) -> None:
    install(site)

    with pytest.raises(ConfigError, match="unknown source 'line'; did you mean 'lines'"):
        extensions().find(SOURCE, "line")
    with pytest.raises(ConfigError) as error:
        extensions(block=("lab-lines",)).find(SOURCE, "line")
    assert "lines" not in str(error.value).replace("'line'", "")


@pytest.mark.parametrize(
    ("says", "reason"),
    [
        ({"block": ("lab-lines",)}, "blocked by f"),
        ({"block": ("LAB.lines:lines",)}, "blocked by f"),
        ({"allow": ("other",)}, "not among what f allows"),
        ({"closed": "MEDKG_PLUGINS=off lets built-ins in only"}, "MEDKG_PLUGINS=off lets built-ins in only"),
    ],
)
def test_what_is_not_let_in_is_named_and_not_imported(
    site: Site, says: dict[str, object], reason: str
) -> None:
    install(site)
    found = extensions(**says)

    assert "lines" not in found.names(SOURCE)
    with pytest.raises(ConfigError) as error:
        found.find(SOURCE, "lines")
    assert str(error.value).startswith("source 'lines' is offered by entry point 'lines = lab_lines:LINES'")
    assert str(error.value).endswith(f"which is not let in: {reason}")
    assert [(event.outcome, event.details) for event in about(found)] == [(Outcome.BLOCKED, reason)]
    assert "lab_lines" not in sys.modules


def test_of_two_with_one_name_none_is_used(site: Site) -> None:
    install(site)
    install(site, "lab-other")
    found = extensions()

    problems = list(found.problems)

    assert [str(problem.subject).split(" of ")[1] for problem in problems] == [
        "lab-lines 1.0",
        "lab-other 1.0",
    ]
    assert "of lab-other 1.0 too; none of them is used" in problems[0].message
    assert "`replaces: {sources: {lines: lab-lines}}` in config/plugins.yaml" in str(problems[0].hint)
    assert [event.outcome for event in about(found)] == [Outcome.REJECTED] * 2
    with pytest.raises(ConfigError, match="none of them is used"):
        found.find(SOURCE, "lines")
    assert not {"lab_lines", "lab_other"} & set(sys.modules)


def test_where_one_of_two_is_blocked_the_other_is_used(site: Site) -> None:
    install(site)
    install(site, "lab-other")
    found = extensions(block=("lab-other",))

    assert list(found.problems) == []
    assert provider(found, "lines") == "lab-lines"


def test_the_built_in_is_kept_unless_another_is_chosen(site: Site) -> None:
    install(site, source=LINES.replace('"lines"', '"files"'), name="files")

    kept, chosen = extensions(), extensions(choice("LAB_lines", "files"))

    (problem,) = kept.problems
    assert "source 'files' is registered already by entry point 'files = medkg_dagster" in problem.message
    assert problem.message.endswith("the built-in is kept")
    assert provider(kept, "files") == OWN_DISTRIBUTION
    assert list(chosen.problems) == []
    assert chosen.find(SOURCE, "files").description == "Lines of a file."
    assert {
        event.origin.distribution: (event.outcome, event.configured_by) for event in about(chosen, "files")
    } == {
        OWN_DISTRIBUTION: (Outcome.REPLACED, "plugins.yaml:5"),
        "lab-lines": (Outcome.REGISTERED, "plugins.yaml:5"),
    }


@pytest.mark.parametrize("says", [{}, {"block": ("lab-lines",)}])
def test_a_choice_that_provides_nothing_is_a_problem_where_it_is_written(
    site: Site, says: dict[str, object]
) -> None:
    install(site, name="rows")

    (problem,) = extensions(choice("lab-lines", "files"), **says).problems

    assert (
        problem.message == "`replaces` chooses lab-lines for the source 'files', but it does not register it"
    )
    assert problem.subject == "plugins.yaml:5"


def test_a_choice_of_a_stage_type_is_no_matter_of_extensions() -> None:
    assert list(extensions(choice("gone", kind="stages")).problems) == []


BROKEN = [
    ("raise OSError('no driver')", "cannot be loaded: OSError: no driver; upgrade or uninstall"),
    ("sys.exit(3)", "SystemExit: 3"),
    ("import asyncio; raise asyncio.CancelledError('x')", "CancelledError: x"),
    (
        "late()\nwhile True: pass",
        "took longer than 60 s to load and was interrupted; let it import and connect",
    ),
    ("def LINES(): pass", "names function '<function LINES"),
    ("LINES = None", "names NoneType 'None'; it must name an Extension"),
    (LINES.replace("SOURCE", "EMBEDDER"), "names an Extension of kind medical_kg.orchestration.embedders"),
    (LINES.replace('"lines"', '"rows"'), "names an object called 'rows'; name it 'lines', like its entry"),
    (LINES.replace("Config, lambda", "dict, lambda"), "it must be a pydantic model class"),
    (LINES.replace("lambda given, home: given", "5"), "has the build 5; it must be a function"),
    (
        LINES.replace('path: str = ""', "key: SecretStr"),
        "takes secrets as plain text in key; declare them as",
    ),
]


@pytest.mark.parametrize(("source", "message"), BROKEN, ids=[row[1] for row in BROKEN])
def test_a_broken_extension_is_an_error_that_names_it_and_its_entry_point(
    site: Site, source: str, message: str
) -> None:
    install(site, source=source)
    found = extensions()

    with pytest.raises(ConfigError) as error:
        found.find(SOURCE, "lines")

    assert message in str(error.value)
    assert "entry point 'lines = lab_lines:LINES' of lab-lines 1.0" in str(error.value)
    assert found.find(SOURCE, "files").name == "files"


def test_an_embedder_is_opened_again_by_the_name_of_its_model(tmp_path: Path) -> None:
    found = extensions()
    made = found.find(ExtensionKind.EMBEDDER, "hashing").open({}, tmp_path)

    assert open_embedder(found, made.model, tmp_path).model == made.model


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("hashing", "cannot be reopened"),
        ("hashing:[1]", "cannot be reopened: no parameters; embed again"),
        ("hashing:{", "cannot be reopened"),
        (f"gone:{json.dumps({})}", "unknown embedder 'gone'"),
        (f"hashing:{json.dumps({'sise': 1})}", "unknown parameter 'sise'"),
    ],
)
def test_a_model_that_cannot_be_opened_again_says_what_to_do(
    tmp_path: Path, model: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        open_embedder(extensions(), model, tmp_path)
