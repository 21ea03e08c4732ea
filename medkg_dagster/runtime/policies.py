"""Resilience policies of YAML as Dagster retry policies."""

import logging
from collections.abc import Callable
from typing import Self

from dagster import Backoff, Jitter, RetryPolicy

from medkg_dagster.io.faults import may_pass
from medkg_dagster.stage_api import ExternalCalls
from medkg_dagster.topology.models import ResiliencePolicy

_BACKOFF = {"exponential": Backoff.EXPONENTIAL, "linear": Backoff.LINEAR, "none": None}


def external_calls(
    policy: ResiliencePolicy,
    reserve: Callable[[str, float], float] | None = None,
    log: logging.Logger | None = None,
) -> ExternalCalls:
    """Return what a stage makes calls to other services with, as its policy allows.

    Args:
        policy: The stage's policy.
        reserve: Takes the next turn at a service among all who share a rate limit; None keeps the pace of
            this process alone.
        log: Where the stage logs.
    """
    breaker, limit = policy.circuit_breaker, policy.rate_limit
    return ExternalCalls(
        timeout_seconds=policy.timeout_seconds,
        max_attempts=policy.max_attempts,
        rate_limit_per_second=limit.rate_limit_per_second if limit else None,
        failure_threshold=breaker.failure_threshold if breaker else None,
        recovery_timeout=breaker.recovery_timeout if breaker else 0.0,
        reserve=reserve,
        log=log or logging.getLogger("medkg.calls"),
    )


def is_retryable(error: Exception) -> bool:
    """Say whether trying again could help, see `may_pass`; what nobody foresaw may pass."""
    return may_pass(error) is not False


class BoundedRetryPolicy(RetryPolicy):
    """Dagster's retry policy with an upper bound on the delay, which Dagster's own lacks.

    Attributes:
        maximum: The longest delay in seconds.
    """

    maximum: float

    @classmethod
    def from_policy(cls, policy: ResiliencePolicy) -> Self:
        """Translate a policy; `max_attempts` counts the first attempt too."""
        backoff = policy.backoff
        retry_policy = cls(
            max_retries=policy.max_attempts - 1,
            delay=backoff.initial,
            backoff=_BACKOFF[backoff.strategy],
            jitter=Jitter.PLUS_MINUS if backoff.jitter else None,
        )
        retry_policy.maximum = backoff.maximum
        return retry_policy

    def calculate_delay(self, attempt_num: int) -> float:
        """Return the delay in seconds before an attempt, never above `maximum` and never negative."""
        return min(max(float(super().calculate_delay(attempt_num)), 0.0), self.maximum)
