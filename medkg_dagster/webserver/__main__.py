"""Runs `dagster-webserver` behind the guard."""

import os
import sys
from functools import partial
from importlib import import_module
from typing import Any

import click

from medkg_dagster.errors import ConfigError
from medkg_dagster.io.web_requests import LOOPBACK
from medkg_dagster.webserver.guard import WebserverGuard

HOSTS = "MEDKG_WEBSERVER_HOSTS"
ACTOR_HEADER = "MEDKG_WEBSERVER_ACTOR_HEADER"
TOKEN = "MEDKG_WEBSERVER_TOKEN"  # noqa: S105 - the name of a variable


def main() -> None:
    """Run the command `dagster-webserver`, its application guarded."""
    try:
        command: Any = import_module("dagster_webserver.cli")
    except ModuleNotFoundError as error:
        sys.exit(str(ConfigError(f"{error.name} is not installed; `pip install 'medkg-dagster[ui]'`")))
    named = {name.strip() for name in os.environ.get(HOSTS, "").split(",")} - {""}
    # The command has no place for an application of ours, but looks up in its own module what makes one.
    # Where Dagster moves that, there is an AttributeError here, and never a webserver without a guard.
    guarded = partial(_guarded, command.create_app_from_workspace_process_context, {*LOOPBACK, *named})
    command.create_app_from_workspace_process_context = guarded
    command.main()


def _guarded(make_app: Any, hosts: set[str], *arguments: Any, **options: Any) -> Any:
    listens_at = click.get_current_context().params["host"]
    token = os.environ.get(TOKEN) or None
    # Dagster is imported by now, and not by those who only ask what the command takes.
    from medkg_dagster.webserver.acting import name_who_asks

    actor_header = os.environ.get(ACTOR_HEADER, "").strip() or None
    name_who_asks(actor_header)
    return WebserverGuard(make_app(*arguments, **options), {*hosts, listens_at}, token, actor_header)


if __name__ == "__main__":
    main()
