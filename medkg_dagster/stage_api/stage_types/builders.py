"""How a builder wants to be called, decided once when it is registered."""

from __future__ import annotations

import inspect

from medkg_dagster.errors import StageRegistryError
from medkg_dagster.stage_api.stage_types.metadata import qualified_name
from medkg_dagster.stage_api.stage_types.registration import StageBuilder

_RULE = "a builder takes (definition) or (topology, definition)"
_POSITIONAL = {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD}


def takes_topology(builder: StageBuilder) -> bool:
    """Say whether a builder takes `(topology, definition)` rather than `(definition)`.

    A builder that could be called either way gets the definition alone.

    Args:
        builder: The builder.

    Raises:
        StageRegistryError: It is not callable, is asynchronous, or takes something else.
    """
    if not callable(builder):
        raise StageRegistryError(f"the builder must be callable, got {builder!r}")
    name = qualified_name(builder)
    if inspect.iscoroutinefunction(builder):
        raise StageRegistryError(f"the builder {name} is asynchronous; {_RULE} and returns the stage itself")
    try:
        signature = inspect.signature(builder)
    except (TypeError, ValueError) as error:
        raise StageRegistryError(
            f"the builder {name} shows no signature ({error}); wrap it in a function"
        ) from error
    parameters = list(signature.parameters.values())
    required = [parameter for parameter in parameters if parameter.default is inspect.Parameter.empty]
    positional = [parameter for parameter in required if parameter.kind in _POSITIONAL]
    accepted = sum(parameter.kind in _POSITIONAL for parameter in parameters)
    takes_any = any(parameter.kind is inspect.Parameter.VAR_POSITIONAL for parameter in parameters)
    demanded = [parameter for parameter in required if parameter.kind is inspect.Parameter.KEYWORD_ONLY]
    if demanded or len(positional) > 2 or not (accepted or takes_any):
        raise StageRegistryError(f"the builder {name}{signature} cannot be called; {_RULE}")
    return len(positional) == 2
