"""Pydantic's validation errors as sentences with a place and a way out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from medkg_dagster.errors import did_you_mean
from medkg_dagster.topology.legacy_forms import instead_of
from medkg_dagster.topology.structure import Finding

# Pydantic puts the tag of a union's member between the keys of a location.
FIELDS_TAG = "(fields)"
CUSTOM_TAG = "(custom)"
_TAGS = {FIELDS_TAG, CUSTOM_TAG}
_SHOWN = 60


def explain(
    error: ValidationError, model: type[BaseModel], prefix: tuple[str | int, ...] = ()
) -> Iterator[Finding]:
    """Turn a validation error into findings.

    Args:
        error: What `model.model_validate` raised.
        model: The model.
        prefix: The place in the file of what was validated.
    """
    for item in error.errors(include_url=False):
        location = tuple(part for part in item["loc"] if part not in _TAGS)
        place = _dotted(location)
        kind = item["type"]
        if kind == "extra_forbidden":
            key = str(location[-1])
            within = f" in '{_dotted(location[:-1])}'" if len(location) > 1 else ""
            hint = instead_of(location) or did_you_mean(key, _field_names(model, location[:-1]))
            yield Finding((*prefix, *location), f"unknown key '{key}'{within}", hint)
        elif kind == "missing":
            yield Finding((*prefix, *location), f"'{place}' is missing", "add it")
        else:
            message = f"'{place}': {_sentence(item)}" if place else _sentence(item)
            yield Finding((*prefix, *location), message)


def _dotted(location: tuple[str | int, ...]) -> str:
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _sentence(item: Mapping[str, Any]) -> str:
    context = item.get("ctx") or {}
    message = str(context["error"]) if item["type"] == "value_error" and "error" in context else item["msg"]
    value = item.get("input")
    if isinstance(value, dict | list | tuple | BaseModel):
        kind = "a list" if isinstance(value, list | tuple) else "a mapping"
        return f"{message}, got {kind}" if item["type"].endswith("_type") else message
    shown = "nothing" if value is None else repr(value)
    return f"{message}, got {shown if len(shown) <= _SHOWN else shown[:_SHOWN] + '...'}"


def _field_names(model: type[BaseModel], location: tuple[str | int, ...]) -> list[str]:
    names: set[str] = set()
    for found in _models_at(model, location):
        names.update(info.alias or name for name, info in found.model_fields.items())
    return sorted(names)


def _models_at(model: type[BaseModel], location: tuple[str | int, ...]) -> list[type[BaseModel]]:
    found = [model]
    for part in location:
        if isinstance(part, int):
            continue
        inner = [
            nested
            for candidate in found
            for name, info in candidate.model_fields.items()
            if part in {name, info.alias}
            for nested in _models_in(info.annotation)
        ]
        # The members of a union appear in the location too; they are no fields.
        found = inner or found
    return found


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [nested for argument in get_args(annotation) for nested in _models_in(argument)]
