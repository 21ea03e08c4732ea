"""`medkg metrics`: what a deployment counts, for Prometheus."""

from __future__ import annotations

import click

from medkg_dagster.cli.serve import HOST_NAMES, listen, serve_until_interrupted
from medkg_dagster.errors import ConfigError
from medkg_dagster.io.web_requests import LOOPBACK
from medkg_dagster.settings import METRICS_PORT, Settings, find_dagster_home


@click.command()
@click.option("--once", is_flag=True, help="Print them and end.")
@click.option(
    "--port",
    default=METRICS_PORT,
    show_default=True,
    type=click.IntRange(0, 65_535),
    help="Port on loopback; 0 for a free one.",
)
@HOST_NAMES
@click.pass_obj
def metrics(settings: Settings, once: bool, port: int, names: tuple[str, ...]) -> None:
    """Serve metrics of runs, documents, gates, downloads and plugins to Prometheus, until Ctrl-C.

    They are computed from the ledger whenever they are asked for, so that those of runs that have ended count
    too. It listens on loopback alone, at /metrics, and needs the extra `serve`; --once does not.
    """
    dagster_home = find_dagster_home(settings.home)
    if once:
        from medkg_dagster.monitoring.exposition import exposition_of

        click.echo(exposition_of(settings, dagster_home), nl=False)
        return
    try:
        from medkg_dagster.service.metrics import METRICS, make_metrics_app
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"`medkg metrics` needs {error.name}, which is not installed; "
            "`pip install 'medkg-dagster[serve]'`, or `medkg metrics --once`"
        ) from error
    with listen("127.0.0.1", port) as listening:
        port = listening.getsockname()[1]
        click.echo(f"http://127.0.0.1:{port}{METRICS} has the metrics of {settings.home}; Ctrl-C ends it")
        app = make_metrics_app(settings, dagster_home, hosts={*LOOPBACK, *names})
        serve_until_interrupted(app, listening)
