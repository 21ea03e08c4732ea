"""Jobs: what was asked for, how they stand, and who changed what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from medkg_dagster.errors import UnknownJobError, did_you_mean
from medkg_dagster.io.sql import Database
from medkg_dagster.io.times import Clock, stamp
from medkg_dagster.ledger.models import HistoryEntry, Job, JobKey
from medkg_dagster.ledger.statements import job_rows
from medkg_dagster.ledger.statements.job_rows import Attribution


class JobTable:
    """The jobs of a ledger and their history.

    Every method is one transaction and may raise `LedgerError`; those that take a job raise `UnknownJobError`
    where there is none.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def ensure(self, key: JobKey, request: Mapping[str, Any] | None = None, *, actor: str) -> Job:
        """Return a job, made on first use; the request of one that exists is never overwritten.

        Args:
            key: The job.
            request: What to work on; JSON values.
            actor: Who or what asks for it.

        Raises:
            ConfigError: No job can have that id.
        """
        with self._database.reading() as connection:
            known = job_rows.find_job(connection, key)
        if known is not None:
            return known
        with self._database.writing() as connection:
            changed = Attribution(actor, stamp(self._clock))
            return job_rows.add_job(connection, key, request or {}, changed)

    def get(self, key: JobKey) -> Job:
        """Return a job."""
        with self._database.reading() as connection:
            return job_rows.get_job(connection, key)

    def list(
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
        with self._database.reading() as connection:
            return job_rows.list_jobs(connection, pipeline, status, job_id, limit)

    def find(self, wanted: str, pipeline: str | None = None) -> Job:
        """Return the job of that id, or of `pipeline/id`.

        Args:
            wanted: What it is called.
            pipeline: Only of this pipeline.

        Raises:
            UnknownJobError: There is none, or several pipelines have one.
        """
        found = [*self.list(pipeline, job_id=wanted)]
        named_pipeline, slash, named_id = wanted.partition("/")
        if slash and pipeline in {None, named_pipeline}:
            found += self.list(named_pipeline, job_id=named_id)
        if len(found) == 1:
            return found[0]
        if found:
            named = ", ".join(str(job.key) for job in found)
            raise UnknownJobError(f"several pipelines have a job {wanted!r}: {named}; name one of these")
        known = [str(job.key) for job in self.list(pipeline, limit=20)]
        raise UnknownJobError(f"the ledger has no job {wanted!r}; {did_you_mean(wanted, known)}")

    def all_keys(self) -> frozenset[JobKey]:
        """Return which jobs there are."""
        with self._database.reading() as connection:
            return job_rows.list_keys(connection)

    def ended_before(self, moment: str) -> frozenset[JobKey]:
        """Return the jobs that came to their end before a time, and were not changed since.

        Args:
            moment: The time, as the ledger writes it.
        """
        with self._database.reading() as connection:
            return job_rows.list_ended(connection, moment)

    def set_fields(
        self,
        key: JobKey,
        changes: Mapping[str, Any],
        *,
        actor: str,
        reason: str | None = None,
    ) -> Job:
        """Set fields by dotted path; every field that differs gets one row of history.

        Args:
            key: The job.
            changes: Dotted path to new value; JSON values.
            actor: Who or what changes them.
            reason: Why.
        """
        with self._database.writing() as connection:
            job = job_rows.get_job(connection, key, lock=True)
            changed = Attribution(actor, stamp(self._clock), reason)
            return job_rows.change_fields(connection, job, changes, changed)

    def history(self, key: JobKey) -> tuple[HistoryEntry, ...]:
        """Return every change of a job, the oldest first."""
        with self._database.reading() as connection:
            job_rows.get_job(connection, key)
            return job_rows.list_history(connection, key)
