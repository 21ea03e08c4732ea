"""The short form of a registration: a stage class that takes its configuration, and the keys it writes."""

import inspect
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import Field, ValidationError

from medkg_dagster.errors import ConfigError, StageContractError, StageRegistryError
from medkg_dagster.stage_api import Config, StageContext, StageMetadata, StageRegistration
from medkg_dagster.stage_api._invocation import StageOutcome, invoke
from medkg_dagster.stage_api._stage_types.metadata import qualified_name
from medkg_dagster.stage_api._stage_types.registration import count_output
from medkg_dagster.stage_api._stage_types.rules import check_registration, takes_topology
from medkg_dagster.stage_api.testing import check_stage, run_stage


class Repeat(Config):
    """How often."""

    times: int = Field(default=2, ge=1, description="How often.")


class Repeated:
    """Gives a word several times."""

    def __init__(self, config: Repeat) -> None:
        self._config = config

    def execute(self, ctx: StageContext) -> tuple[str, ...]:
        ctx.succeeded += 1
        return ("word",) * self._config.times


class Given:
    """Returns what it is told to."""

    def __init__(self, config: Repeat) -> None:
        del config

    output: Any = ()

    def execute(self, ctx: StageContext) -> Any:
        del ctx
        return self.output


def short(stage: Any = Repeated, **changes: Any) -> StageRegistration:
    options = {"description": "Repeats.", "state_types": {"words": tuple[str, ...]}}
    return StageRegistration.of("repeat", stage, Repeat, **(options | changes))


def giving(output: Any, home: Path, **changes: Any) -> StageOutcome:
    registration = short(Given, **changes)
    stage = Given(Repeat())
    stage.output = output
    ctx = StageContext(pipeline="demo", stage="twice", job_id="default", home=home)
    return invoke(check_registration(registration).metadata, stage, ctx, {})


def test_the_class_gets_its_validated_configuration() -> None:
    run = run_stage(short(), config={"times": 3})

    assert run.state == {"words": ("word", "word", "word")}
    assert run.output_count == 3
    check_stage(short())


def test_the_builder_refuses_a_configuration_that_does_not_fit() -> None:
    class Definition:
        name, type, config = "repeat", "repeat", {"times": 0}

    with pytest.raises(ValidationError, match="times"):
        short().builder(Definition())


def test_the_builder_is_shown_as_the_class_and_takes_no_topology() -> None:
    builder = short().builder

    assert qualified_name(builder) == f"{__name__}.Repeated"
    assert takes_topology(builder) is False


def repeated_later(config: Repeat) -> Repeated:
    return Repeated(config)


def test_a_function_may_stand_for_the_class_so_that_its_module_is_imported_late() -> None:
    assert run_stage(short(repeated_later)).output_count == 2


def test_the_metadata_is_what_the_long_form_writes() -> None:
    made = short(dependencies=("parse",), version="7", kinds=("python",), max_failure_ratio=0.5).metadata

    assert made == StageMetadata(
        stage_type="repeat",
        state_key="words",
        output_handler=made.output_handler,
        output_counter=count_output,
        description="Repeats.",
        dependencies=("parse",),
        config_model=Repeat,
        state_types={"words": tuple[str, ...]},
        version="7",
        kinds=("python",),
        max_failure_ratio=0.5,
    )
    assert qualified_name(made.output_handler).endswith("stage_api.write_key('words')")


def test_both_forms_have_the_same_defaults() -> None:
    long = inspect.signature(StageMetadata).parameters
    of = inspect.signature(StageRegistration.of).parameters
    taken = {"stage_type", "config_model", "output_handler", "output_counter", "state_types", "state_key"}

    assert {name: item.default for name, item in of.items() if name in long.keys() - taken} == {
        name: item.default for name, item in long.items() if name not in taken
    }


def test_a_stage_without_keys_writes_and_counts_nothing(tmp_path: Path) -> None:
    assert short(state_types={}).metadata.state_key is None
    outcome = giving(None, tmp_path, state_types={})
    assert (outcome.state, outcome.output_count) == ({}, 0)


def test_a_stage_of_several_keys_returns_a_tuple_in_their_order(tmp_path: Path) -> None:
    keys = {"words": tuple[str, ...], "total": int}

    outcome = giving((("a", "b", "c"), 7), tmp_path, state_types=keys)

    assert short(Given, state_types=keys).metadata.state_keys == ("words", "total")
    assert outcome.state == {"words": ("a", "b", "c"), "total": 7}
    assert outcome.output_count == 3


@pytest.mark.parametrize("output", [(1,), (1, 2, 3), [1, 2], {"words": 1, "total": 2}, "ab", None])
def test_a_stage_of_several_keys_that_returns_something_else_is_told_what(
    tmp_path: Path, output: object
) -> None:
    with pytest.raises(
        StageContractError, match=r"'twice' returned .*; .* a tuple of 2 values: words, total"
    ):
        giving(output, tmp_path, state_types={"words": int, "total": int})


def test_a_handler_and_a_counter_of_ones_own_are_taken(tmp_path: Path) -> None:
    def write(state: MutableMapping[str, Any], stage_name: str, output: Any) -> None:
        state["words"] = (stage_name, output)

    outcome = giving("x", tmp_path, output_handler=write, output_counter=lambda _: 9)

    assert (outcome.state, outcome.output_count) == ({"words": ("twice", "x")}, 9)


@pytest.mark.parametrize(
    ("output", "count"),
    [
        (None, 0),
        ((), 0),
        (("a", "b"), 2),
        ([1], 1),
        ({1, 2, 3}, 3),
        ({"a": 1, "b": 2}, 2),
        ("text", 1),
        (b"bytes", 1),
        (0, 1),
        (Repeat(), 1),
        (np.zeros((4, 2)), 4),
        (np.array(1.0), 1),
    ],
)
def test_an_output_is_counted_by_its_kind(output: object, count: int) -> None:
    assert count_output(output) == count


class TakesNothing:
    def execute(self, ctx: StageContext) -> None: ...


class TakesMore:
    def __init__(self, config: Repeat, more: int) -> None: ...


@pytest.mark.parametrize("stage", [TakesNothing, TakesMore, "no class"])
def test_a_class_that_does_not_take_the_configuration_alone_is_refused(stage: Any) -> None:
    with pytest.raises(
        StageRegistryError, match=r"stage type 'repeat': .* must take the configuration alone"
    ):
        short(stage)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"description": ""}, "description must not be empty"),
        ({"state_types": {"two words": int}}, "valid Python identifier"),
        ({"dependencies": ("parse", "parse")}, "names a stage type twice"),
    ],
)
def test_the_rules_of_the_metadata_hold(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(StageRegistryError, match=message):
        short(**changes)


def test_a_configuration_refuses_unknown_keys_and_changes() -> None:
    with pytest.raises(ValidationError, match="extra_forbidden"):
        Repeat.model_validate({"time": 3})
    with pytest.raises(ValidationError, match="frozen"):
        Repeat().times = 3  # type: ignore[misc] # what the test is about
    with pytest.raises(ConfigError):
        run_stage(short(), config={"time": 3})
