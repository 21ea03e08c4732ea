"""Tags that tell of a run which part of which ledger job it works on."""

PARTITION_TAG = "dagster/partition"
"""Dagster's own: the partition key, which is the ledger job's id."""

PIPELINE_TAG = "medkg/pipeline"
JOB_TAG = "medkg/job"
"""The ledger job of a run without partition."""

ATTEMPT_TAG = "medkg/attempt"
"""The attempt of its phase that the run was started for."""

PROCESS_TAG = "medkg/process"
"""The process that carries out the run, see `run_processes`."""
