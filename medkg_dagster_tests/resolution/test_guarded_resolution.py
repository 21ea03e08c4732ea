"""Plugins' code that runs while pipelines are resolved: it may break, exit or hang; other pipelines load."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, model_validator

from medkg_dagster.plugins import PluginPolicy
from medkg_dagster.registry import ExtensionRegistry, StageFactory, StageRegistry
from medkg_dagster.resolution import Plan, load_plan
from medkg_dagster.stage_api import Extension, ExtensionKind, NoParameters
from medkg_dagster_tests.clock import LOAD_SECONDS, late
from medkg_dagster_tests.registry.stage_types import registration

POLICIES = "policies: {default: {}}\n"
GOOD = 'name: good\nversion: "2026-01-01"\nstages: [{name: a, type: plain}]\n'
BAD = 'name: bad\nversion: "2026-01-01"\nstages: [{name: a, type: picky}]\n'
GATED = """\
name: bad
version: "2026-01-01"
stages:
  - {name: a, type: plain}
  - {name: wait, type: gate, gate: signed, depends_on: [a]}
gates:
  - {name: signed, condition: {custom: sign-off}}
"""


def exits(*_arguments: Any) -> Any:
    sys.exit(5)


def hangs(*_arguments: Any) -> Any:
    late()
    time.sleep(60)


def loops(*_arguments: Any) -> Any:
    late()
    while True:
        pass


def breaks(*_arguments: Any) -> Any:
    raise ZeroDivisionError("no luck")


MISBEHAVIOURS = [
    (exits, "SystemExit: 5"),
    (hangs, "PluginTimeoutError: interrupted after 60 s"),
    (loops, "PluginTimeoutError: interrupted after 60 s"),
    (breaks, "ZeroDivisionError: no luck"),
]


def load(folder: Path, bad: str, act: Callable[..., Any]) -> Plan:
    class Picky(BaseModel):
        model_config = ConfigDict(extra="forbid")

        @model_validator(mode="after")
        def _act(self) -> Any:
            act()
            return self

    pipelines = folder / "orchestration" / "pipelines"
    pipelines.mkdir(parents=True)
    (folder / "orchestration" / "resilience.yaml").write_text(POLICIES)
    (pipelines / "good.yaml").write_text(GOOD)
    (pipelines / "bad.yaml").write_text(bad)
    registry = StageRegistry(PluginPolicy(load_seconds=LOAD_SECONDS))
    for item in (registration("plain"), registration("gate"), registration("picky", model=Picky)):
        registry.add(item)
    condition = Extension(ExtensionKind.GATE_CONDITION, "sign-off", "Signed.", NoParameters, act)
    extensions = ExtensionRegistry(PluginPolicy(closed="a test"))
    extensions.add(condition)
    return load_plan(folder, StageFactory(registry, extensions))


@pytest.mark.parametrize(("act", "message"), MISBEHAVIOURS)
def test_a_config_model_that_misbehaves_is_a_problem_of_its_pipeline_alone(
    tmp_path: Path, act: Callable[..., Any], message: str
) -> None:
    plan = load(tmp_path, BAD, act)

    (problem,) = plan.problems
    assert "broke on this configuration" in problem.message
    assert message in problem.message
    assert [pipeline.name for pipeline in plan.pipelines] == ["good"]


@pytest.mark.parametrize(("act", "message"), MISBEHAVIOURS)
def test_a_gate_condition_that_misbehaves_is_a_problem_of_its_pipeline_alone(
    tmp_path: Path, act: Callable[..., Any], message: str
) -> None:
    plan = load(tmp_path, GATED, act)

    (problem,) = plan.problems
    assert "the condition 'sign-off' broke on these parameters" in problem.message
    assert message in problem.message
    assert problem.line == 7
    assert [pipeline.name for pipeline in plan.pipelines] == ["good"]
