"""Tags that tell of a run which part of which ledger job it works on."""

from typing import Any

from medkg_dagster.ledger import JobPhase

PARTITION_TAG = "dagster/partition"
"""Dagster's own: the partition key, which is the ledger job's id."""

PIPELINE_TAG = "medkg/pipeline"
JOB_TAG = "medkg/job"
"""The ledger job of a run without partition."""

ATTEMPT_TAG = "medkg/attempt"
"""The attempt of its phase that the run was started for."""

TRIGGER_TAG = "medkg/trigger"
"""The trigger that asked for the run."""

ACTOR_TAG = "medkg/actor"
"""Who asked for the run, as the proxy before the webserver says: no browser can set it, see `webserver`."""

PROCESS_TAG = "medkg/process"
"""The process that carries out the run, see `run_processes`."""


def phase_tags(phase: JobPhase) -> dict[str, str]:
    """Return the tags of a run that is to carry out a phase.

    The partition is a tag: as a key, Dagster would look it up before the tick of a sensor has added it.
    """
    return {
        PARTITION_TAG: phase.job_id,
        PIPELINE_TAG: phase.pipeline,
        ATTEMPT_TAG: str(phase.attempt),
    }


def work_tags(phase: JobPhase) -> dict[str, str]:
    """Return the tags of a run that is to do what goes on while a job waits; it has no partition."""
    return {PIPELINE_TAG: phase.pipeline, JOB_TAG: phase.job_id, ATTEMPT_TAG: str(phase.attempt)}


def work_config(phase: JobPhase, op_name: str) -> dict[str, Any]:
    """Return the configuration of that run."""
    return {"ops": {op_name: {"config": {"pipeline": phase.pipeline, "job_id": phase.job_id}}}}
