"""A pipeline that resolves and cannot be compiled: the others load, and strict loading refuses."""

from collections.abc import Mapping
from typing import Any

import pytest
from dagster import SensorResult, build_sensor_context
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from medkg_dagster.compiler.compile_plan import compile_plan
from medkg_dagster.errors import TopologyError
from medkg_dagster.registry import StageFactory
from medkg_dagster.resolution import load_plan
from medkg_dagster.settings import Settings
from medkg_dagster_tests.compiler.deployment import PIPELINE, Deployment

ODD = """\
name: odd
version: "2026-01-01"
stages: [{name: a, type: odd}]
"""


class OddFields(Mapping[str, FieldInfo]):
    """Fields that break whoever looks at them after validation."""

    def __getitem__(self, key: str) -> FieldInfo:
        raise ZeroDivisionError(key)

    def __iter__(self) -> Any:
        raise ZeroDivisionError("fields")

    def __len__(self) -> int:
        return 1


class Odd(BaseModel):
    """A config model that breaks the compiler."""


@pytest.fixture
def odd(deployment: Deployment) -> Deployment:
    deployment.register("odd", None, lambda *_: 0, counter=int, config_model=Odd)
    folder = deployment.config / "orchestration" / "pipelines"
    (folder / "odd.yaml").write_text(ODD)
    (folder / "pipeline.yaml").write_text(PIPELINE)
    return deployment


def test_the_pipelines_of_others_are_compiled_and_the_problem_is_shown(
    odd: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    factory = StageFactory(odd.registry)
    plan = load_plan(odd.config, factory)
    monkeypatch.setattr(Odd, "__pydantic_fields__", OddFields())

    definitions = compile_plan(plan, factory, Settings(odd.home, odd.config))

    jobs = {job.name for job in definitions.resolve_all_job_defs()}
    assert "word_count" in jobs
    assert "odd" not in jobs
    sensor = definitions.resolve_sensor_def("load_report")
    reported = sensor(build_sensor_context(instance=odd.instance))
    assert isinstance(reported, SensorResult)
    assert "pipeline 'odd'" in str(reported.asset_events)
    assert "ZeroDivisionError" in str(reported.asset_events)


def test_strict_loading_refuses(odd: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    factory = StageFactory(odd.registry)
    plan = load_plan(odd.config, factory)
    monkeypatch.setattr(Odd, "__pydantic_fields__", OddFields())

    with pytest.raises(TopologyError, match="pipeline 'odd': cannot be compiled: ZeroDivisionError"):
        compile_plan(plan, factory, Settings(odd.home, odd.config, strict=True))
