"""`medkg plugin`: the way to a package with a stage type of one's own."""

from __future__ import annotations

from pathlib import Path

import click


@click.group()
def plugin() -> None:
    """Write stage types of your own."""


@plugin.command()
@click.argument("name")
@click.option(
    "--folder", type=click.Path(path_type=Path), help="Where to put it; by default a new folder called NAME."
)
@click.option("--stage-type", help="The name of the stage type in YAML; by default made from NAME.")
def new(name: str, folder: Path | None, stage_type: str | None) -> None:
    """Make a package with a stage type, its tests and a pipeline that uses it.

    NAME is the name of the distribution, for example `medkg-reading-time`, which has the stage type
    `reading-time` unless --stage-type names another. The folder must not exist, or be empty.
    """
    from medkg_dagster.cli.plugin.project import describe_project, write_project

    project = describe_project(name, stage_type)
    target = write_project(project, folder if folder is not None else Path(name))
    click.echo(f"made {project.distribution} with the stage type {project.stage_type} in {target}")
    click.echo("Next, in that folder:")
    click.echo("  pip install --editable '.[test]'")
    click.echo("  pytest")
    click.echo("  medkg check && dagster dev -m medkg_dagster.definitions")
