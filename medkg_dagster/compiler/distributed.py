"""Executors that carry out steps on other machines, each with an extra of the package."""

from __future__ import annotations

from typing import Any

from dagster import (
    Executor,
    ExecutorDefinition,
    InitExecutorContext,
    multiple_process_executor_requirements,
)

from medkg_dagster.errors import ConfigError
from medkg_dagster.resolution.executors import missing_extra
from medkg_dagster.runtime.celery_app import celery_arguments
from medkg_dagster.runtime.dagster_internals import RetryMode, get_retries_config
from medkg_dagster.settings import Settings


def celery_executor(settings: Settings) -> ExecutorDefinition:
    """Return the executor that leaves each step to a worker of Celery.

    Args:
        settings: Where broker and results are. A run looks there itself, so no address gets into Dagster.

    Raises:
        ConfigError: The extra is not installed.
    """
    _demand("celery")

    def create(context: InitExecutorContext) -> Executor:
        from medkg_dagster.compiler.celery_steps import WatchingCeleryExecutor

        retries = RetryMode.from_config(context.executor_config["retries"])  # type: ignore[arg-type]  # as its schema says
        made: Executor = WatchingCeleryExecutor(retries=retries, **celery_arguments(settings))  # type: ignore[no-untyped-call]
        return made

    return ExecutorDefinition(
        "celery",
        config_schema={"retries": get_retries_config()},
        requirements=multiple_process_executor_requirements(),
        executor_creation_fn=create,
        description="A worker of Celery for each step.",
    )


def k8s_executor() -> ExecutorDefinition:
    """Return the executor that starts a pod for each step.

    Raises:
        ConfigError: The extra is not installed.
    """
    _demand("k8s")
    from dagster_k8s import k8s_job_executor

    made: ExecutorDefinition = k8s_job_executor
    return made


def resource_tags(cpu: str | None, memory: str | None, gpu: int | None) -> dict[str, Any]:
    """Return the tags of an op by which its pod gets what the stage asks for.

    Processors are kept for it, and it may take more; memory is kept for it, and it may not.

    Args:
        cpu: Processors, as Kubernetes writes them.
        memory: Memory, as Kubernetes writes it.
        gpu: GPUs of NVIDIA.
    """
    requests = {"cpu": cpu, "memory": memory}
    limits = {"memory": memory, "nvidia.com/gpu": None if not gpu else str(gpu)}
    given = {
        kind: {name: value for name, value in values.items() if value is not None}
        for kind, values in (("requests", requests), ("limits", limits))
    }
    resources = {kind: values for kind, values in given.items() if values}
    return {"dagster-k8s/config": {"container_config": {"resources": resources}}} if resources else {}


def _demand(executor: str) -> None:
    missing = missing_extra(executor)
    if missing is not None:
        raise ConfigError(f"the executor {executor!r} needs {missing.needs}; {missing.hint}")
