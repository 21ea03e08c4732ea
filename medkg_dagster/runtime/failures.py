"""How a step ends that did not succeed: once more, or with a failure that is one sentence."""

import signal
import threading
import time
from collections.abc import Mapping
from traceback import TracebackException
from types import FrameType
from typing import Any, NoReturn, Self

from dagster import (
    DagsterError,
    DagsterExecutionInterruptedError,
    Failure,
    MetadataValue,
    OpExecutionContext,
    RetryRequested,
)

from medkg_dagster.errors import IsolatedStageError, MedkgError, StageContractError
from medkg_dagster.runtime.dagster_internals import DagsterUserCodeProcessError, SerializableErrorInfo
from medkg_dagster.stage_api._redaction import showable

INTERRUPTS = (DagsterExecutionInterruptedError, KeyboardInterrupt)
"""What is raised in a step when somebody stops its run."""

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_UNWINDING_SECONDS = 2.0


class InterruptWatch:
    """Remembers that the run is to stop, because what a stage calls may catch what tells it to.

    Pydantic, for one, makes another error of whatever is raised in a model's serializer. While the watch is
    entered, an interrupt is raised in the main thread as Dagster would raise it. More of them change nothing
    for two seconds: a terminal sends one to every process of a run, which passes it on, and what ends child
    processes and removes temporary files must come to its end.

    Attributes:
        received: Whether the run is to stop.
    """

    def __init__(self) -> None:
        self.received = False
        self._at = 0.0
        self._handlers: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._handlers = {number: signal.signal(number, self._take) for number in _SIGNALS}
        return self

    def __exit__(self, *_error: object) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def check(self) -> None:
        """Stop where the run is to stop, and somebody has caught what said so.

        Raises:
            DagsterExecutionInterruptedError: The run is to stop.
        """
        if self.received:
            raise DagsterExecutionInterruptedError

    def _take(self, _number: int, _frame: FrameType | None) -> None:
        now = time.monotonic()
        if self.received and now - self._at < _UNWINDING_SECONDS:
            return
        self.received, self._at = True, now
        raise DagsterExecutionInterruptedError


class StepInterruptedError(DagsterError, DagsterExecutionInterruptedError):
    """Somebody stopped the run while a step was at work.

    Dagster puts an op with a retry policy up for another attempt when it is interrupted, and ops have one for
    the case that their process is lost. Errors of Dagster's own pass that by.
    """


class _DescribedError(DagsterUserCodeProcessError):
    """An error that Dagster shows as it is described here, and not as a trace of Dagster's own calls."""

    def __init__(self, *args: object) -> None:
        super().__init__(*args, user_code_process_error_infos=[])  # type: ignore[no-untyped-call]  # Dagster's

    def describe(self, sentence: str, error: BaseException) -> None:
        """Say what Dagster is to show: a sentence, and the traceback of what nobody foresaw."""
        unforeseen = _unforeseen(error)
        cause = None
        if unforeseen is not None:
            traced = TracebackException.from_exception(showable(unforeseen))
            cause = SerializableErrorInfo.from_traceback(traced)
        shown = SerializableErrorInfo(sentence, [], type(error).__name__, cause)
        self.user_code_process_error_infos = [shown]


class StepFailedError(Failure, _DescribedError):
    """A step failed for good.

    Args:
        sentence: What happened, where, and what to do.
        error: What the step came to.
        metadata: What else the page of the run shows.
    """

    def __init__(
        self, sentence: str, error: BaseException, metadata: Mapping[str, MetadataValue[Any]] | None = None
    ) -> None:
        super().__init__(sentence, metadata, allow_retries=False)
        self.describe(sentence, error)


class StepRetryError(RetryRequested, _DescribedError):
    """A step is tried again."""


def try_again(
    context: OpExecutionContext, failure: StepFailedError, error: BaseException, delay: float
) -> NoReturn:
    """Put a step up for another attempt.

    Where the process of the run itself would wait, deaf to interrupts, the step waits in its place.

    Args:
        context: The step.
        failure: What its attempt came to.
        error: Why.
        delay: Seconds before the next attempt.

    Raises:
        StepRetryError: Always.
    """
    if context.get_step_execution_context().retry_mode.enabled:
        context.log.warning("%s; tried again in %.1f s", failure.description, delay)
        time.sleep(delay)
        delay = 0.0
    retry = StepRetryError(context.retry_number + 1, delay)
    retry.describe(str(failure.description), error)
    raise retry from None


def may_retry(context: OpExecutionContext) -> bool:
    """Say whether the run lets steps be tried again."""
    return not context.get_step_execution_context().retry_mode.disabled


def _unforeseen(error: BaseException) -> BaseException | None:
    """Return what a person needs the traceback of: what is not an error of this package, or hidden in one."""
    if isinstance(error, StageContractError):
        return error.__cause__
    return None if isinstance(error, MedkgError) and not isinstance(error, IsolatedStageError) else error
