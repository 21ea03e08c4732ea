import pytest

from medkg_dagster.errors import (
    BatchFailedError,
    BatchInterruptedError,
    CircuitOpenError,
    ConfigError,
    DownloadsDeferredError,
    IsolatedStageError,
    LedgerError,
    PermanentSourceError,
    RetriedSourceError,
    SourceError,
    StageContractError,
    StageLimitError,
    StoreError,
)
from medkg_dagster.runtime.policies import backoff, external_calls, is_retryable
from medkg_dagster.topology.models import ResiliencePolicy


def policy(strategy: str, *, jitter: bool = False) -> ResiliencePolicy:
    return ResiliencePolicy.model_validate(
        {
            "max_attempts": 10,
            "backoff": {"strategy": strategy, "initial": 1.0, "maximum": 10.0, "jitter": jitter},
            "circuit_breaker": {"failure_threshold": 3, "recovery_timeout": 5.0},
            "rate_limit": {"rate_limit_per_second": 4.0},
        }
    )


@pytest.mark.parametrize(
    ("strategy", "delays"),
    [("exponential", [1, 2, 4, 8, 10]), ("linear", [1, 2, 3, 4, 5]), ("none", [1, 1, 1, 1, 1])],
)
def test_delays_follow_the_strategy_up_to_the_maximum(strategy: str, delays: list[float]) -> None:
    waits = backoff(policy(strategy))

    assert [waits.wait(retry) for retry in range(1, 6)] == delays


def test_the_delay_of_the_last_possible_attempt_is_the_maximum() -> None:
    assert backoff(policy("exponential")).wait(99) == 10


def test_jitter_stays_between_nothing_and_the_maximum() -> None:
    waits = backoff(policy("exponential", jitter=True))

    delays = [waits.wait(retry) for retry in range(1, 8) for _ in range(50)]
    assert all(0 <= delay <= 10 for delay in delays)
    assert len(set(delays)) > 10


def test_breaker_and_rate_limit_reach_the_calls_of_the_stage() -> None:
    calls = external_calls(policy("none"))

    assert (calls.failure_threshold, calls.recovery_timeout, calls.rate_limit_per_second) == (3, 5.0, 4.0)


def test_attempts_and_waits_reach_the_calls_of_the_stage() -> None:
    calls = external_calls(policy("linear"))

    assert [calls.attempts(wanted) for wanted in (None, 4, 99)] == [10, 4, 10]
    assert calls.backoff.wait(3) == 3.0


def caused_by(cause: Exception) -> Exception:
    interruption = BatchInterruptedError("at doc-1")
    interruption.__cause__ = cause
    return interruption


@pytest.mark.parametrize(
    ("error", "retryable"),
    [
        (SourceError("unreachable"), True),
        (RetriedSourceError("status 503 (attempt 3)"), False),
        (CircuitOpenError("left alone"), False),
        (caused_by(RetriedSourceError("status 503 (attempt 3)")), False),
        (DownloadsDeferredError("1 of 2 files are left"), True),
        (StoreError("locked"), True),
        (LedgerError("refused"), False),
        (ConnectionError("reset"), True),
        (KeyError("what nobody foresaw"), True),
        (FileNotFoundError(2, "No such file or directory"), False),
        (ModuleNotFoundError("No module named 'torch'"), False),
        (PermanentSourceError("status 404"), False),
        (ConfigError("unknown"), False),
        (StageContractError("foreign key"), False),
        (BatchFailedError("all failed"), False),
        (IsolatedStageError("KeyError: 'a'", error_class="KeyError", details=""), True),
        (StageLimitError("more than 512 MB", error_class="MemoryError", details=""), False),
    ],
)
def test_only_what_may_pass_by_itself_is_tried_again(error: Exception, retryable: bool) -> None:
    assert is_retryable(error) is retryable
