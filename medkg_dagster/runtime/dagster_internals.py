"""What Dagster does not export and this package needs: its places may move with any release of Dagster."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dagster import BetaWarning, DagsterInstance, DataVersion, MetadataValue, Output, RepositoryDefinition
from dagster._core.definitions.assets.job.asset_job import IMPLICIT_ASSET_JOB_NAME
from dagster._core.definitions.definition_config_schema import (
    convert_user_facing_definition_config_schema as as_definition_schema,
)
from dagster._core.definitions.output import OutputDefinition
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition
from dagster._core.errors import DagsterUserCodeProcessError
from dagster._core.execution.context.system import PlanOrchestrationContext
from dagster._core.execution.plan.outputs import StepOutputHandle
from dagster._core.execution.plan.plan import ExecutionPlan
from dagster._core.execution.plan.state import KnownExecutionState
from dagster._core.execution.plan.step import ExecutionStep
from dagster._core.execution.retries import RetryMode, get_retries_config
from dagster._core.execution.step_dependency_config import StepDependencyConfig
from dagster._core.instance.runs.run_domain import RunDomain
from dagster._serdes import serialize_value
from dagster._utils.interrupts import capture_interrupts
from dagster_shared.error import SerializableErrorInfo

if TYPE_CHECKING:
    from dagster._core.remote_representation.external_data import RepositorySnap

__all__ = [
    "IMPLICIT_ASSET_JOB_NAME",
    "DagsterUserCodeProcessError",
    "ExecutionPlan",
    "ExecutionStep",
    "KnownExecutionState",
    "OutputDefinition",
    "PlanOrchestrationContext",
    "RetryMode",
    "RunDomain",
    "SerializableErrorInfo",
    "StepDependencyConfig",
    "StepOutputHandle",
    "UnresolvedAssetJobDefinition",
    "as_definition_schema",
    "capture_interrupts",
    "get_retries_config",
    "launcher_names",
    "repository_snapshot",
    "serialize_value",
    "versioned_output",
]


def launcher_names(instance: DagsterInstance) -> tuple[str, ...]:
    """Return the class and module that launch an instance's runs; none where it is in memory alone."""
    data = instance.get_ref().run_launcher_data if instance.is_persistent else None
    return () if data is None else (data.class_name, data.module_name)


def versioned_output(
    value: Any, name: str, metadata: Mapping[str, MetadataValue[Any]], version: str
) -> Output[Any]:
    """Return an op's output with its data version, which Dagster still calls a beta."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BetaWarning)
        return Output(value, name, metadata=metadata, data_version=DataVersion(version))


def repository_snapshot(repository: RepositoryDefinition) -> RepositorySnap:
    """Return what a code server serves of a repository; its module is large, and no run needs it."""
    from dagster._core.remote_representation.external_data import RepositorySnap

    return RepositorySnap.from_def(repository, defer_snapshots=True)
