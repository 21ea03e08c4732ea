"""Broken sources, stores and gate conditions: found when a pipeline names them, and told of there."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import pytest
from click.testing import CliRunner

from medkg_dagster.cli import main
from medkg_dagster.stage_api import ExtensionKind
from medkg_dagster_tests.deployments.installed import Site

SOURCES = "medical_kg.orchestration.sources"
CONDITIONS = "medical_kg.orchestration.gate_conditions"
WANTS_SOURCE = """\
name: bad
version: "2026-01-01"
stages:
  - {name: ingest, type: ingest, config: {adapter: lab, params: {size: 3}}}
"""
WANTS_CONDITION = """\
name: bad
version: "2026-01-01"
stages:
  - {name: ingest, type: ingest}
  - {name: wait, type: gate, gate: signed, depends_on: [ingest]}
gates:
  - {name: signed, condition: {custom: lab, parameters: {size: 3}}}
"""
CONFIG = """\
class Config(BaseModel):
    model_config = ConfigDict(extra="forbid")
    size: int = 1


"""


@dataclass(frozen=True)
class Row:
    """An extension's source and what is said of it."""

    title: str
    source: str
    expected: str


def extension(kind: str, build: str = "lambda parameters, home: None", **changes: str) -> str:
    described = {"name": "'lab'", "config_model": "Config", **changes}
    named = ", ".join(f"{key}={value}" for key, value in described.items())
    return (
        CONFIG
        + f"LAB = Extension(kind=ExtensionKind.{kind}, description='A test.', build={build}, {named})\n"
    )


SOURCE_ROWS = [
    Row("raises on import", "raise RuntimeError('no driver')", "cannot be loaded: RuntimeError: no driver"),
    Row("exits on import", "sys.exit(1)", "cannot be loaded: "),
    Row("hangs on import", "late()\ntime.sleep(60)", "took longer than 60 s to load and was interrupted"),
    Row("names a function", "def LAB():\n    pass\n", "names function '<function LAB"),
    Row(
        "is of another kind", extension("EMBEDDER"), "names an Extension of kind medical_kg.orchestration.emb"
    ),
    Row("is called otherwise", extension("SOURCE", name="'other'"), "called 'other'; name it 'lab'"),
    Row(
        "has a model that is none", extension("SOURCE", config_model="dict"), "must be a pydantic model class"
    ),
    Row("cannot be built", extension("SOURCE", "5"), "has the build 5; it must be a function"),
    Row(
        "takes a secret in plain",
        "class Plain(BaseModel):\n    key: SecretStr\n\n\n" + extension("SOURCE", config_model="Plain"),
        "takes secrets as plain text in key",
    ),
    Row(
        "has other parameters",
        extension("SOURCE").replace("size: int", "sise: int"),
        "unknown parameter 'size'; did you mean 'sise'?",
    ),
]
CONDITION_ROWS = [
    Row("makes a text", extension("GATE_CONDITION", "lambda p, home: 'yes'"), "it must make a GateCondition"),
    Row("makes nothing", extension("GATE_CONDITION"), "made NoneType; it must make a GateCondition"),
    Row(
        "breaks", extension("GATE_CONDITION", "lambda p, home: 1 / 0"), "ZeroDivisionError: division by zero"
    ),
    Row("exits", extension("GATE_CONDITION", "lambda p, home: sys.exit(4)"), "SystemExit: 4"),
    Row(
        "hangs",
        extension("GATE_CONDITION", "lambda p, home: (late(), time.sleep(60))"),
        "interrupted after 60 s",
    ),
    Row("wants more", extension("GATE_CONDITION", "lambda p, home, more: None"), "broke on these parameters"),
    Row("is a source", extension("SOURCE"), "names an Extension of kind medical_kg.orchestration.sources"),
]


@pytest.mark.parametrize("row", SOURCE_ROWS, ids=lambda row: row.title)
def test_a_bad_source_is_a_problem_of_the_pipeline_that_names_it(site: Site, row: Row) -> None:
    site.install("lab", row.source, entry_points={SOURCES: {"lab": "lab:LAB"}})
    site.pipeline("bad", WANTS_SOURCE)

    plan = site.load().plan

    (problem,) = plan.problems
    assert row.expected in problem.message
    assert (problem.file or site.config).name == "bad.yaml"
    assert [pipeline.name for pipeline in plan.pipelines] == ["good"]


@pytest.mark.parametrize("row", CONDITION_ROWS, ids=lambda row: row.title)
def test_a_bad_condition_is_a_problem_of_the_gate_that_names_it(site: Site, row: Row) -> None:
    site.install("lab", row.source, entry_points={CONDITIONS: {"lab": "lab:LAB"}})
    site.pipeline("bad", WANTS_CONDITION)

    plan = site.load().plan

    (problem,) = plan.problems
    assert row.expected in problem.message
    assert problem.line == 7
    assert [pipeline.name for pipeline in plan.pipelines] == ["good"]


def test_a_source_that_nobody_names_is_not_imported(site: Site) -> None:
    site.install("lab", "raise RuntimeError", entry_points={SOURCES: {"lab": "lab:LAB"}})

    assert site.load().plan.problems == ()
    assert "lab" not in sys.modules


def test_a_source_that_is_not_let_in_is_told_of_and_not_imported(site: Site) -> None:
    site.install("lab", extension("SOURCE"), entry_points={SOURCES: {"lab": "lab:LAB"}})
    site.pipeline("bad", WANTS_SOURCE)
    site.policy("block: [lab-plugin]\n")

    (problem,) = site.load().plan.problems

    assert "which is not let in: blocked by" in problem.message
    assert "lab" not in sys.modules


def test_two_sources_of_one_name_are_problems_of_their_own_and_none_is_used(site: Site) -> None:
    for module in ("lab_one", "lab_two"):
        points = {SOURCES: {"lab": f"{module}:LAB"}}
        site.install(module, extension("SOURCE"), distribution=module.replace("_", "-"), entry_points=points)
    site.pipeline("bad", WANTS_SOURCE)

    messages = [problem.message for problem in site.load().plan.problems]

    assert sum("source 'lab' is registered by" in text for text in messages) == 3
    site.policy("replaces: {sources: {lab: lab-two}}\n")
    assert site.load().plan.problems == ()


def test_a_built_in_source_stays_unless_the_deployment_says_so(site: Site) -> None:
    source = extension("SOURCE", name="'files'")
    site.install("lab", source, entry_points={SOURCES: {"files": "lab:LAB"}})

    deployment = site.load()

    assert "the built-in is kept" in deployment.plan.problems[0].message
    site.policy("replaces: {sources: {files: lab-plugin}}\n")
    deployment = site.load()
    assert deployment.plan.problems == ()
    events = {(event.subject, event.outcome.value) for event in deployment.plan.report.events}
    assert {("source files", "registered"), ("source files", "replaced")} <= events


def test_check_names_the_stores_of_plugins_that_take_no_document_out(site: Site) -> None:
    group = ExtensionKind.INDEX_STORE.value
    site.install("lab_old", extension("INDEX_STORE"), entry_points={group: {"lab": "lab_old:LAB"}})

    done = CliRunner().invoke(main, ["check"], env={"MEDKG_CONFIG": str(site.config), "MEDKG_HOME": "none"})

    assert (done.exit_code, done.stderr) == (0, "")
    named, summary = done.stdout.splitlines()
    assert "index store 'lab' does not say `keeps_documents`: documents that are withdrawn stay" in named
    assert summary == "1 pipeline, 10 stage types, no problems"
