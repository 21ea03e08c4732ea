"""One change of a job's parts inside the caller's transaction, and of its status, which follows from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from operator import attrgetter
from typing import Any

from sqlalchemy import Connection

from medkg_dagster.io.times import Clock, stamp
from medkg_dagster.ledger.job_status import JobParts, derive_standing
from medkg_dagster.ledger.models import Job, JobKey, JobRun, RunIdentity, RunStatus, StageRun, StageStatus
from medkg_dagster.ledger.stage_counters import count_stage_end
from medkg_dagster.ledger.statements import job_rows, phase_rows, run_rows, stage_rows

_COUNTED = {RunStatus.STARTED, RunStatus.FAILED, RunStatus.CANCELLED}
_LEFT_BY = {RunStatus.CANCELLED: StageStatus.CANCELLED, RunStatus.REFUSED: StageStatus.REFUSED}
_NOT_DONE = {StageStatus.STARTED, StageStatus.FAILED, StageStatus.CANCELLED, StageStatus.REFUSED}


class JobTransaction:
    """Holds one job while its runs, stages or phases change.

    Args:
        connection: A connection inside a write transaction, or a reading one where nothing is changed.
        clock: Gives the time.
        key: The job.
        lock: Whether other writers of the job are to wait.

    Raises:
        UnknownJobError: There is no such job.
    """

    def __init__(self, connection: Connection, clock: Clock, key: JobKey, *, lock: bool = True) -> None:
        self.connection = connection
        self.job = job_rows.get_job(connection, key, lock=lock)
        self._moment = clock()  # one for all that changes together, and none before the job is held
        self.now = self.later(0)

    def later(self, seconds: float) -> str:
        """Return the time of the change, as it is recorded, or one so many seconds later."""
        return stamp(lambda: self._moment, seconds)

    def begin_run(
        self,
        run: RunIdentity,
        *,
        is_work: bool = False,
        stages: Sequence[str] | None = None,
        goes_on: bool = True,
    ) -> JobRun:
        """Record that a run is at work on the job; saying it twice is once.

        A run that was taken for ended goes on where it begins something, unless a stage of it failed.

        Args:
            run: The run.
            is_work: Whether it does work that goes on while the job waits at a gate.
            stages: The stages of the job's pipeline, where they are known.
            goes_on: Whether a run that is known to have ended is at work again. That it opens its resources
                does not say so: `dagster job execute` opens them once more to read what the run made.
        """
        if stages is not None and self.job.pipeline_stages != tuple(stages):
            self.job = job_rows.change_stages(self.connection, self.job, stages)
        known = run_rows.find_run(self.connection, self.job.key, run.run_id)
        if known is None:
            began = JobRun(run.run_id, run.job_name, is_work, RunStatus.STARTED, None, self.now, None)
            run_rows.put_run(self.connection, self.job.key, began)
            if not is_work:
                self.change_job({"attempts": self.job.attempts + 1}, run.actor)
            return began
        if not goes_on or known.status is RunStatus.STARTED or self._has_lost_a_stage(run.run_id):
            return known
        return self._set_run(known, RunStatus.STARTED, None)

    def conclude_run(self, run: JobRun, status: RunStatus, error: str | None = None) -> None:
        """Record how a run ends, though stages of it may be at work still; what is said first counts.

        Args:
            run: The run as it stands.
            status: How it ends.
            error: Why, where it ends badly.
        """
        if run.status is RunStatus.STARTED:
            self._set_run(run, status, error)

    def end_run(self, run: JobRun, status: RunStatus, error: str | None = None) -> None:
        """Record how a run ended that does nothing any more, and end the stages that it left at work."""
        self.conclude_run(run, status, error)
        left = {StageStatus.STARTED} | (
            {StageStatus.UP_FOR_RETRY} if run.status is RunStatus.STARTED else set()
        )
        # By name, as counters of several stages are counted up here.
        for item in sorted(self.stage_runs(), key=attrgetter("stage")):
            if item.run_id == run.run_id and item.status in left:
                self._set_stage(item, _LEFT_BY.get(status, StageStatus.FAILED), error)
                count_stage_end(self.connection, stage_rows.StageKey(*self.job.key, item.stage))

    def retry_runs(self, job_name: str | None, *, is_work: bool = False) -> None:
        """Let no run that ended badly count any more, nor one that is at work, nor what their stages came to.

        Args:
            job_name: The Dagster job that is to run once more; None for all of the job's pipeline.
            is_work: Whether it does work that goes on while the job waits at a gate.
        """
        phases = phase_rows.list_phases(self.connection, self.job.key)
        others = {phase.phase for phase in phases} - {job_name} if job_name else set()
        for run in run_rows.list_runs(self.connection, self.job.key, _COUNTED):
            if run.is_work == is_work and run.job_name not in others:
                self._set_run(run, RunStatus.RETRIED, run.error)
        # Work at a gate is no stage of the pipeline: that it is done again says nothing of those.
        for item in () if is_work else self.stage_runs():
            made_by = run_rows.find_run(self.connection, self.job.key, item.run_id)
            if item.status in _NOT_DONE and (made_by is None or made_by.job_name not in others):
                self._set_stage(item, StageStatus.UP_FOR_RETRY, item.error)

    def stage_runs(self) -> tuple[StageRun, ...]:
        """Return the latest run of each stage."""
        return stage_rows.list_stage_runs(self.connection, self.job.key)

    def update_job(self, actor: str, reason: str | None = None) -> Job:
        """Let the job stand as its parts say.

        Args:
            actor: Who or what changed them.
            reason: Why.

        Returns:
            The job after the change.
        """
        key, connection = self.job.key, self.connection
        parts = JobParts(
            phases=phase_rows.list_phases(connection, key),
            stage_runs=stage_rows.list_stage_runs(connection, key),
            at_work=run_rows.list_runs(connection, key, {RunStatus.STARTED}),
            last_ended=run_rows.last_ended_run(connection, key, is_work=False),
            last_work=run_rows.last_ended_run(connection, key, is_work=True),
        )
        standing = derive_standing(self.job, parts)
        changes = {"status": standing.status, "phase": standing.gate, "error": standing.error}
        return self.change_job(changes, actor, reason or standing.error)

    def change_job(self, changes: Mapping[str, Any], actor: str, reason: str | None = None) -> Job:
        """Write columns of the job; only what differs is written and recorded."""
        by = job_rows.Attribution(actor, self.now, reason)
        self.job = job_rows.change_job(self.connection, self.job, changes, by)
        return self.job

    def change_fields(self, changes: Mapping[str, Any], actor: str, reason: str) -> None:
        """Set fields of the job by dotted path; only what differs is written and recorded."""
        by = job_rows.Attribution(actor, self.now, reason)
        self.job = job_rows.change_fields(self.connection, self.job, changes, by)

    def _set_run(self, run: JobRun, status: RunStatus, error: str | None) -> JobRun:
        ended_at = None if status is RunStatus.STARTED else self.now
        changed = replace(run, status=status, error=error, ended_at=ended_at)
        run_rows.put_run(self.connection, self.job.key, changed)
        return changed

    def _set_stage(self, item: StageRun, status: StageStatus, error: str | None) -> None:
        key = stage_rows.StageKey(*self.job.key, item.stage)
        values = {"status": status.value, "error": error, "finished_at": item.finished_at or self.now}
        stage_rows.put_stage_run(self.connection, key, values)

    def _has_lost_a_stage(self, run_id: str) -> bool:
        lost = {StageStatus.FAILED, StageStatus.CANCELLED}
        return any(item.run_id == run_id and item.status in lost for item in self.stage_runs())
