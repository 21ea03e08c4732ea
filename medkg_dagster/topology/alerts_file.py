"""`config/alerts.yaml`: who is told outside of what happens."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from medkg_dagster.domain import StrictModel, empty_list_for_none
from medkg_dagster.domain.alerts import AlertEvent
from medkg_dagster.errors import ConfigError, Problem, did_you_mean
from medkg_dagster.stage_api import Secret
from medkg_dagster.topology.explain import validated
from medkg_dagster.topology.names import Name
from medkg_dagster.topology.yaml_source import read_yaml

ALERTS_FILE = "alerts.yaml"


class WebhookFormat(StrEnum):
    """How an alert is written for who receives it."""

    STANDARD = "standard"
    """JSON signed after Standard Webhooks."""
    SLACK = "slack"
    """The text of a message, as incoming webhooks of Slack and of what imitates them take it."""


def check_address(address: str) -> str:
    """Return an address that something can be sent to.

    Raises:
        ValueError: It is none, or holds what is to be kept secret.
    """
    parts = urlsplit(address)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("an address begins with https:// or http:// and names a host")
    if parts.username or parts.password:
        raise ValueError("an address that holds a password is a secret; write `{env: NAME}`")
    return address


def _check_written(address: str) -> str:
    try:
        return check_address(address)
    except ValueError as error:
        raise PydanticCustomError("address", "{reason}", {"reason": str(error)}) from None


def _check_event(name: Any) -> Any:
    known = [event.value for event in AlertEvent]
    if name not in known:
        raise PydanticCustomError(
            "event", "there is no such event; {hint}", {"hint": did_you_mean(str(name), known)}
        )
    return name


Address = Annotated[str, AfterValidator(_check_written)]
Event = Annotated[AlertEvent, BeforeValidator(_check_event)]


class Webhook(StrictModel):
    """Somebody who is told of what happens.

    Attributes:
        name: Unique in the file.
        url: Where alerts are sent to; one that is itself a secret, as Slack's are, is `{env: NAME}`.
        format: How an alert is written: `standard` JSON, signed, or the text of a `slack` message.
        secret: What `standard` alerts are signed with, `{env: NAME}`; its value begins with `whsec_`.
        events: Which events are told; by default all.
    """

    name: Name
    url: Address | Secret
    format: WebhookFormat = WebhookFormat.STANDARD
    secret: Secret | None = None
    events: Annotated[tuple[Event, ...], Field(min_length=1)] = tuple(AlertEvent)

    @model_validator(mode="after")
    def _check_signed(self) -> Self:
        if self.format is WebhookFormat.STANDARD and self.secret is None:
            raise PydanticCustomError(
                "secret", "a webhook of the format 'standard' is signed: add `secret: {env: NAME}`"
            )
        return self

    def address(self) -> str:
        """Return where alerts are sent to.

        Raises:
            ConfigError: It stands in a variable of the environment that is not set, or holds no address.
        """
        if not isinstance(self.url, Secret):
            return self.url
        try:
            return check_address(self.url.reveal())
        except ValueError as error:
            raise ConfigError(f"the environment variable {self.url.env} holds no address: {error}") from None


class AlertsFile(StrictModel):
    """Who is told outside of what happens.

    Attributes:
        ui: The address of Dagster's UI, which links in alerts begin with; without it they have none.
        gate_wait_seconds: How long a job may wait at a gate before that is told, as `gate.waits`.
        late_seconds: How long after a time of a schedule something must have arrived; else that is told, as
            `schedule.missed`.
        alerts: Who is told of what.
    """

    ui: Address | None = None
    gate_wait_seconds: float = Field(default=86_400.0, gt=0, le=1e9)
    late_seconds: float = Field(default=7_200.0, ge=60, le=1e9)
    alerts: Annotated[tuple[Webhook, ...], BeforeValidator(empty_list_for_none)] = ()

    @model_validator(mode="after")
    def _check_names(self) -> Self:
        for name, count in Counter(webhook.name for webhook in self.alerts).items():
            if count > 1:
                raise PydanticCustomError(
                    "names", "'{name}' is the name of several webhooks; give each its own", {"name": name}
                )
        return self


@dataclass(frozen=True, slots=True)
class LoadedAlerts:
    """Who is told of what.

    Attributes:
        content: The file; nobody is told of anything where it is missing or not valid.
        problems: What is wrong with it.
    """

    content: AlertsFile = field(default_factory=AlertsFile)
    problems: tuple[Problem, ...] = ()


def load_alerts(config: Path) -> LoadedAlerts:
    """Read who is told of what.

    Args:
        config: The configuration folder, for the `alerts.yaml` in it, or the file itself; it may be missing.
    """
    source = read_yaml(config / ALERTS_FILE if config.is_dir() else config)
    if source.is_missing:
        return LoadedAlerts()
    problems = [] if source.is_empty else list(source.problems)
    if not problems:
        content, findings = validated(AlertsFile, {} if source.value is None else source.value)
        if content is not None:
            return LoadedAlerts(content)
        problems = [
            Problem(item.message, file=source.file, line=source.lines.line(item.path), hint=item.hint)
            for item in findings
        ]
    return LoadedAlerts(problems=tuple(problems))
