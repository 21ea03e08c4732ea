"""The reference of the YAML files says what the models say, and shows an example of every key."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from medkg_dagster.registry import StageFactory, StageRegistry
from medkg_dagster.topology.plugins_file import load_plugin_policy
from medkg_dagster_tests.conftest import REPOSITORY

SCRIPT = REPOSITORY / "scripts" / "pipeline_reference.py"


def load_script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("pipeline_reference", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


script = load_script()


def built_in_sections() -> list[Any]:
    policy = load_plugin_policy(REPOSITORY / "config", enabled=False).policy
    sections: list[Any] = script.all_sections(StageFactory.load_plugins(policy).registry)
    return sections


SECTIONS = built_in_sections()
KEYS = [(section, key) for section in SECTIONS for key in section.keys]
NAMES = [f"{section.path}.{key.name}" for section, key in KEYS]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_reference_in_the_guide_is_what_the_models_say() -> None:
    done = run("--check")

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("section", "key"), KEYS, ids=NAMES)
def test_every_key_has_a_meaning_and_an_example_that_fits(section: Any, key: Any) -> None:
    example = script.EXAMPLES.get(section.path, {}).get(key.name)

    assert key.schema.get("description"), f"say in the model's docstring what {key.name} means"
    assert example, f"add an example of {section.path} {key.name} to EXAMPLES in {SCRIPT.name}"
    assert "\n" not in example
    written = yaml.safe_load(example)
    assert list(written) == [key.name]
    schema = {**key.schema, "$defs": section.definitions}
    errors = [error.message for error in Draft202012Validator(schema).iter_errors(written[key.name])]
    assert errors == []


def test_no_example_or_remark_is_of_a_key_that_does_not_exist() -> None:
    shown = {f"{path}.{name}" for path, keys in script.EXAMPLES.items() for name in keys}

    assert shown | set(script.MORE) <= set(NAMES)
    assert set(script.FORMS) <= {section.path for section in SECTIONS}


def test_every_section_stands_in_the_guide_once() -> None:
    paths = [section.path for section in SECTIONS]
    lines = script.GUIDE.read_text("utf-8").splitlines()

    assert len(paths) == len(set(paths))
    for path in paths:
        assert lines.count(f"### `{path}`") + lines.count(f"### {path}") == 1, path


def test_the_sections_are_those_a_reader_expects() -> None:
    paths = [section.path for section in SECTIONS]

    assert paths[:4] == ["The pipeline", "metadata", "stages[]", "stages[].metadata_overrides"]
    assert {"gates[].condition.clauses[]", "plugins.stages[]", "policies.<name>.backoff", "replaces"} <= set(
        paths
    )


@pytest.mark.parametrize(
    ("schema", "shown"),
    [
        ({"type": "string"}, "string"),
        ({"type": ["array", "null"], "items": {"type": "string"}}, "list of strings"),
        ({"type": "array"}, "list"),
        ({"enum": ["a", "b", "c"]}, "`a`, `b` or `c`"),
        ({"anyOf": [{"type": "object"}, {"const": "short"}, {"type": "null"}]}, "mapping or `short`"),
        ({"$ref": "#/$defs/Thing"}, "mapping"),
        ({}, "any"),
    ],
)
def test_types_are_shown_as_people_say_them(schema: dict[str, Any], shown: str) -> None:
    assert script.type_text(schema, {"Thing": {"type": "object"}}) == shown


@pytest.mark.parametrize(
    ("schema", "shown"),
    [
        ({"minimum": 1, "maximum": 100}, "1 to 100."),
        ({"exclusiveMinimum": 0, "maximum": 3600}, "More than 0 and at most 3,600."),
        ({"anyOf": [{"exclusiveMinimum": 0, "maximum": 3_162_240_000}, {"type": "null"}]}, "More than 0."),
        ({"type": "string"}, ""),
    ],
)
def test_bounds_are_shown(schema: dict[str, Any], shown: str) -> None:
    assert script.bounds_text(schema) == shown


def test_a_guide_that_differs_is_refused_and_can_be_written_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    guide = tmp_path / "guide.md"
    guide.write_text(f"Before\n\n{script.BEGIN}\nold\n{script.END}\n\nAfter\n")
    monkeypatch.setattr(script, "GUIDE", guide)

    def main(argument: str) -> None:
        monkeypatch.setattr(sys, "argv", ["pipeline_reference.py", argument])
        script.main()

    with pytest.raises(SystemExit, match=r"out of date; run: python scripts/pipeline_reference\.py --write"):
        main("--check")
    main("--write")
    main("--check")

    text = guide.read_text()
    assert text.startswith("Before\n\n<!--")
    assert text.endswith("-->\n\nAfter\n")
    assert script.reference(script.all_sections(StageRegistry())) in text
    assert capsys.readouterr().out == "wrote guide.md\nguide.md is up to date\n"


def test_a_guide_without_the_markers_is_left_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    guide = tmp_path / "guide.md"
    guide.write_text("Nothing here\n")
    monkeypatch.setattr(script, "GUIDE", guide)

    with pytest.raises(SystemExit, match="has not the two lines"):
        script.rewritten(guide.read_text())
