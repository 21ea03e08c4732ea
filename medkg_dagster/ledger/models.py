"""The ledger's rows as frozen values. Times are UTC, ISO 8601 with microseconds and a trailing Z."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple, Self

from medkg_dagster.domain.decision_fields import DecisionField
from medkg_dagster.domain.gate_conditions import GateCondition
from medkg_dagster.domain.holdings import DocumentStatus
from medkg_dagster.errors import LedgerError


class JobKey(NamedTuple):
    """Which job of which pipeline; written `pipeline/job`.

    Attributes:
        pipeline: The pipeline's name.
        job_id: The job's id, unique in the pipeline.
    """

    pipeline: str
    job_id: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the key that a text names; what follows the first slash is the id.

        Raises:
            LedgerError: The text is not of the form `pipeline/job`.
        """
        pipeline, _, job_id = text.partition("/")
        if not pipeline or not job_id:
            raise LedgerError(f"{text!r} names no ledger job; write PIPELINE/JOB")
        return cls(pipeline, job_id)

    def __str__(self) -> str:
        return f"{self.pipeline}/{self.job_id}"


class JobStatus(StrEnum):
    """Where a ledger job stands: `ledger.job_status` derives it from runs, stages and phases."""

    SUBMITTED = "submitted"
    """No run has begun yet, or it is to be started once more."""
    RUNNING = "running"
    """A run is at work."""
    WAITING = "waiting"
    """It waits at a gate, or is about to be started behind one."""
    INCOMPLETE = "incomplete"
    """What ran has finished, and some stages of the pipeline have not run."""
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"
    QUARANTINED = "quarantined"
    REJECTED = "rejected"
    CANCELLED = "cancelled"


LOST = "was lost: its process is gone"
"""What is said of a run that ended without telling how."""


class RunStatus(StrEnum):
    """How a run of a job ended, or that it has not."""

    STARTED = "started"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    REFUSED = "refused"
    """A gate was closed, or it was another run's turn: it says nothing of the job."""
    RETRIED = "retried"
    """It failed or was cancelled, and somebody asked for what it did once more."""


class StageStatus(StrEnum):
    """How far the latest run of a stage came."""

    STARTED = "started"
    FINISHED = "finished"
    FAILED = "failed"
    UP_FOR_RETRY = "up_for_retry"
    """It failed or was cancelled, and is to run once more."""
    CANCELLED = "cancelled"
    REFUSED = "refused"
    """A gate was closed, or it was another run's turn."""


class PhaseStatus(StrEnum):
    """How far a phase of a job has come."""

    EXPECTED = "expected"
    """The job has not come to its gate, or is to come there again; a decision may have been made ahead."""
    WAITING = "waiting"
    """The job waits at the phase's gate."""
    DUE = "due"
    """To be started: submitted, or its gate is open."""
    STARTED = "started"
    """A run has begun it."""
    REJECTED = "rejected"
    """Its gate was rejected."""
    TIMED_OUT = "timed_out"
    """Its gate did not open in time."""
    CANCELLED = "cancelled"
    """Somebody cancelled the job before it was started."""


class GateDecision(StrEnum):
    """What a person said of a gate."""

    APPROVED = "approved"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class JobPhase:
    """A part of a job that is started on its own.

    Attributes:
        pipeline: The pipeline's name.
        job_id: The job's id.
        phase: The Dagster job that runs it.
        gate: The gate in front of it; None for what no gate holds.
        status: How far it has come.
        attempt: How often it was to be started; part of the run key.
        since: When the job began to wait, or was submitted.
        deadline: When waiting ends; None for never.
        timeout_seconds: How long waiting may take; None for no limit.
        observed: What the condition found at the last look; None before the first.
        baseline: The fields of the condition as they were when the job began to wait.
        decision: What a person said; None where nobody did.
        opened_at: When it opened, was rejected or timed out.
        opened_by: Who set the field, approved or rejected.
        reason: Why it opened or was closed.
        starter: Who took it upon itself to start the run; None for nobody yet.
        lease_until: Until when the starter is trusted to do so.
        run_id: The run that began it.
        closed_as: What the job becomes where the gate was closed; None where it was not.
        is_work: Whether it is work that goes on while the job waits at a gate.
        problem: Which of its columns cannot be read, and why; they count as empty. None where all can.
    """

    pipeline: str
    job_id: str
    phase: str
    gate: str | None
    status: PhaseStatus
    attempt: int
    since: str
    deadline: str | None
    timeout_seconds: float | None
    observed: str | None
    baseline: Mapping[str, Any] | None
    decision: GateDecision | None
    opened_at: str | None
    opened_by: str | None
    reason: str | None
    starter: str | None
    lease_until: str | None
    run_id: str | None
    closed_as: JobStatus | None
    is_work: bool
    problem: str | None = None

    @property
    def key(self) -> JobKey:
        """Which job it is a part of."""
        return JobKey(self.pipeline, self.job_id)


