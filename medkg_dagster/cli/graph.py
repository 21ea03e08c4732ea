"""`medkg graph` and `medkg export`."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import click

from medkg_dagster.cli.output import echo_json, echo_table, one_line, paragraph, require_store
from medkg_dagster.cli.stores import GRAPH_FILE, load_extensions
from medkg_dagster.domain.aggregation import AggregatedNeighbour
from medkg_dagster.errors import StoreError, counted
from medkg_dagster.settings import Settings

if TYPE_CHECKING:
    from medkg_dagster.stage_api import GraphStore, Neighbour, Node

CLOSE_NAMES = 5
_DOCUMENTS_SHOWN = 5


@runtime_checkable
class SuggestsNames(Protocol):
    """A graph store that can name nodes of similar spelling; stores need not."""

    def close_names(self, name: str, limit: int) -> Sequence[str]:
        """Return names of nodes close to a name, the closest first."""


@click.command()
@click.argument("name", nargs=-1, required=True, metavar="CURIE-OR-NAME")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 10_000), help="Edges to show.")
@click.option("--each", is_flag=True, help="Show every edge of every document on its own.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def graph(settings: Settings, name: tuple[str, ...], limit: int, each: bool, as_json: bool) -> None:
    """Show a node of the knowledge graph and its neighbours, each with a sentence that supports it.

    What several documents say alike is one edge, with how often it is said and where. Where several nodes
    have that name they are listed; ask again with a CURIE.
    """
    wanted = " ".join(name)
    with open_graph(settings) as store:
        nodes = find_nodes(store, wanted)
        built_in: Any = store
        find = store.neighbours if each else built_in.aggregated_neighbours
        edges: Sequence[Neighbour | AggregatedNeighbour] = find(nodes[0].id, limit) if len(nodes) == 1 else ()
    if as_json:
        echo_json(
            {
                "nodes": [node.model_dump(mode="json") for node in nodes],
                "edges": [_describe_neighbour(e) for e in edges],
            }
        )
    elif len(nodes) > 1:
        click.echo(
            f"{counted(len(nodes), 'node is', 'nodes are')} called {wanted!r}; ask again with a CURIE:"
        )
        echo_table(("CURIE", "NAME", "CATEGORY"), [(n.id, n.name, ", ".join(n.category)) for n in nodes])
    else:
        _print_node(nodes[0], edges, limit)


@click.group()
def export() -> None:
    """Write the knowledge graph into files of a format that others read."""


@export.command("kgx")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default="kgx")
@click.pass_obj
def export_kgx(settings: Settings, folder: Path) -> None:
    """Write KGX JSON Lines, nodes.jsonl and edges.jsonl, into FOLDER: by default `kgx` where you are."""
    with open_graph(settings) as store:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            written = store.export_kgx(folder)
        except OSError as error:
            raise StoreError(f"cannot write to {folder}: {error.strerror}; name another folder") from error
    for file in written:
        with file.open("rb") as lines:
            marks = Counter(line.endswith(b'"synthetic": true}\n') for line in lines)
        invented = f", {marks[True]:,} of them synthetic," if marks[True] else ""
        click.echo(
            f"wrote {counted(marks.total(), file.stem.removesuffix('s'))}{invented} to {file.absolute()}"
        )


@contextmanager
def open_graph(settings: Settings) -> Iterator[GraphStore]:
    """Open the graph of a home that has one, and close it again.

    Raises:
        StoreError: There is no graph yet.
    """
    home = settings.home
    require_store(home, GRAPH_FILE)
    from medkg_dagster.stage_api import ExtensionKind

    extension = load_extensions(settings).find(ExtensionKind.GRAPH_STORE, "sql")
    with closing(extension.open({}, home)) as store:
        yield store


def find_nodes(store: GraphStore, wanted: str) -> Sequence[Node]:
    """Return the nodes of that CURIE or name: one where a CURIE or only one node fits.

    Raises:
        StoreError: There is none; the message lists close names where the store knows any.
    """
    nodes = store.find(wanted)
    exact = [node for node in nodes if node.id.lower() == wanted.lower()]
    if exact or nodes:
        return exact or nodes
    names = ", ".join(store.close_names(wanted, CLOSE_NAMES)) if isinstance(store, SuggestsNames) else ""
    search = f"try `medkg search {shlex.quote(wanted)}` for documents that mention it"
    hint = f"close names: {names}" if names else search
    raise StoreError(f"the graph has no node {wanted!r}; {hint}")


def _describe_neighbour(neighbour: Neighbour | AggregatedNeighbour) -> dict[str, Any]:
    return {
        "outgoing": neighbour.outgoing,
        "node": neighbour.node.model_dump(mode="json"),
        "edge": neighbour.edge.model_dump(mode="json"),
        **(
            {"best": neighbour.best.model_dump(mode="json")}
            if isinstance(neighbour, AggregatedNeighbour)
            else {}
        ),
    }


def _print_node(node: Node, edges: Sequence[Neighbour | AggregatedNeighbour], limit: int) -> None:
    mark = "  (synthetic)" if node.synthetic else ""
    kinds = ", ".join(node.category)
    click.echo(f"{click.style(one_line(node.name), bold=True)} ({node.id})  {kinds}{mark}")
    for neighbour in edges:
        edge = neighbour.best if isinstance(neighbour, AggregatedNeighbour) else neighbour.edge
        predicate = (edge.original_predicate or edge.predicate).partition(":")[2]
        predicate += " (negated)" if edge.negated else ""
        predicate += " (possible)" if edge.certainty == "possible" else ""
        arrow = f"--{predicate}-->" if neighbour.outgoing else f"<--{predicate}--"
        other = f"{click.style(one_line(neighbour.node.name), bold=True)} ({neighbour.node.id})"
        click.echo(f"\n{arrow} {other}")
        click.echo(paragraph(f'"{edge.supporting_text}"'))
        source = f"{edge.document_id}, characters {edge.start}-{edge.end}, {edge.primary_knowledge_source}"
        source += ", synthetic" if edge.synthetic else ""
        click.echo(f"   {click.style(source, dim=True)}")
        if more := _others(neighbour):
            click.echo(f"   {click.style(more, dim=True)}")
    more = f"; --limit {limit} reached, there may be more" if len(edges) == limit else ""
    click.echo(f"\n{counted(len(edges), 'edge')}{more}")


def _others(neighbour: Neighbour | AggregatedNeighbour) -> str:
    """Say how often else something is said, and where."""
    if not isinstance(neighbour, AggregatedNeighbour) or neighbour.edge.evidence_count == 1:
        return ""
    documents = neighbour.edge.documents
    named = ", ".join(documents[:_DOCUMENTS_SHOWN]) + (" ..." if len(documents) > _DOCUMENTS_SHOWN else "")
    times, where = counted(neighbour.edge.evidence_count, "time"), counted(len(documents), "document")
    return f"said {times}, in {where}: {named}"
