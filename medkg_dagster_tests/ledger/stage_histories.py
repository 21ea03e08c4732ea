"""A run and what it does with the stages of a job, in few words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from medkg_dagster.ledger import GateApproach, JobKey, JobLedger, RunIdentity, RunSelection, StageStatus


@dataclass
class LedgerRun:
    """A run of a job; each of its stages lies behind those before it."""

    ledger: JobLedger
    key: JobKey
    stages: Sequence[str]
    run_id: str = "r1"
    attempt: int | None = None
    job_name: str = ""
    gates: Sequence[GateApproach] = field(default=())

    @property
    def identity(self) -> RunIdentity:
        return RunIdentity(self.run_id, self.attempt, job_name=self.job_name)

    @property
    def selection(self) -> RunSelection:
        behind = {stage: frozenset(self.stages[index + 1 :]) for index, stage in enumerate(self.stages)}
        return RunSelection(frozenset(self.stages), behind)

    def start(self, pipeline: Sequence[str] | None = None) -> None:
        """Begin, as a run of a pipeline of these stages; by default of its own."""
        self.ledger.runs.begin(self.key, self.identity, stages=self.stages if pipeline is None else pipeline)

    def begin(self, stage: str) -> None:
        self.ledger.stage_runs.begin(self.key, stage, self.identity)

    def finish(self, *stages: str, **changes: Any) -> None:
        for stage in stages or self.stages:
            self.begin(stage)
            self.end(stage, **changes)

    def end(self, stage: str, **changes: Any) -> None:
        """Finish a stage that has begun."""
        counts = {"output_count": 3, "succeeded": 3, **changes}
        gates = [gate for gate in self.gates if stage in gate.upstream]
        self.ledger.stage_runs.finish(self.key, stage, self.identity, self.selection, gates=gates, **counts)

    def fail(self, stage: str, error: str = "SourceError: gone", **changes: Any) -> None:
        self.begin(stage)
        self.stop(stage, StageStatus.FAILED, error, **changes)

    def stop(self, stage: str, status: StageStatus, error: str = "stopped", **changes: Any) -> None:
        self.ledger.stage_runs.stop(
            self.key, stage, self.identity, self.selection, status=status, error=error, **changes
        )
