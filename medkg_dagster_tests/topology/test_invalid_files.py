from __future__ import annotations

import os
from pathlib import Path

import pytest

from medkg_dagster.topology.models import ResiliencePolicy
from medkg_dagster.topology.pipeline_files import (
    ConfigFiles,
    LoadedPolicies,
    load_pipelines,
    parse_pipeline,
)
from medkg_dagster.topology.yaml_source import MAX_BYTES, MAX_NODES

POLICIES = LoadedPolicies(
    {"default": ResiliencePolicy(), "gpu-bound": ResiliencePolicy()}, frozenset({"bent"}), ()
)
HEAD = 'name: p\nversion: "2025-01-01"\n'
ONE = HEAD + "stages:\n  - name: a\n    type: ingest\n"
TWO = ONE + "  - name: b\n    type: parse\n    depends_on: [a]\n"
GATED = TWO.replace("name: b", "name: gate_ready").replace("type: parse", "type: gate") + (
    "  - name: c\n    type: parse\n    depends_on: [gate_ready]\n"
    "gates:\n  - name: ready\n    resume_stage: c\n    condition: {field: ready, equals: true}\n"
)

ROWS: list[tuple[str, str, int | None, str]] = [
    ("empty", "", 1, "the file is empty"),
    ("only comments", "# nothing\n", 1, "the file is empty"),
    ("null document", "~\n", 1, "must be a mapping"),
    ("a list", "- a\n", 1, "must be a mapping"),
    ("a word", "hello\n", 1, "must be a mapping"),
    ("bad indentation", "name: p\n version: 1\n", 2, "not valid YAML: mapping values are not allowed"),
    ("open quote", 'name: "p\n', 1, "not valid YAML"),
    ("tab", "name: p\nstages:\n\t- a\n", 3, "not valid YAML"),
    ("control character", "name: p\nversion: \x07\n", 2, "not valid YAML: control characters"),
    ("two documents", ONE + "---\nname: q\n", 6, "several YAML documents"),
    ("python tag", HEAD + "stages: !!python/object/apply:os.system [ls]\n", 3, "YAML tag"),
    ("local tag", ONE.replace("name: a", "name: !secret a"), 4, "YAML tag '!secret' is not allowed"),
    ("binary tag", ONE.replace("type: ingest", "type: !!binary aGk="), 5, "YAML tag"),
    ("wrong explicit tag", ONE + "    config: {n: !!int x}\n", 6, "'x' is not a valid int"),
    ("duplicate key", "name: q\n" + ONE, 2, "duplicate key 'name' (first on line 1)"),
    ("duplicate key in a stage", ONE + "    type: parse\n", 6, "duplicate key 'type' (first on line 5)"),
    (
        "duplicate key in config",
        ONE + "    config:\n      x: 1\n      x: 2\n",
        8,
        "duplicate key 'x' (first on line 7)",
    ),
    ("number as key", ONE + "    config: {1: a}\n", 6, "the key 1 is not text"),
    ("boolean as key", ONE + "    config:\n      on: a\n", 7, "the key true is not text"),
    ("list as key", ONE + "    config:\n      ? [a]\n      : b\n", 7, "a list cannot be a key"),
    ("unknown alias", ONE + "    config: *base\n", 6, "unknown alias *base"),
    ("alias inside itself", ONE + "    config: &c {x: *c}\n", 6, "stands inside what it names"),
    ("merge of a word", ONE + "    config: {<<: x}\n", 6, "'<<' takes a mapping"),
    ("unknown top key", ONE + "stags: []\n", 6, "unknown key 'stags' (did you mean 'stages'?"),
    (
        "unknown stage key",
        ONE + "    polcy: default\n",
        6,
        "unknown key 'polcy' in 'stages[0]' (did you mean 'policy'?",
    ),
    (
        "unknown metadata key",
        ONE + "metadata:\n  onwer: x\n",
        7,
        "unknown key 'onwer' in 'metadata' (did you mean 'owner'?",
    ),
    (
        "octal",
        ONE + "    config: {mode: 0755}\n",
        6,
        "'mode': 0755 is a number to the base 8 in YAML, 493",
    ),
    (
        "octal in a list",
        ONE + "    config:\n      x: [1,\n       -010]\n",
        8,
        '-010 is a number to the base 8 in YAML, -8 (write -8, or "-010" in quotes for text)',
    ),
    (
        "minutes",
        ONE + "    config: {wait: 1:30}\n",
        6,
        "'wait': 1:30 is a number to the base 60 in YAML, 90",
    ),
    (
        "hours",
        ONE + "    config: {wait: 1:30:00.5}\n",
        6,
        "1:30:00.5 is a number to the base 60",
    ),
    (
        "hexadecimal",
        ONE + "    config: {mode: -0x1F}\n",
        6,
        "'mode': -0x1F is a number to the base 16 in YAML, -31 (write -31, or",
    ),
    (
        "binary",
        ONE + "    config: {mode: 0b101}\n",
        6,
        "'mode': 0b101 is a number to the base 2 in YAML, 5",
    ),
    (
        "underscores",
        ONE + "    config: {batch: 2024_01}\n",
        6,
        "'batch': 2024_01 is a number to the base 10 in YAML, 202401 (write 202401, or",
    ),
    (
        "underscores in a fraction",
        ONE + "    config: {wait: 1_0.5}\n",
        6,
        "'wait': 1_0.5 is a number to the base 10 in YAML, 10.5",
    ),
    (
        "yes for a number",
        ONE + "    isolation:\n      timeout_seconds: yes\n",
        7,
        "'stages[0].isolation.timeout_seconds': must be a number, got true (YAML reads yes, no, on",
    ),
    (
        "a number in quotes",
        ONE + '    isolation: {memory_mb: "512"}\n',
        6,
        "'stages[0].isolation.memory_mb': must be a number, got the text '512' (write 512, without quotes)",
    ),
    (
        "a number in quotes in a gate",
        GATED.replace("equals: true}", 'equals: true, timeout_seconds: "60"}'),
        15,
        "'gates[0].condition.timeout_seconds': must be a number, got the text '60'",
    ),
    (
        "a version for an import path",
        ONE + 'plugins:\n  stages:\n    - type: x\n      from: a:b\n      version: ">=1"\n',
        10,
        "'plugins.stages[0].version': an import path has no version",
    ),
    ("no name", ONE.replace("name: p\n", ""), 1, "'name' is missing"),
    ("no version", ONE.replace('version: "2025-01-01"\n', ""), 1, "'version' is missing"),
    ("no stages", HEAD, 1, "'stages' is missing"),
    ("empty stages", HEAD + "stages: []\n", 3, "at least one stage"),
    ("stages a mapping", HEAD + "stages:\n  a: {type: ingest}\n", 3, "'stages': "),
    ("stage a word", HEAD + "stages:\n  - ingest\n", 4, "'stages[0]': "),
    ("no stage name", HEAD + "stages:\n  - type: ingest\n", 4, "'stages[0].name' is missing"),
    ("no stage type", HEAD + "stages:\n  - name: a\n", 4, "'stages[0].type' is missing"),
    ("name a number", ONE.replace("name: p", "name: 5"), 1, "'name': Input should be a valid string, got 5"),
    ("name with spaces", ONE.replace("name: p", "name: my pipeline"), 1, "a name is letters, digits"),
    ("name not ASCII", ONE.replace("name: p", "name: früh"), 1, "a name is letters, digits"),
    ("name with newline", ONE.replace("name: p", 'name: "p\\n"'), 1, "a name is letters, digits"),
    ("reserved name", ONE.replace("name: a", "name: config"), 4, "reserved by Dagster or Python"),
    ("long name", ONE.replace("name: a", f"name: {'a' * 101}"), 4, "at most 100 characters"),
    ("version a word", ONE.replace('"2025-01-01"', "latest"), 2, "a version is a date"),
    ("version no day", ONE.replace('"2025-01-01"', '"2025-02-30"'), 2, "a version is a date"),
    ("version with bare suffix", ONE.replace('"2025-01-01"', '"2025-01-01-"'), 2, "a version is a date"),
    ("owner no address", ONE + "metadata: {owner: a@b@c}\n", 6, "an owner is"),
    ("tag with a space", ONE + "metadata:\n  tags: [a b]\n", 7, "the tag 'a b'"),
    ("depends_on a word", TWO.replace("[a]", "a"), 8, "'stages[1].depends_on': "),
    ("config a list", ONE + "    config: [a]\n", 6, "'stages[0].config': "),
    (
        "unknown dependency",
        TWO.replace("[a]", "[aa]"),
        8,
        "depends on 'aa', which is no stage of this pipeline",
    ),
    ("dependency twice", TWO.replace("[a]", "[a, a]"), 8, "names the dependency 'a' twice"),
    ("self dependency", TWO.replace("[a]", "[b]"), 8, "stage 'b' depends on itself"),
    (
        "cycle",
        TWO.replace("ingest\n", "ingest\n    depends_on: [b]\n"),
        6,
        "the stages a -> b -> a wait for one another",
    ),
    ("duplicate stage", TWO.replace("name: b", "name: a"), 6, "stage 'a' is defined twice (first on line 4)"),
    (
        "collision after mapping",
        TWO.replace("name: a", "name: x-y").replace("name: b", "name: x_y").replace("[a]", "[x-y]"),
        6,
        "stages 'x-y' and 'x_y' both become 'x_y' in Dagster (first on line 4)",
    ),
    (
        "unknown policy",
        ONE + "    policy: gpu_bound\n",
        6,
        "unknown policy 'gpu_bound' (did you mean 'gpu-bound'?",
    ),
    ("broken policy", ONE + "    policy: bent\n", 6, "the policy 'bent' is not valid"),
    ("gate stage without gate", TWO.replace("parse", "gate"), 6, "no gate belongs to it"),
    ("gate without stage", GATED.replace("gate_ready", "door"), 13, "no stage checks the gate 'ready'"),
    ("unknown gate", ONE + "    gate: readdy\n", 6, "checks the gate 'readdy', which is not defined"),
    (
        "unknown resume stage",
        GATED.replace("resume_stage: c", "resume_stage: d"),
        14,
        "'d', which is no stage",
    ),
    (
        "resume before gate",
        GATED.replace("resume_stage: c", "resume_stage: a"),
        14,
        "does not lie behind its stage",
    ),
    (
        "resume at gate",
        GATED.replace("resume_stage: c", "resume_stage: gate_ready"),
        14,
        "does not lie behind",
    ),
    (
        "gate without condition",
        GATED.replace("    condition: {field: ready, equals: true}\n", ""),
        13,
        "is missing",
    ),
    ("condition in both forms", GATED.replace("equals: true", "equals: true, mode: all"), 15, "not both"),
    ("short form without equals", GATED.replace(", equals: true", ""), 15, "'equals' is missing"),
    (
        "unknown operator",
        GATED.replace("{field: ready, equals: true}", "{clauses: [{field: a, operator: is, value: 1}]}"),
        15,
        "'gates[0].condition.clauses[0].operator'",
    ),
    (
        "operator without value",
        GATED.replace("{field: ready, equals: true}", "{clauses: [{field: a, operator: gt}]}"),
        15,
        "the operator 'gt' needs a value",
    ),
    (
        "in without list",
        GATED.replace("{field: ready, equals: true}", "{clauses: [{field: a, operator: in, value: 3}]}"),
        15,
        "the operator 'in' needs a list",
    ),
    (
        "endless poll",
        GATED.replace("equals: true", "equals: true, poll_interval_seconds: 0"),
        15,
        "greater than 0",
    ),
    (
        "unknown condition key",
        GATED.replace("equals: true", "equals: true, timout_seconds: 5"),
        15,
        "'timeout_seconds'?",
    ),
]


