"""What a stage in YAML says differently from its stage type."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from medkg_dagster.errors import StageRegistryError
from medkg_dagster.resolution.stage_config import override
from medkg_dagster.stage_api import StageMetadata, write_key
from medkg_dagster.topology.models import StageDefinition
from medkg_dagster.topology.plugin_keys import MetadataOverrides


def metadata(keys: str | tuple[str, ...] | None = "words", **changes: Any) -> StageMetadata:
    names = (keys,) if isinstance(keys, str) else keys or ()
    return StageMetadata(
        "split",
        keys,
        write_key("words"),
        len,
        "Splits text.",
        state_types=dict.fromkeys(names, list[str]),
        **changes,
    )


def says(**overrides: Any) -> MetadataOverrides:
    return MetadataOverrides(**overrides)


def test_without_overrides_nothing_is_made_anew() -> None:
    original = metadata()

    made = override(original, says())

    assert made.metadata is original
    assert made.contract is original
    assert made.stored_as("words") == "words"


def test_a_renamed_key_is_stored_under_its_new_name_and_the_plugin_knows_the_old_one() -> None:
    made = override(metadata(), says(state_key="tokens"))

    assert (made.metadata.state_key, made.contract.state_key) == ("tokens", "words")
    assert dict(made.metadata.state_types) == {"tokens": list[str]}
    assert dict(made.contract.state_types) == {"words": list[str]}
    assert (made.stored_as("words"), made.stored_as("tokens")) == ("tokens", None)


def test_several_keys_are_renamed_in_their_order_and_may_change_places() -> None:
    made = override(metadata(("a", "b")), says(state_key=["b", "a"]))

    assert (made.stored_as("a"), made.stored_as("b")) == ("b", "a")


def test_one_key_may_be_written_as_a_list_of_one() -> None:
    assert override(metadata(), says(state_key=["tokens"])).stored_as("words") == "tokens"


@pytest.mark.parametrize(
    ("keys", "renamed", "message"),
    [
        ("words", ["a", "b"], "state_key names 2 keys; the stage type 'split' writes 1: words"),
        (("a", "b"), "c", "state_key names 1 key; the stage type 'split' writes 2: a, b"),
        (("a", "b"), ["c", "c"], "state_key names a key twice"),
        (None, "c", "state_key names 1 key; the stage type 'split' writes 0: none"),
        ("words", "class", "state_key 'class' must be a valid Python identifier and no keyword"),
        ("words", "", "state_key '' must be a valid Python identifier"),
        ("words", "../x", "state_key '../x' must be a valid Python identifier"),
        ("words", "context", "state_key 'context' cannot be used"),
        ("words", "after_parse", "state_key 'after_parse' cannot be used"),
        ("words", "wörter", "state_key 'wörter' cannot be used; it must be ASCII"),
    ],
)
def test_a_new_key_keeps_the_rules_of_keys(
    keys: str | tuple[str, ...] | None, renamed: str | list[str], message: str
) -> None:
    with pytest.raises(StageRegistryError) as error:
        override(metadata(keys), says(state_key=renamed))

    assert message in str(error.value)


def test_every_other_field_is_taken_as_written() -> None:
    overrides = says(
        description="Tokens.",
        dependencies=["parse"],
        optional_dependencies=["chunk"],
        kinds=["s3"],
        max_failure_ratio=1,
    )

    made = override(metadata(kinds=("python",)), overrides)

    assert made.metadata is made.contract
    assert made.metadata.description == "Tokens."
    assert (made.metadata.dependencies, made.metadata.optional_dependencies) == (("parse",), ("chunk",))
    assert (made.metadata.kinds, made.metadata.max_failure_ratio) == (("s3",), 1.0)
    assert made.metadata.output_counter is len


def test_an_empty_list_takes_dependencies_away() -> None:
    assert override(metadata(dependencies=("parse",)), says(dependencies=[])).metadata.dependencies == ()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"description": " "}, "description must not be empty"),
        ({"dependencies": ["split"]}, "dependencies names the stage type itself"),
        ({"dependencies": ["a", "a"]}, "dependencies names a stage type twice"),
        ({"kinds": ["a", "b", "c", "d"]}, "kinds must be a tuple of three labels at most"),
        ({"kinds": ["a b"]}, "kind 'a b' must be letters"),
    ],
)
def test_the_result_keeps_the_rules_of_the_original(overrides: dict[str, Any], message: str) -> None:
    with pytest.raises(StageRegistryError, match=message):
        override(metadata(), says(**overrides))


@pytest.mark.parametrize(
    "key",
    [
        "output_handler",
        "output_counter",
        "config_model",
        "state_types",
        "version",
        "api_version",
        "stage_type",
        "isolation",
    ],
)
def test_what_comes_from_the_plugin_cannot_be_written_in_yaml(key: str) -> None:
    with pytest.raises(ValidationError) as error:
        StageDefinition.model_validate({"name": "a", "type": "split", "metadata_overrides": {key: "print"}})

    assert f"'{key}' comes from the plugin and cannot be overridden; what can: state_key," in str(error.value)
