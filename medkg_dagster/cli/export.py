"""`medkg export`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from medkg_dagster.cli.claim_filters import claim_filters, which_claims
from medkg_dagster.errors import counted
from medkg_dagster.settings import Settings

EXPORT_FORMATS = ("kgx", "kgx-aggregated", "kgx-tsv", "neo4j", "graphml", "rdf", "csv", "parquet")


@click.command()
@click.argument("format_name", metavar="FORMAT", type=click.Choice(EXPORT_FORMATS))
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), required=False)
@click.option("--mentions/--no-mentions", default=True, help="With what documents only mention, or without.")
@claim_filters
@click.pass_obj
def export(
    settings: Settings, /, format_name: str, folder: Path | None, mentions: bool, **chosen: Any
) -> None:
    """Write the knowledge graph into FOLDER, by default a folder named like the format where you are.

    FORMAT is kgx (JSON Lines), kgx-aggregated (an edge for all that say the same), kgx-tsv, neo4j (CSV for
    neo4j-admin), graphml, rdf (N-Triples), csv, or parquet. A manifest beside the files says where the edges
    are from, and under which licences.
    """
    from medkg_dagster.export import export_graph

    where = (folder or Path(format_name)).absolute()
    written = export_graph(settings, format_name, where, which_claims(chosen, mentions=mentions))
    for file in written:
        said = [
            counted(number, what.removesuffix("s").replace("_", " "))
            + (f", {file.synthetic[what]:,} of them synthetic," if file.synthetic[what] else "")
            for what, number in file.records.items()
        ]
        click.echo(f"wrote {' and '.join(said)} to {file.path}")
