"""What a stage is given: views of its pipeline's YAML when it is built, and its context while it runs."""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence, Sized
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, TypeVar

from medkg_dagster.domain.gate_conditions import GateCondition
from medkg_dagster.domain.holdings import DocumentStatus
from medkg_dagster.errors import BatchInterruptedError, MedkgError, RejectedDocumentError
from medkg_dagster.io.faults import is_of_document, may_pass, was_retried
from medkg_dagster.stage_api._calls import ExternalCalls
from medkg_dagster.stage_api._extensions import Extensions, GivenExtensions
from medkg_dagster.stage_api._job_record import InMemoryJobRecord, JobRecord, RedactedJobRecord
from medkg_dagster.stage_api._redaction import redact, redacted, showable, text_of

if TYPE_CHECKING:
    from medkg_dagster.stage_api._document_loop import DocumentEngine
    from medkg_dagster.stage_api._documents import DocumentPart
    from medkg_dagster.stage_api._preparation import Preparation

Scalar = str | int | float | bool | None
Described = Scalar | Sequence[Mapping[str, Scalar]]

_NAMED = 20
"""So many documents that were worked on together are named."""

T = TypeVar("T")
R = TypeVar("R")


class ProgressReporter(Protocol):
    """Shows how far long work has come."""

    def __call__(self, done: int, total: int | None, unit: str) -> None:
        """Report `done` of `total` units; `total` is None where it is not known."""


def _ignore_progress(done: int, total: int | None, unit: str) -> None:
    del done, total, unit


def _recall_nothing(version: str) -> None:
    del version


@dataclass(frozen=True, slots=True)
class QuarantinedDocument:
    """A document that a stage could not use.

    Attributes:
        document_id: The document's or payload's id.
        stage: The stage that refused it.
        error_class: The exception's class name.
        message: What was wrong.
        details: The traceback of an unexpected error; empty for one raised on purpose.
        status: What becomes of the document.
        is_fault: Whether it counts for `max_failure_ratio`; a document that must not be used does not.
        content_hash: The hash of its content, which tells the forms of a document apart; None where it is
            not known.
    """

    document_id: str
    stage: str
    error_class: str
    message: str
    details: str = ""
    status: DocumentStatus = DocumentStatus.QUARANTINED
    is_fault: bool = True
    content_hash: str | None = None


@dataclass(slots=True)
class StageContext:
    """The surroundings of one stage in one run; the only state a stage may touch besides its inputs.

    Attributes:
        pipeline: The pipeline's name.
        stage: The stage's name.
        job_id: The ledger job, which is also the partition key.
        home: The folder for all data (`MEDKG_HOME`).
        log: Where the stage logs.
        report_progress: Called with progress; the run shows it.
        calls: Makes calls to other services as the stage's resilience policy allows.
        job: The ledger job: its fields, files and gates.
        extensions: The sources, embedders and stores that are let in.
        recall: Given the version of a file, returns the parts that came of it when this stage gave
            them before and then `EndOfFile`; None where it did not, or they are not there any more.
        succeeded: Documents processed without error so far.
        quarantined: Documents refused so far, in order.
        described: What `describe` was given.
        fingerprints: What the stage's method `fingerprints` returned where the step began, in each of its
            processes; empty before. What came of it is remembered under these, whatever is there by now.
        engine_of: Returns what does the half of the stage that is work on one document, in other processes
            too; None where that is done in this one.
    """

    pipeline: str
    stage: str
    job_id: str
    home: Path
    log: logging.Logger = field(default_factory=lambda: logging.getLogger("medkg.stage"))
    report_progress: ProgressReporter = _ignore_progress
    calls: ExternalCalls = field(default_factory=ExternalCalls)
    job: JobRecord = field(default_factory=InMemoryJobRecord)
    extensions: Extensions = field(default_factory=GivenExtensions)
    recall: Callable[[str], Sequence[DocumentPart] | None] = _recall_nothing
    succeeded: int = 0
    quarantined: list[QuarantinedDocument] = field(default_factory=list)
    described: dict[str, Described] = field(default_factory=dict)
    fingerprints: Mapping[str, str] = field(default_factory=dict)
    engine_of: Callable[[Preparation], DocumentEngine] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        # What a stage hands out leaves it here, whoever made the surroundings and whatever is behind them.
        self.job = RedactedJobRecord(self.job)
        show = self.report_progress
        self.report_progress = lambda done, total, unit: show(done, total, redact(unit))

    def describe(self, name: str, value: Described) -> None:
        """Show a figure, a text or a table (a list of rows) on the stage's materialization.

        Args:
            name: The entry's name; numbers are plotted under it.
            value: A scalar, or rows that all have the same keys.
        """
        self.described[name] = value

    def quarantine(self, document_id: str, error: Exception) -> None:
        """Set a document aside; the batch goes on.

        Args:
            document_id: The document's or payload's id.
            error: Why.

        Raises:
            BatchInterruptedError: The error may pass, so it is no fault of the document.
            Exception: The error itself, where it is another one that is no fault of the document.
        """
        set_aside(self, judge_fault(self.stage, document_id, error))

    def for_each(
        self,
        items: Iterable[T],
        work: Callable[[T], R],
        *,
        document_id: Callable[[T], str],
        unit: str = "documents",
    ) -> list[R]:
        """Do the work on each document; quarantine those that are at fault.

        Args:
            items: Documents, payloads or whatever stands for one document each.
            work: The work on one of them.
            document_id: The id to quarantine an item under.
            unit: What is counted, for progress.

        Returns:
            The results of the items that succeeded, in order.

        Raises:
            BatchInterruptedError: The work met what is worth another try, such as a service that is away or a
                disk that is full; it names the document.
            Exception: It met what is wrong whatever the document, such as a `ConfigError`.
        """
        results: list[R] = []
        total = len(items) if isinstance(items, Sized) else None
        for done, item in enumerate(items, start=1):
            try:
                result = work(item)
            except Exception as error:  # noqa: BLE001 - one bad document must not stop the batch; `quarantine` judges
                self.quarantine(document_id(item), error)
            else:
                results.append(result)
                self.succeeded += 1
            self.report_progress(done, total, unit)
        return results


