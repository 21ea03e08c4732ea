"""A stage's pydantic config model as a Dagster config schema, so that the launchpad shows it typed."""

import enum
import types
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, Union, get_args, get_origin

from dagster import (
    Array,
    DagsterInvalidConfigError,
    Enum,
    EnumValue,
    Field,
    Map,
    Noneable,
    Permissive,
    Shape,
)
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined, to_jsonable_python

from medkg_dagster.runtime.dagster_internals import as_definition_schema
from medkg_dagster.stage_api import Secret

_SCALARS: Mapping[Any, Any] = {str: str, int: int, float: float, bool: bool}
_DEEPEST = 20


class ConfigSchemas:
    """Config schemas of a code location, one for all stages with the same model and the same values.

    They are as Dagster keeps them, or it would look for the defaults in each for every op.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[type[BaseModel] | None, str], Any] = {}

    def get(self, model: type[BaseModel] | None, config: Mapping[str, Any]) -> Any:
        """Return what `config_schema` returns, made once."""
        key = (model, repr(config))
        if key not in self._known:
            self._known[key] = as_definition_schema(config_schema(model, config))
        return self._known[key]


def config_schema(model: type[BaseModel] | None, config: Mapping[str, Any]) -> Any:
    """Translate a config model.

    Args:
        model: The stage type's config model; None accepts nothing.
        config: The pipeline's own values, shown as the defaults of their fields.

    Returns:
        A Dagster config schema; every field is optional because YAML or the model has its value.
    """
    if model is None:
        return Permissive(description="This stage type declares no configuration model.")
    return Shape(config_fields(model, config))


def config_fields(
    model: type[BaseModel] | None, config: Mapping[str, Any] = MappingProxyType({})
) -> dict[str, Field]:
    """Translate the fields of a config model; see `config_schema`."""
    if model is None:
        return {}
    return {name: _field(info, config.get(name, PydanticUndefined), (model,)) for name, info in _named(model)}


Within = tuple[type[BaseModel], ...]
"""The models that a field is nested in, from the outermost on."""


def _named(model: type[BaseModel]) -> list[tuple[str, FieldInfo]]:
    return [(info.alias or name, info) for name, info in model.model_fields.items()]


def _field(info: FieldInfo, configured: Any, within: Within) -> Field:
    schema = _schema(info.annotation, within)
    default = configured if configured is not PydanticUndefined else _default(info)
    described = info.description
    if default is not PydanticUndefined and _is_plain(default):
        try:
            return Field(schema, is_required=False, default_value=default, description=described)
        except DagsterInvalidConfigError:
            # Pydantic does not hold a default to its type; the launchpad shows none then.
            pass
    return Field(schema, is_required=False, description=described)


def _default(info: FieldInfo) -> Any:
    try:
        default = info.get_default(call_default_factory=True, validated_data={})
        return default if default is PydanticUndefined else to_jsonable_python(default)
    except Exception:  # noqa: BLE001 - a factory may need the other fields, or do anything; then there is no default to show
        return PydanticUndefined


def _is_plain(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(_is_plain(item) for item in value.values())
    if isinstance(value, list):
        return all(_is_plain(item) for item in value)
    return value is None or isinstance(value, str | int | float | bool)


def _schema(annotation: Any, within: Within) -> Any:  # noqa: PLR0911 - one return per kind of type reads best
    origin = get_origin(annotation)
    if annotation in _SCALARS:
        return _SCALARS[annotation]
    if annotation is Secret:
        # Dagster's own `StringSource` would read the variable and keep the value.
        return Shape({"env": Field(str, description="The environment variable that holds the secret.")})
    if origin in {Union, types.UnionType}:
        return _union(get_args(annotation), within)
    if origin is Literal and all(isinstance(value, str) for value in get_args(annotation)):
        # Dagster compares enums by name, so the same choice always gets the same name.
        values = get_args(annotation)
        return Enum("_or_".join(values), [EnumValue(value) for value in values])
    if origin in {list, tuple, set, frozenset}:
        return Array(_item(get_args(annotation), within))
    if origin in {dict, Mapping}:
        key, value = get_args(annotation)
        return Permissive() if value in {Any, object} or key is not str else Map(str, _schema(value, within))
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return _nested(annotation, within)
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        choices = [member.value for member in annotation]
        if not all(isinstance(choice, str) for choice in choices):
            # What is chosen in the launchpad is a text.
            return Any
        return Enum(annotation.__name__, [EnumValue(choice) for choice in choices])
    return str if annotation is Path else Any


def _item(members: tuple[Any, ...], within: Within) -> Any:
    kinds = [member for member in members if member is not Ellipsis]
    return _schema(kinds[0], within) if kinds and all(kind == kinds[0] for kind in kinds) else Any


def _nested(model: type[BaseModel], within: Within) -> Any:
    if model in within or len(within) >= _DEEPEST:
        # A model that holds itself has no end.
        return Permissive()
    return Shape({name: _field(info, PydanticUndefined, (*within, model)) for name, info in _named(model)})


def _union(members: tuple[Any, ...], within: Within) -> Any:
    inner = [member for member in members if member is not type(None)]
    schema = _schema(inner[0], within) if len(inner) == 1 else Any
    return Noneable(schema) if len(inner) < len(members) and schema is not Any else schema
