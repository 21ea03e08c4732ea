from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Field, field_validator

from medkg_dagster.errors import Problem, StageResolutionError
from medkg_dagster.registry import StageFactory, StageRegistry
from medkg_dagster.resolution import Plan, load_plan, resolve_pipeline
from medkg_dagster.topology.models import PipelineTopologyConfig, ResiliencePolicy
from medkg_dagster_tests.registry.stage_types import registration

POLICIES = {"default": ResiliencePolicy()}


class Window(BaseModel):
    model_config = ConfigDict(extra="forbid")

    size: int = Field(default=10, ge=1)


class ChunkConfig(BaseModel):
    model_config = ConfigDict(extra="forbid")

    window: Window = Window()
    labels: frozenset[str] = frozenset()
    word: str = ""

    @field_validator("word")
    @classmethod
    def _break(cls, word: str) -> str:
        if word == "break":
            raise RuntimeError("a validator that breaks")
        return word


def types(version: str = "1") -> StageFactory:
    registry = StageRegistry()
    registry.register(registration("ingest", "payloads"))
    registry.register(registration("chunk", "chunks", ("ingest",), model=ChunkConfig, version=version))
    registry.register(registration("gate"))
    registry.register(registration("work"))
    registry.register(registration("lost", "x", ("nowhere",)))
    return StageFactory(registry)


def load(config: Path, text: str) -> Plan:
    folder = config / "orchestration" / "pipelines"
    folder.mkdir(parents=True)
    (config / "orchestration" / "resilience.yaml").write_text("policies:\n  default: {}\n")
    (folder / "good.yaml").write_text(
        "name: good\nversion: 2025-01-01\nstages:\n  - {name: i, type: ingest}\n"
    )
    (folder / "p.yaml").write_text(
        "name: p\nversion: 2025-01-01\nstages:\n  - name: i\n    type: ingest\n" + text
    )
    return load_plan(config, types(), ())


CHUNK = "  - name: c\n    type: chunk\n    depends_on: [i]\n"


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        (CHUNK.replace("chunk", "chunck"), 7, "unknown type 'chunck' (did you mean 'chunk'?"),
        (CHUNK.replace("[i]", "[]"), 6, "stage 'c' reads 'payloads', which no stage upstream of it writes"),
        (
            CHUNK + "    config:\n      windw: 3\n",
            10,
            "stage 'c': unknown key 'windw' (did you mean 'window'?",
        ),
        (
            CHUNK + "    config:\n      window:\n        sise: 3\n",
            11,
            "unknown key 'sise' in 'window' (did you mean",
        ),
        (
            CHUNK + "    config:\n      window:\n        size: 0\n",
            11,
            "'window.size': Input should be greater",
        ),
        (
            CHUNK + "    config:\n      word: break\n",
            9,
            "ChunkConfig broke on this configuration: RuntimeError",
        ),
        (
            "  - name: l\n    type: lost\n",
            7,
            "depends on the stage type 'nowhere', and that is not registered",
        ),
    ],
)
def test_a_pipeline_that_cannot_be_resolved_says_where_and_others_are_planned(
    tmp_path: Path, text: str, line: int, message: str
) -> None:
    plan = load(tmp_path, text)

    assert [pipeline.name for pipeline in plan.pipelines] == ["good"]
    (problem,) = plan.problems
    assert problem.file is not None
    assert (problem.file.name, problem.line) == ("p.yaml", line)
    assert message in str(problem)


def test_all_reasons_come_at_once(tmp_path: Path) -> None:
    plan = load(tmp_path, CHUNK + "    config:\n      a: 1\n      b: 2\n" + "  - name: x\n    type: y\n")

    assert [problem.line for problem in plan.problems] == [10, 11, 13]


def test_problems_of_the_registry_are_part_of_the_plan(tmp_path: Path) -> None:
    load(tmp_path, "")
    problem = Problem("a plugin is broken")

    assert load_plan(tmp_path, types(), [problem]).problems == (problem,)
    assert "nowhere" in str(load_plan(tmp_path, types()).problems[0])


def pipeline(config: dict[str, Any]) -> PipelineTopologyConfig:
    return PipelineTopologyConfig.model_validate(
        {
            "name": "p",
            "version": "2025-01-01",
            "stages": [
                {"name": "i", "type": "ingest"},
                {"name": "c", "type": "chunk", "depends_on": ["i"], "config": config},
            ],
        }
    )


