"""Plugins and code of the earlier shape, import lines changed: what works, what is refused, and how."""

from __future__ import annotations

from typing import Any

import pytest

from medkg_dagster.plugins import PluginPolicy
from medkg_dagster.registry import StageFactory, StageRegistry
from medkg_dagster.stage_api import StageMetadata, StageRegistration
from medkg_dagster.stage_api.testing import run_stage
from medkg_dagster.topology.models import StageDefinition
from medkg_dagster_tests.registry.stage_types import count_nothing, metadata, write_nothing
from medkg_dagster_tests.registry.test_discovery import load

BUILT_IN = {"ingest", "parse", "chunk", "embed", "index", "extract", "knowledge-graph", "gate"}


def test_names_given_as_lists_are_those_given_as_tuples() -> None:
    lists: Any = (["documents", "rejects"], ["parse"], ["embed"])
    keys, dependencies, optional = lists

    earlier = StageMetadata("one", keys, write_nothing, count_nothing, "One.", dependencies, optional)

    assert earlier == StageMetadata(
        "one", ("documents", "rejects"), write_nothing, count_nothing, "One.", ("parse",), ("embed",)
    )
    assert earlier.state_keys == ("documents", "rejects")
    assert hash(earlier)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"state_key": []}, "state_key is an empty tuple"),
        ({"state_key": ["a", "a"]}, "names a key twice"),
        ({"dependencies": ["parse", 5]}, "dependencies must be a tuple of stage types"),
        ({"dependencies": ["one"]}, "names the stage type itself"),
    ],
)
def test_a_list_keeps_the_rules_of_a_tuple(changes: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {"state_key": "a", "dependencies": (), **changes}

    with pytest.raises(Exception, match=message):
        StageMetadata(
            stage_type="one",
            output_handler=write_nothing,
            output_counter=count_nothing,
            description="One.",
            **given,
        )


class Remembers:
    """Writes what its builder was told of the stage type."""

    def __init__(self, stage_type: str) -> None:
        self.stage_type = stage_type

    def execute(self, ctx: Any) -> str:
        del ctx
        return self.stage_type


def remember(definition: Any) -> Remembers:
    return Remembers(definition.stage_type)


def write(state: Any, stage_name: str, output: Any) -> None:
    del stage_name
    state["told"] = output


def test_a_builder_reads_the_stage_type_under_its_earlier_name() -> None:
    described = StageMetadata("one", "told", write, len, "One.", state_types={"told": str})

    assert StageDefinition(name="a", type="parse").stage_type == "parse"
    assert run_stage(StageRegistration(described, remember)).state == {"told": "one"}


def test_a_factory_without_arguments_is_one_over_what_is_installed() -> None:
    factory = StageFactory()

    assert set(factory.registry.stage_types) >= BUILT_IN
    assert factory.problems == ()


def test_a_factory_that_loads_plugins_is_filled_itself() -> None:
    factory = StageFactory(StageRegistry())
    factory.register_stage(metadata=metadata("mine"), builder=remember)
    assert factory.registry.stage_types == ("mine",)

    assert factory.load_plugins() is factory

    assert {"mine", *BUILT_IN} <= set(factory.registry.stage_types)


def test_a_factory_that_loads_plugins_again_changes_nothing_unless_told_what_is_let_in() -> None:
    factory = StageFactory.load_plugins()
    before = factory.registry.stage_types
    closed = PluginPolicy(closed="a test", written="test")

    factory.load_plugins()
    assert (factory.registry.stage_types, factory.registry.policy.closed) == (before, "")

    factory.load_plugins(closed)
    assert factory.registry.policy is closed


@pytest.mark.parametrize("attribute", ["bare_metadata", "bare_metadata_of_several"])
def test_metadata_without_a_builder_is_refused_with_the_way_out(attribute: str) -> None:
    registry, (problem,) = load(attribute)

    assert problem.message == (
        "expected a StageRegistration, got StageMetadata of 'bare' without a builder; "
        "return StageRegistration(metadata, builder), where builder(definition) makes the stage"
    )
    assert attribute in str(problem.subject)
    assert "bare" not in registry
