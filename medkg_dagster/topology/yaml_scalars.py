"""Scalars of YAML 1.1 as PyYAML's safe loader reads them, except that dates stay text."""

from __future__ import annotations

import re
from typing import Any

import yaml

MERGE_TAG = "tag:yaml.org,2002:merge"

_PREFIX = "tag:yaml.org,2002:"
_RESOLVERS: dict[str, list[tuple[str, Any]]] = yaml.SafeLoader.yaml_implicit_resolvers
_NUMBERS = yaml.constructor.SafeConstructor()
_STAYS_TEXT = {f"{_PREFIX}timestamp", f"{_PREFIX}value"}
_MAX_NUMBER = 400
_SHOWN = 40
_NOT_DECIMAL = {
    "60": re.compile(r".*:.*"),
    "16": re.compile(r"[-+]?0x.*"),
    "8": re.compile(r"[-+]?0[0-7_]+"),
    "2": re.compile(r"[-+]?0b.*"),
    "10": re.compile(r".*_.*"),
}
"""By base how numbers are written that are not of decimal digits alone."""


class BadScalarError(Exception):
    """A scalar does not fit its tag, or has a tag that is not allowed.

    Attributes:
        hint: The way out.
        value: What is read on with.
    """

    def __init__(self, message: str, hint: str, value: Any) -> None:
        super().__init__(message)
        self.hint = hint
        self.value = value


def resolve_tag(value: str) -> str | None:
    """Return the tag of a plain scalar without one; None for text.

    Raises:
        BadScalarError: It is a number that is not written in decimal digits alone: people, or other readers
            of YAML, take it for another number, a time or a name.
    """
    for tag, pattern in _RESOLVERS.get(value[:1], ()):
        if pattern.match(value):
            if tag.endswith((":int", ":float")):
                _refuse_ambiguous(tag, value)
            return None if tag in _STAYS_TEXT else tag
    return None


def _refuse_ambiguous(tag: str, value: str) -> None:
    base = next((base for base, written in _NOT_DECIMAL.items() if written.fullmatch(value)), None)
    if base:
        number = construct_scalar(tag, value)
        raise BadScalarError(
            f"{value[:_SHOWN]} is a number to the base {base} in YAML, {number}",
            f'write {number}, or "{value[:_SHOWN]}" in quotes for text',
            number,
        )


def construct_scalar(tag: str, value: str) -> Any:
    """Return the Python value of a scalar.

    Args:
        tag: A tag of YAML's own: str, int, float, bool, null or merge.
        value: The scalar as written.

    Raises:
        BadScalarError: The tag is another one, or the text does not fit it.
    """
    kind = tag.removeprefix(_PREFIX)
    if kind == "str":
        return value
    if kind == "null":
        return None
    try:
        if len(value) > _MAX_NUMBER:
            raise ValueError(value)
        node = yaml.ScalarNode(tag, value)
        if kind == "bool":
            return _NUMBERS.construct_yaml_bool(node)
        if kind == "int":
            return _NUMBERS.construct_yaml_int(node)
        if kind == "float":
            return _NUMBERS.construct_yaml_float(node)
    except (ValueError, KeyError, IndexError) as error:
        raise BadScalarError(
            f"{value[:_SHOWN]!r} is not a valid {kind}", "put text in quotes", value
        ) from error
    raise BadScalarError(f"YAML tag {tag!r} is not allowed", "remove the tag", value)
