"""`medkg why`: how a document came to stand as it does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from medkg_dagster.cli.ledger import open_ledger
from medkg_dagster.cli.output import echo_json, echo_records, one_line, paragraph, run_command, seconds
from medkg_dagster.cli.stores import stored_versions
from medkg_dagster.cli.text_kept import text_kept_lines
from medkg_dagster.domain.holdings import DocumentStatus
from medkg_dagster.settings import Settings

if TYPE_CHECKING:
    from medkg_dagster.domain.holdings import DocumentExplanation

_STAGES = {"JOB": "job", "STAGE": "stage", "OUTCOME": "outcome", "AT": "at", "WORK": "done", "WHY": "message"}
_KEY_SHOWN = 8
_HOLDINGS = {"PIPELINE": "pipeline", "SOURCE": "source", "FILE": "origin", "STATUS": "status"}


@click.command()
@click.argument("wanted", metavar="ID-OR-FILE")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def why(settings: Settings, wanted: str, as_json: bool) -> None:
    """Say why a document is shown or not: its status, who holds it, what each stage made of it, and stores.

    ID-OR-FILE is the document's id, any other identifier of it, with its scheme or without, or the name of
    its file, also of one that is gone.
    """
    with open_ledger(settings) as book:
        found = book.documents.explain(wanted)
    stored = stored_versions(settings, [item.id for item in found])
    described = [_describe(settings.home, item, stored[item.id]) for item in found]
    if as_json:
        echo_json(described)
        return
    for item, more in zip(found, described, strict=True):
        _print(item, more)


def _describe(
    home: Path, item: DocumentExplanation, stored: Mapping[str, frozenset[str] | None]
) -> dict[str, Any]:
    stores = {name: _store_state(item, versions) for name, versions in stored.items()}
    described = item.model_dump(mode="json")
    names = [item.id, *(holding.item for holding in item.holdings)]
    for verdict in described["stages"]:
        verdict["work"] = _work(home, verdict, names)
    return {**described, "stores": stores}


def _work(home: Path, verdict: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any] | None:
    """Return what the stage's last run did about a document, and under which key that is remembered."""
    from medkg_dagster.runtime.state.archives import find_archives
    from medkg_dagster.runtime.state.work_account import work_on

    job = (verdict["pipeline"], verdict["job_id"])
    for path in find_archives(home, *job, verdict["stage"]):
        if (found := work_on(path, names)) is not None:
            return asdict(found)
    return None


def _work_shown(work: Mapping[str, Any] | None) -> str:
    if work is None:
        return ""
    key = "/".join(part[:_KEY_SHOWN] for part in work["key"].split("/"))
    because = f", {work['because']}" if work["because"] else ""
    return f"{key} {'reused' if work['is_reused'] else 'computed'}{because}"


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
        used = [one for one in item.holdings if one.status is DocumentStatus.CURRENT] or item.holdings
        runs = ", ".join(sorted({run_command(one.pipeline, one.job_id) for one in used}))
        click.echo(f"  {runs or 'the next run'} brings the stores up to date")
    echo_records(_HOLDINGS, described["holdings"], "  ")
    rows = [
        {
            **verdict,
            "job": f"{verdict['pipeline']}/{verdict['job_id']}",
            "done": _work_shown(verdict["work"]),
        }
        for verdict in described["stages"]
    ]
    echo_records(_STAGES, rows, "  ")
