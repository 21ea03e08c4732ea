"""From what an author hands in, a registration or the function that registers, to one registration."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Sequence
from itertools import islice

from medkg_dagster.errors import ConfigError, StageRegistryError, did_you_mean
from medkg_dagster.stage_api.metadata import qualified_name
from medkg_dagster.stage_api.registration import StagePlugin, StageRegistration
from medkg_dagster.stage_api.rules import check_registration

_MANY = 10_000
_RULE = "an entry point names a function without arguments that returns a StageRegistration or several"


def registrations_of(registration: StageRegistration | StagePlugin) -> list[StageRegistration]:
    """Return what is registered, one or several.

    Args:
        registration: A registration, or the function that an entry point names.

    Raises:
        StageRegistryError: The function breaks a rule of entry points, or a registration is invalid.
    """
    if isinstance(registration, StageRegistration):
        return [check_registration(registration)]
    found = _registered(registration)
    types = [item.metadata.stage_type for item in found]
    if len(set(types)) != len(types):
        raise StageRegistryError(
            f"{qualified_name(registration)} registers a stage type twice: {', '.join(types)}"
        )
    return found


def choose(found: Sequence[StageRegistration], stage_type: str | None) -> StageRegistration:
    """Return the registration to test.

    Args:
        found: What is registered.
        stage_type: Which one, where there are several.

    Raises:
        ConfigError: There is none of that stage type, or there are several and none is named.
    """
    types = [item.metadata.stage_type for item in found]
    if stage_type is None and len(found) > 1:
        raise ConfigError(
            f"there are the stage types {', '.join(types)}; say which to test with stage_type='{types[0]}'"
        )
    for item in found:
        if stage_type in {None, item.metadata.stage_type}:
            return item
    raise ConfigError(
        f"there is no stage type {stage_type!r} to test; {did_you_mean(stage_type or '', types)}"
    )


def _registered(plugin: StagePlugin) -> list[StageRegistration]:
    _check_callable(plugin)
    returned = plugin()
    if isinstance(returned, StageRegistration):
        return [check_registration(returned)]
    if isinstance(returned, str | bytes | dict) or not isinstance(returned, Iterable):
        raise StageRegistryError(f"{qualified_name(plugin)} returned {type(returned).__name__}; {_RULE}")
    found = list(islice(returned, _MANY + 1))
    if not found or len(found) > _MANY:
        count = f"more than {_MANY:,}" if found else "no"
        raise StageRegistryError(f"{qualified_name(plugin)} registers {count} stage types; {_RULE}")
    return [check_registration(item) for item in found]


def _check_callable(plugin: StagePlugin) -> None:
    if not callable(plugin):
        raise StageRegistryError(f"got {type(plugin).__name__} {str(plugin)[:60]!r}; {_RULE}")
    if inspect.iscoroutinefunction(plugin):
        raise StageRegistryError(f"{qualified_name(plugin)} is asynchronous; {_RULE}")
    try:
        inspect.signature(plugin).bind()
    except TypeError as error:
        raise StageRegistryError(f"{qualified_name(plugin)} wants arguments: {error}; {_RULE}") from error
    except ValueError:
        # A callable written in C may show no signature; then the call itself tells.
        return
