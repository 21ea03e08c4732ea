"""Alerts: what there is to tell people outside, recorded once, and what became of it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from medkg_dagster.domain.alerts import Alert
from medkg_dagster.io.sql import Database
from medkg_dagster.io.times import Clock, stamp
from medkg_dagster.ledger.alert_models import (
    AlertChannel,
    AlertCounts,
    AlertRecord,
    AlertStatus,
    FailedRun,
)
from medkg_dagster.ledger.database import lock_database
from medkg_dagster.ledger.encoding import dump_json
from medkg_dagster.ledger.models import JobPhase, Registration
from medkg_dagster.ledger.statements import alert_rows, counter_rows, registration_rows

MOST_AT_ONCE = 20
"""What one look finds of one event beyond this is told in one alert."""
LEASE_SECONDS = 60.0
"""So long nobody else sends what somebody has begun to send."""
KEPT_SECONDS = 3_600.0
LONGEST_WAIT_SECONDS = 86_400.0
"""What is to be sent later than this from now was put off by a clock that was ahead."""


@dataclass(frozen=True, slots=True)
class Found:
    """What one look found to tell a webhook of one event.

    Attributes:
        channel: Which webhook and event.
        alerts: What happened, in order; what is recorded already counts for nothing.
        until: Up to when all that happened is among it.
    """

    channel: AlertChannel
    alerts: Sequence[Alert]
    until: str


class AlertLedger:
    """The alerts of a ledger. Every method is one transaction and may raise `LedgerError`."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def now(self) -> str:
        """Return the time, as the ledger writes it."""
        return stamp(self._clock)

    def positions(self) -> Mapping[tuple[str, str], str]:
        """Return up to when is told what happened, by webhook and event."""
        with self._database.reading() as connection:
            return alert_rows.read_positions(connection)

    def failed_runs(self, since: str) -> tuple[FailedRun, ...]:
        """Return the runs that failed since a time."""
        with self._database.reading() as connection:
            return alert_rows.failed_runs(connection, since)

    def gate_waits(self, since: str, until: str) -> tuple[JobPhase, ...]:
        """Return the phases whose job has waited at a gate since a time between two."""
        with self._database.reading() as connection:
            return alert_rows.gate_waits(connection, since, until)

    def timed_out_gates(self, since: str) -> tuple[JobPhase, ...]:
        """Return the phases whose gate did not open in time, since a time."""
        with self._database.reading() as connection:
            return alert_rows.timed_out_gates(connection, since)

    def registrations(self, since: str) -> tuple[Registration, ...]:
        """Return what became of plugins since a time."""
        with self._database.reading() as connection:
            return registration_rows.registrations_since(connection, since)

    def arrivals(self) -> Mapping[tuple[str, str], float]:
        """Return when each stage finished last, in seconds since 1970, by pipeline and stage."""
        with self._database.reading() as connection:
            counters = counter_rows.read_counters(connection).get(counter_rows.STAGE_SUCCESS, {})
        latest: dict[tuple[str, str], float] = {}
        for labels, at in counters.items():
            place = (labels[0], labels[1])
            latest[place] = max(at, latest.get(place, 0.0))
        return latest

    def record(
        self,
        found: Sequence[Found],
        write: Callable[[Alert], Mapping[str, Any]],
        sum_up: Callable[[Sequence[Alert]], Alert],
    ) -> int:
        """Record what there is to tell, and up to when it is known: both or neither.

        Args:
            found: What was found, for each webhook and event.
            write: What is sent of an alert.
            sum_up: The one alert that tells of many.

        Returns:
            How many alerts are new.
        """
        added = 0
        with self._database.writing() as connection:
            lock_database(connection)
            positions = alert_rows.read_positions(connection)
            for item in found:
                new = self._new(connection, item)
                added += len(new)
                rows = [self._row(item.channel, alert, AlertStatus.WAITING, write) for alert in new]
                if len(new) > MOST_AT_ONCE:
                    rows = [self._row(item.channel, alert, AlertStatus.SUMMED_UP, write) for alert in new]
                    rows.append(self._row(item.channel, sum_up(new), AlertStatus.WAITING, write))
                alert_rows.add_alerts(connection, rows)
                if positions.get(item.channel, "") < item.until:
                    alert_rows.put_position(connection, item.channel, item.until)
        return added

    def keep(self, channels: Collection[AlertChannel]) -> None:
        """Forget what nobody is told of any more: positions, and alerts that wait for a webhook that went.

        Args:
            channels: Whom is told what.
        """
        webhooks = {channel.webhook for channel in channels}
        with self._database.writing() as connection:
            lock_database(connection)
            others = set(alert_rows.read_positions(connection)) - set(channels)
            alert_rows.drop_positions(connection, others)
            error = "the webhook is no longer among `alerts`"
            alert_rows.give_up_others(connection, webhooks, stamp(self._clock), error)

    def has_due(self) -> bool:
        """Say whether something is to be sent."""
        with self._database.reading() as connection:
            return alert_rows.has_due_alerts(connection, *self._bounds())

    def take(self, webhook: str) -> AlertRecord | None:
        """Begin to send the next alert to a webhook: nobody else does so meanwhile.

        Whoever is killed then leaves it to be sent once more, under the same id.

        Returns:
            The alert, this attempt counted; None where nothing is to be sent.
        """
        with self._database.writing() as connection:
            lock_database(connection)
            found = alert_rows.next_alert(connection, webhook, *self._bounds())
            if found is None:
                return None
            begun = {"attempts": found.attempts + 1, "next_at": stamp(self._clock, LEASE_SECONDS)}
            alert_rows.put_alert(connection, found.alert_id, begun)
            return alert_rows.read_alert(connection, found.alert_id)

    def sent(self, alert_id: str) -> None:
        """Record that the receiver has taken an alert."""
        self._end(alert_id, AlertStatus.SENT, None)

    def give_up(self, alert_id: str, error: str) -> None:
        """Record that an alert is not sent any more."""
        self._end(alert_id, AlertStatus.FAILED, error)

    def put_off(self, alert: AlertRecord, seconds: float, error: str, *, is_of_service: bool) -> None:
        """Let an alert wait before it is sent once more.

        Args:
            alert: The alert.
            seconds: How long.
            error: Why it was not taken.
            is_of_service: Whether whatever else waits for the webhook is to wait as long.
        """
        until = stamp(self._clock, min(seconds, LONGEST_WAIT_SECONDS))
        with self._database.writing() as connection:
            lock_database(connection)
            alert_rows.put_alert(connection, alert.alert_id, {"next_at": until, "error": error})
            if is_of_service:
                alert_rows.put_off(connection, alert.webhook, until)

    def send_again(self, webhook: str | None = None) -> int:
        """Let what was given up be sent once more, and say how many those are.

        Args:
            webhook: Only what is for this one.
        """
        with self._database.writing() as connection:
            lock_database(connection)
            return alert_rows.send_again(connection, webhook, stamp(self._clock))

    def list(
        self, webhook: str | None = None, status: AlertStatus | None = None, limit: int = 100
    ) -> tuple[AlertRecord, ...]:
        """Return alerts, the latest first.

        Args:
            webhook: Only those of one webhook.
            status: Only those of one status.
            limit: At most so many.
        """
        with self._database.reading() as connection:
            return alert_rows.list_alerts(connection, webhook, status, limit)

    def counts(self) -> AlertCounts:
        """Return how many alerts there are, by webhook and status."""
        with self._database.reading() as connection:
            return alert_rows.count_alerts(connection)

    def forget(self, before: str, *, dry_run: bool = False) -> int:
        """Remove alerts that were sent, or given up, before a time, and say how many those are.

        Args:
            before: The time.
            dry_run: Whether only to count them.
        """
        # What was recorded a moment ago keeps the next look from recording it anew.
        before = min(before, stamp(self._clock, -KEPT_SECONDS))
        if dry_run:
            with self._database.reading() as connection:
                return alert_rows.forget_alerts(connection, before, dry_run=True)
        with self._database.writing() as connection:
            lock_database(connection)
            return alert_rows.forget_alerts(connection, before, dry_run=False)

    def _bounds(self) -> tuple[str, str]:
        moment = self._clock()
        return stamp(lambda: moment), stamp(lambda: moment, LONGEST_WAIT_SECONDS)

    def _end(self, alert_id: str, status: AlertStatus, error: str | None) -> None:
        ended = {"status": status.value, "next_at": None, "ended_at": stamp(self._clock), "error": error}
        with self._database.writing() as connection:
            lock_database(connection)
            alert_rows.put_alert(connection, alert_id, ended)

    @staticmethod
    def _new(connection: Connection, found: Found) -> Sequence[Alert]:
        by_id = {alert_id(found.channel, alert): alert for alert in found.alerts}
        known = alert_rows.known_alerts(connection, list(by_id))
        return [alert for name, alert in by_id.items() if name not in known]

    def _row(
        self,
        channel: AlertChannel,
        alert: Alert,
        status: AlertStatus,
        write: Callable[[Alert], Mapping[str, Any]],
    ) -> dict[str, Any]:
        now = stamp(self._clock)
        is_waiting = status is AlertStatus.WAITING
        return {
            "alert_id": alert_id(channel, alert),
            "webhook": channel.webhook,
            "event": channel.event.value,
            "identity": alert.identity,
            "at": alert.at,
            "summary": alert.summary,
            "payload": dump_json(write(alert)),
            "status": status.value,
            "attempts": 0,
            "next_at": now if is_waiting else None,
            "error": None,
            "recorded_at": now,
            "ended_at": None if is_waiting else now,
        }


def alert_id(channel: AlertChannel, alert: Alert) -> str:
    """Return the id of an alert for a webhook: equal for equal ones, so that it is recorded once."""
    parts = "\0".join((channel.webhook, channel.event.value, alert.identity))
    return f"msg_{hashlib.sha256(parts.encode('utf-8', 'backslashreplace')).hexdigest()[:32]}"
