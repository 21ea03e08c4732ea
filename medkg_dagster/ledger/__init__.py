"""The job ledger: what outlives runs, and what outsiders write. Importing it is cheap; opening one is not."""

from medkg_dagster.ledger.job_ledger import LEDGER_FILE, JobLedger
from medkg_dagster.ledger.models import (
    DocumentOutcome,
    HistoryEntry,
    Job,
    JobStatus,
    Registration,
    StageRun,
    StageStatus,
)

__all__ = [
    "LEDGER_FILE",
    "DocumentOutcome",
    "HistoryEntry",
    "Job",
    "JobLedger",
    "JobStatus",
    "Registration",
    "StageRun",
    "StageStatus",
]