def version_of(config: dict[str, Any], factory: StageFactory | None = None) -> str:
    return resolve_pipeline(pipeline(config), factory or types(), POLICIES).stages[1].code_version


def test_the_code_version_follows_type_version_and_normalized_configuration() -> None:
    plain = version_of({})

    assert version_of({"window": {"size": 10}}) == plain
    assert version_of({"window": {"size": 10.0}}) == plain
    assert version_of({"window": {"size": 11}}) != plain
    assert version_of({}, types(version="2")) != plain
    assert version_of({"labels": ["a", "b"]}) == version_of({"labels": ["b", "a"]})


def test_the_code_version_is_the_same_in_every_process() -> None:
    config = {"labels": ["alpha", "beta", "gamma", "delta"]}
    code = (
        f"from medkg_dagster_tests.resolution.test_resolve import version_of; print(version_of({config!r}))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert run.stdout.strip() == version_of(config)


def gated(stages: dict[str, str], *gates: str) -> PipelineTopologyConfig:
    return PipelineTopologyConfig.model_validate(
        {
            "name": "two-phase",
            "version": "2025-01-01",
            "stages": [
                {
                    "name": name,
                    "type": "gate" if name.startswith("gate_") else "work",
                    "depends_on": up.split(),
                }
                for name, up in stages.items()
            ],
            "gates": [{"name": gate, "condition": {"field": gate, "equals": True}} for gate in gates],
        }
    )


def phases(topology: PipelineTopologyConfig) -> list[tuple[str, str | None, str]]:
    plan = resolve_pipeline(topology, types(), POLICIES)
    return [(phase.job_name, phase.after_gate, " ".join(phase.stages)) for phase in plan.phases]


def test_without_gates_there_is_one_phase() -> None:
    assert phases(gated({"a": "", "b": "a"})) == [("two_phase", None, "a b")]


def test_a_gate_s_stage_belongs_to_the_phase_behind_it() -> None:
    assert phases(gated({"a": "", "gate_pdf-ready": "a", "b": "gate_pdf-ready"}, "pdf-ready")) == [
        ("two_phase", None, "a"),
        ("two_phase__after_pdf_ready", "pdf-ready", "gate_pdf-ready b"),
    ]


def test_gates_in_a_row_make_a_phase_each() -> None:
    stages = {"a": "", "gate_x": "a", "b": "gate_x", "gate_y": "b", "c": "gate_y a"}

    assert phases(gated(stages, "y", "x")) == [
        ("two_phase", None, "a"),
        ("two_phase__after_x", "x", "gate_x b"),
        ("two_phase__after_y", "y", "gate_y c"),
    ]


def test_a_gate_on_one_branch_holds_up_that_branch_and_what_joins_it() -> None:
    stages = {"a": "", "gate_x": "a", "b": "gate_x", "free": "a", "join": "b free"}

    assert phases(gated(stages, "x")) == [
        ("two_phase", None, "a free"),
        ("two_phase__after_x", "x", "gate_x b join"),
    ]


def test_parallel_gates_that_never_meet_are_two_phases() -> None:
    stages = {"a": "", "gate_x": "a", "gate_y": "a", "b": "gate_x", "c": "gate_y"}

    assert [phase[1:] for phase in phases(gated(stages, "x", "y"))] == [
        (None, "a"),
        ("x", "gate_x b"),
        ("y", "gate_y c"),
    ]


def test_a_stage_behind_two_parallel_gates_is_refused() -> None:
    stages = {"a": "", "gate_x": "a", "gate_y": "a", "b": "gate_x gate_y"}

    with pytest.raises(StageResolutionError, match="'b' lies behind the parallel gates 'x' and 'y'"):
        phases(gated(stages, "x", "y"))


def test_a_pipeline_that_begins_with_its_gate_is_refused() -> None:
    with pytest.raises(StageResolutionError, match="every stage lies behind a gate"):
        phases(gated({"gate_x": "", "b": "gate_x"}, "x"))


def test_the_gate_type_is_unknown_until_a_plugin_provides_it() -> None:
    registry = StageRegistry()
    registry.register(registration("work"))
    topology = gated({"a": "", "gate_x": "a", "b": "gate_x"}, "x")

    with pytest.raises(StageResolutionError, match="unknown type 'gate'"):
        resolve_pipeline(topology, StageFactory(registry), POLICIES)


def test_an_unknown_policy_is_refused_in_code_too() -> None:
    with pytest.raises(StageResolutionError, match="unknown policy 'default'"):
        resolve_pipeline(gated({"a": ""}), types(), {})
