"""Recorded alerts on their way out: sent at least once, each under one id."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from medkg_dagster.alerts import messages
from medkg_dagster.errors import ConfigError
from medkg_dagster.io.backoff import Backoff
from medkg_dagster.io.webhooks import UndeliveredError, WebhookClient, signed_headers, signing_key
from medkg_dagster.ledger import JobLedger
from medkg_dagster.ledger.alert_models import AlertRecord
from medkg_dagster.topology.alerts_file import Webhook, WebhookFormat

GIVEN_UP_AFTER = timedelta(days=3)
TICK_SECONDS = 30.0
"""No attempt begins later in one look: the next one is seconds away, and a tick may take a minute."""
WEBHOOK_SECONDS = 10.0
WAITS = Backoff(initial=5.0, maximum=3_600.0)


@dataclass(frozen=True, slots=True)
class Delivered:
    """What one look sent.

    Attributes:
        sent: How many alerts were taken.
        problems: Why others were not, a sentence each.
    """

    sent: int
    problems: tuple[str, ...]


def send_due(
    ledger: JobLedger, webhooks: Sequence[Webhook], clock: Callable[[], float] = time.monotonic
) -> Delivered:
    """Send what is due; whom something could not be sent to is left alone for now.

    Args:
        ledger: The open ledger.
        webhooks: Who is told.
        clock: Monotonic seconds.
    """
    if not ledger.alerts.has_due():
        return Delivered(0, ())
    end, sent, problems = clock() + TICK_SECONDS, 0, []
    with WebhookClient() as client:
        for webhook in webhooks:
            until = min(end, clock() + WEBHOOK_SECONDS)
            while clock() < until and (alert := ledger.alerts.take(webhook.name)) is not None:
                problem = _send(ledger, client, webhook, alert)
                if problem is not None:
                    problems.append(problem)
                    break
                sent += 1
    return Delivered(sent, tuple(problems))


def attempt(client: WebhookClient, webhook: Webhook, message_id: str, payload: str) -> int:
    """Send a message to a webhook once, and return the status with which it was taken.

    Args:
        client: What sends it.
        webhook: Whom to.
        message_id: The same for each attempt to send the message.
        payload: The message as it is recorded.

    Raises:
        ConfigError: The address or the secret is not there, or is none.
        UndeliveredError: It was not taken.
    """
    url = webhook.address()
    if webhook.format is WebhookFormat.SLACK:
        return client.send(url, messages.slack_body(payload), {})
    assert webhook.secret is not None
    body = payload.encode()
    key = signing_key(webhook.secret.reveal())
    return client.send(url, body, signed_headers(key, message_id, int(time.time()), body))


def _send(ledger: JobLedger, client: WebhookClient, webhook: Webhook, alert: AlertRecord) -> str | None:
    """Send an alert, record what became of it, and say why where it was not taken."""
    is_of_service, is_final, stated = True, False, None
    try:
        attempt(client, webhook, alert.alert_id, alert.payload)
    except ConfigError as error:
        said = str(error)
    except UndeliveredError as error:
        said, stated = str(error), error.wait
        is_of_service, is_final = error.is_of_service, error.is_final
    else:
        ledger.alerts.sent(alert.alert_id)
        return None
    age = datetime.fromisoformat(ledger.alerts.now()) - datetime.fromisoformat(alert.recorded_at)
    if is_final or age > GIVEN_UP_AFTER:
        ledger.alerts.give_up(alert.alert_id, said)
    else:
        # Who asks to be told again at once gets its pause all the same.
        wait = max(stated or 0.0, WAITS.wait(alert.attempts))
        ledger.alerts.put_off(alert, wait, said, is_of_service=is_of_service)
    return f"webhook '{webhook.name}': {said} (attempt {alert.attempts} of {alert.alert_id})"
