"""Every error this package raises on purpose.

MedkgError
├── ConfigError                 settings, YAML files, configuration values
│   ├── TopologyError           a pipeline or resilience file; carries every problem of the load
│   ├── VocabularyError         a vocabulary's file, or no vocabulary where one is asked for
│   └── StageConfigError        a stage's `config` does not fit its model
├── StageRegistryError          a registration is invalid, missing or collides
├── PluginError                 a plugin's code did not come to its end while definitions loaded
│   ├── PluginTimeoutError          it took too long and was interrupted
│   └── PluginExitError             it raised what would have ended more than itself, such as `SystemExit`
├── StageResolutionError        a topology cannot be resolved against the registry
├── StageContractError          a stage broke its own contract while it ran
├── IsolatedStageError          a stage broke off in the child process it runs in
│   └── StageLimitError             it took more memory or time than its isolation allows
├── BatchFailedError            too many documents of a batch failed
├── BatchInterruptedError       a fault that may pass ended the work on a batch; no document is at fault
├── DocumentError               one document is at fault; it is quarantined and the batch goes on
│   ├── UnreadableDocumentError     truncated, mis-encoded, or not the format it claims
│   ├── UnsafeDocumentError         entity bombs, zip bombs, oversized content
│   ├── RejectedDocumentError       readable, but empty, duplicate or retracted
│   └── DownloadError               the file of a document could not be fetched
│       ├── TransientDownloadError      a passing fault; the request is made again
│       └── PermanentDownloadError      missing, too large, not what it claims to be, or not allowed
├── GateConditionError          a gate is closed: not met, rejected or timed out
├── SourceError                 an adapter could not fetch at all
│   ├── PermanentSourceError        asking again gives the same: a missing path, a request that is refused
│   ├── RetriedSourceError          a request failed as often as it may be made in one run
│   ├── CircuitOpenError            a service failed too often and is left alone for now
│   └── DownloadsDeferredError      files are left for a later attempt
├── QueryError                  a question to the stores makes no sense, or means nothing that they hold
├── StoreError                  an index, graph or vocabulary store failed
├── StateError                  a value could not be stored or loaded between steps
├── BackupError                 a backup could not be made or put back
└── LedgerError                 the job ledger refused or could not be read
    ├── UnknownJobError             no such ledger job
    └── SupersededRunError          another run has started this phase of the job
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, with its place and the way out.

    Attributes:
        message: What is wrong.
        file: The file it is in, where there is one.
        line: The line in that file, counted from 1.
        hint: What to do about it.
        subject: Who is at fault where it is not a file: an entry point, a distribution, a stage.
        details: A traceback or other long text, kept for the record.
    """

    message: str
    file: Path | None = None
    line: int | None = None
    hint: str | None = None
    subject: str | None = None
    details: str | None = None

    def __str__(self) -> str:
        place = (
            f"{self.file}:{self.line}" if self.file and self.line else str(self.file or self.subject or "")
        )
        text = f"{place}: {self.message}" if place else self.message
        return f"{text} ({self.hint})" if self.hint else text


class MedkgError(Exception):
    """Base of every error this package raises on purpose.

    Attributes:
        is_retryable: Whether trying again could help: a broken contract or bad data stays broken, a network
            may not. An error that came from another process says so for itself.
        was_retried: Whether what failed was tried as often as it may be in this run, so that the step is not
            tried again for it; another run may succeed.
    """

    is_retryable: bool = False
    was_retried: bool = False


class ConfigError(MedkgError):
    """Settings, YAML files or configuration values are wrong."""


class TopologyError(ConfigError):
    """One or several pipeline or resilience files are wrong.

    Attributes:
        problems: Every problem found, in file and line order.
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class VocabularyError(ConfigError):
    """A vocabulary's file is wrong, or there is no vocabulary where one is asked for; the old one stays."""


class StageConfigError(ConfigError):
    """A stage's `config` does not fit its model."""


class StageRegistryError(MedkgError):
    """A stage registration is invalid, missing or collides with another."""


class PluginError(MedkgError):
    """A plugin's code did not come to its end while definitions loaded; it becomes a problem of the load."""


class PluginTimeoutError(PluginError):
    """A plugin's code took too long and was interrupted."""


class PluginExitError(PluginError):
    """A plugin's code raised what would have ended more than itself: `SystemExit`, `GeneratorExit`, ..."""


class StageResolutionError(MedkgError):
    """A topology cannot be resolved against the registry."""


class StageContractError(MedkgError):
    """A stage broke its contract: foreign keys written, its own missed, a counter that lies."""


