"""`medkg graph query`, and how `medkg graph` tells it from the name of a node."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from medkg_dagster.cli.output import echo_json, echo_table
from medkg_dagster.errors import counted
from medkg_dagster.settings import Settings

if TYPE_CHECKING:
    from medkg_dagster.cypher import CypherAnswer


class GraphGroup(click.Group):
    """Commands about the graph, of which the first need not be named: what is no command is a node."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Let options of the first command stand right behind the group."""
        named = bool(args) and args[0] in {*self.commands, *ctx.help_option_names}
        return super().parse_args(ctx, args if named or not args else [next(iter(self.commands)), *args])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that is named, else the first with all arguments."""
        named = args if args[0] in self.commands else [next(iter(self.commands)), *args]
        return super().resolve_command(ctx, named)


@click.command()
@click.argument("statement")
@click.option(
    "--limit", default=100, show_default=True, type=click.IntRange(1, 100_000), help="Rows to show."
)
@click.option(
    "--timeout",
    default=30,
    show_default=True,
    type=click.IntRange(1, 600),
    metavar="SECONDS",
    help="So long the question may take.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def query(settings: Settings, statement: str, limit: int, timeout: int, as_json: bool) -> None:
    """Ask the graph in Cypher: STATEMENT is one that reads, MATCH ... RETURN ...

    It is asked of a copy in an embedded database, which is made when the graph has changed. Nodes are
    (:Entity), edges are of the type that their predicate is called. Needs the extra `ladybug`.
    """
    from medkg_dagster.cypher import ask_cypher

    answer = ask_cypher(settings, statement, limit=limit, timeout_seconds=timeout)
    if as_json:
        echo_json({**answer.model_dump(mode="json"), "rows": _by_column(answer)})
        return
    echo_table(answer.columns, [list(map(_shown, row)) for row in answer.rows])
    for line in answer.cut:
        click.echo(f"medkg: {line}", err=True)
    click.echo(counted(len(answer.rows), "row"))


def _by_column(answer: CypherAnswer) -> list[dict[str, Any]]:
    return [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]


def _shown(value: Any) -> str:
    """Return a value for a table: of a node its name and CURIE, of an edge what says it."""
    if isinstance(value, dict) and "_LABEL" in value:
        if "name" in value:
            return f"{value['name']} ({value['id']})"
        return f"{value['_LABEL']}: {value.get('sentence') or value.get('document') or ''}"
    if isinstance(value, list):
        return ", ".join(map(_shown, value))
    return "-" if value is None else str(value)
