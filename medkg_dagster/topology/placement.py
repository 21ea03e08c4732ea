"""Where a stage is carried out, and what it is given there, as written in YAML."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from medkg_dagster.domain import StrictModel
from medkg_dagster.errors import did_you_mean
from medkg_dagster.settings import EXECUTORS

ExecutorName = Literal["in_process", "multiprocess", "celery", "k8s"]

_CPU = re.compile(r"[0-9]+(\.[0-9]+)?|[0-9]+m", re.ASCII)
_MEMORY = re.compile(r"[0-9]+(\.[0-9]+)?(Ki|Mi|Gi|Ti|k|M|G|T)", re.ASCII)
_POOL = re.compile(r"[A-Za-z0-9_/-]+", re.ASCII)


def check_executor(value: Any) -> Any:
    """Refuse a name that no executor has."""
    if isinstance(value, str) and value not in EXECUTORS:
        raise PydanticCustomError(
            "executor",
            "there is no executor '{name}': {known}",
            {"name": value, "known": did_you_mean(value, EXECUTORS)},
        )
    return value


def cpu_text(value: Any) -> Any:
    """Take a number of processors for its text."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _check_cpu(cpu: str) -> str:
    if not _CPU.fullmatch(cpu) or not float(cpu.removesuffix("m")):
        raise PydanticCustomError("cpu", "cpu is a number of processors as 2 or 0.5, or thousandths as 500m")
    return cpu


def _check_memory(memory: str) -> str:
    if not _MEMORY.fullmatch(memory) or not float(memory.rstrip("KMGTik")):
        raise PydanticCustomError(
            "memory", "memory is a number with one of the units Ki, Mi, Gi, Ti, k, M, G, T, as 512Mi or 4Gi"
        )
    return memory


def _check_pool(pool: str) -> str:
    if not _POOL.fullmatch(pool):
        raise PydanticCustomError("pool", "the name of a pool is letters, digits, '_', '-' and '/'")
    return pool


PoolName = Annotated[str, AfterValidator(_check_pool)]
Executor = Annotated[ExecutorName, BeforeValidator(check_executor)]


class StageResources(StrictModel):
    """What a stage is given on Kubernetes. Other executors take what their machine has.

    Attributes:
        cpu: Processors that are kept for it, as `2`, `0.5` or `500m`.
        memory: Memory that is kept for it, and beyond which it is ended, as `512Mi` or `4Gi`.
        gpu: GPUs of NVIDIA.
    """

    cpu: Annotated[str, BeforeValidator(cpu_text), AfterValidator(_check_cpu)] | None = None
    memory: Annotated[str, AfterValidator(_check_memory)] | None = None
    gpu: int | None = Field(default=None, ge=0, le=64)
