"""`medkg migrate`."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import TYPE_CHECKING

import click

from medkg_dagster.errors import ConfigError

if TYPE_CHECKING:
    from medkg_dagster.topology.migration import Migration


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
        _report(migration, is_written=not (check or diff), shows_diff=diff)
    if check and any(migration.notes for migration in migrations):
        ctx.exit(1)


def _report(migration: Migration, *, is_written: bool, shows_diff: bool) -> None:
    file, count = migration.file, len(migration.notes)
    if not count:
        click.echo(f"{file}: nothing to migrate", err=shows_diff)
    elif shows_diff:
        lines = (migration.before.splitlines(keepends=True), migration.after.splitlines(keepends=True))
        click.echo("".join(difflib.unified_diff(*lines, str(file), str(file))), nl=False)
    elif is_written:
        _write(file, migration.after)
        click.echo(f"{file}: {count} earlier forms rewritten")
    else:
        for note in migration.notes:
            click.echo(str(note))


def _write(file: Path, text: str) -> None:
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
