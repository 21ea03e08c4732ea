"""The root of the console: options common to all commands, and errors on one line."""

from __future__ import annotations

import sys
from io import TextIOWrapper
from typing import Any

import click

from medkg_dagster import __version__
from medkg_dagster.cli.alerts import alerts
from medkg_dagster.cli.backup import backup, restore
from medkg_dagster.cli.changes import changes
from medkg_dagster.cli.doctor import doctor
from medkg_dagster.cli.documents import documents
from medkg_dagster.cli.exit_code import run_to_its_end
from medkg_dagster.cli.export import export
from medkg_dagster.cli.gate import gate
from medkg_dagster.cli.graph import graph, path
from medkg_dagster.cli.ledger import ledger, summary
from medkg_dagster.cli.ledger.changes import cancel, list_files, remove, retry, set_fields
from medkg_dagster.cli.mcp import mcp
from medkg_dagster.cli.metrics import metrics
from medkg_dagster.cli.pipelines.plan import plan
from medkg_dagster.cli.pipelines.stages import stages
from medkg_dagster.cli.pipelines.yaml_files import check, migrate, schema
from medkg_dagster.cli.plugin import plugin
from medkg_dagster.cli.prune import prune
from medkg_dagster.cli.reindex import reindex
from medkg_dagster.cli.run import run
from medkg_dagster.cli.search import search
from medkg_dagster.cli.serve import serve
from medkg_dagster.cli.state import state
from medkg_dagster.cli.submit import submit
from medkg_dagster.cli.triggers import triggers
from medkg_dagster.cli.vocab import vocab
from medkg_dagster.cli.why import why
from medkg_dagster.errors import MedkgError
from medkg_dagster.settings import Settings

INTERRUPTED = 130


class ReportedError(click.ClickException):
    """An error of this package as the console shows it."""

    def show(self, file: Any = None) -> None:
        """Write every line of the message after the program's name."""
        for line in self.message.splitlines() or [self.message]:
            click.echo(f"medkg: {line}", file=file or sys.stderr)


class MedkgGroup(click.Group):
    """A group that shows this package's errors on one line and without a traceback."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the command; in standalone mode the process was started for it, and ends with its exit code."""
        if kwargs.get("standalone_mode", True):
            run_to_its_end(lambda: self.main(*args, **kwargs))
        return self.main(*args, **kwargs)

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run the command; what the encoding of a stream lacks is written as an escape."""
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        return super().main(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except MedkgError as error:
            raise ReportedError(str(error)) from error
        except KeyboardInterrupt:
            click.echo("medkg: interrupted", err=True)
            ctx.exit(INTERRUPTED)


@click.group(
    cls=MedkgGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}
)
@click.version_option(__version__, "--version", prog_name="medkg")
@click.pass_context
def main(ctx: click.Context) -> None:
    """Run pipelines, submit jobs, open gates, and look at pipelines, the index, the graph and the job ledger.

    Data is read from MEDKG_HOME (default: ./.medkg), pipelines from MEDKG_CONFIG (default: ./config, else
    the installed copy). `medkg run auto` runs a pipeline; the Dagster UI (`make dev`) shows its runs.
    """
    ctx.obj = Settings.from_environment()


for _command in (set_fields, retry, cancel, remove, list_files):
    ledger.add_command(_command)
for _command in (
    check,
    doctor,
    plan,
    stages,
    schema,
    migrate,
    plugin,
    run,
    submit,
    triggers,
    alerts,
    gate,
    ledger,
    documents,
    why,
    vocab,
    changes,
    state,
    prune,
    backup,
    restore,
    search,
    reindex,
    graph,
    path,
    export,
    mcp,
    serve,
    metrics,
    summary,
):
    main.add_command(_command)
