"""What a stage type's config model must hold to, so that YAML, launchpad and editors can show it."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined, to_jsonable_python

from medkg_dagster.errors import Problem
from medkg_dagster.stage_api._secrets import secret_fields
from medkg_dagster.stage_api._stage_types.metadata import qualified_name


def config_problems(model: type[BaseModel]) -> Iterator[Problem]:
    """Yield what is wrong with a config model and the models inside it.

    Args:
        model: The `config_model` of a stage type.
    """
    name = f"config model {qualified_name(model)}"
    for path, nested in _models(model, "", frozenset()):
        place = f"{name}, field {path!r}" if path else name
        if nested.model_config.get("extra") != "forbid":
            yield Problem(
                f"{place}: unknown keys are let in, so that a misspelt one is lost in silence",
                hint=f"write `model_config = ConfigDict(extra='forbid')` in {nested.__qualname__}",
            )
        for field, info in nested.model_fields.items():
            inner = f"{name}, field {_join(path, field)!r}"
            if not (info.description or "").strip():
                yield Problem(
                    f"{inner}: it has no description", hint="write `Field(description='...')`, for people"
                )
            yield from _default_problems(inner, info)
    for path in secret_fields(model):
        yield Problem(
            f"{name}, field {path!r}: it holds a secret in plain",
            hint="use `Secret` of medkg_dagster.stage_api",
        )
    yield from _schema_problems(name, model)


def _default_problems(place: str, info: FieldInfo) -> Iterator[Problem]:
    hint = "use text, numbers, lists and mappings, an enum, or None as the default"
    try:
        default = info.get_default(call_default_factory=True, validated_data={})
        if default is not PydanticUndefined:
            to_jsonable_python(default)
    except Exception as error:  # noqa: BLE001 - a default factory is the author's code and may raise anything
        yield Problem(f"{place}: its default is not plain: {type(error).__name__}: {error}", hint=hint)


def _schema_problems(name: str, model: type[BaseModel]) -> Iterator[Problem]:
    try:
        model.model_json_schema()
    except Exception as error:  # noqa: BLE001 - the types of fields bring their own code, which may raise anything
        yield Problem(
            f"{name}: it has no JSON schema: {type(error).__name__}: {error}",
            hint="use types that JSON has, or give the type a `__get_pydantic_json_schema__`",
        )


def _models(annotation: Any, path: str, within: frozenset[Any]) -> Iterator[tuple[str, type[BaseModel]]]:
    """Yield a model and the models its fields hold, by dotted path, each once per path."""
    for argument in typing.get_args(annotation):
        yield from _models(argument, path, within)
    if typing.get_origin(annotation) is not None or not isinstance(annotation, type):
        return
    if annotation in within or not issubclass(annotation, BaseModel):
        return
    yield path, annotation
    for field, info in annotation.model_fields.items():
        yield from _models(info.annotation, _join(path, field), within | {annotation})


def _join(path: str, field: str) -> str:
    return f"{path}.{field}" if path else field
