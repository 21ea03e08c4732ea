"""How values become text columns, and back: JSON with sorted keys, and text any database accepts."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from medkg_dagster.errors import LedgerError


def to_json(value: Any, what: str) -> str:
    """Return a value as JSON; equal values give equal text.

    Args:
        value: Anything JSON can hold; the keys of objects must be strings.
        what: What the value is, for the error.

    Raises:
        LedgerError: JSON cannot hold it.
    """
    try:
        _require_string_keys(value)
        return dump_json(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise LedgerError(f"{what} cannot be stored as JSON: {error}") from error


def dump_json(value: Any) -> str:
    """Return a value that is known to be JSON as `to_json` does, without its checks."""
    return _encodable(_ENCODER.encode(value))


def from_json(text: str | None) -> Any:
    """Return the value of JSON text, ours or an outsider's; None for a column without one."""
    return None if text is None else _DECODER.decode(text)


def storable(text: str) -> str:
    """Return the text with what databases refuse (NUL, lone surrogates) written as an escape."""
    return _encodable(text).replace("\x00", "\\x00")


def _finite(number: str) -> float | str:
    value = float(number)
    return value if math.isfinite(value) else number  # 1e999 is valid JSON, and no float


# Made once: `json.dumps` and `json.loads` make a new one at each call with options.
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))
_DECODER = json.JSONDecoder(parse_float=_finite)


def _encodable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


def _require_string_keys(value: Any) -> None:
    if isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str):
                raise TypeError(f"the key {key!r} is not a string")
            _require_string_keys(item)
    elif isinstance(value, list | tuple):
        for item in value:
            _require_string_keys(item)
