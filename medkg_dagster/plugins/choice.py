"""Several offers of one name: which is used, decided by configuration and never by order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from medkg_dagster.plugins.origin import Origin
from medkg_dagster.plugins.policy import Replacement, is_from


@dataclass(frozen=True, slots=True)
class Choice:
    """Which of several offers of one name is used.

    Attributes:
        position: The place of the offer that is used; None where several stand against each other.
        replacement: What the deployment's `replaces` says, where that decided.
    """

    position: int | None
    replacement: Replacement | None = None


def choose_offer(origins: Sequence[Origin], replacement: Replacement | None) -> Choice:
    """Choose: the one distribution that `replaces` names, else the built-in, else the only one, else none.

    Args:
        origins: Where the offers come from; at least one.
        replacement: What the deployment's `replaces` says of the name.
    """
    if replacement is not None:
        named = [at for at, origin in enumerate(origins) if is_from(origin, replacement.distribution)]
        if len(named) == 1:
            return Choice(named[0], replacement)
    own = next((at for at, origin in enumerate(origins) if origin.is_own), None)
    return Choice(0 if own is None and len(origins) == 1 else own)
