"""Calls to the outside world, paced and guarded by the stage's resilience policy."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from medkg_dagster.errors import CircuitOpenError, counted
from medkg_dagster.io.backoff import Backoff
from medkg_dagster.io.faults import may_pass
from medkg_dagster.stage_api._redaction import redact, text_of

R = TypeVar("R")
_ATTEMPTS = 4


@dataclass(slots=True)
class _Circuit:
    failures: int = 0
    opened_at: float = 0.0
    next_call: float = 0.0
    is_tried: bool = False
    first_cause: str = ""


@dataclass(slots=True)
class ExternalCalls:
    """Makes calls to other services for one stage; one circuit and one pace for each service.

    After `failure_threshold` failures in a row a service is left alone for `recovery_timeout` seconds;
    then one call is tried, and its success closes the circuit. An answer that refuses is no failure: it is
    known to come again, and so is no reason to wait. May be used by many threads at once.

    `call` does all of it. Who makes calls in threads of their own and must not wait in them uses `admit`
    before and `record_outcome` after each call instead.

    Attributes:
        timeout_seconds: How long one attempt of one call may take, None for no limit; the caller hands it to
            its client.
        max_attempts: How often the same call is made at most, where it is the caller who tries again; None
            for as many as the caller thinks right.
        backoff: The waits between such attempts, unless the service asks for a longer one.
        rate_limit_per_second: Calls per second and service at most; None for no limit.
        failure_threshold: Failures in a row that open the circuit; None for no circuit breaker.
        recovery_timeout: Seconds an open circuit stays open.
        clock: Monotonic seconds.
        sleep: Waits for seconds.
        reserve: Takes the next turn of a service among all who share a limit, given the service and the
            seconds between two turns, and returns the seconds until it comes; None keeps the pace of this
            object alone.
        log: Where it is said, once, that a service is left alone.
    """

    timeout_seconds: float | None = 30.0
    max_attempts: int | None = None
    backoff: Backoff = field(default_factory=Backoff)
    rate_limit_per_second: float | None = None
    failure_threshold: int | None = None
    recovery_timeout: float = 60.0
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    reserve: Callable[[str, float], float] | None = None
    log: logging.Logger = field(default_factory=lambda: logging.getLogger("medkg.calls"), compare=False)
    _circuits: dict[str, _Circuit] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def call(self, service: str, work: Callable[[], R]) -> R:
        """Make one call.

        Args:
            service: What is called, for example a host name.
            work: Makes the call; an exception counts as a failure of the service, unless it is permanent.

        Returns:
            What the call returned.

        Raises:
            CircuitOpenError: The service failed too often and is left alone for now.
        """
        wait = self.admit(service)
        if wait > 0:
            self.sleep(wait)
        try:
            result = work()
        except BaseException as error:
            self.record_outcome(service, failed=may_pass(error) is not False, cause=error)
            raise
        self.record_outcome(service, failed=False)
        return result

    def attempts(self, wanted: int | None = None) -> int:
        """Return how often one call may be made by a caller who tries again.

        When as many have failed, the caller raises `RetriedSourceError`, and the step is not tried again.

        Args:
            wanted: What the caller was told; None where it was told nothing.

        Returns:
            As many, but never more than `max_attempts`; 4 where neither is known.
        """
        limits = [limit for limit in (wanted, self.max_attempts) if limit is not None]
        return min(limits, default=_ATTEMPTS)

    def admit(self, service: str) -> float:
        """Take a turn for one call; `record_outcome` must follow when the call is over.

        Args:
            service: What is called.

        Returns:
            Seconds to wait before the call.

        Raises:
            CircuitOpenError: The service is left alone for now, or is being tried by another call.
        """
        with self._lock:
            circuit = self._circuits.setdefault(service, _Circuit())
            self._refuse_open(service, circuit)
            if self.rate_limit_per_second is None:
                return 0.0
            if self.reserve is None:
                return self._own_turn(circuit)
        try:
            return self.reserve(redact(service), 1 / self.rate_limit_per_second)
        except BaseException:
            # No call is made, so none is being tried: the circuit would stay open for ever.
            with self._lock:
                circuit.is_tried = False
            raise

    def record_outcome(self, service: str, *, failed: bool, cause: BaseException | None = None) -> None:
        """Say how an admitted call went.

        Args:
            service: What was called.
            failed: Whether the service is at fault; an answer, even an unwelcome one, is no failure.
            cause: What went wrong; of failures in a row the first one is reported.
        """
        with self._lock:
            circuit = self._circuits.setdefault(service, _Circuit())
            circuit.is_tried = False
            if not failed:
                circuit.failures = 0
                return
            circuit.failures += 1
            circuit.opened_at = self.clock()
            if circuit.failures == 1:
                circuit.first_cause = f"{type(cause).__name__}: {text_of(cause)}" if cause else "unknown"
            if circuit.failures == self.failure_threshold:
                self.log.warning(
                    "%s failed %d times in a row and is left alone for %g s at a time; first: %s",
                    service,
                    circuit.failures,
                    self.recovery_timeout,
                    circuit.first_cause,
                )

    def _refuse_open(self, service: str, circuit: _Circuit) -> None:
        if self.failure_threshold is None or circuit.failures < self.failure_threshold:
            return
        remaining = max(0.0, circuit.opened_at + self.recovery_timeout - self.clock())
        if remaining > 0 or circuit.is_tried:
            raise CircuitOpenError(
                f"{service} failed {counted(circuit.failures, 'time')} in a row and is left alone for "
                f"{counted(round(remaining), 'more second')}; first: {circuit.first_cause}; check the "
                "service, or raise circuit_breaker.failure_threshold in resilience.yaml"
            )
        circuit.is_tried = True

    def _own_turn(self, circuit: _Circuit) -> float:
        assert self.rate_limit_per_second is not None
        now = self.clock()
        turn = max(now, circuit.next_call)
        circuit.next_call = turn + 1 / self.rate_limit_per_second
        return turn - now
