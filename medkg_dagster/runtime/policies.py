"""Resilience policies of YAML as a step keeps them: how often it is tried, after how long, at what pace."""

import logging
import random
from collections.abc import Callable

from medkg_dagster.io.faults import may_pass
from medkg_dagster.stage_api import ExternalCalls
from medkg_dagster.topology.models import BackoffPolicy, ResiliencePolicy


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


def is_retryable(error: BaseException) -> bool:
    """Say whether trying again could help, see `may_pass`; what nobody foresaw may pass."""
    return may_pass(error) is not False


def retry_delay(backoff: BackoffPolicy, retry: int) -> float:
    """Return the wait before a step is tried again, in seconds, from 0 to the policy's `maximum`.

    Args:
        backoff: The policy.
        retry: 1 before the second attempt, 2 before the third.
    """
    factor = {"exponential": 2.0**retry - 1, "linear": retry, "none": 1}[backoff.strategy]
    jitter = random.uniform(-1, 1) if backoff.jitter else 0.0  # noqa: S311 - spreads load, guards nothing
    return min(max(backoff.initial * (factor + jitter), 0.0), backoff.maximum)
