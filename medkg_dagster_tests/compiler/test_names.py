"""Every Dagster name has one owner, and whatever loads together also makes a code location together."""

from __future__ import annotations

import ast
import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import pytest
from dagster import Definitions
from hypothesis import event, example, given, note, settings
from hypothesis import strategies as st

from medkg_dagster.compiler.compile_plan import compile_plan
from medkg_dagster.registry import StageFactory
from medkg_dagster.resolution import Plan, resolve_topologies
from medkg_dagster.settings import Settings
from medkg_dagster.topology import names
from medkg_dagster.topology.pipeline_files import load_pipelines

PACKAGE = Path(__file__).parent.parent.parent / "medkg_dagster"
NAMES = PACKAGE / "topology" / "names.py"
INTERNALS = PACKAGE / "runtime" / "dagster_internals.py"
BENCHMARKS = PACKAGE.parent / "benchmarks"

# What takes a name by its keyword, and what is made under the name it is given first or as `name`.
NAMING = {"group_name", "check_name", "io_manager_key", "resource_key", "job_name", "required_resource_keys"}
DEFINITIONS: dict[str, set[str]] = {
    called: {"name"}
    for called in (
        *("AssetCheckSpec", "asset_check", "multi_asset_check", "AssetKey", "AssetSpec", "asset"),
        *("OpDefinition", "op", "GraphDefinition", "JobDefinition", "define_asset_job", "job"),
        *("SensorDefinition", "sensor", "run_status_sensor", "DynamicPartitionsDefinition"),
        *("ScheduleDefinition", "schedule"),
    )
}
OWN_NAMES = {
    value
    for name, value in vars(names).items()
    if name.isupper() and isinstance(value, str) and "_" in value and not value.endswith("_")
}
POLICIES = "policies:\n  default: {}\n"

# Whatever the project itself puts into names, and a little of what users do.
PARTS = ["a", "b", "x", "gate", "after", "stages", "submissions", "medkg", "load_report", "no_job_waits"]
PARTS += ["load_report_checks", "ended_runs", "trigger", "pdf_conversion", "convert_pdfs", "checks"]


@dataclass(frozen=True)
class Drawn:
    """A pipeline of an `ingest` stage; with a gate the stage that checks it; with a trigger that one."""

    name: str
    stage: str
    gate: str | None = None
    trigger: str | None = None

    @property
    def yaml(self) -> str:
        lines = [f"name: {self.name}", 'version: "2026-01-01"', "stages:"]
        lines.append(f"  - {{name: {self.stage}, type: ingest}}")
        if self.gate is not None:
            lines.append(f"  - {{name: q, type: gate, gate: {self.gate}, depends_on: [{self.stage}]}}")
            lines.append(f"gates: [{{name: {self.gate}, condition: {{field: open, equals: true}}}}]")
        if self.trigger is not None:
            looks_at = "schedule: {cron: '0 6 * * *'}" if self.gate else "files: {path: /data}"
            lines.append(f"triggers: [{{name: {self.trigger}, {looks_at}}}]")
        return "\n".join(lines) + "\n"


hostile_names = st.builds(
    lambda parts, joint: joint.join(parts),
    st.lists(st.sampled_from(PARTS), min_size=1, max_size=3),
    st.sampled_from(["_", "__", "-"]),
)
pipelines = st.builds(
    Drawn, hostile_names, hostile_names, st.none() | hostile_names, st.none() | hostile_names
)


def load(drawn: Sequence[Drawn], factory: StageFactory) -> tuple[Plan, Definitions]:
    """Load, resolve and compile pipelines as a deployment does."""
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder) / "orchestration" / "pipelines"
        files.mkdir(parents=True)
        (files.parent / "resilience.yaml").write_text(POLICIES)
        for number, pipeline in enumerate(drawn):
            (files / f"{number}.yaml").write_text(pipeline.yaml)
        plan = resolve_topologies(load_pipelines(Path(folder)), factory)
        return plan, compile_plan(plan, factory, Settings(Path(folder), Path(folder)))


@pytest.fixture(scope="module")
def factory() -> StageFactory:
    return StageFactory.load_plugins()


