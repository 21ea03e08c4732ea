"""What pipeline files say of plugins and get wrong: each a problem with file and line; the others load."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from medkg_dagster_tests.deployments.installed import STAGES, Site

HEAD = 'name: bad\nversion: "2026-01-01"\n'
ONE = HEAD + "stages:\n  - name: a\n    type: lab-type\n"
REGISTERS = "def register():\n    return one()\n"


@dataclass(frozen=True)
class Row:
    """A pipeline file, the line that is wrong in it, and what is said."""

    title: str
    text: str
    line: int
    expected: str


def demands(written: str) -> str:
    return HEAD + f"plugins:\n  stages:\n    - {written}\nstages: [{{name: a, type: ingest}}]\n"


ROWS = [
    Row(
        "overrides a callable",
        ONE + "    metadata_overrides: {output_handler: print}\n",
        6,
        "comes from the plugin",
    ),
    Row(
        "overrides the counter",
        ONE + "    metadata_overrides: {output_counter: len}\n",
        6,
        "cannot be overridden",
    ),
    Row(
        "overrides the model", ONE + "    metadata_overrides: {config_model: x}\n", 6, "cannot be overridden"
    ),
    Row(
        "overrides what is not",
        ONE + "    metadata_overrides: {state_kee: x}\n",
        6,
        "unknown key 'state_kee'",
    ),
    Row("renames to a keyword", ONE + "    metadata_overrides: {state_key: class}\n", 6, "no keyword"),
    Row(
        "renames to what Dagster has",
        ONE + "    metadata_overrides: {state_key: config}\n",
        6,
        "cannot be used",
    ),
    Row(
        "renames to a path", ONE + "    metadata_overrides: {state_key: ../x}\n", 6, "valid Python identifier"
    ),
    Row("renames one key to two", ONE + "    metadata_overrides: {state_key: [x, y]}\n", 6, "names 2 keys"),
    Row(
        "has an impossible share",
        ONE + "    metadata_overrides: {max_failure_ratio: 3}\n",
        6,
        "less than or equal",
    ),
    Row("has four kinds", ONE + "    metadata_overrides: {kinds: [a, b, c, d]}\n", 6, "three labels at most"),
    Row(
        "has a kind of signs",
        ONE + "    metadata_overrides: {kinds: ['a b']}\n",
        6,
        "kind 'a b' must be letters",
    ),
    Row(
        "depends on itself",
        ONE + "    metadata_overrides: {dependencies: [lab-type]}\n",
        6,
        "the stage type itself",
    ),
    Row(
        "is not described",
        ONE + "    metadata_overrides: {description: ' '}\n",
        6,
        "description must not be empty",
    ),
    Row(
        "is isolated strangely", ONE + "    isolation: docker\n", 6, "isolation is 'subprocess', or a mapping"
    ),
    Row("has no memory", ONE + "    isolation: {memory_mb: 0}\n", 6, "greater than 0"),
    Row("has no time", ONE + "    isolation: {timeout_seconds: -1}\n", 6, "greater than 0"),
    Row(
        "needs another version",
        demands('{type: lab-type, from: lab-plugin, version: ">=2"}'),
        5,
        "'lab-type' needs lab-plugin >=2; installed is 1.0",
    ),
    Row(
        "needs no version that is",
        demands("{type: lab-type, from: lab-plugin, version: latest}"),
        5,
        "a version is written like",
    ),
    Row(
        "needs another distribution",
        demands("{type: lab-type, from: other-lab}"),
        5,
        "'lab-type' must come from 'other-lab', but is from entry point 'lab = lab:register'",
    ),
    Row(
        "needs what is not",
        demands("{type: ocr, from: lab-plugin}"),
        5,
        "needs the stage type 'ocr' of 'lab-pl",
    ),
    Row(
        "imports what is not allowed",
        demands('{type: x, from: "os:system"}'),
        5,
        "the import path 'os:system' is not allowed",
    ),
    Row(
        "pins an import path",
        demands('{type: x, from: "lab:register", version: "==1"}'),
        5,
        "an import path has no version",
    ),
    Row("says not from where", demands("{type: lab-type}"), 5, "'plugins.stages[0].from' is missing"),
    Row(
        "needs a source that is not",
        HEAD + "plugins: {sources: [{type: ocr, from: lab-plugin}]}\nstages: [{name: a, type: ingest}]\n",
        3,
        "unknown source 'ocr'",
    ),
    Row(
        "has a condition twice",
        HEAD
        + (
            "stages:\n  - {name: a, type: ingest}\n  - {name: w, type: gate, gate: g, depends_on: [a]}\n"
            "gates:\n  - {name: g, condition: {custom: lab, clauses: []}}\n"
        ),
        7,
        "unknown key 'clauses'",
    ),
    Row(
        "has a condition of nobody",
        HEAD
        + (
            "stages:\n  - {name: a, type: ingest}\n  - {name: w, type: gate, gate: g, depends_on: [a]}\n"
            "gates:\n  - {name: g, condition: {custom: lab}}\n"
        ),
        7,
        "unknown gate condition 'lab'",
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.title)
def test_a_wrong_file_is_a_problem_with_its_line_and_the_others_load(site: Site, row: Row) -> None:
    site.install("lab", REGISTERS)
    site.pipeline("bad", row.text)

    plan = site.load().plan

    assert plan.problems
    for problem in plan.problems:
        assert (problem.file or site.config).name == "bad.yaml"
    assert any(row.expected in item.message and item.line == row.line for item in plan.problems), (
        plan.problems
    )
    assert [pipeline.name for pipeline in plan.pipelines] == ["good"]


def test_an_import_path_is_loaded_where_the_deployment_allows_its_package(site: Site) -> None:
    (site.packages / "lab_paths.py").write_text("")
    site.install("lab", REGISTERS, entry_points={"some.other.group": {"x": "lab:y"}})
    site.pipeline(
        "bad", ONE.replace("stages:", "plugins: {stages: [{type: lab-type, from: 'lab:register'}]}\nstages:")
    )
    assert "import path 'lab:register' is not allowed" in site.load().plan.problems[0].message

    site.policy("import_prefixes: [lab]\n")
    deployment = site.load()

    assert deployment.plan.problems == ()
    assert str(deployment.factory.registry.get("lab-type").origin) == "import path 'lab:register'"


def test_with_autoload_off_a_pipeline_gets_what_it_names(site: Site) -> None:
    site.install("lab", REGISTERS)
    site.install(
        "lab_more",
        REGISTERS.replace("one()", "one(stage_type='more')"),
        distribution="lab-more",
        entry_points={STAGES: {"more": "lab_more:register"}},
    )
    site.policy("autoload: false\n")
    site.pipeline("bad", demands("{type: lab-type, from: lab-plugin}"))

    deployment = site.load()

    assert deployment.plan.problems == ()
    assert "lab-type" in deployment.factory.registry
    assert "more" not in deployment.factory.registry


def test_an_unknown_type_says_what_became_of_the_plugin_that_has_it(site: Site) -> None:
    site.install("lab", "raise RuntimeError('no model')", entry_points={STAGES: {"lab-type": "lab:register"}})
    site.pipeline("bad", ONE)

    problem = site.load().plan.problems[-1]

    assert "unknown type 'lab-type'" in problem.message
    assert "is rejected: cannot be loaded: RuntimeError: no model" in str(problem.hint)


def test_a_file_of_fifty_megabytes_and_a_billion_laughs_are_refused_at_once(site: Site) -> None:
    site.pipeline("big", HEAD + "#" * 50_000_000)
    lines = ["a0: &a0 [ha, ha]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12))]
    site.pipeline("laughs", HEAD + "\n".join(lines) + "\n")
    site.pipeline("deep", HEAD + "stages: " + "[" * 10_000 + "]" * 10_000 + "\n")
    site.pipeline("self", HEAD + "stages: &s [*s]\n")
    site.pipeline("tag", HEAD + "stages: !!python/object/apply:os.system [ls]\n")

    plan = site.load().plan

    said: dict[str, str] = {}
    for problem in plan.problems:
        said[(problem.file or site.config).stem] = (
            said.get((problem.file or site.config).stem, "") + problem.message
        )
    assert "it has more than 1,048,576 bytes" in said["big"]
    assert "expands to more than 100,000 values" in said["laughs"]
    assert "nested more than 50 levels deep" in said["deep"]
    assert "stands inside what it names" in said["self"]
    assert "YAML tag" in said["tag"]
    assert [pipeline.name for pipeline in plan.pipelines] == ["good"]
