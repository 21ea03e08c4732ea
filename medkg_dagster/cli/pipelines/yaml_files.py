"""`medkg check`, `medkg schema` and `medkg migrate`: the YAML files themselves."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from medkg_dagster.errors import ConfigError, counted
from medkg_dagster.settings import Settings

if TYPE_CHECKING:
    from medkg_dagster.stage_api import Extensions
    from medkg_dagster.topology.migration import Migration

OF = ("pipeline", "resilience", "plugins", "alerts")


@click.command()
@click.pass_context
def check(ctx: click.Context) -> None:
    """Load every pipeline and plugin, and print each problem with its file and line.

    The exit code is 1 where there is any problem, so a build can rely on it. An earlier form of a pipeline
    file is none: it is printed with what to write instead. So is a store that takes no document out.
    """
    from medkg_dagster.ledger import JobLedger
    from medkg_dagster.resolution import load_deployment
    from medkg_dagster.resolution.ledger_checks import audit_plugins, record_load, stranded_jobs

    settings: Settings = ctx.obj
    deployment = load_deployment(settings)
    plan, factory = deployment.plan, deployment.factory
    problems = list(plan.problems)
    if JobLedger.exists(settings):
        with JobLedger.of(settings) as ledger:
            audit_plugins(plan.report.events, ledger)
            record_load(plan.report, ledger)
            problems += stranded_jobs(plan.pipelines, ledger)
    for item in (*problems, *plan.deprecations, *_stores_that_keep_all(factory.extensions)):
        click.echo(str(item))
    types = counted(len(factory.registry.stage_types), "stage type")
    found = f"{counted(len(plan.pipelines), 'pipeline')}, {types}"
    if problems:
        click.echo(f"medkg: {found}, {counted(len(problems), 'problem')}", err=True)
        ctx.exit(1)
    earlier = f", {counted(len(plan.deprecations), 'earlier form')}" if plan.deprecations else ""
    click.echo(f"{found}, no problems{earlier}")


def _stores_that_keep_all(extensions: Extensions) -> Iterator[str]:
    from medkg_dagster.stage_api import ExtensionKind

    for kind in (ExtensionKind.INDEX_STORE, ExtensionKind.GRAPH_STORE):
        for name in extensions.names(kind):
            # One that cannot be loaded is a problem of the pipeline that names it.
            with suppress(ConfigError):
                if not extensions.find(kind, name).keeps_documents:
                    yield (
                        f"{kind.label} '{name}' does not say `keeps_documents`: documents that are withdrawn "
                        "stay in it; its authors can add `held` and `apply`"
                    )


@click.command()
@click.option(
    "--of", "subject", type=click.Choice(OF), default="pipeline", show_default=True, help="The kind of file."
)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the schema to this file, whole or not at all.",
)
@click.pass_obj
def schema(settings: Settings, subject: str, output: Path | None) -> None:
    """Print the JSON Schema of a YAML file, for editors that complete and check while you write.

    The schema of a pipeline has the `config` of every stage type that is installed and let in. A file points
    to its schema in its first line: `# yaml-language-server: $schema=../pipeline.schema.json`.
    """
    text = json.dumps(_schema_of(settings, subject), indent=2, allow_nan=False) + "\n"
    if output is None:
        click.echo(text, nl=False)
        return
    from medkg_dagster.io.atomic_files import write_atomically

    try:
        write_atomically(output, text.encode())
    except OSError as error:
        raise ConfigError(
            f"the schema cannot be written to {output}: {error.strerror or error}; choose another file"
        ) from error
    click.echo(f"wrote {output}")


def _schema_of(settings: Settings, subject: str) -> dict[str, Any]:
    from medkg_dagster.resolution import json_schema, load_deployment

    if subject == "resilience":
        return json_schema.resilience_schema()
    if subject == "plugins":
        return json_schema.plugins_schema()
    if subject == "alerts":
        return json_schema.alerts_schema()
    factory = load_deployment(settings).factory
    if factory.problems:
        click.echo(
            f"medkg: {counted(len(factory.problems), 'problem')} with plugins, see `medkg check`", err=True
        )
    return json_schema.pipeline_schema(factory.registry)


@click.command()
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option(
    "--check", is_flag=True, help="Write nothing; the exit code is 1 where a file has an earlier form."
)
@click.option("--diff", is_flag=True, help="Write nothing; print what would change.")
@click.pass_context
def migrate(ctx: click.Context, files: tuple[Path, ...], check: bool, diff: bool) -> None:
    """Rewrite pipeline FILES from earlier forms to today's, in place; comments stay.

    All files are read before the first is written, and each is written whole or not at all.
    """
    from medkg_dagster.topology.migration import migrate_file

    migrations = [migrate_file(file) for file in files]
    for migration in migrations:
        _report_migration(migration, is_written=not (check or diff), shows_diff=diff)
    if check and any(migration.notes for migration in migrations):
        ctx.exit(1)


def _report_migration(migration: Migration, *, is_written: bool, shows_diff: bool) -> None:
    file, count = migration.file, len(migration.notes)
    if not count:
        click.echo(f"{file}: nothing to migrate", err=shows_diff)
    elif shows_diff:
        lines = (migration.before.splitlines(keepends=True), migration.after.splitlines(keepends=True))
        click.echo("".join(difflib.unified_diff(*lines, str(file), str(file))), nl=False)
    elif is_written:
        _rewrite(file, migration.after)
        click.echo(f"{file}: {counted(count, 'earlier form')} rewritten")
    else:
        for note in migration.notes:
            click.echo(str(note))


def _rewrite(file: Path, text: str) -> None:
    from medkg_dagster.io.atomic_files import write_atomically

    try:
        # A link stays one, and who may read and write the file stays.
        file, mode = file.resolve(), file.stat().st_mode
        write_atomically(file, text.encode())
        file.chmod(mode)
    except OSError as error:
        raise ConfigError(
            f"{file} cannot be written: {error.strerror or error}; check permissions"
        ) from error
