"""The runs of jobs: which are at work, and how the others ended."""

from __future__ import annotations

from collections.abc import Sequence

from medkg_dagster.io.sql import Database
from medkg_dagster.io.times import Clock
from medkg_dagster.ledger.job_transaction import JobTransaction
from medkg_dagster.ledger.models import Job, JobKey, JobRun, PhaseStatus, RunIdentity, RunStatus
from medkg_dagster.ledger.statements import job_rows, phase_rows, run_rows
from medkg_dagster.ledger.statements.phase_rows import PhaseKey


class RunLedger:
    """The runs of the jobs of a ledger. Every method is one transaction.

    Every method may raise `LedgerError`; those that take a job raise `UnknownJobError` where there is none.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def begin(
        self, key: JobKey, run: RunIdentity, *, stages: Sequence[str] | None = None, is_work: bool = False
    ) -> Job:
        """Record that a run is at work on a job, before its first stage; one that has ended stays ended.

        Args:
            key: The job.
            run: The run.
            stages: The stages of the job's pipeline: the job has succeeded when all of them have finished.
            is_work: Whether it does work that goes on while the job waits at a gate.

        Raises:
            LedgerError: The job's row cannot be read; the run has failed.
        """
        with self._database.writing() as connection:
            change = JobTransaction(connection, self._clock, key)
            begun = change.begin_run(run, is_work=is_work, stages=stages, goes_on=False)
            if change.job.problem is not None:
                change.conclude_run(begun, RunStatus.FAILED, change.job.problem)
            job = change.update_job(run.actor)
        return job_rows.require_readable(job)

    def end(self, key: JobKey, run: RunIdentity, status: RunStatus, error: str | None = None) -> Job:
        """Record how a run ended, for what the run itself could not record: its process was killed.

        The stages it left at work end with it. A run that never began is known by its attempt: its phase is
        not due any more, and a new attempt is to be asked for. One whose attempt is past changes nothing.

        Args:
            key: The job.
            run: The run.
            status: How it ended.
            error: Why, where it ended badly.

        Returns:
            The job after the change.
        """
        with self._database.writing() as connection:
            change = JobTransaction(connection, self._clock, key)
            phase = phase_rows.find_phase(connection, PhaseKey(*key, run.job_name))
            known = run_rows.find_run(connection, key, run.run_id)
            if known is None:
                if phase is not None and run.attempt not in {None, phase.attempt}:
                    return change.job
                known = change.begin_run(run, is_work=phase is not None and phase.is_work)
            is_its_turn = phase is not None and run.attempt == phase.attempt
            if is_its_turn and phase is not None and phase.status is PhaseStatus.DUE:
                begun = {"status": PhaseStatus.STARTED.value, "run_id": run.run_id}
                phase_rows.put_phase(connection, PhaseKey(*key, run.job_name), begun)
            change.end_run(known, status, error)
            return change.update_job(run.actor, error)

    def of_job(self, key: JobKey, limit: int = 100) -> tuple[JobRun, ...]:
        """Return the runs of a job, the latest first.

        Args:
            key: The job.
            limit: At most so many.
        """
        with self._database.reading() as connection:
            return run_rows.list_runs(connection, key, set(RunStatus), limit)
