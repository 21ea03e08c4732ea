"""`medkg schema`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from medkg_dagster.errors import ConfigError
from medkg_dagster.settings import Settings

OF = ("pipeline", "resilience", "plugins")


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
    text = json.dumps(_made(settings, subject), indent=2, allow_nan=False) + "\n"
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


def _made(settings: Settings, subject: str) -> dict[str, Any]:
    from medkg_dagster.resolution import json_schema, load_deployment

    if subject == "resilience":
        return json_schema.resilience_schema()
    if subject == "plugins":
        return json_schema.plugins_schema()
    factory = load_deployment(settings).factory
    if factory.problems:
        click.echo(f"medkg: {len(factory.problems)} problems with plugins, see `medkg check`", err=True)
    return json_schema.pipeline_schema(factory.registry)
