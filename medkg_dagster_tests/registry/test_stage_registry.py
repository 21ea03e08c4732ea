from __future__ import annotations

import functools
import gc
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict

from medkg_dagster.errors import StageConfigError, StageRegistryError, StageResolutionError
from medkg_dagster.registry import StageFactory, StageRegistry
from medkg_dagster.stage_api import StageRegistration
from medkg_dagster.topology.models import PipelineTopologyConfig, StageDefinition
from medkg_dagster_tests.registry.stage_types import FakeStage, build, metadata, registration

PIPELINE = PipelineTopologyConfig.model_validate(
    {"name": "p", "version": "2025-01-01", "stages": [{"name": "a", "type": "one"}]}
)
STAGE = PIPELINE.stages[0]


def empty() -> StageRegistry:
    return StageRegistry()


class Recorder:
    """A builder that remembers what it was called with."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def definition(self, definition: Any) -> FakeStage:
        self.calls.append((definition,))
        return FakeStage()

    def both(self, topology: Any, definition: Any) -> FakeStage:
        self.calls.append((topology, definition))
        return FakeStage()

    def definition_and_option(self, definition: Any, size: int = 3) -> FakeStage:
        self.calls.append((definition, size))
        return FakeStage()

    def anything(self, *args: Any, **kwargs: Any) -> FakeStage:
        assert not kwargs
        self.calls.append(args)
        return FakeStage()

    def bound(self, size: int, topology: Any, definition: Any) -> FakeStage:
        self.calls.append((size, topology, definition))
        return FakeStage()


RECORDER = Recorder()


@pytest.mark.parametrize(
    ("builder", "expected"),
    [
        (RECORDER.definition, (STAGE,)),
        (RECORDER.both, (PIPELINE, STAGE)),
        (RECORDER.definition_and_option, (STAGE, 3)),
        (RECORDER.anything, (STAGE,)),
        (functools.partial(RECORDER.bound, 7), (7, PIPELINE, STAGE)),
    ],
    ids=["definition", "both", "option", "anything", "partial"],
)
def test_a_builder_is_called_the_way_it_wants(builder: Callable[..., Any], expected: tuple[Any, ...]) -> None:
    registry = empty()
    registry.register_stage(metadata=metadata("one"), builder=builder)

    StageFactory(registry).resolve(PIPELINE, STAGE)

    assert RECORDER.calls[-1] == expected


def build_of_three(topology: Any, definition: Any, more: Any) -> FakeStage:
    raise NotImplementedError(topology, definition, more)


def build_with_keyword(definition: Any, *, size: int) -> FakeStage:
    raise NotImplementedError(definition, size)


async def build_slowly(definition: Any) -> FakeStage:
    del definition
    return FakeStage()


@pytest.mark.parametrize(
    ("builder", "message"),
    [
        (FakeStage, "cannot be called"),
        (build_of_three, "cannot be called"),
        (build_with_keyword, "cannot be called"),
        (build_slowly, "asynchronous"),
        (5, "must be callable"),
    ],
)
def test_a_builder_that_could_not_be_called_is_refused(builder: Any, message: str) -> None:
    with pytest.raises(StageRegistryError, match=message) as refused:
        empty().register_stage(metadata=metadata("one"), builder=builder)
    assert "'one'" in str(refused.value)


def test_a_name_is_registered_once_unless_replaced() -> None:
    registry = empty()
    registry.register(registration("one"))

    with pytest.raises(StageRegistryError, match="'one' is registered already by code"):
        registry.register(registration("one"))
    registry.register_stage(metadata=metadata("one", "key"), builder=build, replace=True)

    assert registry.get_metadata("one").state_keys == ("key",)
    assert registry.get_builder("one") is build


def test_an_unknown_type_is_answered_with_the_closest_and_all_known() -> None:
    registry = empty()
    registry.register(registration("ingest"))
    registry.register(registration("parse"))
    stage = StageDefinition(name="a", type="prase")

    with pytest.raises(StageRegistryError, match=r"did you mean 'parse'\? known: ingest, parse"):
        registry.get_metadata("prase")
    with pytest.raises(StageRegistryError, match="known: ingest, parse"):
        registry.get_builder("zzz")
    with pytest.raises(StageResolutionError, match=r"'a' of pipeline 'p' .*'prase'; did you mean 'parse'\?"):
        StageFactory(registry).resolve(PIPELINE, stage)


@pytest.mark.parametrize("wrong", [None, "x", StageRegistration(None, build)])  # type: ignore[arg-type]  # wrong on purpose
def test_what_is_no_registration_is_refused(wrong: Any) -> None:
    with pytest.raises(StageRegistryError):
        empty().register(wrong)


@pytest.mark.parametrize("key", ["context", "ctx", "self", "input", "after_parse", "größe"])
def test_a_state_key_that_could_not_be_an_input_is_refused(key: str) -> None:
    with pytest.raises(StageRegistryError, match="cannot be used"):
        empty().register(registration("one", key))


def test_a_configuration_the_builder_refuses_names_the_stage() -> None:
    class Config(BaseModel):
        model_config = ConfigDict(extra="forbid")

    def build_strictly(definition: StageDefinition) -> FakeStage:
        Config.model_validate(definition.config)
        return FakeStage()

    registry = empty()
    registry.register_stage(metadata=metadata("one"), builder=build_strictly)
    stage = STAGE.model_copy(update={"config": {"x": 1}})

    with pytest.raises(StageConfigError, match=r"stage 'a' \(one\) of pipeline 'p' does not fit: 'x'"):
        StageFactory(registry).resolve(PIPELINE, stage)


def test_a_registered_type_costs_less_than_a_kilobyte() -> None:
    names = [f"type-{number}" for number in range(2000)]
    registry = empty()
    registry.register(registration("warm-up", "key"))
    gc.collect()
    tracemalloc.start()
    try:
        for name in names:
            registry.register(registration(name, "key"))
        gc.collect()
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert used / len(names) < 1024
