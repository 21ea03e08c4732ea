"""Where a stage type came from."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Origin:
    """The entry point that registered a stage type.

    Attributes:
        entry_point: The entry point's name.
        target: What it names, `module:attribute`.
        distribution: The distribution that declares it; `?` where unknown.
        version: The distribution's version; `?` where unknown.
    """

    entry_point: str
    target: str
    distribution: str
    version: str

    def __str__(self) -> str:
        return f"entry point '{self.entry_point} = {self.target}' of {self.distribution} {self.version}"
