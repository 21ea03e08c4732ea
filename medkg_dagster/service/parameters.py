"""Filters as parameters of a URL, and parameters that nobody reads."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from fastapi import Query

from medkg_dagster.errors import QueryError, did_you_mean
from medkg_dagster.query.filter_parameters import Filter, filter_of, filter_parameters


def parameters_of(kind: type[Filter]) -> Callable[..., Filter]:
    """Return what makes a filter of the parameters of a URL, one for each of its fields."""

    def make(**given: Any) -> Filter:
        return filter_of(kind, given)

    parameters = filter_parameters(kind, lambda said: Query(description=said))
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
