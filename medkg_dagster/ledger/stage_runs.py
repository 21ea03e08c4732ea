"""Stage runs: the latest run of each stage of a job, and the documents it refused."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from medkg_dagster.io.sql import Database
from medkg_dagster.io.times import Clock
from medkg_dagster.ledger.encoding import storable, to_json
from medkg_dagster.ledger.gate_transaction import GateTransaction
from medkg_dagster.ledger.job_transaction import JobTransaction
from medkg_dagster.ledger.models import (
    DocumentOutcome,
    GateApproach,
    JobKey,
    JobRun,
    RunIdentity,
    RunSelection,
    RunStatus,
    StageRun,
    StageStatus,
)
from medkg_dagster.ledger.stage_counters import count_stage_end
from medkg_dagster.ledger.statements import holding_rows, job_rows, stage_rows
from medkg_dagster.ledger.statements.phase_rows import PhaseKey
from medkg_dagster.ledger.statements.stage_rows import StageKey
from medkg_dagster.stage_api import QuarantinedDocument


class StageRunLedger:
    """The stage runs of the jobs of a ledger.

    Every method is one transaction and may raise `LedgerError`; those that take a job raise `UnknownJobError`
    where there is none.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def begin(
        self,
        key: JobKey,
        stage: str,
        run: RunIdentity,
        *,
        is_work: bool = False,
        stage_type: str | None = None,
        origin: str | None = None,
    ) -> None:
        """Record that a run begins a stage.

        Args:
            key: The job.
            stage: The stage's name.
            run: The run that begins it.
            is_work: Whether it is work that goes on while the job waits at a gate.
            stage_type: The stage's type, by which runs are counted.
            origin: Whose type it is: `built-in`, or a distribution.
        """
        with self._database.writing() as connection:
            change = JobTransaction(connection, self._clock, key)
            change.begin_run(run, is_work=is_work)
            started = {
                "status": StageStatus.STARTED.value,
                "run_id": run.run_id,
                "output_count": None,
                "counts": "{}",
                "succeeded": 0,
                "quarantined": 0,
                "error": None,
                "started_at": change.now,
                "finished_at": None,
                "stage_type": stage_type,
                "origin": origin,
            }
            stage_rows.put_stage_run(connection, StageKey(*key, stage), started)
            change.update_job(run.actor)

    def finish(
        self,
        key: JobKey,
        stage: str,
        run: RunIdentity,
        selection: RunSelection,
        *,
        output_count: int,
        succeeded: int,
        quarantined: Sequence[QuarantinedDocument] = (),
        counts: Mapping[str, int] | None = None,
        gates: Sequence[GateApproach] = (),
        fields: Mapping[str, Any] | None = None,
        passed: Collection[str] = (),
    ) -> None:
        """Record that a stage did its work, and let the job come to the gates it was the last in front of.

        Ignored where another run has begun the stage since. All of it is one change: what is killed at any
        moment has either not finished the stage, or has brought the job to its gates and set its fields.

        Args:
            key: The job.
            stage: The stage's name.
            run: The run it belongs to.
            selection: What the run was asked to do; with the last of it the run has ended.
            output_count: What the type's output counter said.
            succeeded: Documents processed without error.
            quarantined: Documents refused; they take the place of an earlier run's.
            counts: The number of values per state key, and other counts worth keeping.
            gates: The gates that the stage stands in front of.
            fields: Fields of the job to set by dotted path, as gates that are waited at ask for; JSON values.
            passed: The documents that the stage let pass.
        """
        values = {
            "status": StageStatus.FINISHED.value,
            "output_count": output_count,
            "counts": to_json(dict(counts or {}), "counts"),
            "succeeded": succeeded,
            "error": None,
        }
        of_stage = StageKey(*key, stage)
        self._end(
            *(of_stage, run, selection),
            values=values,
            quarantined=quarantined,
            gates=gates,
            fields=fields,
            passed=passed,
        )

    def stop(
        self,
        key: JobKey,
        stage: str,
        run: RunIdentity,
        selection: RunSelection,
        *,
        status: StageStatus,
        error: str,
        quarantined: Sequence[QuarantinedDocument] = (),
    ) -> None:
        """Record that a stage did not do its work; ignored where another run has begun the stage since.

        Args:
            key: The job.
            stage: The stage's name.
            run: The run it belongs to.
            selection: What the run was asked to do.
            status: Failed, up for retry, cancelled, or refused.
            error: Why.
            quarantined: Documents refused; they take the place of an earlier run's.
        """
        values = {"status": status.value, "error": storable(error)}
        self._end(StageKey(*key, stage), run, selection, values=values, quarantined=quarantined)

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

    def ask_again(self, key: JobKey, *, actor: str) -> tuple[str, ...]:
        """Ask for the quarantined documents of a job once more; it holds until their stages have ended.

        Args:
            key: The job.
            actor: Who asks.

        Returns:
            The stages that refused them; none where there are no such documents.
        """
        with self._database.writing() as connection:
            job_rows.get_job(connection, key, lock=True)
            return stage_rows.ask_again(connection, key, actor)

    def asked_again(self, key: JobKey, stage: str) -> frozenset[str]:
        """Return the documents that a stage refused and that it is to work on whatever it remembers."""
        with self._database.reading() as connection:
            return stage_rows.list_asked(connection, StageKey(*key, stage))

    def _end(
        self,
        key: StageKey,
        run: RunIdentity,
        selection: RunSelection,
        *,
        values: dict[str, Any],
        quarantined: Sequence[QuarantinedDocument],
        gates: Sequence[GateApproach] = (),
        fields: Mapping[str, Any] | None = None,
        passed: Collection[str] = (),
    ) -> None:
        with self._database.writing() as connection:
            change = JobTransaction(connection, self._clock, key.job)
            begun = change.begin_run(run)
            if stage_rows.latest_run_id(connection, key) in {None, run.run_id}:
                ended = {"quarantined": len(quarantined), "finished_at": change.now}
                stage_rows.put_stage_run(connection, key, {**values, **ended, "run_id": run.run_id})
                names = {storable(item.document_id) for item in quarantined}
                origins = holding_rows.find_origins(connection, key.job, names)
                stage_rows.replace_outcomes(connection, key, quarantined, origins, change.now)
                if values["status"] == StageStatus.FINISHED:
                    holding_rows.record_outcomes(connection, key, quarantined, passed, change.now)
                if fields:
                    change.change_fields(fields, run.actor, f"{key.stage} is done")
                count_stage_end(connection, key)
            runs = {item.stage: item for item in change.stage_runs()}
            because = values["error"]
            for gate in gates:
                if gate.upstream <= _finished(runs.values(), run, selection):
                    because = self._arrive(connection, key.job, gate, run)
            outcome = _outcome(runs, begun, selection)
            if outcome is not None:
                change.conclude_run(begun, outcome, values["error"])
            change.update_job(run.actor, because)

    def _arrive(
        self, connection: Connection, key: JobKey, gate: GateApproach, run: RunIdentity
    ) -> str | None:
        for work in gate.work:
            GateTransaction(connection, self._clock, PhaseKey(*key, work)).plan_work(run.actor)
        arrival = GateTransaction(connection, self._clock, PhaseKey(*key, gate.rule.phase))
        arrival.arrive(gate.rule, run)
        return None if arrival.because is None else arrival.because[1]


