import enum
from pathlib import Path
from typing import Any, Literal

import pytest
from dagster import Field as DagsterField
from dagster import OpExecutionContext, job, op
from pydantic import BaseModel, Field

from medkg_dagster.compiler.config_schema import config_schema


class Colour(enum.StrEnum):
    RED = "red"
    BLUE = "blue"


class Backoff(BaseModel):
    seconds: float = Field(default=0.5, description="How long to wait.")


class Everything(BaseModel):
    text: str = Field(default="plain", description="A text.")
    count: int = 3
    ratio: float = 0.5
    active: bool = True
    maybe: int | None = None
    names: tuple[str, ...] = ("one",)
    numbers: list[int] = [1]
    mode: Literal["fast", "slow"] = "fast"
    colour: Colour = Colour.BLUE
    folder: Path = Path("here")
    parameters: dict[str, Any] = {}
    weights: dict[str, float] = {}
    backoff: Backoff = Backoff()
    either: int | str = 1


def resolved(config: dict[str, Any], pipeline: dict[str, Any]) -> dict[str, Any]:
    """Return what an op with the schema sees when the launchpad gives `config`."""
    seen: dict[str, Any] = {}

    @op(config_schema=config_schema(Everything, pipeline))
    def look(context: OpExecutionContext) -> None:
        seen.update(context.op_config)

    @job
    def looking() -> None:
        look()

    looking.execute_in_process(run_config={"ops": {"look": {"config": config}}})
    return seen


def test_every_field_has_the_models_default() -> None:
    seen = resolved({}, {})

    assert seen["text"] == "plain"
    assert seen["names"] == ["one"]
    assert seen["backoff"] == {"seconds": 0.5}
    assert Everything.model_validate(seen) == Everything()


def test_the_pipelines_own_values_are_shown_as_defaults() -> None:
    assert resolved({}, {"count": 7})["count"] == 7


def test_the_launchpad_may_set_every_field() -> None:
    given = {
        "text": "other",
        "count": 1,
        "ratio": 1.5,
        "active": False,
        "maybe": 4,
        "names": ["a", "b"],
        "numbers": [],
        "mode": "slow",
        "colour": "red",
        "folder": "there",
        "parameters": {"path": "x", "deep": {"list": [1]}},
        "weights": {"a": 0.1},
        "backoff": {"seconds": 2.0},
        "either": "two",
    }

    seen = resolved(given, {})

    assert {name: seen[name] for name in given} == given


@pytest.mark.parametrize(("name", "value"), [("count", "three"), ("mode", "medium"), ("unknown", 1)])
def test_the_launchpad_refuses_what_the_model_would_refuse(name: str, value: object) -> None:
    with pytest.raises(Exception, match=name):
        resolved({name: value}, {})


def test_descriptions_reach_the_launchpad() -> None:
    schema = config_schema(Everything, {})

    field = schema.fields["text"]
    assert isinstance(field, DagsterField)
    assert field.description == "A text."


def test_a_stage_type_without_a_model_accepts_any_configuration() -> None:
    @op(config_schema=config_schema(None, {}))
    def look(context: OpExecutionContext) -> None:
        assert context.op_config == {"anything": 1}

    @job
    def looking() -> None:
        look()

    assert looking.execute_in_process(run_config={"ops": {"look": {"config": {"anything": 1}}}}).success
