"""`medkg why`: how a document came to stand as it does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from medkg_dagster.cli.ledger import open_ledger
from medkg_dagster.cli.output import echo_json, echo_records, one_line, paragraph, seconds
from medkg_dagster.cli.stores import stored_versions
from medkg_dagster.cli.text_kept import text_kept_lines
from medkg_dagster.domain.holdings import DocumentStatus
from medkg_dagster.settings import Settings

if TYPE_CHECKING:
    from medkg_dagster.domain.holdings import DocumentExplanation

_STAGES = {"JOB": "job", "STAGE": "stage", "OUTCOME": "outcome", "AT": "at", "WHY": "message"}
_HOLDINGS = {"PIPELINE": "pipeline", "SOURCE": "source", "FILE": "origin", "STATUS": "status"}


@click.command()
@click.argument("wanted", metavar="ID-OR-FILE")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def why(settings: Settings, wanted: str, as_json: bool) -> None:
    """Say why a document is shown or not: its status, who holds it, what each stage made of it, and stores.

    ID-OR-FILE is the document's id, any other identifier of it, or the name of its file.
    """
    with open_ledger(settings) as book:
        found = book.documents.explain(wanted)
    stored = stored_versions(settings, [item.id for item in found])
    described = [_describe(item, stored[item.id]) for item in found]
    if as_json:
        echo_json(described)
        return
    for item, more in zip(found, described, strict=True):
        _print(item, more)


def _describe(item: DocumentExplanation, stored: Mapping[str, frozenset[str] | None]) -> dict[str, Any]:
    stores = {name: _store_state(item, versions) for name, versions in stored.items()}
    return {**item.model_dump(mode="json"), "stores": stores}


def _store_state(item: DocumentExplanation, versions: frozenset[str] | None) -> str:
    is_current = item.known is not None and item.known.status is DocumentStatus.CURRENT
    if versions is None:
        return "lags: not in it yet" if is_current else "not in it"
    if not is_current:
        return "lags: still in it"
    is_old = item.known is not None and versions and versions != {item.known.content_hash}
    return "lags: another version of it" if is_old else "in it"


def _print(item: DocumentExplanation, described: Mapping[str, Any]) -> None:
    known = item.known
    if known is None:
        click.echo(f"{item.id}: no document; no stage has let it pass")
    else:
        title = f"  {one_line(known.title)}" if known.title else ""
        click.echo(f"{known.id}{title}\n  {known.status.value}, since {seconds(known.changed_at)}")
        if known.reason:
            click.echo(paragraph(known.reason, "  "))
        click.echo(f"  from {one_line(known.origin) or '-'}, first seen {seconds(known.since)}")
        for line in text_kept_lines(known.text_kept):
            click.echo(f"  {line}")
    if item.forms:
        click.echo(f"  the same work as {', '.join(item.forms)}")
    for name, state in described["stores"].items():
        click.echo(f"  {name}: {state}")
    if any(state.startswith("lags") for state in described["stores"].values()):
        runs = ", ".join(f"`medkg run {name}`" for name in sorted({one.pipeline for one in item.holdings}))
        click.echo(f"  {runs or 'the next run'} brings the stores up to date")
    echo_records(_HOLDINGS, described["holdings"], "  ")
    rows = [
        {**verdict, "job": f"{verdict['pipeline']}/{verdict['job_id']}"} for verdict in described["stages"]
    ]
    echo_records(_STAGES, rows, "  ")
