"""Filters as the parameters of a question, one for each of their fields, told as the classes tell them."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from typing import Annotated, Any, TypeVar, get_type_hints

Filter = TypeVar("Filter")

_ATTRIBUTE = re.compile(r"^ {8}(\w+): (.*(?:\n {12}.*)*)", re.MULTILINE)


def filter_parameters(kind: type[Any], described: Callable[[str], Any]) -> list[inspect.Parameter]:
    """Return a parameter for each field of a filter, to be given by its name; several values are a list.

    Args:
        kind: A dataclass with a default for every field, and a docstring that describes each.
        described: Makes of a description what the annotation carries.
    """
    said = {name: " ".join(text.split()) for name, text in _ATTRIBUTE.findall(kind.__doc__ or "")}
    hints = get_type_hints(kind)
    parameters = []
    for field in fields(kind):
        if field.default is MISSING:
            raise TypeError(f"{kind.__name__}.{field.name} has no default")
        several = field.default == ()
        parameters.append(
            inspect.Parameter(
                field.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=[] if several else field.default,
                annotation=Annotated[
                    list[str] if several else hints[field.name], described(said[field.name])
                ],
            )
        )
    return parameters


def filter_of(kind: type[Filter], given: Mapping[str, Any]) -> Filter:
    """Return the filter that parameters mean."""
    return kind(**{name: tuple(one) if isinstance(one, list) else one for name, one in given.items()})
