"""Scalars that pydantic would convert without a word: `yes` for a number, a number in quotes."""

from __future__ import annotations

import math
import re
import types
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import AfterValidator, BaseModel

_SCALARS = {bool, int, float}
_TRUTHS = dict.fromkeys(("0", "off", "f", "false", "n", "no"), False) | dict.fromkeys(
    ("1", "on", "t", "true", "y", "yes"), True
)

Place = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Mistyped:
    """A scalar of another type than its field.

    Attributes:
        path: Keys and list positions from the model.
        message: What it must be, and what it is.
        hint: How to write it.
    """

    path: Place
    message: str
    hint: str


@dataclass(frozen=True, slots=True)
class _Meaning:
    """What a value may be, as far as scalars in it are held to a type.

    Attributes:
        models: The models that a mapping may be of.
        values: What the values of a mapping may be.
        items: What the items of a list may be.
        scalars: The types a scalar may have; empty where it may be anything.
    """

    models: tuple[type[BaseModel], ...] = ()
    values: tuple[_Meaning, ...] = ()
    items: tuple[_Meaning, ...] = ()
    scalars: frozenset[Any] = frozenset()


_NOTHING = _Meaning()


def find_mistyped(model: type[BaseModel], value: Any, path: Place = ()) -> Iterator[Mistyped]:
    """Find scalars that a model would take although they are of another type than its fields say.

    Args:
        model: The model.
        value: What it is to validate, as read from YAML or JSON.
        path: Where the value stands.

    Yields:
        Each of them; fields whose models convert what is written themselves are left to those.
    """
    if not isinstance(value, Mapping):
        return
    for name, alias, meaning in _fields(model, model.__pydantic_complete__):
        key = alias if alias in value else name
        if key in value:
            yield from _check(meaning, value[key], (*path, str(key)))


# A folder of pipelines asks for the same few models again and again. A model is looked at anew once it is
# complete: before that its annotations may be names of classes that are not there yet.
@lru_cache(maxsize=1024)
def _fields(model: type[BaseModel], _is_complete: bool) -> tuple[tuple[str, str | None, _Meaning], ...]:
    """Return name, alias and meaning of the fields that hold scalars to a type."""
    converters = {
        field
        for decorator in model.__pydantic_decorators__.field_validators.values()
        if decorator.info.mode != "after"
        for field in decorator.info.fields
    }
    meanings = (
        (name, field.alias, _meaning(field.annotation, field.metadata))
        for name, field in model.model_fields.items()
        if not converters & {name, "*"}
    )
    return tuple(found for found in meanings if found[2] != _NOTHING)


def _meaning(annotation: Any, metadata: Iterable[Any] = ()) -> _Meaning:
    members = list(_members(annotation))
    pairs = [
        get_args(member)[1]
        for member in members
        if issubclass(_origin(member), Mapping) and len(get_args(member)) == 2
    ]
    lists = [
        get_args(member)[0]
        for member in members
        if issubclass(_origin(member), list | tuple | set | frozenset) and get_args(member)
    ]
    kinds = [member for member in members if member is not type(None)]
    # Only a class can be looked up: an annotation may hold what has no hash.
    is_scalar = all(isinstance(kind, type) and kind in _SCALARS for kind in kinds)
    return _Meaning(
        tuple(member for member in members if _is_model(member)),
        tuple(inner for inner in map(_meaning, pairs) if inner != _NOTHING),
        tuple(inner for inner in map(_meaning, lists) if inner != _NOTHING),
        frozenset(kinds) if is_scalar and not _converts(metadata) else frozenset(),
    )


def _check(meaning: _Meaning, value: Any, path: Place) -> Iterator[Mistyped]:
    if isinstance(value, Mapping):
        models = meaning.models
        if models:
            meant = min(models, key=lambda model: len(value.keys() - model.model_fields.keys()))
            yield from find_mistyped(meant, value, path)
        for inner in meaning.values:
            for key, item in value.items():
                yield from _check(inner, item, (*path, key))
    elif isinstance(value, list | tuple):
        for inner in meaning.items:
            for position, item in enumerate(value):
                yield from _check(inner, item, (*path, position))
    elif meaning.scalars and (said := _judge(meaning.scalars, value)):
        yield Mistyped(path, *said)


def _judge(kinds: frozenset[Any], value: Any) -> tuple[str, str] | None:
    """Return what is to be said of a scalar and how to write it, None where it may stay."""
    if isinstance(value, bool):
        wrong = bool not in kinds
        hint = "YAML reads yes, no, on and off as true and false"
        return (f"must be a number, got {str(value).lower()}", hint) if wrong else None
    said = f"got the text {value!r}" if isinstance(value, str) else f"got {value}"
    truth = _TRUTHS.get(str(value).lower().removesuffix(".0")) if kinds == {bool} else None
    if truth is not None:
        return f"must be true or false, {said}", f"write {str(truth).lower()}"
    if isinstance(value, str) and kinds - {bool}:
        try:
            return f"must be a number, {said}", f"write {_as_number(value)}, without quotes"
        except (ValueError, OverflowError):
            return None
    return None


def _as_number(text: str) -> str:
    """Return a number as YAML reads it: `1e9`, for example, it takes for text."""
    number = float(text)
    if not math.isfinite(number):
        return f"{'-' if number < 0 else ''}.{'nan' if math.isnan(number) else 'inf'}"
    if number.is_integer() and abs(number) < 1e15:
        return str(int(number))
    written = repr(number)
    return written if "." in written else written.replace("e", ".0e")


def named_field(sentence: str, names: Iterable[str]) -> str | None:
    """Return the field that a rule between fields is about: the first that its sentence names."""
    places = {name: re.search(rf"\b{re.escape(name)}\b", sentence) for name in names}
    found = {name: place.start() for name, place in places.items() if place}
    return min(found, key=lambda name: found[name], default=None)


def _members(annotation: Any) -> Iterator[Any]:
    """Yield what a value may be: the members of a union, and what `Annotated` is about."""
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *metadata = get_args(annotation)
        # What is converted first may be anything.
        if _converts(metadata) and inner in _SCALARS:
            yield Any
        else:
            yield from _members(inner)
    elif origin is Union or origin is types.UnionType:
        for member in get_args(annotation):
            yield from _members(member)
    elif origin is Literal:
        yield from {type(choice) for choice in get_args(annotation)}
    elif hasattr(annotation, "__value__"):
        yield from _members(annotation.__value__)
    else:
        yield annotation


def _converts(metadata: Iterable[Any]) -> bool:
    return any(hasattr(item, "func") and not isinstance(item, AfterValidator) for item in metadata)


def _origin(annotation: Any) -> type:
    origin = get_origin(annotation) or annotation
    return origin if isinstance(origin, type) else object


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
