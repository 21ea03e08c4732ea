"""Stage runs: the latest run of each stage of a job, and the documents it refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from medkg_dagster.io.sql import Database
from medkg_dagster.ledger.encoding import storable, to_json
from medkg_dagster.ledger.models import (
    DocumentOutcome,
    Job,
    JobKey,
    JobPhase,
    JobStatus,
    PhaseStatus,
    StageRun,
    StageStatus,
)
from medkg_dagster.ledger.statements import job_rows, phase_rows, stage_rows
from medkg_dagster.ledger.statements.job_rows import Attribution
from medkg_dagster.ledger.statements.stage_rows import StageKey
from medkg_dagster.ledger.times import Clock, stamp
from medkg_dagster.stage_api import QuarantinedDocument


class StageRuns:
    """The stage runs of the jobs of a ledger.

    Every method is one transaction and may raise `LedgerError`; those that take a job raise `UnknownJobError`
    where there is none.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def begin(self, key: JobKey, stage: str, run_id: str, *, keep_status: bool = False) -> None:
        """Record that a run begins a stage; the job is running, and a run's first stage is an attempt.

        Args:
            key: The job.
            stage: The stage's name.
            run_id: The run that begins it.
            keep_status: Whether the job's status stays, because it may still be waiting at a gate.
        """
        with self._database.writing() as connection:
            job = job_rows.get_job(connection, key, lock=True)
            now = stamp(self._clock)
            attempts = job.attempts + (not stage_rows.has_run(connection, key, run_id))
            started = {
                "status": StageStatus.STARTED.value,
                "run_id": run_id,
                "output_count": None,
                "counts": "{}",
                "succeeded": 0,
                "quarantined": 0,
                "error": None,
                "started_at": now,
                "finished_at": None,
            }
            stage_rows.put_stage_run(connection, StageKey(*key, stage), started)
            changes: dict[str, Any] = {"attempts": attempts}
            if not keep_status:
                changes |= {"status": JobStatus.RUNNING, "error": None}
            job_rows.change_job(connection, job, changes, Attribution(_run_actor(run_id), now))

    def finish(  # noqa: PLR0917 - place, then counts, then documents: the order in which one tells it
        self,
        key: JobKey,
        stage: str,
        run_id: str,
        output_count: int,
        succeeded: int,
        quarantined: Sequence[QuarantinedDocument] = (),
        counts: Mapping[str, int] | None = None,
    ) -> None:
        """Record that a stage did its work; ignored where another run has begun the stage since.

        Args:
            key: The job.
            stage: The stage's name.
            run_id: The run it belongs to.
            output_count: What the type's output counter said.
            succeeded: Documents processed without error.
            quarantined: Documents refused; they take the place of an earlier run's.
            counts: The number of values per state key, and other counts worth keeping.
        """
        values = {
            "status": StageStatus.FINISHED.value,
            "output_count": output_count,
            "counts": to_json(dict(counts or {}), "counts"),
            "succeeded": succeeded,
            "error": None,
        }
        self._end(StageKey(*key, stage), run_id, values, quarantined)

    def fail(
        self,
        key: JobKey,
        stage: str,
        run_id: str,
        error: str,
        quarantined: Sequence[QuarantinedDocument] = (),
    ) -> None:
        """Record that a stage failed; ignored where another run has begun the stage since."""
        values = {"status": StageStatus.FAILED.value, "error": storable(error)}
        self._end(StageKey(*key, stage), run_id, values, quarantined)

    def of_job(self, key: JobKey) -> tuple[StageRun, ...]:
        """Return the latest run of each stage of a job, in the order they began."""
        with self._database.reading() as connection:
            job_rows.get_job(connection, key)
            return stage_rows.list_stage_runs(connection, key)

    def outcomes(self, key: JobKey, stage: str | None = None) -> tuple[DocumentOutcome, ...]:
        """Return the documents that the latest run of each stage, or of one stage, refused."""
        with self._database.reading() as connection:
            job_rows.get_job(connection, key)
            return stage_rows.list_outcomes(connection, key, stage)

    def update_job_status(
        self,
        key: JobKey,
        stages: Sequence[str],
        *,
        run_id: str | None = None,
        selected: Sequence[str] = (),
        unselected: Sequence[str] = (),
    ) -> Job:
        """Set a job's status from its stage runs and gates.

        A stage failed: failed. A gate was rejected or timed out: as that left it. All finished: waiting where
        it waits at a gate, else succeeded. Otherwise running.

        Args:
            key: The job.
            stages: The stages that make up the job.
            run_id: The run that asks.
            selected: The stages this run executes: what an earlier run finished of them does not count, so
                that a second run is not taken for finished after its first stage.
            unselected: Stages that this run does not execute, and without which the job has not succeeded if
                they failed.

        Returns:
            The job; unchanged where no stage has begun.
        """
        with self._database.writing() as connection:
            job = job_rows.get_job(connection, key, lock=True)
            phases = phase_rows.list_phases(connection, key)
            runs = {run.stage: run for run in stage_rows.list_stage_runs(connection, key)}
            stale = {stage for stage in selected if stage in runs and runs[stage].run_id != run_id}
            counted = [runs[stage] for stage in stages if stage in runs and stage not in stale]
            if not counted or (job.status in _CLOSED and any(phase.status in _CLOSING for phase in phases)):
                return job
            changes = _verdict(counted, len(stages), phases)
            if changes["status"] is JobStatus.SUCCEEDED:
                failed = [runs[stage] for stage in unselected if stage in runs]
                changes |= _failure(failed) or {}
            actor = _run_actor(run_id) if run_id else "settle"
            changed = Attribution(actor, stamp(self._clock), changes["error"])
            return job_rows.change_job(connection, job, changes, changed)

    def _end(
        self,
        key: StageKey,
        run_id: str,
        values: dict[str, Any],
        quarantined: Sequence[QuarantinedDocument],
    ) -> None:

        with self._database.writing() as connection:
            job_rows.get_job(connection, key.job, lock=True)
            now = stamp(self._clock)
            if stage_rows.latest_run_id(connection, key) not in {None, run_id}:
                return
            ended = {**values, "run_id": run_id, "quarantined": len(quarantined), "finished_at": now}
            stage_rows.put_stage_run(connection, key, ended)
            stage_rows.replace_outcomes(connection, key, quarantined, now)


_CLOSED = {JobStatus.REJECTED, JobStatus.FAILED, JobStatus.SKIPPED, JobStatus.QUARANTINED}
_CLOSING = {PhaseStatus.REJECTED, PhaseStatus.TIMED_OUT}


def _verdict(runs: Sequence[StageRun], expected: int, phases: Sequence[JobPhase]) -> dict[str, Any]:
    failure = _failure(runs)
    if failure is not None:
        return failure
    if len(runs) < expected or any(run.status is not StageStatus.FINISHED for run in runs):
        return {"status": JobStatus.RUNNING, "error": None}
    waits = {PhaseStatus.WAITING, PhaseStatus.DUE}
    gates = [phase.gate for phase in phases if phase.gate is not None and phase.status in waits]
    if gates:
        return {"status": JobStatus.WAITING, "phase": gates[0], "error": None}
    return {"status": JobStatus.SUCCEEDED, "error": None}


def _failure(runs: Sequence[StageRun]) -> dict[str, Any] | None:
    for run in runs:
        if run.status is StageStatus.FAILED:
            return {"status": JobStatus.FAILED, "error": f"{run.stage}: {run.error}"}
    return None


def _run_actor(run_id: str) -> str:
    return f"run {run_id}"
