"""Where two values differ, also those made of arrays and those that do not compare by content."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from pydantic import BaseModel

from medkg_dagster.stage_api._serialization import ArrayValue

Renamed = tuple[str, str]

_NOT_RENAMED: Renamed = ("", "")
_SHOWN_CHARACTERS = 60


def find_difference(left: Any, right: Any, renamed: Renamed = _NOT_RENAMED) -> str | None:
    """Return the first place where two values differ, and how; None where they are equal.

    Args:
        left: One value.
        right: The other.
        renamed: A text, and what stands for it on the right side, such as the paths of two folders.
    """
    return _difference(left, right, renamed, "")


def _difference(left: Any, right: Any, renamed: Renamed, place: str) -> str | None:
    if left is right:
        return None
    ours, theirs = _parts(left), _parts(right)
    if ours is not None and theirs is not None and _same_kind(left, right):
        return _different_part(ours, theirs, renamed, place)
    if ours is None and theirs is None:
        right = _restored(right, renamed)
        return None if _same(left, right) else _described(left, right, place)
    return _described(left, right, place)


def _different_part(ours: dict[str, Any], theirs: dict[str, Any], renamed: Renamed, place: str) -> str | None:
    theirs = {_restored(key, renamed): value for key, value in theirs.items()}
    for key in [*ours, *theirs]:
        if key not in ours or key not in theirs:
            return f"{place}{key} is only in the {'first' if key in ours else 'second'}"
        found = _difference(ours[key], theirs[key], renamed, place + key)
        if found is not None:
            return found
    return None


def _parts(value: Any) -> dict[str, Any] | None:
    """Return what a value is made of, by place; None for one that is compared as a whole."""
    parts: dict[str, Any] | None = None
    if isinstance(value, type):
        return None
    if isinstance(value, ArrayValue):
        parts = {f".{name}": array for name, array in value.to_arrays().items()}
    elif isinstance(value, BaseModel):
        named = {name: getattr(value, name) for name in type(value).model_fields}
        parts = {f".{name}": item for name, item in (named | (value.model_extra or {})).items()}
    elif dataclasses.is_dataclass(value):
        fields = [item for item in dataclasses.fields(value) if item.compare or not _by_content(value)]
        parts = {f".{item.name}": getattr(value, item.name) for item in fields}
    elif isinstance(value, Mapping):
        parts = {f"[{key!r}]": item for key, item in value.items()}
    elif isinstance(value, list | tuple):
        parts = {f"[{position}]": item for position, item in enumerate(value)}
    elif not _by_content(value):
        # An object that compares by identity: a copy is the same where its attributes are.
        parts = {f".{name}": getattr(value, name) for name in _attributes(value)}
    return parts


def _attributes(value: Any) -> list[str]:
    slots = [getattr(base, "__slots__", ()) for base in type(value).__mro__]
    names = [name for slot in slots for name in ((slot,) if isinstance(slot, str) else slot)]
    return [*getattr(value, "__dict__", ()), *(name for name in names if hasattr(value, name))]


def _by_content(value: Any) -> bool:
    return "__eq__" in {name for base in type(value).__mro__[:-1] for name in vars(base)}


def _same_kind(left: Any, right: Any) -> bool:
    return type(left) is type(right) or (isinstance(left, Mapping) and isinstance(right, Mapping))


def _same(left: Any, right: Any) -> bool:
    numpy = sys.modules.get("numpy")
    if numpy is not None and (isinstance(left, numpy.ndarray) or isinstance(right, numpy.ndarray)):
        return _same_arrays(left, right)
    # Only NaN differs from itself; one in the place of another is no change.
    both_nan = isinstance(left, float) and isinstance(right, float) and left != left and right != right  # noqa: PLR0124
    return both_nan or bool(left == right)


def _same_arrays(left: Any, right: Any) -> bool:
    import numpy as np

    if type(left) is not type(right) or left.dtype != right.dtype or left.shape != right.shape:
        return False
    return bool(np.array_equal(left, right, equal_nan=left.dtype.kind in "fc"))


def _restored(value: Any, renamed: Renamed) -> Any:
    ours, theirs = renamed
    if theirs and isinstance(value, str):
        return value.replace(theirs, ours)
    return type(value)(str(value).replace(theirs, ours)) if theirs and isinstance(value, PurePath) else value


def _described(left: Any, right: Any, place: str) -> str:
    start = 0
    if isinstance(left, str) and isinstance(right, str):
        pairs = enumerate(zip(left, right, strict=False))
        same = next((at for at, (ours, theirs) in pairs if ours != theirs), min(len(left), len(right)))
        start = same if same > _SHOWN_CHARACTERS // 2 else 0
        place += f"[{start}:]" if start else ""
        left, right = left[start : start + _SHOWN_CHARACTERS], right[start : start + _SHOWN_CHARACTERS]
    at = f"{place} was " if place else ""
    return f"{at}{_shown(left)}, then {_shown(right)}"


def _shown(value: Any) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= _SHOWN_CHARACTERS + 2 else f"{text[:_SHOWN_CHARACTERS]}..."
