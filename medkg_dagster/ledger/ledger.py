"""The job ledger's front door."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from medkg_dagster.ledger.models import (
    DocumentOutcome,
    HistoryEntry,
    Job,
    JobPhase,
    JobStatus,
    PhaseStatus,
    Registration,
    StageRun,
    StageStatus,
)
from medkg_dagster.ledger.times import Clock, stamp, utc_now
from medkg_dagster.settings import Settings
from medkg_dagster.stage_api.context.quarantine import QuarantinedDocument

if TYPE_CHECKING:
    from medkg_dagster.io.sql import Database
    from medkg_dagster.ledger.files import FileLedger
    from medkg_dagster.ledger.phases import PhaseLedger

LEDGER_FILE = "ledger.sqlite"


class JobLedger:
    """Jobs, their history, stage runs and quarantined documents, in SQLite or PostgreSQL.

    Every method is one transaction and may be repeated without changing anything further. Several
    processes may write at once. Close the ledger, or use it as a context manager.

    Every method may raise `LedgerError`; those that take a job raise `UnknownJobError` where there is none.
    """

    def __init__(self, database: Database, clock: Clock = utc_now) -> None:
        self._database = database
        self._clock = clock

    @classmethod
    def open(cls, home: Path, clock: Clock = utc_now) -> JobLedger:
        """Open the ledger of a home folder, made and migrated as needed.

        Args:
            home: The folder for all data (`MEDKG_HOME`).
            clock: Gives the time, with a time zone.
        """
        from medkg_dagster.io.sql import Database
        from medkg_dagster.ledger.database import ledger_kind

        return cls(Database(ledger_kind(stamp(clock)), home / LEDGER_FILE), clock)

    @classmethod
    def connect(cls, url: str, clock: Clock = utc_now) -> JobLedger:
        """Open the ledger behind a SQLAlchemy URL, for SQLite or PostgreSQL, made and migrated as needed.

        Args:
            url: For example `postgresql://user@host/database`; a password in it is never shown.
            clock: Gives the time, with a time zone.
        """
        from medkg_dagster.io.sql import Database
        from medkg_dagster.ledger.database import ledger_kind

        return cls(Database(ledger_kind(stamp(clock)), url), clock)

    @classmethod
    def of(cls, settings: Settings, clock: Clock = utc_now) -> JobLedger:
        """Open the ledger of a deployment, made and migrated as needed.

        Args:
            settings: Says where it is.
            clock: Gives the time, with a time zone.
        """
        return (
            cls.connect(settings.ledger_url, clock) if settings.ledger_url else cls.open(settings.home, clock)
        )

    @staticmethod
    def exists(settings: Settings) -> bool:
        """Say whether a deployment has a ledger, without making one."""
        return settings.ledger_url is not None or (settings.home / LEDGER_FILE).is_file()

    @property
    def place(self) -> str:
        """Where the ledger is, as it may be shown."""
        return self._database.place

    @property
    def phases(self) -> PhaseLedger:
        """The phases of jobs: submitting, waiting at gates, starting."""
        from medkg_dagster.ledger.phases import PhaseLedger

        return PhaseLedger(self._database, self._clock)

    @property
    def files(self) -> FileLedger:
        """The files fetched for the documents of jobs."""
        from medkg_dagster.ledger.files import FileLedger

        return FileLedger(self._database, self._clock)

    def close(self) -> None:
        """Close every connection."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def ensure_job(
        self, pipeline: str, job_id: str, request: Mapping[str, Any] | None = None, *, actor: str
    ) -> Job:
        """Return a job, made on first use; the request of one that exists is never overwritten.

        Args:
            pipeline: The pipeline's name.
            job_id: The job's id, unique in the pipeline.
            request: What to work on; JSON values.
            actor: Who or what asks for it.
        """
        from medkg_dagster.ledger.statements import job_rows

        with self._database.reading() as connection:
            known = job_rows.find_job(connection, pipeline, job_id)
        if known is not None:
            return known
        with self._database.writing() as connection:
            changed = job_rows.Attribution(actor, self._now())
            return job_rows.add_job(connection, pipeline, job_id, request or {}, changed)

    def job(self, pipeline: str, job_id: str) -> Job:
        """Return a job."""
        from medkg_dagster.ledger.statements import job_rows

        with self._database.reading() as connection:
            return job_rows.get_job(connection, pipeline, job_id)

    def jobs(
        self,
        pipeline: str | None = None,
        status: str | None = None,
        limit: int = 100,
        *,
        job_id: str | None = None,
    ) -> tuple[Job, ...]:
        """Return jobs, the latest changed first.

        Args:
            pipeline: Only of this pipeline.
            status: Only in this status.
            limit: At most so many.
            job_id: Only of this id, in whichever pipeline.
        """
        from medkg_dagster.ledger.statements import job_rows

        with self._database.reading() as connection:
            return job_rows.list_jobs(connection, pipeline, status, job_id, limit)

    def set_status(
        self,
        pipeline: str,
        job_id: str,
        status: str,
        *,
        actor: str,
        error: str | None = None,
        reason: str | None = None,
    ) -> Job:
        """Set a job's status and error; a change of status goes into the history.

        Args:
            pipeline: The pipeline's name.
            job_id: The job's id.
            status: The new status, see `JobStatus`.
            actor: Who or what changes it.
            error: Why it failed; None clears an earlier error.
            reason: Why it changes, for the history; the error where not given.
        """
        from medkg_dagster.ledger.statements import job_rows

        changes = {"status": job_rows.valid_status(status), "error": error}
        with self._database.writing() as connection:
            job = job_rows.get_job(connection, pipeline, job_id, lock=True)
            changed = job_rows.Attribution(actor, self._now(), reason or error)
            return job_rows.change_job(connection, job, changes, changed)

    def set_phase(
        self, pipeline: str, job_id: str, phase: str | None, *, actor: str, reason: str | None = None
    ) -> Job:
        """Set the phase a job is in; the change goes into the history."""
        from medkg_dagster.ledger.statements import job_rows

        with self._database.writing() as connection:
            job = job_rows.get_job(connection, pipeline, job_id, lock=True)
            changed = job_rows.Attribution(actor, self._now(), reason)
            return job_rows.change_job(connection, job, {"phase": phase}, changed)

    def set_fields(
        self,
        pipeline: str,
        job_id: str,
        changes: Mapping[str, Any],
        *,
        actor: str,
        reason: str | None = None,
    ) -> Job:
        """Set fields by dotted path; every field that differs gets one row of history.

        Args:
            pipeline: The pipeline's name.
            job_id: The job's id.
            changes: Dotted path to new value; JSON values.
            actor: Who or what changes them.
            reason: Why.
        """
        from medkg_dagster.ledger.statements import job_rows

        with self._database.writing() as connection:
            job = job_rows.get_job(connection, pipeline, job_id, lock=True)
            changed = job_rows.Attribution(actor, self._now(), reason)
            return job_rows.change_fields(connection, job, changes, changed)

    def history(self, pipeline: str, job_id: str) -> tuple[HistoryEntry, ...]:
        """Return every change of a job, the oldest first."""
        from medkg_dagster.ledger.statements import job_rows

        with self._database.reading() as connection:
            job_rows.get_job(connection, pipeline, job_id)
            return job_rows.list_history(connection, pipeline, job_id)

    def begin_stage(
        self, pipeline: str, job_id: str, stage: str, run_id: str, *, keep_status: bool = False
    ) -> None:
        """Record that a run begins a stage; the job is running, and a run's first stage is an attempt.

        Args:
            pipeline: The pipeline's name.
            job_id: The job's id.
            stage: The stage's name.
            run_id: The run that begins it.
            keep_status: Whether the job's status stays, because it may still be waiting at a gate.
        """
        from medkg_dagster.ledger.statements import job_rows, stage_rows

        with self._database.writing() as connection:
            job = job_rows.get_job(connection, pipeline, job_id, lock=True)
            now = self._now()
            attempts = job.attempts + (not stage_rows.has_run(connection, pipeline, job_id, run_id))
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
            stage_rows.put_stage_run(connection, stage_rows.StageKey(pipeline, job_id, stage), started)
            changes: dict[str, Any] = {"attempts": attempts}
            if not keep_status:
                changes |= {"status": JobStatus.RUNNING, "error": None}
            job_rows.change_job(connection, job, changes, job_rows.Attribution(_run_actor(run_id), now))

    def finish_stage(  # noqa: PLR0917 - place, then counts, then documents: the order in which one tells it
        self,
        pipeline: str,
        job_id: str,
        stage: str,
        run_id: str,
        output_count: int,
        succeeded: int,
        quarantined: Sequence[QuarantinedDocument] = (),
        counts: Mapping[str, int] | None = None,
    ) -> None:
        """Record that a stage did its work; ignored where another run has begun the stage since.

        Args:
            pipeline: The pipeline's name.
            job_id: The job's id.
            stage: The stage's name.
            run_id: The run it belongs to.
            output_count: What the type's output counter said.
            succeeded: Documents processed without error.
            quarantined: Documents refused; they take the place of an earlier run's.
            counts: The number of values per state key, and other counts worth keeping.
        """
        from medkg_dagster.ledger.encoding import to_json

        values = {
            "status": StageStatus.FINISHED.value,
            "output_count": output_count,
            "counts": to_json(dict(counts or {}), "counts"),
            "succeeded": succeeded,
            "error": None,
        }
        self._end_stage((pipeline, job_id, stage), run_id, values, quarantined)

    def fail_stage(  # noqa: PLR0917 - place, then error, then documents: the order in which one tells it
        self,
        pipeline: str,
        job_id: str,
        stage: str,
        run_id: str,
        error: str,
        quarantined: Sequence[QuarantinedDocument] = (),
    ) -> None:
        """Record that a stage failed; ignored where another run has begun the stage since."""
        from medkg_dagster.ledger.encoding import storable

        values = {"status": StageStatus.FAILED.value, "error": storable(error)}
        self._end_stage((pipeline, job_id, stage), run_id, values, quarantined)

    def stage_runs(self, pipeline: str, job_id: str) -> tuple[StageRun, ...]:
        """Return the latest run of each stage of a job, in the order they began."""
        from medkg_dagster.ledger.statements import job_rows, stage_rows

        with self._database.reading() as connection:
            job_rows.get_job(connection, pipeline, job_id)
            return stage_rows.list_stage_runs(connection, pipeline, job_id)

    def outcomes(self, pipeline: str, job_id: str, stage: str | None = None) -> tuple[DocumentOutcome, ...]:
        """Return the documents that the latest run of each stage, or of one stage, refused."""
        from medkg_dagster.ledger.statements import job_rows, stage_rows

        with self._database.reading() as connection:
            job_rows.get_job(connection, pipeline, job_id)
            return stage_rows.list_outcomes(connection, pipeline, job_id, stage)

    def settle(
        self,
        pipeline: str,
        job_id: str,
        stages: Sequence[str],
        *,
        run_id: str | None = None,
        selected: Sequence[str] = (),
        beside: Sequence[str] = (),
    ) -> Job:
        """Set a job's status from its stage runs and gates.

        A stage failed: failed. A gate was rejected or timed out: as that left it. All finished: waiting where
        it waits at a gate, else succeeded. Otherwise running.

        Args:
            pipeline: The pipeline's name.
            job_id: The job's id.
            stages: The stages that make up the job.
            run_id: The run that asks.
            selected: The stages this run executes: what an earlier run finished of them does not count, so
                that a second run is not taken for finished after its first stage.
            beside: Stages that this run does not execute, and without which the job has not succeeded where
                they failed.

        Returns:
            The job; unchanged where no stage has begun.
        """
        from medkg_dagster.ledger.statements import job_rows, phase_rows, stage_rows

        with self._database.writing() as connection:
            job = job_rows.get_job(connection, pipeline, job_id, lock=True)
            phases = phase_rows.list_phases(connection, pipeline, job_id)
            runs = {run.stage: run for run in stage_rows.list_stage_runs(connection, pipeline, job_id)}
            stale = {stage for stage in selected if stage in runs and runs[stage].run_id != run_id}
            counted = [runs[stage] for stage in stages if stage in runs and stage not in stale]
            if not counted or (job.status in _CLOSED and any(phase.status in _CLOSING for phase in phases)):
                return job
            changes = _verdict(counted, len(stages), phases)
            if changes["status"] is JobStatus.SUCCEEDED:
                failed = [runs[stage] for stage in beside if stage in runs]
                changes |= _failure(failed) or {}
            actor = _run_actor(run_id) if run_id else "settle"
            changed = job_rows.Attribution(actor, self._now(), changes["error"])
            return job_rows.change_job(connection, job, changes, changed)

    def record_registrations(self, entries: Iterable[Registration]) -> tuple[Registration, ...]:
        """Append to the audit what differs from the last record of the same subject, and what is gone.

        Args:
            entries: Everything that became of plugins in one load.

        Returns:
            The records that were added.
        """
        from medkg_dagster.ledger.database import lock_database
        from medkg_dagster.ledger.statements import registration_rows

        entries = tuple(entries)
        with self._database.reading() as connection:
            # Most loads change nothing, and then nobody has to wait for a write.
            if not registration_rows.changed_registrations(connection, entries):
                return ()
        with self._database.writing() as connection:
            lock_database(connection)
            changed = registration_rows.changed_registrations(connection, entries)
            registration_rows.add_registrations(connection, changed, self._now())
            return tuple(changed)

    def registrations(self, limit: int = 100, subject: str | None = None) -> tuple[Registration, ...]:
        """Return the audit of registrations, the latest first.

        Args:
            limit: How many records.
            subject: Only those of a stage type, extension, distribution or `pipeline.stage`.
        """
        from medkg_dagster.ledger.statements import registration_rows

        with self._database.reading() as connection:
            return registration_rows.list_registrations(connection, limit, subject)

    def _end_stage(
        self,
        place: tuple[str, str, str],
        run_id: str,
        values: dict[str, Any],
        quarantined: Sequence[QuarantinedDocument],
    ) -> None:
        from medkg_dagster.ledger.statements import job_rows, stage_rows

        key = stage_rows.StageKey(*place)
        with self._database.writing() as connection:
            job_rows.get_job(connection, key.pipeline, key.job_id, lock=True)
            now = self._now()
            if stage_rows.latest_run_id(connection, key) not in {None, run_id}:
                return
            ended = {**values, "run_id": run_id, "quarantined": len(quarantined), "finished_at": now}
            stage_rows.put_stage_run(connection, key, ended)
            stage_rows.replace_outcomes(connection, key, quarantined, now)

    def _now(self) -> str:
        return stamp(self._clock)


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
