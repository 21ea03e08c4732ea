"""Whether those who are told of what happens can be reached."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from medkg_dagster.cli.doctor.finding import Finding, fine, note, wrong
from medkg_dagster.errors import ConfigError, MedkgError, counted
from medkg_dagster.settings import Settings

if TYPE_CHECKING:
    from medkg_dagster.ledger.alert_models import AlertCounts
    from medkg_dagster.topology.alerts_file import Webhook

_SECONDS = 3.0
_PORTS = {"http": 80, "https": 443}


def look_at_alerts(settings: Settings) -> Iterator[Finding]:
    """Yield of each webhook whether it is written as it should be, and can be reached; nothing is sent."""
    from medkg_dagster.topology.alerts_file import load_alerts

    loaded = load_alerts(settings.config)
    for problem in loaded.problems:
        yield wrong("alerts", str(problem))
    if not loaded.problems and not loaded.content.alerts:
        yield note("alerts", "nobody is told of what happens", "`medkg schema --of alerts` says how")
    known = _counts(settings) if loaded.content.alerts else None
    for webhook in loaded.content.alerts:
        yield _webhook(webhook, known)


def _webhook(webhook: Webhook, known: AlertCounts | None) -> Finding:
    from medkg_dagster.io.webhooks import signing_key
    from medkg_dagster.ledger.alert_models import AlertStatus

    try:
        address = webhook.address()
        if webhook.secret is not None:
            signing_key(webhook.secret.reveal())
    except ConfigError as error:
        return wrong("alerts", f"webhook '{webhook.name}': {error}")
    fault = _fault(address)
    if fault is not None:
        return wrong(
            "alerts",
            f"webhook '{webhook.name}' cannot be reached: {fault}",
            f"check the address and the network; `medkg alerts test {webhook.name}` tries",
        )
    failed = 0 if known is None else known.counts.get((webhook.name, AlertStatus.FAILED), 0)
    if known is not None and failed:
        why = known.errors.get(webhook.name, "")
        return wrong(
            "alerts",
            f"webhook '{webhook.name}': {counted(failed, 'alert was', 'alerts were')} given up: {why}",
            f"`medkg alerts test {webhook.name}` tries, `medkg alerts retry {webhook.name}` sends them again",
        )
    waiting = 0 if known is None else known.counts.get((webhook.name, AlertStatus.WAITING), 0)
    return fine("alerts", f"webhook '{webhook.name}' can be reached, {counted(waiting, 'alert')} to send")


def _fault(address: str) -> str | None:
    """Return why nobody answers at an address; the address may be a secret and is not said."""
    parts = urlsplit(address)
    try:
        place = (parts.hostname or "", parts.port or _PORTS[parts.scheme])
        socket.create_connection(place, timeout=_SECONDS).close()
    except (OSError, ValueError) as error:
        return getattr(error, "strerror", None) or type(error).__name__
    return None


def _counts(settings: Settings) -> AlertCounts | None:
    from medkg_dagster.ledger import JobLedger

    try:
        if not JobLedger.exists(settings):
            return None
        with JobLedger.of(settings) as book:
            return book.alerts.counts()
    except MedkgError:
        return None  # which the look at the ledger says
