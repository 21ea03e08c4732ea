"""Secrets in a stage's configuration: a reference to an environment variable, never a value."""

from __future__ import annotations

import dataclasses
import os
import re
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, final

import pydantic
from pydantic import BaseModel, GetCoreSchemaHandler, GetJsonSchemaHandler, SecretBytes, SecretStr
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, ValidationError, core_schema

from medkg_dagster.errors import ConfigError
from medkg_dagster.stage_api._redaction import remember

_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_SCALARS = (str, int, float, bool, type(None))
_WAY_OUT = "write `{env: NAME}` and set the variable"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """A secret that a stage needs, as the type of a field of its config model.

    YAML, requests and the launchpad give `{env: NAME}`; the value itself is refused there. It is read with
    `reveal` when it is needed, and from then on kept out of logs, metadata, the ledger and stored state.

    Attributes:
        env: The environment variable that holds the value.
    """

    env: str

    def __post_init__(self) -> None:
        if not isinstance(self.env, str) or not re.fullmatch(_NAME, self.env):
            raise ConfigError(f"a secret needs the name of an environment variable; {_WAY_OUT}")

    def reveal(self) -> str:
        """Return the value as it is now, without white space around it.

        Raises:
            ConfigError: The variable is not set, or is empty.
        """
        value = os.environ.get(self.env, "").strip()
        if not value:
            raise ConfigError(
                f"the environment variable {self.env} is not set or empty; put the secret into it where the "
                "pipeline's steps run"
            )
        remember(value, self.env)
        return value

    def reveal_key(self) -> str:
        """Return the value where it can be sent as a key in a header.

        Raises:
            ConfigError: The variable is not set or empty, or holds characters that no key has.
        """
        key = self.reveal()
        if not key.isascii() or not key.isprintable():
            raise ConfigError(f"the environment variable {self.env} holds characters no API key has")
        return key

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        del source, handler
        return core_schema.no_info_plain_validator_function(
            _validate,
            serialization=core_schema.plain_serializer_function_ser_schema(dataclasses.asdict),
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        del schema, handler
        name = {
            "type": "string",
            "pattern": f"^{_NAME}$",
            "description": "The environment variable that holds the secret.",
        }
        return {
            "type": "object",
            "properties": {"env": name},
            "required": ["env"],
            "additionalProperties": False,
        }


def secret_fields(model: type[BaseModel]) -> list[str]:
    """Return the fields of a model, nested ones by dotted path, that hold secrets in plain.

    Args:
        model: A config model. Fields of pydantic's `SecretStr`, `SecretBytes` and `Secret` are found: their
            values would stand in YAML, in requests and in the run's configuration.
    """
    return list(dict.fromkeys(_plain_secrets(model, "", frozenset())))


def _validate(value: Any) -> Secret:
    if isinstance(value, Secret):
        return value
    if not isinstance(value, Mapping):
        _refuse(f"a secret must not be written in plain; {_WAY_OUT}")
    if set(value) != {"env"}:
        _refuse(f"a secret is a mapping with the one key `env`; {_WAY_OUT}")
    name = value["env"]
    if not isinstance(name, str) or not re.fullmatch(_NAME, name):
        _refuse(f"`env` must be the name of an environment variable: letters, digits and _; {_WAY_OUT}")
    return Secret(env=name)


class _Hidden:
    """Stands for the input in pydantic's errors, which quote it."""

    def __repr__(self) -> str:
        return "a value that is not shown"


def _refuse(message: str) -> NoReturn:
    error = PydanticCustomError("plain_secret", "{reason}", {"reason": message})
    raise ValidationError.from_exception_data("Secret", [{"type": error, "loc": (), "input": _Hidden()}])


def _plain_secrets(annotation: Any, path: str, within: frozenset[Any]) -> Iterator[str]:
    if annotation in _SCALARS:
        return
    origin = typing.get_origin(annotation)
    if _is_plain_secret(annotation) or _is_plain_secret(origin):
        yield path
        return
    for argument in typing.get_args(annotation):
        yield from _plain_secrets(argument, path, within)
    named = origin or annotation
    if hasattr(named, "__value__"):
        # A type alias; `typing` has their class from Python 3.12 on.
        yield from _plain_secrets(named.__value__, path, within)
    if isinstance(named, type) and named not in within:
        for name, inner in _fields(named):
            yield from _plain_secrets(inner, f"{path}.{name}" if path else name, within | {named})


def _is_plain_secret(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, SecretStr | SecretBytes | pydantic.Secret)


def _fields(kind: type) -> Iterator[tuple[str, Any]]:
    if issubclass(kind, BaseModel):
        for name, info in kind.model_fields.items():
            yield name, info.annotation
    elif dataclasses.is_dataclass(kind) or hasattr(kind, "__total__") or hasattr(kind, "_fields"):
        # The last two: typed dictionaries, of which `typing_extensions` has its own kind; named tuples.
        try:
            yield from typing.get_type_hints(kind).items()
        except NameError:
            # Its annotations name what only a type checker imports; pydantic could not use it either.
            return
