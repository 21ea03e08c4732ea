"""Resilience policies of YAML as a step keeps them: how often it is tried, after how long, at what pace."""

import logging
from collections.abc import Callable

from medkg_dagster.io.backoff import Backoff
from medkg_dagster.io.faults import may_pass, was_retried
from medkg_dagster.stage_api import ExternalCalls
from medkg_dagster.topology.models import ResiliencePolicy


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
        backoff=backoff(policy),
        rate_limit_per_second=limit.rate_limit_per_second if limit else None,
        failure_threshold=breaker.failure_threshold if breaker else None,
        recovery_timeout=breaker.recovery_timeout if breaker else 0.0,
        reserve=reserve,
        log=log or logging.getLogger("medkg.calls"),
    )


def is_retryable(error: BaseException) -> bool:
    """Say whether the step is to be tried again, see `may_pass`; what nobody foresaw may pass.

    What the stage has tried itself as often as its policy allows is not: attempts would multiply.
    """
    return may_pass(error) is not False and not was_retried(error)


def backoff(policy: ResiliencePolicy) -> Backoff:
    """Return the waits of a policy."""
    return Backoff(**policy.backoff.model_dump())