@pytest.mark.parametrize(("text", "line", "message"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_an_invalid_file_is_refused_with_line_and_reason(text: str, line: int | None, message: str) -> None:
    pipeline, problems = parse_pipeline(text, Path("p.yaml"), POLICIES)

    assert pipeline is None
    found = [(problem.line, str(problem)) for problem in problems]
    assert any(at == line and message in said for at, said in found), found
    assert all(said.startswith(f"p.yaml:{at}: ") for at, said in found)


@pytest.mark.parametrize("text", [ONE, TWO, GATED], ids=["one", "two", "gated"])
def test_the_texts_the_table_varies_are_valid(text: str) -> None:
    pipeline, problems = parse_pipeline(text, Path("p.yaml"), POLICIES)

    assert problems == ()
    assert pipeline is not None


def test_all_errors_of_a_file_come_at_once_in_line_order() -> None:
    text = (
        "name: p\nversion: soon\nnmae: x\nstages:\n  - name: a\n    type: ingest\n    policy: nope\n"
        "    depends_on: [b, zz]\n  - name: b\n    typ: parse\n    depends_on: [a]\n    depends_on: [a]\n"
    )
    _, problems = parse_pipeline(text, Path("p.yaml"), POLICIES)

    assert [problem.line for problem in problems] == [2, 3, 7, 8, 8, 9, 10, 12]


@pytest.mark.parametrize(
    ("content", "line", "message"),
    [
        (b"\x89PNG\r\n\x00\x00", None, "binary file"),
        (b"name: p\nversion: \xff\n", 2, "not UTF-8"),
        ("name: p".encode("utf-16"), 1, "not UTF-8"),
        (b"a" * (MAX_BYTES + 1), None, "more than 1,048,576 bytes"),
        (b"a: " + b"[" * 100_000, 1, "levels deep"),
        (b"- " * 100_000, 1, "levels deep"),
    ],
    ids=["binary", "latin-1", "utf-16", "huge", "deep flow", "deep block"],
)
def test_a_file_that_is_no_text_or_too_much_is_refused(
    tmp_path: Path, content: bytes, line: int | None, message: str
) -> None:
    files = ConfigFiles.of(tmp_path)
    files.folders[0].mkdir(parents=True)
    (files.folders[0] / "p.yaml").write_bytes(content)
    files.resilience.write_text("policies: {}\n")

    loaded = load_pipelines(files)

    assert loaded.pipelines == ()
    assert [problem.line for problem in loaded.problems] == [line]
    assert message in loaded.problems[0].message


def test_an_alias_bomb_is_refused_before_it_expands() -> None:
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 30)
    )
    _, problems = parse_pipeline(bomb, Path("p.yaml"), POLICIES)

    assert [problem.message for problem in problems] == [f"expands to more than {MAX_NODES:,} values"]


