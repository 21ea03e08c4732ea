"""What distinguishes one kind of plugin from another; everything else is the same for all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from medkg_dagster.errors import ConfigError, MedkgError
from medkg_dagster.plugins import Origin

T = TypeVar("T")


def _the_target(target: Any) -> Iterable[Any]:
    return (target,)


@dataclass(frozen=True, slots=True)
class PluginKind(Generic[T]):
    """A kind of plugin: where its entry points are, and what makes a plugin of what they name.

    Attributes:
        group: The entry point group.
        label: What people call one: `stage type`, `index store`.
        check: Makes the plugin of one offer and its entry point, None for one that code adds; raises `error`.
        name_of: Returns a plugin's name.
        offers: Returns what the target of an entry point offers, unchecked: the target itself by default.
        is_eager: Whether entry points are imported when plugins are loaded, so that one of them may offer
            several names; otherwise each offers its own name, and is imported when somebody asks for that.
        error: What an unknown name and a broken rule raise.
    """

    group: str
    label: str
    check: Callable[[Any, Origin | None], T]
    name_of: Callable[[T], str]
    offers: Callable[[Any], Iterable[Any]] = _the_target
    is_eager: bool = False
    error: type[MedkgError] = ConfigError

    @property
    def key(self) -> str:
        """The last word of the group, the kind's key in `replaces` and `plugins:`."""
        return self.group.rpartition(".")[2]

    def subject(self, name: str) -> str:
        """Return what the audit calls a plugin."""
        return name if self.is_eager else f"{self.label} {name}"
