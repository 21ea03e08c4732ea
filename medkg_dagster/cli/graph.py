"""`medkg graph` and `medkg path`."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from medkg_dagster.cli.claim_filters import claim_filters, which_claims
from medkg_dagster.cli.cypher import GraphGroup, query
from medkg_dagster.cli.output import echo_json, echo_table, one_line, paragraph
from medkg_dagster.errors import QueryError, StoreError, counted
from medkg_dagster.settings import Settings

if TYPE_CHECKING:
    from medkg_dagster.query import (
        Concept,
        EntityAnswer,
        Evidence,
        NeighbourAnswer,
        PathAnswer,
        SharedStatement,
        Statement,
        Stores,
    )
    from medkg_dagster.stage_api import GraphStore

_MOST_EVIDENCE = 50
_DOCUMENTS_SHOWN = 5


@click.group(cls=GraphGroup)
def graph() -> None:
    """Look at the knowledge graph: a node by its CURIE-OR-NAME, with or without `node`, or in Cypher."""


@graph.command()
@click.argument("name", nargs=-1, required=True, metavar="CURIE-OR-NAME")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 1000), help="Edges to show.")
@click.option("--each", is_flag=True, help="Show every edge of every document on its own.")
@click.option("--mentions/--no-mentions", default=True, help="With what documents only mention, or without.")
@click.option("--html", type=click.Path(dir_okay=False, path_type=Path), help="Write a page to this file.")
@claim_filters
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def node(  # noqa: PLR0917 - one parameter per option of the command
    settings: Settings,
    /,
    name: tuple[str, ...],
    limit: int,
    each: bool,
    mentions: bool,
    html: Path | None,
    as_json: bool,
    **chosen: Any,
) -> None:
    """Show a node of the knowledge graph and its neighbours, each with a sentence that supports it.

    What several documents say alike is one edge, with how often it is said and where. Where several nodes
    have that name they are listed; ask again with a CURIE. With --html the same is a page, a single file, in
    which an edge opens every sentence behind it.
    """
    from medkg_dagster.query import Stores

    which = which_claims(chosen, mentions=mentions)
    with Stores(settings) as stores:
        found = _find(stores, " ".join(name))
        if len(found.found) > 1:
            _print_several(found, as_json)
        elif each:
            _print_each(stores, found, chosen, mentions=mentions, limit=limit, as_json=as_json)
        else:
            evidence = _MOST_EVIDENCE if as_json or html else _DOCUMENTS_SHOWN
            answer = stores.neighbours(found.found[0].id, which=which, limit=limit, evidence=evidence)
            if html is not None:
                _write_page(answer, html)
            elif as_json:
                echo_json({"nodes": _plain(found.found), **answer.model_dump(mode="json")})
            else:
                _print_neighbours(answer, limit)


graph.add_command(query)


@click.command()
@click.argument("start", metavar="FROM")
@click.argument("end", metavar="TO")
@click.option("--max-length", default=3, show_default=True, type=click.IntRange(1, 5), help="Steps at most.")
@click.option("--limit", default=5, show_default=True, type=click.IntRange(1, 50), help="Paths to show.")
@claim_filters
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def path(  # noqa: PLR0917 - one parameter per option of the command
    settings: Settings, /, start: str, end: str, max_length: int, limit: int, as_json: bool, **chosen: Any
) -> None:
    """Show how FROM and TO are connected: the shortest ways, each step with a sentence that supports it.

    Both are CURIEs or names. What is denied connects nothing, unless it is asked for by --polarity denied.
    """
    from medkg_dagster.query import Stores

    which = which_claims(chosen, mentions=False)
    with Stores(settings) as stores:
        answer = stores.paths(start, end, which=which, max_length=max_length, limit=limit)
    if as_json:
        echo_json(answer.model_dump(mode="json"))
    else:
        _print_paths(answer)


def _write_page(answer: NeighbourAnswer, file: Path) -> None:
    from medkg_dagster.graph_page import neighbourhood_page
    from medkg_dagster.io.atomic_files import write_atomically

    try:
        write_atomically(file, neighbourhood_page(answer).encode())
    except OSError as error:
        raise StoreError(f"cannot write {file}: {error.strerror or error}; name another file") from error
    click.echo(f"wrote {counted(len(answer.neighbours), 'statement')} to {file.absolute()}")
    _print_cut(answer.cut)


@contextmanager
def open_graph(settings: Settings) -> Iterator[GraphStore]:
    """Open the graph of a home that has one, and close it again.

    Raises:
        StoreError: There is no graph yet.
    """
    from medkg_dagster.query.opened import open_store
    from medkg_dagster.stage_api import ExtensionKind

    with closing(open_store(settings, ExtensionKind.GRAPH_STORE)) as store:
        yield store


def _find(stores: Stores, wanted: str) -> EntityAnswer:
    """Return the nodes of that CURIE or name.

    Raises:
        QueryError: There is none; the message says what may be meant, or what to do.
    """
    from medkg_dagster.query.entities import no_such_node

    found = stores.entities(wanted)
    if found.found:
        return found
    said = no_such_node(found)
    search = f"try `medkg search {shlex.quote(one_line(wanted))}` for documents that mention it"
    raise QueryError(f"{said} Or {search}" if said.endswith("?") else f"{said}; {search}")


def _plain(values: Sequence[Any]) -> list[dict[str, Any]]:
    return [value.model_dump(mode="json") for value in values]


def _print_several(found: EntityAnswer, as_json: bool) -> None:
    nodes = found.found
    if as_json:
        echo_json({"nodes": _plain(nodes), "neighbours": [], "cut": found.cut})
        return
    click.echo(
        f"{counted(len(nodes), 'node is', 'nodes are')} called {found.name!r}; ask again with a CURIE:"
    )
    header = ("CURIE", "NAME", "CATEGORY", "CLAIMS", "MENTIONS")
    echo_table(header, [(n.id, n.name, (n.category or ("-",))[0], n.claims, n.mentions) for n in nodes])
    _print_cut(found.cut)


def _print_each(
    stores: Stores,
    found: EntityAnswer,
    chosen: dict[str, Any],
    *,
    mentions: bool,
    limit: int,
    as_json: bool,
) -> None:
    node = found.found[0]
    which = which_claims({**chosen, "node": node.id}, mentions=mentions)
    answer = stores.claims(which=which, limit=limit)
    if as_json:
        echo_json({"nodes": _plain(found.found), **answer.model_dump(mode="json")})
        return
    _print_node(node)
    for claim in answer.claims:
        _print_edge(node.id, claim, claim.evidence)
    _print_total(len(answer.claims), limit, is_more=answer.next_after is not None)


def _print_neighbours(answer: NeighbourAnswer, limit: int) -> None:
    _print_node(answer.node)
    for neighbour in answer.neighbours:
        _print_edge(answer.node.id, neighbour, neighbour.evidence[0])
        if neighbour.evidence_count > 1:
            click.echo(f"   {click.style(_others(neighbour), dim=True)}")
    _print_total(len(answer.neighbours), limit, is_more=answer.total > len(answer.neighbours))


def _print_paths(answer: PathAnswer) -> None:
    for number, found in enumerate(answer.paths, start=1):
        ends = [answer.start, *(step.end for step in found.steps)]
        named = " - ".join(click.style(one_line(end.name), bold=True) for end in ends)
        click.echo(f"{number}. {named}")
        for step in found.steps:
            statement = step.statements[0]
            _print_edge(step.start.id, statement, statement.evidence[0], shown_from=step.start)
            if more := statement.evidence_count - 1 + sum(s.evidence_count for s in step.statements[1:]):
                said = f"and {counted(more, 'claim')} more"
                click.echo(f"   {click.style(said, dim=True)}")
        click.echo()
    if not answer.paths:
        between = f"{one_line(answer.start.name)} and {one_line(answer.end.name)}"
        steps = counted(answer.max_length, "step")
        click.echo(f"nothing connects {between} within {steps}; try a greater --max-length, or other filters")
    else:
        click.echo(counted(len(answer.paths), "path"))
    _print_cut(answer.cut)


def _print_node(node: Concept) -> None:
    mark = "  (synthetic)" if node.synthetic else ""
    kinds = ", ".join(node.category)
    click.echo(f"{click.style(one_line(node.name), bold=True)} ({node.id})  {kinds}{mark}")


def _print_edge(
    seen_from: str, stated: Statement, where: Evidence, shown_from: Concept | None = None
) -> None:
    predicate = (stated.original_predicate or stated.predicate).partition(":")[2]
    predicate += " (negated)" if stated.negated else ""
    predicate += " (possible)" if where.certainty == "possible" else ""
    is_outgoing = stated.subject.id == seen_from
    arrow = f"--{predicate}-->" if is_outgoing else f"<--{predicate}--"
    end = stated.object if is_outgoing else stated.subject
    other = f"{click.style(one_line(end.name), bold=True)} ({end.id})"
    click.echo(f"\n{f'{one_line(shown_from.name)} ' if shown_from else ''}{arrow} {other}")
    if where.sentence:
        click.echo(paragraph(f'"{where.sentence}"'))
    place = f", characters {where.start}-{where.end}" if where.sentence else ""
    field = f", field {where.record_field}" if where.record_field else ""
    source = f"{where.document.id}{place}{field}, {stated.primary_knowledge_source}"
    source += ", synthetic" if where.synthetic else ""
    click.echo(f"   {click.style(one_line(source), dim=True)}")


def _others(shared: SharedStatement) -> str:
    """Say how often else something is said, and where."""
    documents = sorted({where.document.id for where in shared.evidence})[:_DOCUMENTS_SHOWN]
    named = ", ".join(documents) + (" ..." if shared.document_count > len(documents) else "")
    times, where = counted(shared.evidence_count, "time"), counted(shared.document_count, "document")
    return f"said {times}, in {where}: {named}"


def _print_total(shown: int, limit: int, *, is_more: bool) -> None:
    more = f"; --limit {limit} reached, there are more" if is_more else ""
    click.echo(f"\n{counted(shown, 'edge')}{more}")


def _print_cut(cut: Sequence[str]) -> None:
    for sentence in cut:
        click.echo(f"medkg: {sentence}", err=True)
