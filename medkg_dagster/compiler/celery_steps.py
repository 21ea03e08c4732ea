"""Steps in the hands of workers of Celery, which may be lost with what they are at.

A worker acknowledges a step as it begins, so no broker gives it to another worker. Where the worker is lost,
who asked for the step notices, and asks once more as the stage's policy allows.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from celery.exceptions import WorkerLostError
from dagster import DagsterEvent
from dagster_celery.core_execution_loop import core_celery_execution_loop
from dagster_celery.executor import CeleryExecutor, _submit_task

from medkg_dagster.runtime.dagster_internals import SerializableErrorInfo, serialize_value

if TYPE_CHECKING:
    from collections.abc import Iterator

    from celery import Celery
    from celery.result import AsyncResult

    from medkg_dagster.runtime.dagster_internals import (
        ExecutionPlan,
        ExecutionStep,
        KnownExecutionState,
        PlanOrchestrationContext,
    )

LOOK_SECONDS = 5.0
"""How often a worker is asked whether it still has a step."""
SILENT_SECONDS = 30.0
"""A worker that has said nothing for so long is lost; a broker that starts again takes less."""
ANSWER_SECONDS = 2.0


class WatchingCeleryExecutor(CeleryExecutor):
    """Leaves steps to workers of Celery, and notices those that are lost."""

    def execute(
        self, plan_context: PlanOrchestrationContext, execution_plan: ExecutionPlan
    ) -> Iterator[DagsterEvent]:
        """Execute the steps of a run."""
        loop: Iterator[DagsterEvent] = core_celery_execution_loop(plan_context, execution_plan, self._ask)
        return loop

    def _ask(  # noqa: PLR0917 - Dagster's loop gives them by position
        self,
        app: Celery,
        plan_context: PlanOrchestrationContext,
        step: ExecutionStep,
        queue: str,
        priority: int,
        known_state: KnownExecutionState,
    ) -> AskedStep:
        result = _submit_task(app, plan_context, step, queue, priority, known_state)

        def report_lost(why: str) -> DagsterEvent:
            context = plan_context.for_step(step)
            error = SerializableErrorInfo(f"{step.key}: {why}", [], WorkerLostError.__name__)
            return self.log_failure_or_retry_event_after_error(context, error, known_state)

        return AskedStep(app, result, report_lost)


class AskedStep:
    """What came of a step, as Dagster's loop asks for it.

    Args:
        app: The application.
        result: What the worker tells.
        report_lost: Has the step fail, or run once more; returns the event that says so.
    """

    def __init__(self, app: Celery, result: AsyncResult, report_lost: Any) -> None:
        self._result = result
        self._report_lost = report_lost
        self._watch = WorkerWatch(app, result)

    def ready(self) -> bool:
        """Return whether the step has ended, or its worker is lost."""
        return bool(self._result.ready()) or self._watch.is_lost()

    def get(self) -> list[str]:
        """Return the events of the step, or the one that says what becomes of it now."""
        if not self._result.ready():
            # Should it be at work all the same, it is not to go on beside the next attempt.
            self._result.revoke(terminate=True, signal="SIGKILL")
            return [serialize_value(self._report_lost(self._watch.reason))]
        try:
            events: list[str] = self._result.get()
        except WorkerLostError as error:
            return [serialize_value(self._report_lost(f"its process is lost: {error}"))]
        return events

    def revoke(self) -> None:
        """Have the step not begin, or end as one that somebody stops."""
        self._result.revoke(terminate=True, signal="SIGTERM")


class WorkerWatch:
    """Whether the worker that began a step still has it.

    Args:
        app: The application.
        result: What the worker tells of the step.

    Attributes:
        reason: Why the step is lost; empty while it is not.
    """

    def __init__(self, app: Celery, result: AsyncResult) -> None:
        self.reason = ""
        self._app = app
        self._result = result
        self._next_look = time.monotonic() + LOOK_SECONDS
        self._heard_at = time.monotonic()
        self._denials = 0

    def is_lost(self) -> bool:
        """Look, where it is time to, and say whether the step is lost."""
        if not self.reason and time.monotonic() >= self._next_look:
            self._look()
            self._next_look = time.monotonic() + LOOK_SECONDS
        return bool(self.reason)

    def _look(self) -> None:
        worker = self._worker()
        if worker is None:
            # It waits for a worker, however long.
            self._heard_at = time.monotonic()
            return
        try:
            inspect = self._app.control.inspect(destination=[worker], timeout=ANSWER_SECONDS)
            answer = (inspect.query_task(self._result.id) or {}).get(worker)
        except (OSError, self._app.connection_for_write().transport.connection_errors):
            self._heard_at = time.monotonic()  # the broker is away, which says nothing of the worker
            return
        if answer is None:
            if time.monotonic() - self._heard_at > SILENT_SECONDS:
                self.reason = f"the worker {worker} has not answered for {SILENT_SECONDS:g} s"
            return
        self._heard_at = time.monotonic()
        # One that has just ended is in no list of the worker's, and its result is on the way.
        self._denials = 0 if self._result.id in answer else self._denials + 1
        if self._denials > 1 and not self._result.ready():
            self.reason = f"the worker {worker} was started anew and knows nothing of it"

    def _worker(self) -> str | None:
        """Return the name of the worker that began the step; None where none did."""
        told = self._result.info if self._result.state == "STARTED" else None
        worker = told.get("hostname") if isinstance(told, dict) else None
        return worker if isinstance(worker, str) else None