def judge_fault(stage: str, document_id: str, error: Exception) -> QuarantinedDocument:
    """Return what is held against a document.

    Args:
        stage: The stage that met the error.
        document_id: The document's or payload's id.
        error: What the work on it raised.

    Raises:
        BatchInterruptedError: The error may pass, so it is no fault of the document.
        Exception: The error itself, where it is another one that is no fault of the document.
    """
    if not is_of_document(error):
        raise_interruption([document_id], error)
    shown = showable(error)
    details = "" if isinstance(error, MedkgError) else "".join(traceback.format_exception(shown))
    message = str(shown) or type(error).__name__
    status, is_fault = DocumentStatus.QUARANTINED, True
    if isinstance(error, RejectedDocumentError):
        status, is_fault = DocumentStatus(error.status), False
    return QuarantinedDocument(document_id, stage, type(error).__name__, message, details, status, is_fault)


def raise_interruption(document_ids: Sequence[str], error: Exception) -> NoReturn:
    """Raise what ended the work on some documents, which are named and not at fault.

    Args:
        document_ids: The documents that were worked on together; one where it was alone.
        error: What the work raised.

    Raises:
        BatchInterruptedError: The error may pass.
        Exception: The error itself, where it is another one.
    """
    more = len(document_ids) - _NAMED
    names = ", ".join(document_ids[:_NAMED]) + (f" and {more} more" if more > 0 else "")
    is_one = len(document_ids) == 1
    if not may_pass(error):
        which = (
            f"document {names}, which is not" if is_one else f"one of the documents {names}, none of which is"
        )
        error.add_note(f"At {which} at fault.")
        raise error
    cause = f"{type(error).__name__}: {text_of(error)}"
    what = "the document, which is" if is_one else "the documents, which are"
    is_left = was_retried(error)
    then = "another run goes on there" if is_left else "the work is tried again as the stage's policy says"
    raise BatchInterruptedError(
        f"at {'' if is_one else 'one of '}{names}: {cause}; no fault of {what} not set aside: {then}"
    ) from error


def set_aside(ctx: StageContext, judged: QuarantinedDocument) -> None:
    """Set a document aside that was judged elsewhere."""
    ctx.quarantined.append(judged)
    said = (judged.status.value, judged.document_id, judged.error_class, judged.message)
    ctx.log.warning("%s %s: %s: %s", *said)


def withhold_secrets(ctx: StageContext) -> None:
    """Redact what a stage left on its context, before anything of it is shown or stored."""
    ctx.quarantined = redacted(ctx.quarantined)
    ctx.described = redacted(ctx.described)


class Stopwatch:
    """Measures wall time in seconds since it was made."""

    def __init__(self) -> None:
        self._start = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Seconds since the stopwatch was made."""
        return time.perf_counter() - self._start


class StageDefinitionView(Protocol):
    """What a builder sees of its stage's YAML, with the configuration of this very run."""

    @property
    def name(self) -> str:
        """The stage's name in its pipeline."""

    @property
    def type(self) -> str:
        """The stage type."""

    @property
    def config(self) -> dict[str, Any]:
        """The stage's configuration: YAML, then the job's request, then the launchpad, the later winning."""


class GateView(Protocol):
    """What a builder sees of a gate's YAML."""

    @property
    def name(self) -> str:
        """The gate's name."""

    @property
    def condition(self) -> GateCondition:
        """When it opens."""


class TopologyView(Protocol):
    """What a builder that takes `(topology, definition)` sees of its pipeline's YAML."""

    @property
    def name(self) -> str:
        """The pipeline's name."""

    @property
    def gates(self) -> Sequence[GateView]:
        """The pipeline's gates."""

    def gate_stage(self, gate: str) -> str | None:
        """Return the name of the stage that checks a gate."""