@given(st.lists(pipelines, min_size=2, max_size=3))
@example([Drawn("medkg", "load_report"), Drawn("a", "b")])
@example([Drawn("a", "s", "x__gate_y"), Drawn("a__gate_x", "s", "y")])
@example([Drawn("a", "q_no_job_waits", "g")])
@example([Drawn("a", "s", "x"), Drawn("a__approve_x", "s")])
@example([Drawn("a", "s", "x"), Drawn("a", "reject_x__decide")])
@example([Drawn("a", "s", None, "x__trigger_y"), Drawn("a__trigger_x", "s", None, "y")])
@example([Drawn("a", "s", None, "x"), Drawn("a__trigger_x", "s")])
@example([Drawn("load_report", "s"), Drawn("ended_runs", "s"), Drawn("a", "convert_pdfs")])
@settings(max_examples=30 if settings().derandomize else 300)  # `make soak` draws more
def test_whatever_loads_together_makes_a_code_location(factory: StageFactory, drawn: list[Drawn]) -> None:
    note("---\n".join(pipeline.yaml for pipeline in drawn))
    plan, definitions = load(drawn, factory)

    jobs = {job.name for job in definitions.get_repository_def().get_all_jobs()}

    event(f"{len(plan.pipelines)} of {len(drawn)} load")
    assert plan.job_names <= jobs
    repository = definitions.get_repository_def()
    schedules = {schedule.name for schedule in repository.schedule_defs}
    assert schedules | {sensor.name for sensor in repository.sensor_defs} >= {
        names.trigger_name(pipeline.name, trigger.name)
        for pipeline in plan.pipelines
        for trigger in pipeline.triggers
    }
    assert len(plan.pipelines) + len(plan.problems) >= len(drawn)


@pytest.mark.parametrize(
    "drawn",
    [
        [Drawn("medkg", "load_report")],
        [Drawn("a", "s", "x__gate_y"), Drawn("a__gate_x", "s", "y")],
        [Drawn("a", "s", None, "x__trigger_y"), Drawn("a__trigger_x", "s", None, "y")],
        [Drawn("pdf_conversion", "s")],
        [Drawn("a", "q_no_job_waits", "g")],
        [Drawn("a", "s", "x"), Drawn("a__approve_x", "s")],
        [Drawn("a", "reject_x", "x")],
    ],
)
def test_a_name_that_is_taken_is_a_problem_that_says_by_whom(
    factory: StageFactory, drawn: list[Drawn]
) -> None:
    plan, _ = load(drawn, factory)

    assert len(plan.pipelines) == len(drawn) - 1
    (problem,) = plan.problems
    assert "in Dagster" in problem.message
    assert problem.hint == "give one of them another name"


def _made_by_hand(tree: ast.AST) -> Iterator[int]:
    """Yield the lines on which something is given to Dagster under a name written there."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = getattr(node.func, "id", getattr(node.func, "attr", ""))
            named = [
                item.value for item in node.keywords if item.arg in NAMING | DEFINITIONS.get(called, set())
            ]
            named += node.args[:1] if called in DEFINITIONS else []
            yield from (value.lineno for value in named if isinstance(value, ast.Constant | ast.JoinedStr))
        elif isinstance(node, ast.Constant) and node.value in OWN_NAMES:
            yield node.lineno


@pytest.mark.parametrize("part", ["compiler", "conversion.py", "runtime", "component.py", "definitions.py"])
def test_names_of_dagster_are_made_in_one_module(part: str) -> None:
    root = PACKAGE / part
    found = [
        f"{file.relative_to(PACKAGE)}:{line}"
        for file in sorted(root.rglob("*.py") if root.is_dir() else [root])
        for line in _made_by_hand(ast.parse(file.read_text()))
    ]

    assert found == [], "take them from topology/names.py"


def test_parts_of_names_are_put_together_in_one_module() -> None:
    built_by_hand = re.compile(
        r'f"[^"]*(?:__(?:after|gate|stages|submissions|trigger)|\}__\{)[^"]*"|f"after_\{'
    )

    found = [
        f"{file.relative_to(PACKAGE)}:{number}: {line.strip()}"
        for file in sorted(PACKAGE.rglob("*.py"))
        if file != NAMES
        for number, line in enumerate(file.read_text().splitlines(), start=1)
        if built_by_hand.search(line)
    ]

    assert found == [], "take them from topology/names.py"


def test_what_dagster_does_not_export_is_imported_in_one_module() -> None:
    private = re.compile(r"\s*(?:from|import) dagster\._")

    files = [file for folder in (PACKAGE, BENCHMARKS) for file in folder.rglob("*.py")]
    using = [file for file in files if any(map(private.match, file.read_text().splitlines()))]

    assert using == [INTERNALS], "import it there, so that a release of Dagster breaks one module"


def test_what_dagster_does_not_export_is_still_there() -> None:
    try:
        module = import_module("medkg_dagster.runtime.dagster_internals")
    except ImportError as error:
        pytest.fail(
            f"{error}: Dagster has moved it; find its new place in Dagster's source, or do without it"
        )

    assert all(hasattr(module, name) for name in module.__all__)
