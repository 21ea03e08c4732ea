"""Alerts as the ledger keeps them, as frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from medkg_dagster.domain.alerts import AlertEvent


class AlertStatus(StrEnum):
    """What became of an alert."""

    WAITING = "waiting"
    """To be sent, for the first time or once more."""
    SENT = "sent"
    """The receiver has taken it."""
    FAILED = "failed"
    """It was given up."""
    SUMMED_UP = "summed up"
    """It was told with many others, in one."""


class AlertChannel(NamedTuple):
    """Which events of which webhook.

    Attributes:
        webhook: The webhook's name.
        event: The event.
    """

    webhook: str
    event: AlertEvent


@dataclass(frozen=True, slots=True)
class AlertRecord:
    """An alert for one webhook.

    Attributes:
        alert_id: The same for every attempt to send it: the receiver knows by it what it has had.
        webhook: The webhook's name.
        event: What happened.
        at: When that was.
        summary: What happened, in a sentence.
        payload: What is sent: a JSON object as text.
        status: What became of it.
        attempts: How often somebody began to send it.
        next_at: When it is to be sent; None where it is not any more.
        error: Why the last attempt failed; None where none has.
        recorded_at: When it was recorded.
        ended_at: When it was sent or given up; None before.
    """

    alert_id: str
    webhook: str
    event: str
    at: str
    summary: str
    payload: str
    status: AlertStatus
    attempts: int
    next_at: str | None
    error: str | None
    recorded_at: str
    ended_at: str | None


@dataclass(frozen=True, slots=True)
class AlertCounts:
    """How many alerts of a webhook there are, by status.

    Attributes:
        counts: By webhook and status.
        errors: By webhook, why the last attempt to send what waits or was given up failed.
    """

    counts: Mapping[tuple[str, AlertStatus], int]
    errors: Mapping[str, str]


class FailedRun(NamedTuple):
    """A run of a ledger job that failed.

    Attributes:
        pipeline: The pipeline's name.
        job_id: The job's id.
        run_id: Dagster's id of the run.
        job_name: The Dagster job that it ran.
        error: Why; None where nothing is known of it.
        ended_at: When.
    """

    pipeline: str
    job_id: str
    run_id: str
    job_name: str
    error: str | None
    ended_at: str
