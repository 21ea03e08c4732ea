"""Noticing and undoing what a plugin changes in this project's own classes while it loads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import ModuleType

_IGNORED = {"__abstractmethods__", "_abc_impl", "__annotations__", "__doc__", "__warningregistry__"}


class TamperWatch:
    """Remembers the attributes of classes and modules, and puts back what changes.

    It keeps plugins from disturbing each other by accident or carelessness. It is no wall against malice:
    code that runs in this process can do whatever the process can.

    Args:
        watched: Classes and modules.
    """

    def __init__(self, watched: Sequence[type | ModuleType]) -> None:
        self._expected = [(target, dict(vars(target))) for target in watched]

    def undo(self) -> tuple[str, ...]:
        """Put back what has changed; return the names of what had."""
        return tuple(
            f"{target.__name__}.{name}"
            for target, expected in self._expected
            if vars(target) != expected
            for name in _restore(target, expected)
        )


def _restore(target: type | ModuleType, expected: dict[str, object]) -> Iterator[str]:
    now = dict(vars(target))
    for name in sorted(now.keys() | expected.keys()):
        if name in _IGNORED or now.get(name) is expected.get(name):
            continue
        if name in expected:
            setattr(target, name, expected[name])
        else:
            delattr(target, name)
        yield name
