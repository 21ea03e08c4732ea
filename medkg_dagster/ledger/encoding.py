"""How values become text columns, and back: JSON with sorted keys, and text any database accepts."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, TypeVar

from medkg_dagster.errors import LedgerError, counted

MAX_DEPTH = 64
"""So deep may objects and lists be nested: far from where Python and the databases end."""
MAX_CHARACTERS = 1_000_000
"""So long may the JSON of one column be; what is longer belongs in a file."""

_SHOWN = 80

E = TypeVar("E", bound=StrEnum)


def to_json(value: Any, what: str) -> str:
    """Return a value as JSON; equal values give equal text.

    Args:
        value: Anything JSON can hold; the keys of objects must be strings.
        what: What the value is, for the error.

    Raises:
        LedgerError: JSON cannot hold it, or it is too deep or too long.
    """
    try:
        _check_objects(value, 1)
        text = dump_json(value)
        _check_length(text)
    except (TypeError, ValueError) as error:
        raise LedgerError(f"{what} cannot be stored as JSON: {error}") from error
    return text


def dump_json(value: Any) -> str:
    """Return a value that is known to be JSON as `to_json` does, without its checks."""
    return _encodable(_ENCODER.encode(value))


def from_json(text: str | None) -> Any:
    """Return the value of JSON text, ours or an outsider's; None for a column without one.

    Half of a surrogate pair, which JSON can name and no terminal or file can hold, is read as its escape.

    Raises:
        LedgerError: It is no JSON, or it is deeper or longer than `to_json` would let it be.
    """
    if text is None:
        return None
    try:
        _check_length(text)
        value = _DECODER.decode(text)
        # A look at every value is dear, and most have few brackets.
        if text.count("[") + text.count("{") > MAX_DEPTH:
            _check_objects(value, 1)
        if _SURROGATE_ESCAPE.search(text):
            value = _DECODER.decode(_SURROGATE.sub(_escape_in_json, _ENCODER.encode(value)))
    except (ValueError, RecursionError) as error:
        reason = f"it is nested deeper than {MAX_DEPTH} levels" if type(error) is RecursionError else error
        raise LedgerError(f"JSON cannot be read: {reason}") from error
    return value


def read_member(kind: type[E], text: str, column: str) -> E:
    """Return the value of a column that holds one of a few words.

    Raises:
        LedgerError: It holds another.
    """
    try:
        return kind(text)
    except ValueError:
        raise LedgerError(
            f"{column}: {text[:_SHOWN]!r} is none of {', '.join(kind)}; put the row right in SQL"
        ) from None


class RowReader:
    """Reads the columns of one row; what cannot be read is remembered, and stops nobody.

    Anybody may write to a ledger in SQL, and what one job holds must not keep the others from going on.
    """

    def __init__(self) -> None:
        self._problems: list[str] = []

    @property
    def problem(self) -> str | None:
        """Which columns cannot be read, and why; None where all can."""
        return "; ".join(self._problems) or None

    def json(self, column: str, text: str | None, kind: type | None = None) -> Any:
        """Return the value of a column of JSON; one of that kind that is empty where it cannot be read."""
        try:
            value = from_json(text)
            if kind is None or isinstance(value, kind):
                return value
            error = f"expected {'an object' if kind is dict else 'a list'}"
        except LedgerError as refused:
            error = str(refused)
        self._problems.append(f"column {column!r}: {error}")
        return None if kind is None else kind()

    def member(self, column: str, kind: type[E], text: str, unknown: E) -> E:
        """Return the value of a column that holds one of a few words; `unknown` where it holds another."""
        try:
            return kind(text)
        except ValueError:
            self._problems.append(f"column {column!r}: {text!r} is none of {', '.join(kind)}")
            return unknown


def storable(text: str) -> str:
    """Return the text with what databases refuse (NUL, lone surrogates) written as an escape."""
    return _encodable(text).replace("\x00", "\\x00")


def _finite(number: str) -> float | str:
    value = float(number)
    return value if math.isfinite(value) else number  # 1e999 is valid JSON, and no float


# Made once: `json.dumps` and `json.loads` make a new one at each call with options.
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))
_DECODER = json.JSONDecoder(parse_float=_finite)
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")  # of text that is decoded: pairs have become one character


def _escape_in_json(surrogate: re.Match[str]) -> str:
    return rf"\\u{ord(surrogate[0]):04x}"


def _encodable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


def _check_objects(value: Any, depth: int) -> None:
    if isinstance(value, Mapping | list | tuple) and depth > MAX_DEPTH:
        raise ValueError(f"it is nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str):
                raise TypeError(f"the key {key!r} is not a string")
            _check_objects(item, depth + 1)
    elif isinstance(value, list | tuple):
        for item in value:
            _check_objects(item, depth + 1)


def _check_length(text: str) -> None:
    if len(text) > MAX_CHARACTERS:
        raise ValueError(
            f"it is {counted(len(text), 'character')} long, more than {MAX_CHARACTERS:,}; keep it in a "
            "file, and its path here"
        )
