"""Calls to the outside world, paced and guarded by the stage's resilience policy."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from medkg_dagster.errors import CircuitOpenError

R = TypeVar("R")


@dataclass(slots=True)
class _Circuit:
    failures: int = 0
    opened_at: float = 0.0
    next_call: float = 0.0


@dataclass(slots=True)
class ExternalCalls:
    """Makes calls to other services for one stage; one circuit and one pace for each service.

    After `failure_threshold` failures in a row a service is left alone for `recovery_timeout` seconds;
    then one call is tried, and its success closes the circuit.

    Attributes:
        timeout_seconds: How long one attempt of one call may take, None for no limit; the caller hands it to
            its client.
        rate_limit_per_second: Calls per second and service at most; None for no limit.
        failure_threshold: Failures in a row that open the circuit; None for no circuit breaker.
        recovery_timeout: Seconds an open circuit stays open.
        clock: Monotonic seconds.
        sleep: Waits for seconds.
    """

    timeout_seconds: float | None = 30.0
    rate_limit_per_second: float | None = None
    failure_threshold: int | None = None
    recovery_timeout: float = 60.0
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    _circuits: dict[str, _Circuit] = field(default_factory=dict)

    def call(self, service: str, work: Callable[[], R]) -> R:
        """Make one call.

        Args:
            service: What is called, for example a host name.
            work: Makes the call; an exception counts as a failure of the service.

        Returns:
            What the call returned.

        Raises:
            CircuitOpenError: The service failed too often and is left alone for now.
        """
        circuit = self._circuits.setdefault(service, _Circuit())
        self._refuse_open(service, circuit)
        self._pace(circuit)
        try:
            result = work()
        except BaseException:
            circuit.failures += 1
            circuit.opened_at = self.clock()
            raise
        circuit.failures = 0
        return result

    def _refuse_open(self, service: str, circuit: _Circuit) -> None:
        if self.failure_threshold is None or circuit.failures < self.failure_threshold:
            return
        remaining = circuit.opened_at + self.recovery_timeout - self.clock()
        if remaining > 0:
            raise CircuitOpenError(
                f"{service} failed {circuit.failures} times in a row and is left alone for "
                f"{remaining:.0f} more seconds; check the service, or raise "
                "circuit_breaker.failure_threshold in resilience.yaml"
            )

    def _pace(self, circuit: _Circuit) -> None:
        if self.rate_limit_per_second is None:
            return
        now = self.clock()
        if now < circuit.next_call:
            self.sleep(circuit.next_call - now)
        circuit.next_call = max(now, circuit.next_call) + 1 / self.rate_limit_per_second
