"""`medkg alerts`: what people were told of outside, and what waits or failed."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from medkg_dagster.cli.output import ROWS, echo_json, echo_records
from medkg_dagster.errors import ConfigError, SourceError, counted, did_you_mean
from medkg_dagster.settings import Settings

if TYPE_CHECKING:
    from medkg_dagster.ledger.alert_models import AlertRecord
    from medkg_dagster.topology.alerts_file import Webhook

STATUSES = ("waiting", "sent", "failed", "summed up")
_COLUMNS = {"AT": "at", "WEBHOOK": "webhook", "EVENT": "event", "STATUS": "status"}
_COLUMNS |= {"ATTEMPTS": "attempts", "NEXT": "next_at", "WHAT": "summary", "WHY NOT": "error"}


@click.group(invoke_without_command=True)
@click.option("--webhook", help="Only what is for this webhook.")
@click.option("--status", type=click.Choice(STATUSES), help="Only what has this status.")
@click.option("--limit", default=50, show_default=True, type=ROWS, help="Alerts to show.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def alerts(ctx: click.Context, webhook: str | None, status: str | None, limit: int, as_json: bool) -> None:
    """List what was sent to webhooks, what waits to be sent, and what was given up.

    Who is told of what, `config/alerts.yaml` says; the daemon sends. Without a command this lists.
    """
    if ctx.invoked_subcommand is not None:
        return
    settings: Settings = ctx.obj
    if webhook is not None:
        _find(settings, webhook)
    found = _recorded(settings, webhook, status, limit)
    if as_json:
        echo_json([asdict(record) for record in found])
    elif found:
        echo_records(_COLUMNS, map(asdict, found))
    else:
        told = counted(len(_webhooks(settings)), "webhook is", "webhooks are")
        click.echo(f"no alerts; {told} told of what happens")


@alerts.command("test")
@click.argument("name")
@click.pass_obj
def try_out(settings: Settings, name: str) -> None:
    """Send a message of the type `test` to the webhook NAME, once, and say what came of it."""
    import json
    import secrets

    from medkg_dagster.alerts.delivery import attempt
    from medkg_dagster.alerts.messages import try_out as message
    from medkg_dagster.io.times import stamp, utc_now
    from medkg_dagster.io.webhooks import UndeliveredError, WebhookClient

    webhook = _find(settings, name)
    payload = json.dumps(message(stamp(utc_now)))
    with WebhookClient() as client:
        try:
            status = attempt(client, webhook, f"msg_{secrets.token_hex(16)}", payload)
        except UndeliveredError as error:
            raise SourceError(f"webhook '{name}' has not taken the message: {error}") from error
    click.echo(f"webhook '{name}' has taken the message, with status {status}")


@alerts.command("retry")
@click.argument("name", required=False)
@click.pass_obj
def retry(settings: Settings, name: str | None) -> None:
    """Let what was given up be sent once more, of all webhooks or of NAME."""
    from medkg_dagster.cli.ledger import open_ledger

    if name is not None:
        _find(settings, name)
    with open_ledger(settings) as book:
        number = book.alerts.send_again(name)
    click.echo(f"{counted(number, 'alert')} will be sent once more, with the daemon's next tick")


def _webhooks(settings: Settings) -> tuple[Webhook, ...]:
    """Return who is told of what.

    Raises:
        ConfigError: The file is not valid.
    """
    from medkg_dagster.topology.alerts_file import load_alerts

    loaded = load_alerts(settings.config)
    if loaded.problems:
        raise ConfigError("\n".join(map(str, loaded.problems)))
    return loaded.content.alerts


def _find(settings: Settings, name: str) -> Webhook:
    known = {webhook.name: webhook for webhook in _webhooks(settings)}
    if name not in known:
        raise ConfigError(f"no webhook is called '{name}'; {did_you_mean(name, known)}")
    return known[name]


def _recorded(
    settings: Settings, webhook: str | None, status: str | None, limit: int
) -> tuple[AlertRecord, ...]:
    from medkg_dagster.ledger import JobLedger
    from medkg_dagster.ledger.alert_models import AlertStatus

    if not JobLedger.exists(settings):
        return ()
    with JobLedger.of(settings) as book:
        return book.alerts.list(webhook, None if status is None else AlertStatus(status), limit)
