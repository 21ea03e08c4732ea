"""Dagster's executors, which record in the ledger how a run ended between its steps."""

from collections.abc import Iterator
from typing import Any

from dagster import (
    DagsterEvent,
    DagsterRunStatus,
    Executor,
    ExecutorDefinition,
    InitExecutorContext,
    in_process_executor,
    multiprocess_executor,
)

from medkg_dagster.compiler.distributed import celery_executor, k8s_executor
from medkg_dagster.compiler.ended_runs import record_end
from medkg_dagster.ledger import JobLedger, RunStatus
from medkg_dagster.resolution.plan import PipelinePlan
from medkg_dagster.runtime.celery_app import celery_arguments
from medkg_dagster.runtime.dagster_internals import (
    ExecutionPlan,
    PlanOrchestrationContext,
    RetryMode,
    StepDependencyConfig,
    capture_interrupts,
)
from medkg_dagster.runtime.failures import INTERRUPTS
from medkg_dagster.runtime.pipe_events import pipe_events
from medkg_dagster.runtime.run_processes import process_tags
from medkg_dagster.settings import Settings

# Forked from a server that has loaded all but what depends on the deployment, a step process starts at once.
_PRELOADED = ["medkg_dagster.compiler.compile_plan", "dagster._core.storage.sqlite_storage"]
_START_METHOD_NAME = "forkserver"
_START_METHOD = {"start_method": {_START_METHOD_NAME: {"preload_modules": _PRELOADED}}}


class Executors:
    """The executors of a deployment, each made when the first pipeline asks for it.

    Args:
        settings: Which one is used where a pipeline does not say, and where ledger and broker are.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._made: dict[str, ExecutorDefinition] = {}

    @property
    def default(self) -> ExecutorDefinition:
        """That of pipelines which do not say how they are executed.

        Raises:
            ConfigError: It cannot be used here.
        """
        if self._settings.executor == "celery":
            celery_arguments(self._settings)
        return self.get(self._settings.executor)

    def name_for(self, pipeline: PipelinePlan) -> str:
        """Return the name of the executor of a pipeline's jobs."""
        return pipeline.topology.execution or self._settings.executor

    def get(self, name: str) -> ExecutorDefinition:
        """Return the executor of that name.

        Raises:
            ConfigError: It cannot be used here.
        """
        if name not in self._made:
            self._made[name] = self._make(name)
        return self._made[name]

    def _make(self, name: str) -> ExecutorDefinition:
        settings = self._settings
        if name == "celery":
            return _recording(celery_executor(settings), settings)
        if name == "k8s":
            return _recording(k8s_executor(), settings)
        if name == "multiprocess":
            return _recording(multiprocess_executor, settings).configured(_START_METHOD, name="multiprocess")
        return _recording(in_process_executor, settings)


class _RecordingExecutor(Executor):
    """Executes as another executor does.

    A step records what becomes of it. Where the run is stopped while no step of it is at work, or a step's
    process is lost, the process of the run alone knows.
    """

    def __init__(self, executor: Executor, settings: Settings) -> None:
        self._executor = executor
        self._settings = settings

    @property
    def retries(self) -> RetryMode:
        """Whether steps may be tried again."""
        return self._executor.retries

    @property
    def step_dependency_config(self) -> StepDependencyConfig:
        """What a step waits for."""
        return self._executor.step_dependency_config

    def app_args(self) -> dict[str, Any]:
        """Return what the application of Celery is made of, for the executor that asks for it."""
        arguments: dict[str, Any] = self._executor.app_args()  # type: ignore[attr-defined]  # it is Celery's
        return arguments

    def execute(
        self, plan_context: PlanOrchestrationContext, execution_plan: ExecutionPlan
    ) -> Iterator[DagsterEvent]:
        """Execute the steps of a run, which names the process that carries it out."""
        # Steps may have processes of their own, which cannot tell whether this one is still there.
        plan_context.instance.add_run_tags(plan_context.run_id, process_tags(plan_context.run_id))
        try:
            with pipe_events(_START_METHOD_NAME):
                yield from self._executor.execute(plan_context, execution_plan)
        except INTERRUPTS:
            self._record(plan_context, is_cancelled=True)
            raise
        except Exception:
            self._record(plan_context, is_cancelled=False)
            raise

    def _record(self, plan_context: PlanOrchestrationContext, *, is_cancelled: bool) -> None:
        with capture_interrupts():
            # Its tags and its status may have changed since it began.
            run = plan_context.instance.get_run_by_id(plan_context.run_id)
            if run is None or not JobLedger.exists(self._settings):
                return
            is_stopped = is_cancelled or run.status is DagsterRunStatus.CANCELING
            with JobLedger.of(self._settings) as ledger:
                record_end(ledger, run, RunStatus.CANCELLED if is_stopped else RunStatus.FAILED)


def _recording(definition: ExecutorDefinition, settings: Settings) -> ExecutorDefinition:
    create = definition.executor_creation_fn
    assert create is not None

    def create_recording(context: InitExecutorContext) -> Executor:
        return _RecordingExecutor(create(context), settings)

    return ExecutorDefinition(
        definition.name,
        config_schema=definition.config_schema.as_field(),
        requirements=definition.get_requirements,
        executor_creation_fn=create_recording,
        description=definition.description,
    )
