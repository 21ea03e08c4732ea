"""A kind of plugin is a description; the registry does for it what it does for every kind."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest

from medkg_dagster.errors import ConfigError
from medkg_dagster.plugins import Origin, PluginPolicy, Replacement
from medkg_dagster.plugins.events import Outcome
from medkg_dagster.registry import STAGE_TYPES, PluginKind, PluginRegistry
from medkg_dagster.stage_api import ExtensionKind
from medkg_dagster.topology.plugin_keys import PluginRequirements
from medkg_dagster.topology.plugins_file import ReplacesSection
from medkg_dagster_tests.deployments.installed import Site, site

__all__ = ["site"]

Greeter = Callable[[str], str]


def checked(target: Any, _origin: Origin | None) -> Greeter:
    if not callable(target):
        raise ConfigError(f"names {target!r}; it must name a function that greets")
    greeter: Greeter = target
    return greeter


def name_of(greeter: Greeter) -> str:
    return greeter.__name__


GREETERS = PluginKind("medical_kg.orchestration.greeters", "greeter", checked, name_of)


def install(site: Site, distribution: str, source: str, **names: str) -> None:
    module = distribution.replace("-", "_")
    points = {GREETERS.group: {name: f"{module}:{target}" for name, target in names.items()}}
    site.install(module, source, distribution=distribution, entry_points=points)


def registry(*replaces: Replacement, **says: Any) -> PluginRegistry[Greeter]:
    chosen = {(item.kind, item.name): item for item in replaces}
    found = PluginRegistry(GREETERS, PluginPolicy(replaces=chosen, written="f", **says))
    found.load_plugins()
    return found


HELLO = "def hello(who):\n    return f'hello {who}'\n"


def test_a_plugin_of_a_new_kind_is_imported_when_it_is_asked_for(site: Site) -> None:
    install(site, "lab-greets", HELLO, hello="hello")
    found = registry()

    assert found.names == ("hello",)
    assert "lab_greets" not in sys.modules
    assert found.get("hello")("Ann") == "hello Ann"
    assert found.get("hello") is found.find("hello")
    assert [(event.subject, event.outcome) for event in found.events] == [
        ("greeter hello", Outcome.REGISTERED)
    ]


def test_it_keeps_the_rules_of_every_kind(site: Site) -> None:
    install(site, "lab-greets", HELLO, hello="hello", bonjour="hello", number="__name__", gone="gone")
    install(site, "lab-other", HELLO, hello="hello")
    install(site, "lab-blocked", HELLO, blocked="hello")
    found = registry(block=("lab-blocked",))

    for name, message in {
        "hello": "greeter 'hello' is registered by .* too; none of them is used",
        "bonjour": "names an object called 'hello'; name it 'bonjour', like its entry point",
        "number": "names 'lab_greets'; it must name a function that greets",
        "gone": "greeter 'gone': .* cannot be loaded: AttributeError",
        "blocked": "greeter 'blocked' is offered by .*, which is not let in: blocked by f",
        "bonjur": "unknown greeter 'bonjur'; did you mean 'bonjour'",
    }.items():
        with pytest.raises(ConfigError, match=message):
            found.get(name)
    assert len(found.problems) == 2
    assert "`replaces: {greeters: {hello: lab-greets}}`" in str(found.problems[0].hint)
    assert registry(Replacement("greeters", "hello", "lab-other", "f:1")).origin("hello") == Origin(
        "hello", "lab_other:hello", "lab-other", "1.0"
    )


def test_code_adds_to_it_as_to_every_kind() -> None:
    def hello(who: str) -> str:
        return who

    found = registry()
    found.add(hello)

    assert [*found] == [hello]
    assert found.origin("hello") is None
    with pytest.raises(ConfigError, match="greeter 'hello' is registered already by code"):
        found.add(hello)
    found.add(hello, replace=True)
    with pytest.raises(ConfigError, match="it must name a function that greets"):
        found.add(5)


def test_plugins_that_take_the_place_of_others_and_demands_are_written_for_every_kind() -> None:
    keys = [STAGE_TYPES.key, *(kind.plural for kind in ExtensionKind)]

    assert list(ReplacesSection.model_fields) == keys
    assert list(PluginRequirements.model_fields) == keys