_BLOCKING = {
    StageStatus.FAILED: RunStatus.FAILED,
    StageStatus.CANCELLED: RunStatus.CANCELLED,
    StageStatus.REFUSED: RunStatus.REFUSED,
}


def _finished(runs: Iterable[StageRun], run: RunIdentity, selection: RunSelection) -> set[str]:
    """Return the stages that are done: by this run, where it was asked for them."""
    return {
        item.stage
        for item in runs
        if item.status is StageStatus.FINISHED
        and (item.run_id == run.run_id or item.stage not in selection.stages)
    }


def _outcome(runs: Mapping[str, StageRun], run: JobRun, selection: RunSelection) -> RunStatus | None:
    """Return how a run ended; None while it has something to do.

    A failed or cancelled stage decides that at once, though others may still be at work beside it.
    """
    own = [item for item in runs.values() if item.run_id == run.run_id and item.stage in selection.stages]
    outcomes = {_BLOCKING[item.status] for item in own if item.status in _BLOCKING}
    for status in (RunStatus.FAILED, RunStatus.CANCELLED):
        if status in outcomes:
            return status
    blocked = {item.stage for item in own if item.status in _BLOCKING}
    blocked = blocked.union(*(selection.downstream.get(stage, ()) for stage in blocked))
    for stage in selection.stages - blocked:
        item = runs.get(stage)
        is_taken_over = item is not None and item.run_id != run.run_id and item.started_at > run.began_at
        if item is None or not (is_taken_over or (item in own and item.status is StageStatus.FINISHED)):
            return None
    return RunStatus.REFUSED if blocked else RunStatus.SUCCEEDED
