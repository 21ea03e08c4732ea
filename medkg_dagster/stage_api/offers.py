"""What an entry point offers: the registrations of the function it names."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from typing import Any

from medkg_dagster.errors import StageRegistryError
from medkg_dagster.stage_api.stage_types.metadata import StageMetadata, qualified_name
from medkg_dagster.stage_api.stage_types.registration import StageRegistration

MAX_REGISTRATIONS = 10_000

_FUNCTION = "a function without arguments that returns a StageRegistration or several"


def offered_registrations(plugin: Any) -> Iterator[Any]:
    """Call what an entry point names and yield what it registers, one by one and not yet checked.

    Args:
        plugin: What the entry point names.

    Raises:
        StageRegistryError: It is no function without arguments, returns something else than registrations,
            or never comes to an end.
    """
    _check_callable(plugin)
    returned = plugin()
    if isinstance(returned, StageRegistration | StageMetadata):
        yield returned
        return
    if isinstance(returned, str | bytes | dict) or not isinstance(returned, Iterable):
        raise StageRegistryError(
            f"{qualified_name(plugin)} returned {type(returned).__name__}; it must return a "
            "StageRegistration or an iterable of them"
        )
    for number, registration in enumerate(returned):
        if number >= MAX_REGISTRATIONS:
            raise StageRegistryError(
                f"registers more than {MAX_REGISTRATIONS:,} stage types; only the first count"
            )
        yield registration


def _check_callable(plugin: Any) -> None:
    if not callable(plugin):
        raise StageRegistryError(
            f"names {type(plugin).__name__} {str(plugin)[:60]!r}; it must name {_FUNCTION}"
        )
    if inspect.iscoroutinefunction(plugin):
        raise StageRegistryError(
            f"names {qualified_name(plugin)}, which is asynchronous; it must name {_FUNCTION}"
        )
    code = getattr(plugin, "__code__", None)
    if code is not None and not code.co_argcount and not code.co_kwonlyargcount:
        # The plain case, without the cost of a signature.
        return
    try:
        inspect.signature(plugin).bind()
    except TypeError as error:
        raise StageRegistryError(
            f"names {qualified_name(plugin)}, which wants arguments ({error}); it must name {_FUNCTION}"
        ) from error
    except ValueError:
        # A callable written in C may show no signature; then the call itself tells.
        return
