"""Pydantic's validation errors as sentences with a place and a way out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from medkg_dagster.domain.scalar_types import Place, find_mistyped, named_field
from medkg_dagster.errors import did_you_mean
from medkg_dagster.topology.legacy_forms import instead_of
from medkg_dagster.topology.structure import Finding

# Pydantic puts the tag of a union's member between the keys of a location.
FIELDS_TAG = "(fields)"
CUSTOM_TAG = "(custom)"
_TAGS = {FIELDS_TAG, CUSTOM_TAG}
_SHOWN = 60


_M = TypeVar("_M", bound=BaseModel)


def validated(
    model: type[_M], value: Any, prefix: Place = (), context: dict[str, Any] | None = None
) -> tuple[_M | None, list[Finding]]:
    """Validate what was read from a file, scalars strictly.

    Args:
        model: The model.
        value: What was read.
        prefix: Its place in the file.
        context: What the model's validators are given.

    Returns:
        The model's instance, None where something is wrong; and all that is wrong.
    """
    findings = [
        Finding((*prefix, *found.path), f"'{_dotted(found.path)}': {found.message}", found.hint)
        for found in find_mistyped(model, value)
    ]
    made = None
    try:
        made = model.model_validate(value, context=context)
    except ValidationError as error:
        known = {finding.path for finding in findings}
        findings += (finding for finding in explain(error, model, prefix) if finding.path not in known)
    return (None if findings else made), findings


def explain(error: ValidationError, model: type[BaseModel], prefix: Place = ()) -> Iterator[Finding]:
    """Turn a validation error into findings."""
    for item in error.errors(include_url=False):
        location = tuple(part for part in item["loc"] if part not in _TAGS)
        kind = item["type"]
        if kind == "extra_forbidden":
            key = str(location[-1])
            within = f" in '{_dotted(location[:-1])}'" if len(location) > 1 else ""
            hint = instead_of(location) or did_you_mean(key, _field_names(model, location[:-1]))
            yield Finding((*prefix, *location), f"unknown key '{key}'{within}", hint)
        elif kind == "missing":
            yield Finding((*prefix, *location), f"'{_dotted(location)}' is missing", "add it")
        else:
            sentence = _sentence(item)
            location = (*location, *_field_meant(item, sentence, model, location))
            place = _dotted(location)
            yield Finding((*prefix, *location), f"'{place}': {sentence}" if place else sentence)


def _field_meant(item: Mapping[str, Any], sentence: str, model: type[BaseModel], location: Place) -> Place:
    """Return the field that a rule between fields is about: one that its sentence names, or whose value."""
    value = item.get("input")
    if not isinstance(value, dict) or item["type"].endswith("_type"):
        return ()
    names = [name for name in _field_names(model, location) if name in value]
    quoted = (name for name in names if isinstance(value[name], str) and repr(value[name]) in sentence)
    found = named_field(sentence, names) or next(quoted, None)
    return () if found is None else (found,)


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
    shown = "nothing" if value is None else str(value).lower() if isinstance(value, bool) else repr(value)
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