class IsolatedStageError(MedkgError):
    """A stage raised something unforeseen in the child process it runs in, or its process ended.

    Attributes:
        error_class: The class of what was raised; empty where the process ended by itself.
        details: The traceback in the child process, or what the process wrote last.
    """

    is_retryable = True

    def __init__(
        self, message: str, *, error_class: str = "", details: str = "", is_retryable: bool | None = None
    ) -> None:
        self.error_class = error_class
        self.details = details
        if is_retryable is not None:
            self.is_retryable = is_retryable
        super().__init__(message)


class StageLimitError(IsolatedStageError):
    """A stage took more memory or time than its isolation allows; trying again takes as much."""

    is_retryable = False


class BatchFailedError(MedkgError):
    """Every document of a batch failed, or at least two and more of them than `max_failure_ratio` allows."""


class BatchInterruptedError(MedkgError):
    """A fault that may pass met the work on a document, which the message names and which is not at fault."""

    is_retryable = True


class DocumentError(MedkgError):
    """One document is at fault; raising this quarantines it and the batch goes on."""


class UnreadableDocumentError(DocumentError):
    """A document is truncated, mis-encoded or not of the format it claims to be."""


class UnsafeDocumentError(DocumentError):
    """A document would exhaust memory or reach outside itself if it were parsed."""


class RejectedDocumentError(DocumentError):
    """A document can be read but must not be used: empty, duplicate or retracted.

    That is an outcome of the document and no fault of the batch: `max_failure_ratio` does not count it.

    Attributes:
        status: What becomes of the document: `quarantined`, `superseded` or `retracted`.
    """

    def __init__(self, message: str = "", status: str = "quarantined") -> None:
        self.status = status
        super().__init__(message)


class DownloadError(DocumentError):
    """The file of a document could not be fetched."""


class TransientDownloadError(DownloadError):
    """A passing fault: a timeout, a reset connection, a busy server.

    Attributes:
        retry_after: Seconds the server asked to wait; None where it did not.
    """

    is_retryable = True

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        self.retry_after = retry_after
        super().__init__(message)


class PermanentDownloadError(DownloadError):
    """A file that cannot be had: missing, too large, not what it claims to be, or not allowed."""


GateReason = Literal["cancelled", "not_met", "timeout", "rejected"]


class GateConditionError(MedkgError):
    """A gate is closed.

    Attributes:
        gate: The gate's name.
        reason: `not_met`, `timeout` or `rejected`.
        expected: The condition, for people.
        observed: What the ledger says instead: values of fields, or who rejected it and why.
    """

    def __init__(self, gate: str, reason: GateReason, expected: Any, observed: Any) -> None:
        self.gate = gate
        self.reason: GateReason = reason
        self.expected = expected
        self.observed = observed
        super().__init__(f"gate {gate!r} is closed ({reason}): expected {expected}; observed {observed}")


class SourceError(MedkgError):
    """An adapter could not fetch at all: a missing path, an unreachable service."""

    is_retryable = True


class PermanentSourceError(SourceError):
    """Asking again gives the same: a missing path, a request that is refused, a reply that makes no sense."""

    is_retryable = False


class RetriedSourceError(SourceError):
    """A request failed as often as it may be made in one run, or is to wait for longer than a run does."""

    was_retried = True


class CircuitOpenError(SourceError):
    """A service failed too often in a row and is left alone for now."""

    was_retried = True


class DownloadsDeferredError(SourceError):
    """Some files are left for a later attempt; what was fetched is kept."""


class QueryError(MedkgError):
    """A question to the stores makes no sense, or names what they do not hold."""


class StoreError(MedkgError):
    """An index, graph or vocabulary store failed."""

    is_retryable = True


class StateError(MedkgError):
    """A value could not be stored or loaded between two steps."""


class BackupError(MedkgError):
    """A backup could not be made or put back; what was there stays."""


class LedgerError(MedkgError):
    """The job ledger refused a change or could not be read."""


class UnknownJobError(LedgerError):
    """The ledger holds no job of that id."""


class SupersededRunError(LedgerError):
    """Another run has started this phase of the job, or a later attempt has."""


_LISTED = 50


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Say which known names are close to an unknown one, and list what is known.

    Args:
        name: The name that was not found.
        known: The names that exist.

    Returns:
        A sentence to put after an error message; it lists the known names, of many the first ones.
    """
    names = sorted(known)
    listed = list_names(names) or "none"
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    return f"did you mean '{close[0]}'? known: {listed}" if close else f"known: {listed}"


def counted(number: int, one: str, many: str = "") -> str:
    """Return a number with what it counts, for a message: "1 document", "1,200 documents".

    Args:
        number: How many there are.
        one: What is said of one.
        many: What is said of none or several; by default the same with an `s`.
    """
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


def list_names(names: Sequence[str], limit: int = _LISTED) -> str:
    """Return names for a message: of many the first ones, and how many more there are."""
    more = f" and {len(names) - limit:,} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more
