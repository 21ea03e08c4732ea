"""`medkg changes`: which documents and edges came and went, and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from medkg_dagster.cli.durations import parse_duration
from medkg_dagster.cli.graph import open_graph
from medkg_dagster.cli.ledger import open_ledger
from medkg_dagster.cli.output import ROWS, echo_json, echo_records
from medkg_dagster.domain.holdings import DocumentChange, short_name
from medkg_dagster.errors import counted
from medkg_dagster.io.times import stamp
from medkg_dagster.settings import Settings

if TYPE_CHECKING:
    from medkg_dagster.domain.knowledge import GraphChange

_DOCUMENTS = {"AT": "at", "CHANGE": "shown_as", "DOCUMENT": "document_id", "FILE": "file", "WHY": "reason"}
_EDGES = {"AT": "at", "": "sign", "SUBJECT": "subject", "PREDICATE": "predicate", "OBJECT": "object"}
_EDGES |= {"NEGATED": "negated", "DOCUMENT": "document_id", "WHY": "why"}


def moment(text: str, now: datetime) -> str:
    """Return the time that is meant as the ledger writes it: a time in ISO 8601, or so long before now.

    Raises:
        click.UsageError: It is neither.
    """
    try:
        ago = parse_duration(text)
        meant = datetime.fromisoformat(text.strip()) if ago is None else now - ago
        return stamp(lambda: meant)
    except (ValueError, OverflowError):
        raise click.UsageError(
            f"--since {text!r} is no time; write 2026-03-01, 2026-03-01T12:00Z, or how long ago: 90m, 12h, 7d"
        ) from None


@click.command()
@click.option("--since", required=True, metavar="TIME|DURATION", help="From when on: 2026-03-01, or 7d.")
@click.option("--limit", default=100, show_default=True, type=ROWS, help="Of each so many.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def changes(settings: Settings, since: str, limit: int, as_json: bool) -> None:
    """Show which documents and edges came and went since a time, the latest first, and why."""
    start = moment(since, datetime.now(UTC))
    with open_ledger(settings) as book:
        documents = book.documents.changes(start, limit=limit)
        graph, edges_begin = _graph_changes(settings, start, limit)
        begin = {"documents": book.documents.changes_begin(), "edges": edges_begin}
        causes = book.documents.changes_of(sorted({change.document_id for change in graph}))
    edges = list(_edges(graph, causes))
    if as_json:
        echo_json(
            {
                "since": start,
                "complete_from": begin,
                "documents": [item.model_dump(mode="json") for item in documents],
                "edges": edges,
            }
        )
        return
    rows = [
        {**item.model_dump(), "file": short_name(item.origin), "shown_as": _shown(item)} for item in documents
    ]
    echo_records(_DOCUMENTS, rows)
    click.echo(_count(len(rows), ("change of documents", "changes of documents"), limit))
    if edges:
        click.echo()
        echo_records(_EDGES, [{**edge, "negated": "yes" if edge["negated"] else ""} for edge in edges])
    of = f"came or went, of {counted(len(graph), 'document')} that changed"
    click.echo(_count(len(edges), (f"edge {of}", f"edges {of}"), limit, len(graph)))
    for kind, at in begin.items():
        if at is not None and start < at:
            click.echo(f"of {kind}, before {at} at most the latest change of each document is remembered")


def _graph_changes(settings: Settings, since: str, limit: int) -> tuple[Sequence[GraphChange], str | None]:
    """Return what changed in the graph, and from when on that is all; None where there is no graph."""
    from medkg_dagster.query.opened import has_store
    from medkg_dagster.stage_api import ExtensionKind

    if not has_store(settings, ExtensionKind.GRAPH_STORE):
        return (), None
    with open_graph(settings) as store:
        built_in: Any = store
        return built_in.changes(since, limit), built_in.changes_begin()


def _edges(graph: Sequence[GraphChange], causes: Sequence[DocumentChange]) -> Iterator[dict[str, Any]]:
    """Yield edges one by one, each with what had become of its document before."""
    by_document: dict[str, list[DocumentChange]] = {}
    for cause in causes:
        by_document.setdefault(cause.document_id, []).append(cause)
    for change in graph:
        before = [cause for cause in by_document.get(change.document_id, ()) if cause.at <= change.at]
        if not before:
            why = "the ledger does not know its document"
        elif change.previous is not None and change.previous >= before[-1].at:
            why = "the stages make something else of it"
        else:
            why = _why(before[-1])
        for sign, statements in (("+", change.came), ("-", change.gone)):
            for statement in statements:
                yield {
                    "at": change.at,
                    "sign": sign,
                    **statement._asdict(),
                    "document_id": change.document_id,
                    "why": why,
                }


def _why(cause: DocumentChange) -> str:
    if cause.reason:
        return f"{cause.status.value}: {cause.reason}"
    return {"new": "new document", "content": "its text changed"}.get(cause.change, "current again")


def _shown(change: DocumentChange) -> str:
    return change.status.value if change.change == "status" else change.change


def _count(count: int, what: tuple[str, str], limit: int, compared: int | None = None) -> str:
    is_full = (count if compared is None else compared) == limit
    return f"{counted(count, *what)}{f'; --limit {limit} reached, there may be more' if is_full else ''}"
