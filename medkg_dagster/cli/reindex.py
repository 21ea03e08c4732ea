"""`medkg reindex`."""

from __future__ import annotations

from contextlib import closing
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from medkg_dagster.cli.ledger.changes import parse_assignments
from medkg_dagster.cli.output import echo_json
from medkg_dagster.errors import ConfigError, counted
from medkg_dagster.settings import Settings

if TYPE_CHECKING:
    from medkg_dagster.registry import ExtensionRegistry
    from medkg_dagster.stage_api import Embedder


@click.command()
@click.option(
    "--embedder", help="The embedder, such as `sentence-transformers`, or `none`; default: the index's own."
)
@click.option("--param", "params", multiple=True, metavar="NAME=VALUE", help="A parameter of the embedder.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def reindex(settings: Settings, embedder: str | None, params: tuple[str, ...], as_json: bool) -> None:
    """Give all documents of the index the vectors of an embedder, without parsing them anew.

    Texts are those of the index. Search goes on with the vectors there were, and has the new ones at once
    when all are made. A command that was ended goes on where it was. Values are JSON where they can be, else
    text.
    """
    from medkg_dagster.query.opened import load_extensions, open_store
    from medkg_dagster.stage_api import ExtensionKind

    if settings.database_url is not None:
        raise ConfigError(
            "the index in PostgreSQL keeps the vectors it is given; name the embedder in the stage `embed` "
            "and run its jobs again, which makes vectors without parsing anew"
        )
    extensions = load_extensions(settings)
    with closing(open_store(settings, ExtensionKind.INDEX_STORE, extensions)) as store:
        chosen = parse_assignments(params, "parameter")
        opened = _opened(settings, extensions, embedder, chosen, store.embedding_model())
        has_vectors = opened.embed(["a"]).shape[1] > 0
        done = store.reembed(opened.model, opened.embed if has_vectors else None, _tell)
    if as_json:
        echo_json({"model": opened.model, **asdict(done)})
        return
    name = opened.model.partition(":")[0]
    whose = f"vectors of {name}" if has_vectors else "no vectors"
    click.echo(f"{counted(done.documents, 'document')} got {whose}, {counted(done.made, 'vector')} made now")
    click.echo(
        "What pipelines index from now on has vectors of their stage `embed`; name the embedder there, too"
    )


def _opened(
    settings: Settings,
    extensions: ExtensionRegistry,
    name: str | None,
    parameters: dict[str, Any],
    model: str | None,
) -> Embedder:
    """Return the embedder that is named, else that of the index's vectors."""
    from medkg_dagster.stage_api import ExtensionKind
    from medkg_dagster.stage_api._extensions import open_embedder

    if name is not None:
        embedder: Embedder = extensions.find(ExtensionKind.EMBEDDER, name).open(parameters, settings.home)
        return embedder
    if parameters or model is None:
        raise ConfigError("no embedder is named; choose one with --embedder, such as sentence-transformers")
    return open_embedder(extensions, model, settings.home)


def _tell(done: int, total: int) -> None:
    if done and total:
        click.echo(f"medkg: {done:,} of {counted(total, 'document')} embedded", err=True)
