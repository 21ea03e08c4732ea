"""`medkg mcp`."""

from __future__ import annotations

import click

from medkg_dagster.settings import Settings


@click.command()
@click.option("--http", is_flag=True, help="Serve over HTTP on 127.0.0.1 in place of stdin and stdout.")
@click.option(
    "--port",
    default=8765,
    show_default=True,
    type=click.IntRange(0, 65_535),
    help="With --http, the port; 0 for any that is free.",
)
@click.pass_obj
def mcp(settings: Settings, http: bool, port: int) -> None:
    """Serve the stores to language models as tools of the Model Context Protocol (MCP).

    Search, documents, entities, neighbours, claims and paths, each answer with sentences, offsets and links.
    It reads only. A client starts `medkg mcp`, or is given the address that --http prints.
    """
    from medkg_dagster.mcp_server.serving import serve_http, serve_stdio
    from medkg_dagster.query import Stores

    with Stores(settings) as stores:
        if http:
            serve_http(stores, port, lambda address: click.echo(f"serving {address}", err=True))
        else:
            serve_stdio(stores)
