"""Places in a request that are filled in when it is made: `{window_start}`, `{window_start:%Y-%m-%d}`.

Braces that mean themselves are doubled, as in Python's format strings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from string import Formatter
from typing import Any

_FORMATTER = Formatter()
PlaceholderValue = datetime | str


@dataclass(frozen=True, slots=True)
class Placeholder:
    """One place that is to be filled in.

    Attributes:
        path: Keys and list positions of the text it stands in.
        name: What goes there.
        form: How a time is to be written, as for `strftime`; empty for as it is.
        error: What is wrong with the text; None where nothing is.
    """

    path: tuple[str | int, ...]
    name: str
    form: str = ""
    error: str | None = None


def find_placeholders(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[Placeholder]:
    """Yield the places in all text of a value, as far as it holds lists and mappings."""
    if isinstance(value, str):
        yield from _in_text(value, path)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from find_placeholders(item, (*path, key))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from find_placeholders(item, (*path, index))


def _in_text(text: str, path: tuple[str | int, ...]) -> Iterator[Placeholder]:
    try:
        for _, name, form, conversion in _FORMATTER.parse(text):
            if name is not None:
                unclear = (
                    "write a name alone, or a name and a form of time"
                    if conversion or "{" in (form or "")
                    else None
                )
                yield Placeholder(path, name, form or "", unclear)
    except ValueError as error:
        yield Placeholder(path, "", error=f"{error}; double a brace that means itself")


def utc_text(moment: datetime) -> str:
    """Return a time in UTC to the second: `2026-11-22T05:00:00Z`."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def short_text(moment: datetime) -> str:
    """Return a time as it stands in ids: `2026-11-22T06`, `2026-11-22T0630`, in the zone that it has.

    Where the clock is put back and the hour comes twice, its distance to UTC is added.
    """
    text = moment.strftime("%Y-%m-%dT%H%M" if moment.minute else "%Y-%m-%dT%H")
    comes_twice = moment.replace(fold=0).utcoffset() != moment.replace(fold=1).utcoffset()
    return f"{text}{moment:%z}" if comes_twice else text


def fill(
    value: Any, given: Mapping[str, PlaceholderValue], write: Callable[[datetime], str] = utc_text
) -> Any:
    """Return a value with its places filled in.

    Args:
        value: Text, numbers, lists, mappings; all placeholders are in order and have a value.
        given: Values by name. A form writes a time in the zone that it has.
        write: Writes a time where no form is given.
    """
    if isinstance(value, str):
        return "".join(_parts(value, given, write))
    if isinstance(value, Mapping):
        return {key: fill(item, given, write) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [fill(item, given, write) for item in value]
    return value


def _parts(
    text: str, given: Mapping[str, PlaceholderValue], write: Callable[[datetime], str]
) -> Iterator[str]:
    for literal, name, form, _ in _FORMATTER.parse(text):
        yield literal
        if name is not None:
            found = given[name]
            if isinstance(found, str):
                yield found
            else:
                yield found.strftime(form) if form else write(found)
