from __future__ import annotations

import json
from dataclasses import FrozenInstanceError
from types import MappingProxyType
from typing import Any

import pytest
from pydantic import BaseModel

from medkg_dagster.errors import StageRegistryError
from medkg_dagster.stage_api import StageMetadata, write_key

VALID: dict[str, Any] = {
    "stage_type": "ir-validation",
    "state_key": "document",
    "output_handler": write_key("document"),
    "output_counter": len,
    "description": "Refuses bad documents.",
}


class Config(BaseModel):
    """A configuration."""


def test_the_original_fields_are_enough() -> None:
    metadata = StageMetadata(**VALID, dependencies=("parse",))

    assert metadata.state_keys == ("document",)
    assert metadata.optional_dependencies == ()
    assert metadata.version == "1"


@pytest.mark.parametrize(
    ("state_key", "expected"),
    [(None, ()), ("a", ("a",)), (("a", "b"), ("a", "b"))],
    ids=["none", "one", "two"],
)
def test_state_keys_are_always_a_tuple(state_key: Any, expected: tuple[str, ...]) -> None:
    assert StageMetadata(**{**VALID, "state_key": state_key}).state_keys == expected


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stage_type": ""}, "stage_type must be"),
        ({"stage_type": "9lives"}, "stage_type must be"),
        ({"stage_type": "a b"}, "stage_type must be"),
        ({"stage_type": "größe"}, "stage_type must be"),
        ({"stage_type": 3}, "stage_type must be"),
        ({"state_key": "two words"}, "must be a valid Python identifier"),
        ({"state_key": "class"}, "no keyword"),
        ({"state_key": ()}, "empty tuple"),
        ({"state_key": ("a", "a")}, "names a key twice"),
        ({"state_key": ("a", 3)}, "state_key 3"),
        ({"output_handler": None}, "output_handler must be callable"),
        ({"output_counter": 3}, "output_counter must be callable"),
        ({"description": "  "}, "description must not be empty"),
        ({"dependencies": {"parse"}}, "dependencies must be a tuple"),
        ({"dependencies": ("parse", "parse")}, "names a stage type twice"),
        ({"dependencies": ("ir-validation",)}, "names the stage type itself"),
        ({"optional_dependencies": ("",)}, "optional_dependencies must be a tuple"),
        ({"config_model": dict}, "config_model must be a pydantic model"),
        ({"state_types": {"other": int}}, "state_types names keys the stage does not write: other"),
        ({"version": ""}, "version must be"),
        ({"api_version": 99}, "api_version 99 is not supported"),
        ({"kinds": ("a", "b", "c", "d")}, "three labels at most"),
        ({"max_failure_ratio": 1.5}, "between 0 and 1"),
    ],
)
def test_invalid_metadata_is_refused_when_made(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(StageRegistryError, match=message) as refused:
        StageMetadata(**{**VALID, **changes})
    assert str(refused.value).startswith(f"stage type {changes.get('stage_type', 'ir-validation')!r}: ")


def test_metadata_is_frozen() -> None:
    metadata = StageMetadata(**VALID)

    with pytest.raises(FrozenInstanceError):
        metadata.version = "2"  # type: ignore[misc]  # what the test is about


def test_metadata_becomes_a_plain_dict_for_display() -> None:
    shown = StageMetadata(
        **{**VALID, "state_key": ("document", "other")},
        config_model=Config,
        state_types=MappingProxyType({"document": tuple[int, ...], "other": int}),
    ).to_dict()

    assert json.loads(json.dumps(shown)) == shown
    assert shown["state_key"] == ["document", "other"]
    assert shown["output_counter"] == "builtins.len"
    assert shown["output_handler"] == "medkg_dagster.stage_api.write_key('document')"
    assert shown["config_model"] == f"{__name__}.Config"
    assert shown["state_types"] == {"document": "tuple[int, ...]", "other": "builtins.int"}


def test_write_key_puts_the_output_under_its_key() -> None:
    state: dict[str, Any] = {}

    write_key("chunks")(state, "any", (1, 2))

    assert state == {"chunks": (1, 2)}
