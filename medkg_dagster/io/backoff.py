"""The wait before something is tried again."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal

Strategy = Literal["exponential", "linear", "none"]


@dataclass(frozen=True, slots=True)
class Backoff:
    """How the wait grows from one attempt to the next.

    Attributes:
        strategy: `exponential` doubles the wait, `linear` adds `initial` each time, `none` keeps it.
        initial: Seconds before the second attempt.
        maximum: The longest wait in seconds.
        jitter: Whether the wait varies at random, so that many do not come back at once.
    """

    strategy: Strategy = "exponential"
    initial: float = 1.0
    maximum: float = 60.0
    jitter: bool = False

    def wait(self, retry: int) -> float:
        """Return the seconds to wait, from 0 to `maximum`.

        Args:
            retry: 1 before the second attempt, 2 before the third.
        """
        factor = {"exponential": 2.0 ** (retry - 1), "linear": float(retry), "none": 1.0}[self.strategy]
        jitter = random.uniform(-1, 1) if self.jitter else 0.0  # noqa: S311 - spreads load, guards nothing
        return min(max(self.initial * (factor + jitter), 0.0), self.maximum)
