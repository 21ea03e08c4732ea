"""`medkg serve`: the stores of a home for browsers and programs, over HTTP."""

from __future__ import annotations

import ipaddress
import logging
import os
import socket
from contextlib import suppress
from typing import Any

import click

from medkg_dagster.errors import ConfigError
from medkg_dagster.io.web_requests import LOOPBACK
from medkg_dagster.settings import SERVE_PORT, Settings

TOKEN = "MEDKG_SERVE_TOKEN"  # noqa: S105 - the name of a variable
HOST_NAMES = click.option(
    "--host-name", "names", multiple=True, metavar="NAME", help="A name it is reached by; may be repeated."
)
_WAITING = 128


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option(
    "--port",
    default=SERVE_PORT,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="Port; 0 for a free one.",
)
@HOST_NAMES
@click.pass_obj
def serve(settings: Settings, host: str, port: int, names: tuple[str, ...]) -> None:
    """Show search, documents, entities and claims in the browser, and answer programs, until Ctrl-C.

    It reads only. It listens on loopback, and answers to the names of this machine and to --host-name. Where
    the environment has MEDKG_SERVE_TOKEN, that has to be sent with every question; to listen anywhere but on
    loopback needs one. /api/openapi.json describes what can be asked.
    """
    try:
        from medkg_dagster.service import make_app
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"`medkg serve` needs {error.name}, which is not installed; `pip install 'medkg-dagster[serve]'`"
        ) from error
    from medkg_dagster.query import Stores

    token = os.environ.get(TOKEN) or None
    if token is None and not _is_loopback(host):
        raise ConfigError(
            f"{host} may be reached by others: set {TOKEN} to a long secret that they have to send, or leave "
            "--host out"
        )
    listening = listen(host, port)
    with listening, Stores(settings) as stores:
        port = listening.getsockname()[1]
        shown = f"[{host}]" if ":" in host else host
        click.echo(f"http://{shown}:{port}/ shows {settings.home}; Ctrl-C ends it")
        app = make_app(stores, hosts={*LOOPBACK, host, *names}, token=token)
        serve_until_interrupted(app, listening)


def listen(host: str, port: int) -> socket.socket:
    """Listen at an address.

    Raises:
        ConfigError: It is taken, or none of this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_WAITING)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"cannot listen at {host} port {port}: {reason}; give another --port") from error


def serve_until_interrupted(app: Any, listening: socket.socket) -> None:
    """Let an ASGI application answer what comes, until Ctrl-C."""
    import uvicorn

    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    config = uvicorn.Config(app, log_config=None, server_header=False, proxy_headers=False)
    with suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listening])


def _is_loopback(host: str) -> bool:
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host.lower() == "localhost"
