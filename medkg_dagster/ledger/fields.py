"""Dotted paths into a job's fields: `pdf.pages` is the key `pages` of the object `pdf`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from medkg_dagster.domain.gate_conditions import ABSENT, RESERVED_FIELDS, look_up
from medkg_dagster.errors import LedgerError


def lookup(fields: Mapping[str, Any], path: str, default: Any = None) -> Any:
    """Return the value at a dotted path, or the default where there is none."""
    value = look_up(fields, path)
    return default if value is ABSENT else value


def assign(fields: dict[str, Any], path: str, value: Any) -> None:
    """Set the value at a dotted path, making the objects on the way.

    Args:
        fields: The fields; changed in place.
        path: The dotted path.
        value: The new value.

    Raises:
        LedgerError: The path is malformed, names one of the job's own columns, or leads through a value
            that is no object.
    """
    parts = path.split(".")
    if not all(parts):
        raise LedgerError(f"field path {path!r} has an empty part; join names by dots, as in pdf.pages")
    if parts[0] in RESERVED_FIELDS:
        raise LedgerError(f"field {path!r}: {parts[0]!r} is the job's own; choose another name")
    target = fields
    for depth, part in enumerate(parts[:-1], start=1):
        target = target.setdefault(part, {})
        if not isinstance(target, dict):
            place = ".".join(parts[:depth])
            raise LedgerError(f"field {path!r} cannot be set: {place} is {target!r}, not an object")
    target[parts[-1]] = value


def flatten(fields: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every dotted path with its value, in order of path; an empty object is a value."""
    for key in sorted(fields):
        value = fields[key]
        path = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            yield from flatten(value, f"{path}.")
        else:
            yield path, value