def test_a_folder_in_place_of_a_file_is_one_problem(tmp_path: Path) -> None:
    (tmp_path / "orchestration" / "pipelines" / "x.yaml").mkdir(parents=True)
    loaded = load_pipelines(tmp_path)

    assert [problem.message for problem in loaded.problems] == [
        "the resilience file is missing",
        "is not read: it is a folder, not a regular file",
    ]


def test_pipes_devices_and_links_out_of_the_folder_are_problems_and_pipelines_go_on(tmp_path: Path) -> None:
    folder = tmp_path / "orchestration" / "pipelines"
    folder.mkdir(parents=True)
    (tmp_path / "orchestration" / "resilience.yaml").write_text("policies: {default: {}}\n")
    (tmp_path / "else.yaml").write_text(ONE)
    os.mkfifo(folder / "pipe.yaml")
    (folder / "zero.yaml").symlink_to("/dev/zero")
    (folder / "outside.yaml").symlink_to("../../else.yaml")
    (folder / "..data").mkdir()  # as Kubernetes mounts configuration
    (folder / "..data" / "p.yaml").write_text(ONE)
    (folder / "p.yaml").symlink_to("..data/p.yaml")
    loaded = load_pipelines(tmp_path)

    assert [found.topology.name for found in loaded.pipelines] == ["p"]
    assert {problem.file.name: problem.message for problem in loaded.problems if problem.file} == {
        "outside.yaml": f"is not read: it is a link that leads out of {folder}, to {tmp_path}/else.yaml; put "
        "a copy in its place",
        "pipe.yaml": "is not read: it is a pipe, not a regular file",
        "zero.yaml": f"is not read: it is a link that leads out of {folder}, to /dev/zero; put a copy in its "
        "place",
    }


@pytest.mark.parametrize("name", ["p.YAML", "p.Yaml", "p.yml", "p.YML"])
def test_the_suffix_may_be_written_in_any_case(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "orchestration" / "pipelines"
    folder.mkdir(parents=True)
    (folder / name).write_text(ONE)

    assert [found.topology.name for found in load_pipelines(tmp_path).pipelines] == ["p"]


def test_thousands_of_stages_in_a_circle_are_refused_quickly() -> None:
    stages = "".join(f"  - {{name: s{n}, type: x, depends_on: [s{(n + 1) % 5000}]}}\n" for n in range(5000))
    _, problems = parse_pipeline(HEAD + "stages:\n" + stages, Path("p.yaml"), POLICIES)

    assert any("at most 1000" in problem.message for problem in problems)
