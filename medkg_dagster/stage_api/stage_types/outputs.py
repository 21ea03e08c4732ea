"""What becomes of an output where the stage type has no handler and no counter of its own."""

from __future__ import annotations

from collections.abc import MutableMapping, Sized
from typing import Any

from medkg_dagster.errors import StageContractError
from medkg_dagster.stage_api.stage_types.metadata import OutputCounter, OutputHandler


def write_key(key: str) -> OutputHandler:
    """Return the output handler of a stage type with one state key: the output is the value.

    Args:
        key: The state key.

    Returns:
        A handler `(state, stage_name, output)`.
    """

    def write(state: MutableMapping[str, Any], stage_name: str, output: Any) -> None:
        del stage_name
        state[key] = output

    write.__qualname__ = f"write_key({key!r})"
    return write


def handler_of(keys: tuple[str, ...]) -> OutputHandler:
    """Return the handler for state keys: one takes the output, several a tuple of values in their order."""
    if len(keys) == 1:
        return write_key(keys[0])

    def write(state: MutableMapping[str, Any], stage_name: str, output: Any) -> None:
        if not keys:
            return
        if not isinstance(output, tuple) or len(output) != len(keys):
            raise StageContractError(
                f"stage {stage_name!r} returned {type(output).__name__}; it must return a tuple of "
                f"{len(keys)} values: {', '.join(keys)}"
            )
        state.update(zip(keys, output, strict=True))

    write.__qualname__ = f"write_keys({', '.join(map(repr, keys))})"
    return write


def counter_of(keys: tuple[str, ...]) -> OutputCounter:
    """Return the counter for state keys: of several, the value of the first is counted."""
    return count_output if len(keys) < 2 else count_first


def count_output(output: Any) -> int:
    """Count an output: the length of a collection, nothing for None, 1 for any other value."""
    if output is None:
        return 0
    if not isinstance(output, Sized) or isinstance(output, str | bytes):
        return 1
    try:
        return len(output)
    except TypeError:
        # An array without dimensions has a length that it refuses to tell.
        return 1


def count_first(output: tuple[Any, ...]) -> int:
    """Count the first value of an output of several."""
    return count_output(output[0])