@dataclass(frozen=True, slots=True)
class RunIdentity:
    """The run that asks.

    Attributes:
        run_id: Its id.
        attempt: The attempt it was started for; None for a run that a person launched.
        lineage: Runs it is a re-execution of.
        job_name: The Dagster job it runs.
    """

    run_id: str
    attempt: int | None = None
    lineage: tuple[str, ...] = ()
    job_name: str = ""

    @property
    def actor(self) -> str:
        """The run as the actor of a change."""
        return f"run {self.run_id}"


@dataclass(frozen=True, slots=True)
class Job:
    """One unit of work of a pipeline.

    Attributes:
        pipeline: The pipeline's name.
        job_id: Unique in its pipeline; also the partition key.
        status: Where it stands.
        phase: The phase it is in: the gate it waits for or has passed; None before the first gate.
        request: What to work on, as submitted; never changed afterwards.
        fields: What stages and outsiders recorded, nested JSON objects.
        attempts: How many runs have begun it.
        error: Why it failed; None unless it did.
        created_at: When it was first seen.
        updated_at: When it last changed.
        pipeline_stages: The stages of its pipeline, when a run last began it; None before the first.
        problem: Which of its columns somebody wrote in SQL so that they cannot be read, and why; they count
            as empty. None where all can.
    """

    pipeline: str
    job_id: str
    status: JobStatus
    phase: str | None
    request: Mapping[str, Any]
    fields: Mapping[str, Any]
    attempts: int
    error: str | None
    created_at: str
    updated_at: str
    pipeline_stages: tuple[str, ...] | None
    problem: str | None = None

    @property
    def key(self) -> JobKey:
        """Which job it is."""
        return JobKey(self.pipeline, self.job_id)


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One change of one field of a job.

    Attributes:
        pipeline: The pipeline's name.
        job_id: The job's id.
        field: `status`, `phase`, `gates.<gate>`, the dotted path of a field, or `fields` for a change that
            somebody made in SQL.
        old: The value before; None where there was none.
        new: The value after.
        actor: Who or what changed it.
        at: When.
        reason: Why, where the actor said so.
    """

    pipeline: str
    job_id: str
    field: str
    old: Any
    new: Any
    actor: str
    at: str
    reason: str | None


@dataclass(frozen=True, slots=True)
class DocumentOutcome:
    """One document that the latest run of a stage could not use.

    Attributes:
        pipeline: The pipeline's name.
        job_id: The job's id.
        stage: The stage that refused it.
        document_id: The document's or payload's id.
        error_class: The exception's class name.
        message: What was wrong.
        details: The traceback of an unexpected error; empty for one raised on purpose.
        at: When the stage run ended.
        origin: The file or address it came from; empty where the id is all that is known.
        document_status: What became of the document.
    """

    pipeline: str
    job_id: str
    stage: str
    document_id: str
    error_class: str
    message: str
    details: str
    at: str
    origin: str = ""
    document_status: DocumentStatus = DocumentStatus.QUARANTINED


@dataclass(frozen=True, slots=True)
class JobRun:
    """One run of a job.

    Attributes:
        run_id: Dagster's id of it.
        job_name: The Dagster job that it runs.
        status: How it ended, or that it has not.
        error: Why it failed; None unless it did.
        began_at: When it began.
        ended_at: When it ended; None while it is at work.
        is_work: Whether it does work that goes on while the job waits at a gate.
    """

    run_id: str
    job_name: str
    is_work: bool
    status: RunStatus
    error: str | None
    began_at: str
    ended_at: str | None


@dataclass(frozen=True, slots=True)
class RunSelection:
    """What a run was asked to do, by which one sees that it has done it.

    Attributes:
        stages: The stages it was asked for.
        downstream: Each of them to all that lie behind it, which cannot run where it failed.
    """

    stages: frozenset[str]
    downstream: Mapping[str, frozenset[str]]


@dataclass(frozen=True, slots=True)
class StageRun:
    """The latest run of one stage of a job.

    Attributes:
        pipeline: The pipeline's name.
        job_id: The job's id.
        stage: The stage's name.
        status: How far it came.
        run_id: The run it belongs to.
        output_count: What the type's output counter said; None until it finished.
        counts: The number of values per state key, and other counts worth keeping.
        succeeded: Documents processed without error.
        quarantined: Documents refused.
        error: Why it failed; None unless it did.
        started_at: When it began.
        finished_at: When it ended; None while it runs.
    """

    pipeline: str
    job_id: str
    stage: str
    status: StageStatus
    run_id: str
    output_count: int | None
    counts: Mapping[str, int]
    succeeded: int
    quarantined: int
    error: str | None
    started_at: str
    finished_at: str | None


@dataclass(frozen=True, slots=True)
class Registration:
    """What became of an entry point, a stage type or an extension when plugins were loaded.

    Attributes:
        distribution: The installed distribution that declares it.
        version: The distribution's version.
        entry_point: `name = module:attribute`.
        outcome: `discovered`, `registered`, `replaced`, `overridden`, `rejected`, `blocked`, `not asked for`,
            `removed`.
        subject: What it is about: a stage type, an extension, `pipeline.stage`; empty for the entry point.
        configured_by: Who or what decided so.
        details: Why, where it is not plain.
        record_hash: SHA-256 of the distribution's RECORD; empty where it has none.
        refusal: Why it is not used, in a word that can be counted; empty where it is.
        change: How version and files differ from the last record of the same; set by the ledger.
        at: When; set by the ledger.
    """

    distribution: str
    version: str
    entry_point: str
    outcome: str
    subject: str = ""
    configured_by: str = ""
    details: str = ""
    record_hash: str = ""
    refusal: str = ""
    change: str = ""
    at: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        """What makes two records tell of the same thing."""
        return self.distribution, self.entry_point, self.subject


@dataclass(frozen=True, slots=True)
class GateRule:
    """A gate as the ledger needs it.

    Attributes:
        phase: The Dagster job behind the gate.
        gate: The gate's name.
        condition: When it opens.
        fields: What a person says with a decision.
    """

    phase: str
    gate: str
    condition: GateCondition
    fields: tuple[DecisionField, ...] = ()


@dataclass(frozen=True, slots=True)
class GateApproach:
    """A gate that a job comes to when the stages in front of it have finished.

    Attributes:
        rule: The gate.
        upstream: The stages in front of it.
        work: The Dagster jobs that do work on the job while it waits there.
    """

    rule: GateRule
    upstream: frozenset[str]
    work: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Review:
    """What one look at the jobs that wait at a gate did.

    Attributes:
        looked: Jobs whose fields changed since the last look, or whose time is up.
        opened: Jobs the gate opened for.
        timed_out: Jobs that waited too long.
        problems: By job id: why nothing can be said of it. The others have been looked at.
    """

    looked: int = 0
    opened: int = 0
    timed_out: int = 0
    problems: Mapping[str, str] = field(default_factory=dict)

    def __add__(self, later: Review) -> Review:
        return Review(
            self.looked + later.looked,
            self.opened + later.opened,
            self.timed_out + later.timed_out,
            {**self.problems, **later.problems},
        )
