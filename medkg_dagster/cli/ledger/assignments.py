"""`name=value` on the command line."""

from __future__ import annotations

import getpass
import json
from collections.abc import Iterable
from typing import Any

import click

from medkg_dagster.errors import ConfigError
from medkg_dagster.ledger.encoding import MAX_DEPTH


def parse_assignments(texts: Iterable[str], what: str, *, as_text: bool = False) -> dict[str, Any]:
    """Return values by name; a value is JSON where it is valid JSON, else text.

    Args:
        texts: `name=value` each.
        what: What is assigned, for the error.
        as_text: Whether every value is text.

    Raises:
        click.UsageError: One is no assignment, or a name is given twice.
        ConfigError: A value is nested so deep that it cannot be read.
    """
    values: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise click.UsageError(f"{what} {text!r} is no assignment; write NAME=VALUE")
        if name in values:
            raise click.UsageError(f"{what} {name!r} is given twice")
        try:
            values[name] = value if as_text else _parse(value)
        except RecursionError:
            raise ConfigError(f"{what} {name!r} is nested deeper than {MAX_DEPTH} levels") from None
    return values


def user_name() -> str:
    """Return the name under which changes are recorded where none is given."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run under a number without a name
        return "unknown user"


def _parse(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse)
    except ValueError:
        return text


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")
