"""`config/plugins.yaml`: what is written in it, and what becomes of a file that is not valid."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from medkg_dagster.plugins import OWN_DISTRIBUTION, Origin, PluginPolicy
from medkg_dagster.plugins.policy import LOAD_SECONDS
from medkg_dagster.topology.plugins_file import LoadedPluginPolicy, load_plugin_policy

LAB = Origin("ocr", "lab.ocr:register", "lab-ocr", "1.0")
OWN = Origin("parse", "medkg_dagster.stages.parse:register", OWN_DISTRIBUTION, "0.1.0")

EVERYTHING = """\
# What the laboratory lets in.
autoload: false
allow: [lab-ocr, "lab-tables:tables"]
block:
  - lab-old
import_prefixes: [our_lab.stages]
replaces:
  stages:
    parse: lab-ocr
  sources: {files: lab-files}
  gate_conditions:
load_seconds: 2.5
"""


def load(folder: Path, text: str | bytes) -> LoadedPluginPolicy:
    content = text if isinstance(text, bytes) else text.encode()
    (folder / "plugins.yaml").write_bytes(content)
    return load_plugin_policy(folder)


def test_every_key_is_taken(tmp_path: Path) -> None:
    loaded = load(tmp_path, EVERYTHING)
    policy, file = loaded.policy, tmp_path / "plugins.yaml"

    assert loaded.problems == ()
    assert (policy.closed, policy.autoload, policy.load_seconds) == ("", False, 2.5)
    assert (policy.allow, policy.block) == (("lab-ocr", "lab-tables:tables"), ("lab-old",))
    assert policy.import_prefixes == ("our_lab.stages",)
    assert {key: chosen.distribution for key, chosen in policy.replaces.items()} == {
        ("stages", "parse"): "lab-ocr",
        ("sources", "files"): "lab-files",
    }
    assert policy.replaces["stages", "parse"].written == f"{file}:9"
    assert policy.written == str(file)


def test_without_a_file_everything_is_let_in(tmp_path: Path) -> None:
    assert load_plugin_policy(tmp_path) == LoadedPluginPolicy(PluginPolicy())


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "~\n", "{}\n", "allow:\nblock:\nreplaces:\n"])
def test_a_file_with_nothing_in_it_says_nothing(tmp_path: Path, text: str) -> None:
    loaded = load(tmp_path, text)

    assert loaded.problems == ()
    assert loaded.policy.refusal(LAB) is None
    assert (loaded.policy.autoload, loaded.policy.load_seconds) == (True, LOAD_SECONDS)


def test_a_file_of_another_name_can_be_given(tmp_path: Path) -> None:
    file = tmp_path / "lab.yaml"
    file.write_text("block: [lab-ocr]\n")

    assert load_plugin_policy(file).policy.refusal(LAB) == f"blocked by {file}"


def test_the_switch_closes_the_door_whatever_the_file_says(tmp_path: Path) -> None:
    (tmp_path / "plugins.yaml").write_text("blok: [")

    loaded = load_plugin_policy(tmp_path, enabled=False)

    assert loaded.problems == ()
    assert loaded.policy.refusal(LAB) == "MEDKG_PLUGINS=off lets built-ins in only"
    assert loaded.policy.refusal(OWN) is None


INVALID: list[tuple[str | bytes, int | None, str]] = [
    ("blok: [lab-ocr]\n", 1, "unknown key 'blok' (did you mean 'block'?"),
    ("autoload: true\nallow: lab-ocr\n", 2, "'allow': Input should be a valid tuple, got 'lab-ocr'"),
    ("allow: [5]\n", 1, "'allow[0]': Input should be a valid string, got 5"),
    ("block: ['']\n", 1, "'block[0]': String should have at least 1 character"),
    ("block: {lab-ocr: true}\n", 1, "'block': Input should be a valid tuple, got a mapping"),
    ("autoload: maybe\n", 1, "'autoload': Input should be a valid boolean"),
    ("load_seconds: 0\n", 1, "'load_seconds': Input should be greater than 0"),
    ("load_seconds: 1.0e+9\n", 1, "'load_seconds': Input should be less than or equal to 3600"),
    (
        "load_seconds: 1e9\n",
        1,
        "'load_seconds': must be a number, got the text '1e9' (write 1000000000,",
    ),
    ("load_seconds: on\n", 1, "'load_seconds': must be a number, got true"),
    ('autoload: "no"\n', 1, "'autoload': must be true or false, got the text 'no' (write false)"),
    ("autoload: 1\n", 1, "'autoload': must be true or false, got 1 (write true)"),
    ("load_seconds: 1:30\n", 1, "1:30 is a number to the base 60 in YAML, 90"),
    ("[]\n", None, "valid dictionary"),
    ("load_seconds: .nan\n", 1, "'load_seconds': "),
    ("load_seconds: soon\n", 1, "'load_seconds': Input should be a valid number"),
    ("import_prefixes: ['../x']\n", 1, "an import prefix is a package, for example 'my_lab.stages'"),
    ("import_prefixes: ['a.']\n", 1, "an import prefix is a package"),
    ("import_prefixes: ['lab:register']\n", 1, "an import prefix is a package"),
    ("replaces: {parse: lab-ocr}\n", 1, "unknown key 'parse' in 'replaces'"),
    (
        "replaces:\n  stages:\n    parse: [lab-ocr]\n",
        3,
        "'replaces.stages.parse': Input should be a valid string",
    ),
    ("replaces: [parse]\n", 1, "'replaces': "),
    ("- lab-ocr\n", None, "Input should be a valid dictionary"),
    ("allow: [a]\nallow: [b]\n", 2, "duplicate key 'allow' (first on line 1)"),
    ("block: [\n", None, "not valid YAML"),
    ("block: &b [*b]\n", 1, "stands inside what it names"),
    ("block: !!python/name:os.system\n", 1, "YAML tag"),
    ("block: [a]\n---\nblock: [b]\n", 2, "several YAML documents"),
    (b"block: [\xff]\n", 1, "is not UTF-8 text"),
    (b"\x00\x01", None, "is a binary file, not YAML text"),
    ("#" * 1_100_000, None, "it has more than 1,048,576 bytes"),
]


@pytest.mark.parametrize(("text", "line", "message"), INVALID, ids=[row[2] for row in INVALID])
def test_a_file_that_is_not_valid_is_a_problem_and_lets_built_ins_in_only(
    tmp_path: Path, text: str | bytes, line: int | None, message: str
) -> None:
    loaded = load(tmp_path, text)

    problem = loaded.problems[0]
    assert message in str(problem)
    assert problem.file == tmp_path / "plugins.yaml"
    assert line is None or problem.line == line
    assert loaded.policy.refusal(LAB) == f"{problem.file} is not valid, so built-ins are let in only"
    assert loaded.policy.refusal(OWN) is None
    assert not loaded.policy.allows_import("lab:register")


def test_everything_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    loaded = load(tmp_path, "blok: [a]\nload_seconds: -1\nautoload: 5\n")

    assert sorted(problem.line or 0 for problem in loaded.problems) == [1, 2, 3]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (Path.mkdir, "it is a folder"),
        (os.mkfifo, "it is a pipe"),
        (lambda file: file.symlink_to("/dev/zero"), "it is a device"),
        (lambda file: file.symlink_to("nowhere"), "it is a link to what is not there"),
        (lambda file: file.symlink_to(file), "Too many levels of symbolic links"),
    ],
)
def test_a_file_that_cannot_be_read_closes_the_door(
    tmp_path: Path, make: Callable[[Path], object], message: str
) -> None:
    make(tmp_path / "plugins.yaml")

    loaded = load_plugin_policy(tmp_path)

    assert message in loaded.problems[0].message
    assert loaded.policy.closed


@pytest.mark.parametrize("name", ["plugins.yml", "plugins.YAML", "Plugins.yaml"])
def test_a_file_that_is_called_otherwise_closes_the_door_and_is_told_of(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("block: [lab]\n")

    loaded = load_plugin_policy(tmp_path)

    (problem,) = loaded.problems
    assert (
        str(problem)
        == f"{tmp_path / 'plugins.yaml'}: is not there, but {name} is (rename it to plugins.yaml)"
    )
    assert loaded.policy.closed
