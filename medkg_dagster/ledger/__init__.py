"""The job ledger: what outlives runs, and what outsiders write. Importing it is cheap; opening one is not."""

from medkg_dagster.ledger.ledger import LEDGER_FILE, JobLedger
from medkg_dagster.ledger.models import (
    DocumentOutcome,
    GateDecision,
    GateRule,
    HistoryEntry,
    Job,
    JobKey,
    JobPhase,
    JobStatus,
    PhaseStatus,
    Registration,
    Review,
    RunIdentity,
    StageRun,
    StageStatus,
)

__all__ = [
    "LEDGER_FILE",
    "DocumentOutcome",
    "GateDecision",
    "GateRule",
    "HistoryEntry",
    "Job",
    "JobKey",
    "JobLedger",
    "JobPhase",
    "JobStatus",
    "PhaseStatus",
    "Registration",
    "Review",
    "RunIdentity",
    "StageRun",
    "StageStatus",
]
