"""Holding what a stage type brings to its contract: its `execute`, its output handler, its counter."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from types import MappingProxyType
from typing import Any

from medkg_dagster.errors import MedkgError, StageContractError
from medkg_dagster.stage_api._context import StageContext
from medkg_dagster.stage_api._documents import DocumentContext
from medkg_dagster.stage_api._stage_types.metadata import StageMetadata, qualified_name
from medkg_dagster.stage_api._stage_types.registration import Stage

_NAMED = {inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY}
_POSITIONAL = {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD}

Context = StageContext | DocumentContext


class ScopedState(MutableMapping[str, Any]):
    """The state an output handler writes to; it accepts the stage type's own keys and no others."""

    __slots__ = ("_metadata", "_values")

    def __init__(self, metadata: StageMetadata) -> None:
        self._metadata = metadata
        self._values: dict[str, Any] = {}

    def __setitem__(self, key: str, value: Any) -> None:
        if key not in self._metadata.state_keys:
            raise StageContractError(
                f"output handler {qualified_name(self._metadata.output_handler)} of stage type "
                f"{self._metadata.stage_type!r} wrote the key {key!r}; its state_key allows "
                f"{', '.join(map(repr, self._metadata.state_keys)) or 'none'}"
            )
        self._values[key] = value

    def __getitem__(self, key: str) -> Any:
        return self._values[key]

    def __delitem__(self, key: str) -> None:
        del self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


def execute_stage(metadata: StageMetadata, stage: Stage, ctx: Context, inputs: Mapping[str, Any]) -> Any:
    """Call a stage's `execute` with its inputs as keyword arguments.

    Raises:
        StageContractError: There is no such method, or it does not take the inputs.
    """
    execute = getattr(stage, "execute", None)
    if isinstance(stage, type):
        raise StageContractError(
            f"the builder of stage type {metadata.stage_type!r} returned the class {qualified_name(stage)}; "
            "it must return an instance"
        )
    if not callable(execute):
        raise StageContractError(
            f"the builder of stage type {metadata.stage_type!r} returned {type(stage).__name__}, "
            "which has no method execute(ctx, **inputs)"
        )
    if inspect.iscoroutinefunction(execute):
        raise StageContractError(
            f"{qualified_name(execute)} of stage type {metadata.stage_type!r} is asynchronous; "
            "write a plain method, and run an event loop inside it where one is needed"
        )
    signature = _signature(execute)
    if signature is None:
        return execute(ctx, **inputs)
    if _takes_upstream(signature, inputs):
        _warn_of_upstream(execute, ctx, inputs)
        return execute(ctx, _upstream(inputs))
    try:
        signature.bind(ctx, **inputs)
    except TypeError as error:
        raise StageContractError(
            f"{qualified_name(execute)}{signature} of stage type {metadata.stage_type!r} does not take its "
            f"inputs: {error}; write {_expected(inputs)}"
        ) from error
    return execute(ctx, **inputs)


def _signature(execute: Callable[..., Any]) -> inspect.Signature | None:
    try:
        return inspect.signature(execute)
    except (TypeError, ValueError):
        # A callable written in C may show none; then the call itself tells.
        return None


def _takes_upstream(signature: inspect.Signature, inputs: Mapping[str, Any]) -> bool:
    """Say whether `execute` is written `(ctx, upstream)`, where `upstream` names no input."""
    parameters = list(signature.parameters.values())
    positional = [parameter for parameter in parameters if parameter.kind in _POSITIONAL][1:]
    if len(positional) != 1 or any(item.kind is inspect.Parameter.VAR_KEYWORD for item in parameters):
        return False
    named = {parameter.name for parameter in parameters[1:] if parameter.kind in _NAMED}
    is_needed = bool(inputs) or positional[0].default is inspect.Parameter.empty
    return is_needed and named.isdisjoint(inputs)


def _upstream(inputs: Mapping[str, Any]) -> Any:
    return next(iter(inputs.values())) if len(inputs) == 1 else MappingProxyType(dict(inputs))


def _warn_of_upstream(execute: Callable[..., Any], ctx: Context, inputs: Mapping[str, Any]) -> None:
    message = (
        f"{qualified_name(execute)} takes its inputs as one positional argument; write {_expected(inputs)}. "
        "The old form is accepted until medkg-dagster 1.0"
    )
    # Python hides this warning by default; whoever runs the pipeline sees the log.
    ctx.log.warning("%s", message)
    warnings.warn(message, DeprecationWarning, stacklevel=2)


def _expected(inputs: Mapping[str, Any]) -> str:
    return f"execute({', '.join(['self', 'ctx', *(['*', *inputs] if inputs else [])])})"


def handle_output(metadata: StageMetadata, state: ScopedState, stage: str, output: Any) -> None:
    """Take an output onto a scoped state, and check that all keys are there.

    Raises:
        StageContractError: The handler wrote foreign keys, missed its own, or failed.
    """
    try:
        metadata.output_handler(state, stage, output)
    except MedkgError:
        raise
    except Exception as error:
        # A plugin's handler may raise anything; the message must name it rather than the stage's work.
        raise StageContractError(
            f"output handler {qualified_name(metadata.output_handler)} of stage type {metadata.stage_type!r} "
            f"raised {type(error).__name__}: {error}"
        ) from error
    _check_state(metadata, state)


def _check_state(metadata: StageMetadata, state: ScopedState) -> None:
    missed = [key for key in metadata.state_keys if key not in state]
    if missed:
        raise StageContractError(
            f"output handler {qualified_name(metadata.output_handler)} of stage type "
            f"{metadata.stage_type!r} did not write {', '.join(map(repr, missed))}"
        )
    for key, value in state.items():
        if isinstance(value, Iterator):
            raise StageContractError(
                f"stage type {metadata.stage_type!r}: the value of {key!r} is a {type(value).__name__}, "
                "which can be read once and may never end; make it a tuple"
            )


def count_of(metadata: StageMetadata, output: Any) -> int:
    """Return what the type's counter says; raises `StageContractError` where that is no count."""
    try:
        count = metadata.output_counter(output)
    except Exception as error:
        # A plugin's counter may raise anything; the message must name it rather than the stage's work.
        raise StageContractError(
            f"output counter {qualified_name(metadata.output_counter)} of stage type {metadata.stage_type!r} "
            f"raised {type(error).__name__}: {error}"
        ) from error
    if isinstance(count, bool) or not isinstance(count, int) or count < 0:
        raise StageContractError(
            f"output counter {qualified_name(metadata.output_counter)} of stage type {metadata.stage_type!r} "
            f"returned {count!r}; it must return a whole number, 0 or more"
        )
    return count
