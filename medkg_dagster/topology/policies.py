"""Resilience policies as written in YAML, validated."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from medkg_dagster.topology.strict_model import StrictModel


class BackoffPolicy(StrictModel):
    """The wait between attempts.

    Attributes:
        strategy: `exponential` doubles the wait, `linear` adds `initial` each time, `none` keeps it.
        initial: Seconds before the second attempt.
        maximum: The longest wait in seconds.
        jitter: Whether the wait varies at random, so that many do not come back at once.
    """

    strategy: Literal["exponential", "linear", "none"] = "exponential"
    initial: float = Field(default=0.5, ge=0)
    maximum: float = Field(default=30.0, ge=0)
    jitter: bool = True

    @model_validator(mode="after")
    def _check_bounds(self) -> Self:
        if self.maximum < self.initial:
            raise PydanticCustomError("bounds", "maximum must not be less than initial")
        return self


class CircuitBreakerPolicy(StrictModel):
    """When to stop calling something that keeps failing.

    Attributes:
        failure_threshold: Failures in a row that open the circuit.
        recovery_timeout: Seconds until one call is let through again.
    """

    failure_threshold: int = Field(default=5, ge=1)
    recovery_timeout: float = Field(default=60.0, gt=0)


class RateLimitPolicy(StrictModel):
    """How often something may be called.

    Attributes:
        rate_limit_per_second: Calls per second.
    """

    rate_limit_per_second: float = Field(gt=0)


class ResiliencePolicy(StrictModel):
    """How a stage bears failure.

    Attributes:
        max_attempts: Attempts in all, the first one included.
        timeout_seconds: The longest time of one attempt of one call to another service; None for no limit.
        backoff: The wait between attempts.
        circuit_breaker: When to stop calling; None for never.
        rate_limit: How often to call; None for no limit.
    """

    max_attempts: int = Field(default=3, ge=1, le=100)
    timeout_seconds: float | None = Field(default=None, gt=0)
    backoff: BackoffPolicy = BackoffPolicy()
    circuit_breaker: CircuitBreakerPolicy | None = None
    rate_limit: RateLimitPolicy | None = None
