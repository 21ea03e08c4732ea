"""Filters as parameters of a URL, described as the classes of filters describe themselves."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import MISSING, fields
from typing import Annotated, Any, TypeVar, get_type_hints

from fastapi import Query

from medkg_dagster.errors import QueryError, did_you_mean

Filter = TypeVar("Filter")

_ATTRIBUTE = re.compile(r"^ {8}(\w+): (.*(?:\n {12}.*)*)", re.MULTILINE)


def parameters_of(kind: type[Filter]) -> Callable[..., Filter]:
    """Return what makes a filter of the parameters of a URL, one for each of its fields.

    Args:
        kind: A dataclass with a default for every field, and a docstring that describes each.
    """
    said = {name: " ".join(text.split()) for name, text in _ATTRIBUTE.findall(kind.__doc__ or "")}
    hints = get_type_hints(kind)
    parameters = []
    for field in fields(kind):  # type: ignore[arg-type] # a dataclass, which no type says
        if field.default is MISSING:
            raise TypeError(f"{kind.__name__}.{field.name} has no default")
        several = field.default == ()
        parameters.append(
            inspect.Parameter(
                field.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=[] if several else field.default,
                annotation=Annotated[
                    list[str] if several else hints[field.name], Query(description=said[field.name])
                ],
            )
        )

    def make(**given: Any) -> Filter:
        return kind(**{name: tuple(one) if isinstance(one, list) else one for name, one in given.items()})

    make.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined] # it is read by FastAPI
    return make


def check_names(given: list[str], known: list[str]) -> None:
    """Refuse parameters that nobody reads: an answer without the filter that was meant is wrong.

    Args:
        given: The names of the parameters of a request.
        known: Those that there are.

    Raises:
        QueryError: There is no such parameter, or one is given twice that means one thing.
    """
    for name in given:
        if name not in known:
            raise QueryError(f"there is no parameter {name[:80]!r}; {did_you_mean(name, known)}")
