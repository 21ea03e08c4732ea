"""What an entry point must name, and what a registration must hold to beyond the rules of its metadata."""

from __future__ import annotations

import inspect
import keyword
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from pydantic import BaseModel

from medkg_dagster.errors import StageRegistryError
from medkg_dagster.stage_api._secrets import secret_fields
from medkg_dagster.stage_api._stage_types.metadata import StageMetadata, qualified_name
from medkg_dagster.stage_api._stage_types.registration import StageBuilder, StageRegistration

DAGSTER_RESERVED = frozenset(
    {"context", "conf", "config", "meta", "arg_dict", "dict", "input_arg_dict", "output_arg_dict"}
    | {"int", "str", "float", "bool", "input", "output", "type"}
)
"""What Dagster refuses, besides Python's keywords, as names of definitions, inputs and outputs."""

# State keys become names of Dagster inputs, and arguments of `execute`.
_RESERVED_KEYS = DAGSTER_RESERVED | {"ctx", "self"}
ORDER_INPUT = "after_"
MAX_REGISTRATIONS = 10_000
_FUNCTION = "a function without arguments that returns a StageRegistration or several"
_BUILDER = "a builder takes (definition) or (topology, definition)"
_POSITIONAL = {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD}
_KIND = re.compile(r"[A-Za-z0-9_.-]{1,50}", re.ASCII)


def check_registration(registration: Any) -> StageRegistration:
    """Return a registration that holds to the rules.

    Raises:
        StageRegistryError: It is no registration, or its metadata would not compile.
    """
    if isinstance(registration, StageMetadata):
        raise StageRegistryError(
            f"expected a StageRegistration, got StageMetadata of {registration.stage_type!r} without a "
            "builder; return StageRegistration(metadata, builder), where builder(definition) makes the stage"
        )
    if not isinstance(registration, StageRegistration):
        raise StageRegistryError(f"expected a StageRegistration, got {_described(registration)}")
    metadata = registration.metadata
    if not isinstance(metadata, StageMetadata):
        raise StageRegistryError(f"metadata must be a StageMetadata, got {_described(metadata)}")
    check_metadata(metadata)
    return registration


def check_metadata(metadata: StageMetadata) -> None:
    """Check that metadata, as registered or as overridden in YAML, would compile.

    Raises:
        StageRegistryError: A name would not fit Dagster, or a callable cannot be called as it will be.
    """
    for label, arguments in (("output_handler", "state, stage_name, output"), ("output_counter", "output")):
        _check_arity(metadata, label, arguments)
    if metadata.config_model is not None:
        _refuse_plain_secrets(f"stage type {metadata.stage_type!r}", metadata.config_model)
    for key in metadata.state_keys:
        if key in _RESERVED_KEYS or key.startswith(ORDER_INPUT) or not key.isascii():
            raise StageRegistryError(
                f"stage type {metadata.stage_type!r}: state_key {key!r} cannot be used; it must be ASCII, "
                f"not begin with {ORDER_INPUT!r}, and be none of {', '.join(sorted(_RESERVED_KEYS))}"
            )
    for name in (name for work in metadata.work_at_gates for name in (work.name, work.op_name)):
        if name in DAGSTER_RESERVED or keyword.iskeyword(name):
            raise StageRegistryError(
                f"stage type {metadata.stage_type!r}: work at gates cannot be called {name!r}, which "
                "Dagster or Python reserves; choose another name"
            )
    for kind in metadata.kinds:
        if not isinstance(kind, str) or not _KIND.fullmatch(kind):
            raise StageRegistryError(
                f"stage type {metadata.stage_type!r}: kind {kind!r} must be letters, digits, '_', '-' and '.'"
            )


def takes_topology(builder: StageBuilder) -> bool:
    """Say whether a builder takes `(topology, definition)` rather than `(definition)`.

    A builder that could be called either way gets the definition alone.

    Raises:
        StageRegistryError: It is not callable, is asynchronous, or takes something else.
    """
    if not callable(builder):
        raise StageRegistryError(f"the builder must be callable, got {builder!r}")
    name = qualified_name(builder)
    if inspect.iscoroutinefunction(builder):
        raise StageRegistryError(
            f"the builder {name} is asynchronous; {_BUILDER} and returns the stage itself"
        )
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
        raise StageRegistryError(f"the builder {name}{signature} cannot be called; {_BUILDER}")
    return len(positional) == 2


def _refuse_plain_secrets(subject: str, model: type[BaseModel]) -> None:
    plain = secret_fields(model)
    if plain:
        raise StageRegistryError(
            f"{subject}: the config_model takes secrets as plain text in {', '.join(plain)}; declare them as "
            "medkg_dagster.stage_api.Secret, which takes {env: NAME}"
        )


def _check_arity(metadata: StageMetadata, label: str, arguments: str) -> None:
    function: Callable[..., Any] = getattr(metadata, label)
    count = arguments.count(",") + 1
    code = getattr(function, "__code__", None)
    if function is len or (code is not None and code.co_argcount == count and not code.co_kwonlyargcount):
        # The plain cases, without the cost of a signature.
        return
    try:
        inspect.signature(function).bind(*range(count))
    except TypeError as error:
        raise StageRegistryError(
            f"stage type {metadata.stage_type!r}: {label} {qualified_name(function)} must take "
            f"({arguments}): {error}"
        ) from error
    except ValueError:
        # A callable written in C may show no signature.
        return


def _described(value: Any) -> str:
    try:
        return f"{type(value).__name__} {str(value)[:60]!r}"
    except Exception:  # noqa: BLE001 - what a plugin returned may refuse to be shown, and must be named all the same
        return type(value).__name__


def offered_registrations(plugin: Any) -> Iterator[Any]:
    """Call what an entry point names and yield what it registers, one by one and not yet checked.

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
