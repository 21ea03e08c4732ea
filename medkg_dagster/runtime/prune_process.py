"""A process that removes from Dagster's storage what standard input names, and tells how much, as JSON."""

import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from medkg_dagster.runtime.tags import JOB_TAG, PARTITION_TAG, PIPELINE_TAG

if TYPE_CHECKING:
    from dagster import DagsterInstance, RunRecord

_AT_ONCE = 500


def main() -> None:
    """Remove old runs with their events and logs, and partitions of jobs that ended long ago."""
    from dagster import DagsterInstance

    asked = json.loads(sys.stdin.read())
    before = datetime.fromisoformat(asked["before"])
    with DagsterInstance.get() as instance:
        told = remove(instance, before, asked["ended"], is_dry=asked["dry_run"])
    print(json.dumps(told))


def remove(
    instance: "DagsterInstance", before: datetime, ended: Mapping[str, Sequence[str]], *, is_dry: bool
) -> dict[str, int]:
    """Remove runs that ended before a time, and partitions of ledger jobs that did.

    Of any other ledger job the last run of each Dagster job stays: it says when the assets of that partition
    were materialized.

    Args:
        instance: Dagster's instance.
        before: The time.
        ended: By pipeline the ledger jobs that ended before it.
        is_dry: Only count.

    Returns:
        `runs` and `partitions` that were removed, `kept_runs` that are as old, and `kept_partitions`.
    """
    gone = {(pipeline, job) for pipeline, jobs in ended.items() for job in jobs}
    latest: set[tuple[str, str, str]] = set()
    old: list[str] = []
    kept = 0
    for record in _ended_runs(instance):
        run = record.dagster_run
        job = run.tags.get(PIPELINE_TAG, ""), run.tags.get(PARTITION_TAG) or run.tags.get(JOB_TAG, "")
        is_last = bool(job[1]) and job not in gone and (run.job_name, *job) not in latest
        latest.add((run.job_name, *job))
        if record.update_timestamp < before:
            kept += is_last
            old += [] if is_last else [run.run_id]
    told = {"runs": len(old), "kept_runs": kept, "partitions": 0, "kept_partitions": 0}
    for run_id in [] if is_dry else old:
        instance.delete_run(run_id)
        _remove_files(run_id)
    for pipeline, jobs in ended.items():
        there = set(instance.get_dynamic_partitions(pipeline))
        unused = sorted(there.intersection(jobs))
        told["partitions"] += len(unused)
        told["kept_partitions"] += len(there) - len(unused)
        for job_id in [] if is_dry else unused:
            instance.delete_dynamic_partition(pipeline, job_id)
    return told


def _ended_runs(instance: "DagsterInstance") -> Iterator["RunRecord"]:
    """Yield the runs that have ended, the latest first."""
    from dagster import DagsterRunStatus, RunsFilter

    ended = RunsFilter(
        statuses=[DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED]
    )
    cursor = None
    while records := instance.get_run_records(ended, limit=_AT_ONCE, cursor=cursor):
        yield from records
        cursor = records[-1].dagster_run.run_id


def _remove_files(run_id: str) -> None:
    """Remove what Dagster's default storage leaves of a run: the file of its events, and what it printed."""
    home = Path(os.environ["DAGSTER_HOME"])
    for name in (f"{run_id}.db", f"{run_id}.db-wal", f"{run_id}.db-shm"):
        (home / "history" / "runs" / name).unlink(missing_ok=True)
    shutil.rmtree(home / "storage" / run_id, ignore_errors=True)


if __name__ == "__main__":
    main()
