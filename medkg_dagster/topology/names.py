"""Names in YAML and what becomes of them in Dagster; every other name that Dagster is given."""

from __future__ import annotations

import keyword
import re
from typing import Annotated

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from medkg_dagster.stage_api._stage_types.outcome_checks import WAITING_CHECK
from medkg_dagster.stage_api._stage_types.rules import DAGSTER_RESERVED, ORDER_INPUT

MAX_NAME = 100

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*", re.ASCII)

LOAD_REPORT = ("medkg", "load_report")
LOAD_REPORT_GROUP = "medkg"
LOAD_REPORT_CHECKS = "load_report_checks"
STAGE_CHECKS = "stage_checks"
PIPELINES_LOAD = "pipelines_load"
PLUGINS_LOAD = "plugins_load"
PLUGINS_UNCHANGED = "plugins_unchanged"
JOBS_GO_ON = "jobs_go_on"
LOAD_REPORT_SENSOR = "load_report"
ENDED_RUNS_SENSOR = "ended_runs"
ALERTS_SENSOR = "alerts"
LEDGER_JOB_RESOURCE = "medkg_ledger_job"
STATE_RESOURCE = "medkg_state"
APPROVE, REJECT = DECISIONS = ("approve", "reject")
"""What a person may say of a gate."""


def dagster_name(name: str) -> str:
    """Return a YAML name as a Dagster name: hyphens become underscores."""
    return name.replace("-", "_")


def asset_path(pipeline: str, stage: str) -> tuple[str, str]:
    """Return the path of the asset that a stage materializes."""
    return dagster_name(pipeline), dagster_name(stage)


def group_name(pipeline: str) -> str:
    """Return the name of the group that a pipeline's assets are in."""
    return dagster_name(pipeline)


def job_name(pipeline: str, after_gate: str | None = None) -> str:
    """Return the name of the job of a phase: the first one, or the one behind a gate."""
    first = dagster_name(pipeline)
    return first if after_gate is None else f"{first}__after_{dagster_name(after_gate)}"


def graph_name(pipeline: str) -> str:
    """Return the name of a pipeline's graph: the first part of its step keys and of its run configuration.

    Dagster wants graphs, ops and jobs of a code location to have different names; the job has the pipeline's.
    """
    return f"{dagster_name(pipeline)}__stages"


def op_name(pipeline: str, stage: str) -> str:
    """Return the name of a stage's op definition."""
    return f"{dagster_name(pipeline)}__{dagster_name(stage)}"


def order_input_name(stage: str) -> str:
    """Return the name of an op's input that only waits for another stage."""
    return f"{ORDER_INPUT}{dagster_name(stage)}"


def waiting_check_op_name(pipeline: str, stage: str) -> str:
    """Return the name that Dagster gives the op of the check on a gate's stage."""
    return f"{op_name(pipeline, stage)}_{WAITING_CHECK}"


def submission_sensor_name(pipeline: str) -> str:
    """Return the name of the sensor that starts submitted jobs."""
    return f"{dagster_name(pipeline)}__submissions"


def gate_sensor_name(pipeline: str, gate: str) -> str:
    """Return the name of the sensor of a gate."""
    return f"{dagster_name(pipeline)}__gate_{dagster_name(gate)}"


def decision_job_name(pipeline: str, gate: str, decision: str) -> str:
    """Return the name of the job by which a person decides a gate: one of `DECISIONS`."""
    return f"{dagster_name(pipeline)}__{decision}_{dagster_name(gate)}"


def decision_op_name(pipeline: str, gate: str, decision: str) -> str:
    """Return the name of the one op of that job."""
    return f"{decision_job_name(pipeline, gate, decision)}__decide"


def decision_choices_name(pipeline: str, gate: str, decision: str, number: int) -> str:
    """Return the name of the type of what that job may be given for a field of the gate, by its place."""
    return f"{decision_job_name(pipeline, gate, decision)}__choices_{number}"


def trigger_name(pipeline: str, trigger: str) -> str:
    """Return the name of the schedule or sensor of a trigger."""
    return f"{dagster_name(pipeline)}__trigger_{dagster_name(trigger)}"


def partition_set_name(pipeline: str) -> str:
    """Return the name of the dynamic partitions that are a pipeline's ledger jobs."""
    return pipeline


def is_reserved(name: str) -> bool:
    """Say whether Dagster would refuse the name."""
    return name in DAGSTER_RESERVED or keyword.iskeyword(name)


def _check_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise PydanticCustomError("name", "a name is letters, digits, '-' and '_', beginning with a letter")
    if len(name) > MAX_NAME:
        raise PydanticCustomError("name", "a name has at most 100 characters")
    if is_reserved(dagster_name(name)):
        raise PydanticCustomError("name", "the name is reserved by Dagster or Python; choose another")
    return name


Name = Annotated[str, AfterValidator(_check_name)]
"""A name that stays valid in Dagster."""
