from concurrent.futures import ThreadPoolExecutor

import pytest

from medkg_dagster.errors import CircuitOpenError, LedgerError, PermanentSourceError
from medkg_dagster.stage_api import ExternalCalls


class Clock:
    """A clock that only sleeping and `pass_time` move."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def pass_time(self, seconds: float) -> None:
        self.now += seconds


def guarded(clock: Clock) -> ExternalCalls:
    return ExternalCalls(failure_threshold=2, recovery_timeout=60, clock=clock, sleep=clock.pass_time)


def fail() -> None:
    raise ConnectionError("refused")


def fail_twice(calls: ExternalCalls, service: str) -> None:
    for _ in range(2):
        with pytest.raises(ConnectionError):
            calls.call(service, fail)


def test_calls_to_one_service_keep_the_pace() -> None:
    clock = Clock()
    calls = ExternalCalls(rate_limit_per_second=2, clock=clock, sleep=clock.pass_time)

    moments = [calls.call("api.example.org", clock) for _ in range(4)]

    assert moments == [0.0, 0.5, 1.0, 1.5]


def test_each_service_has_a_pace_of_its_own() -> None:
    clock = Clock()
    calls = ExternalCalls(rate_limit_per_second=1, clock=clock, sleep=clock.pass_time)

    assert [calls.call(service, clock) for service in ("one", "two")] == [0.0, 0.0]


def test_a_service_that_keeps_failing_is_left_alone() -> None:
    calls = guarded(Clock())
    fail_twice(calls, "api.example.org")

    with pytest.raises(CircuitOpenError, match=r"api\.example\.org failed 2 times in a row"):
        calls.call("api.example.org", lambda: "never made")


def test_a_circuit_that_opens_says_so_once_and_later_calls_name_the_first_cause(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = Clock()
    calls = guarded(clock)

    causes = iter([ConnectionError("first"), TimeoutError("second")])

    def raise_next() -> None:
        raise next(causes)

    for error in (ConnectionError, TimeoutError, CircuitOpenError, CircuitOpenError):
        with pytest.raises(error) as refused:
            calls.call("api.example.org", raise_next)
    clock.pass_time(60)
    with pytest.raises(ConnectionError):
        calls.call("api.example.org", fail)

    assert "first: ConnectionError: first;" in str(refused.value)
    (said,) = (record.getMessage() for record in caplog.records)
    assert said == (
        "api.example.org failed 2 times in a row and is left alone for 60 s at a time; "
        "first: ConnectionError: first"
    )


@pytest.mark.parametrize("answer", [PermanentSourceError("status 404"), FileNotFoundError("no such file")])
def test_a_permanent_error_is_an_answer_and_opens_no_circuit(answer: Exception) -> None:
    calls = guarded(Clock())

    def refuse() -> None:
        raise answer

    for _ in range(5):
        with pytest.raises(type(answer)):
            calls.call("api.example.org", refuse)

    assert calls.call("api.example.org", lambda: "answer") == "answer"


def test_other_services_are_called_all_the_same() -> None:
    calls = guarded(Clock())
    fail_twice(calls, "api.example.org")

    assert calls.call("other.example.org", lambda: "answer") == "answer"


def test_after_the_recovery_time_one_success_closes_the_circuit() -> None:
    clock = Clock()
    calls = guarded(clock)
    fail_twice(calls, "api.example.org")
    clock.pass_time(60)

    assert calls.call("api.example.org", lambda: "answer") == "answer"
    with pytest.raises(ConnectionError):
        calls.call("api.example.org", fail)
    assert calls.call("api.example.org", lambda: "answer") == "answer"


def test_after_the_recovery_time_one_failure_opens_the_circuit_again() -> None:
    clock = Clock()
    calls = guarded(clock)
    fail_twice(calls, "api.example.org")
    clock.pass_time(60)

    with pytest.raises(ConnectionError):
        calls.call("api.example.org", fail)
    with pytest.raises(CircuitOpenError):
        calls.call("api.example.org", lambda: "never made")


def test_only_one_call_tries_a_service_that_was_left_alone() -> None:
    clock = Clock()
    calls = guarded(clock)
    fail_twice(calls, "api.example.org")
    clock.pass_time(60)

    calls.admit("api.example.org")
    with pytest.raises(CircuitOpenError):
        calls.admit("api.example.org")
    calls.record_outcome("api.example.org", failed=False)

    assert calls.admit("api.example.org") == 0


def test_turns_can_be_shared_with_others() -> None:
    clock = Clock()
    turns: list[tuple[str, float]] = []

    def reserve(service: str, interval: float) -> float:
        turns.append((service, interval))
        return 3.0

    calls = ExternalCalls(rate_limit_per_second=2, clock=clock, sleep=clock.pass_time, reserve=reserve)

    assert calls.call("api.example.org", clock) == 3.0
    assert turns == [("api.example.org", 0.5)]


def test_a_turn_that_cannot_be_taken_leaves_the_service_to_the_next_call() -> None:
    clock, is_locked = Clock(), False

    def reserve(_service: str, _interval: float) -> float:
        if is_locked:
            raise LedgerError("the ledger is locked")
        return 0.0

    calls = ExternalCalls(
        rate_limit_per_second=2,
        failure_threshold=2,
        recovery_timeout=60,
        clock=clock,
        sleep=clock.pass_time,
        reserve=reserve,
    )
    fail_twice(calls, "api.example.org")
    clock.pass_time(61)
    is_locked = True
    with pytest.raises(LedgerError):
        calls.call("api.example.org", lambda: "made")
    is_locked = False

    assert calls.call("api.example.org", lambda: "made") == "made"


def test_without_a_limit_no_turn_is_taken() -> None:
    calls = ExternalCalls(reserve=lambda service, interval: pytest.fail(f"{service} {interval}"))

    assert calls.call("api.example.org", lambda: "answer") == "answer"


def test_threads_share_pace_and_circuit() -> None:
    calls = ExternalCalls(rate_limit_per_second=1000, failure_threshold=10_000, clock=Clock())

    with ThreadPoolExecutor(8) as threads:
        waits = sorted(threads.map(lambda _: calls.admit("api.example.org"), range(200)))
        list(threads.map(lambda _: calls.record_outcome("api.example.org", failed=True), range(200)))

    assert waits == pytest.approx([turn / 1000 for turn in range(200)])
    calls.failure_threshold = 200
    with pytest.raises(CircuitOpenError, match="failed 200 times"):
        calls.admit("api.example.org")
