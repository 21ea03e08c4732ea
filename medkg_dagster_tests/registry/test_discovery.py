from __future__ import annotations

import dataclasses
from importlib.metadata import EntryPoint

import pytest

from medkg_dagster.errors import Problem
from medkg_dagster.plugins import PluginPolicy
from medkg_dagster.registry import (
    STAGE_GROUP,
    STAGE_TYPES,
    PluginRegistry,
    StageFactory,
    StageRegistry,
)

PLUGINS = "medkg_dagster_tests.registry.plugins"


def point(attribute: str, module: str = PLUGINS) -> EntryPoint:
    return EntryPoint(name=attribute, value=f"{module}:{attribute}", group=STAGE_GROUP)


def load(*attributes: str) -> tuple[StageRegistry, tuple[Problem, ...]]:
    registry = StageRegistry()
    return registry, registry.load_entry_points([point(attribute) for attribute in attributes])


def test_plugins_register_one_stage_type_or_several() -> None:
    registry, problems = load("one", "several")

    assert problems == ()
    assert registry.stage_types == ("one", "three", "two")


@pytest.mark.parametrize(
    ("attribute", "message"),
    [
        ("breaks", "cannot be loaded: RuntimeError: no model here"),
        ("exits", "cannot be loaded: SystemExit: 3"),
        ("missing", "cannot be loaded: AttributeError"),
        ("NOT_CALLABLE", "names int '5'; it must name a function"),
        ("returns_none", "returned NoneType; it must return a StageRegistration"),
        ("returns_text", "returned str; it must return a StageRegistration"),
        (
            "wants_argument",
            "which wants arguments (missing a required argument: 'argument'); it must name a function",
        ),
        ("wrong_arity", "a builder takes (definition) or (topology, definition)"),
        ("invalid_metadata", "stage_type must be letters"),
        ("reserved_key", "state_key 'context' cannot be used"),
        ("returns_mixed", "expected a StageRegistration, got str 'bad'"),
        ("breaks_late", "cannot be loaded: KeyError: 'late'"),
        ("twice", "stage type 'four' is registered already"),
    ],
)
def test_a_broken_plugin_is_one_problem_and_the_others_load(attribute: str, message: str) -> None:
    registry, problems = load(attribute, "one", "several")

    (problem,) = problems
    assert message in problem.message
    assert attribute in str(problem.subject)
    assert PLUGINS in str(problem.subject)
    assert problem.hint
    assert {"one", "two", "three"} <= set(registry.stage_types)
    assert registry.problems == problems


def test_the_traceback_of_a_broken_plugin_is_kept() -> None:
    _, problems = load("breaks")

    assert 'raise RuntimeError("no model here")' in str(problems[0].details)


def test_a_module_that_is_not_there_is_one_problem() -> None:
    registry = StageRegistry()

    (problem,) = registry.load_entry_points([point("x", "no_such_module_anywhere"), point("one")])

    assert registry.stage_types == ("one",)
    assert "ModuleNotFoundError" in problem.message


def test_what_a_plugin_yields_before_it_breaks_counts() -> None:
    registry, _ = load("breaks_late", "returns_mixed")

    assert registry.stage_types == ("early", "good")


@pytest.mark.parametrize("order", [("one_again", "one"), ("one", "one_again")])
def test_of_two_plugins_with_one_name_none_is_used_and_each_is_told_of_the_other(
    order: tuple[str, str],
) -> None:
    registry, problems = load(*order)

    one, again = problems
    assert "plugins:one'" in str(one.subject)
    assert "plugins:one_again" in one.message
    assert "plugins:one_again" in str(again.subject)
    assert "uninstall or block one of the distributions" in str(again.hint)
    assert registry.find("one") is None


def test_loading_twice_changes_nothing() -> None:
    registry, _ = load("one", "several", "breaks")

    registry.load_entry_points([point("one"), point("several"), point("breaks")])

    assert registry.stage_types == ("one", "three", "two")
    assert [problem.message for problem in registry.problems] == [
        "cannot be loaded: RuntimeError: no model here"
    ]


def test_a_dependency_nobody_registered_is_a_problem_once_all_are_loaded() -> None:
    registry, problems = load("dangling", "several")

    assert problems == ()
    (problem,) = StageFactory(registry).problems
    assert "'dangling' depends on the stage type 'tow', which is not registered" in problem.message
    assert "did you mean 'two'?" in str(problem.hint)


def test_the_origin_of_a_stage_type_is_remembered() -> None:
    registry, _ = load("one")

    origin = registry.get("one").origin
    assert origin is not None
    assert (origin.entry_point, origin.target) == ("one", f"{PLUGINS}:one")


def test_an_interrupt_is_not_swallowed(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(f"{PLUGINS}.one", interrupted)
    with pytest.raises(KeyboardInterrupt):
        load("one")


def test_the_installed_stage_types_come_from_this_distribution() -> None:
    factory = StageFactory.load_plugins(PluginPolicy(closed="only what is built in"))

    assert factory.problems == ()
    assert len(factory.registry) == 10
    for entry in factory.registry:
        assert entry.origin is not None
        assert entry.origin.distribution == "medkg-dagster"
        assert entry.origin.version[0].isdigit()


def test_a_group_without_plugins_gives_nothing() -> None:
    kind = dataclasses.replace(STAGE_TYPES, group="medical_kg.orchestration.no_such_group")
    registry = PluginRegistry(kind)

    assert registry.load_plugins() == ()
    assert registry.names == ()
