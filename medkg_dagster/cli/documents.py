"""`medkg documents`: what is held, from where, and what is to be shown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from medkg_dagster.cli.ledger import require_ledger
from medkg_dagster.cli.ledger.changes import user_name
from medkg_dagster.cli.output import ROWS, echo_json, echo_records, one_line, run_command, seconds
from medkg_dagster.cli.stores import stored_versions, take_out
from medkg_dagster.cli.text_kept import text_kept_lines
from medkg_dagster.domain.holdings import DocumentStatus, short_name
from medkg_dagster.domain.identity import merged_identifiers
from medkg_dagster.errors import counted
from medkg_dagster.settings import Settings

if TYPE_CHECKING:
    from medkg_dagster.domain.holdings import KnownDocument
    from medkg_dagster.ledger import JobLedger

_COLUMNS = {"DOCUMENT": "id", "STATUS": "shown_as", "FILE": "file", "TITLE": "title", "REASON": "reason"}


@click.group()
def documents() -> None:
    """Look at documents, take them out of index and graph, and let them in again."""


@documents.command("list")
@click.option("--status", type=click.Choice([status.value for status in DocumentStatus]), help="Only these.")
@click.option("--source", help="Only of this source, for example infores:pubmed.")
@click.option("--text", help="Only those with this text in id, title, file or address.")
@click.option("--pipeline", help="Only those that a source of this pipeline holds.")
@click.option("--job", help="Only those that this job asked for last: `job_id` or `pipeline/job_id`.")
@click.option("--limit", default=100, show_default=True, type=ROWS, help="Documents to show.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def list_documents(  # noqa: PLR0917 - one parameter per option of the command
    settings: Settings,
    status: str | None,
    source: str | None,
    text: str | None,
    pipeline: str | None,
    job: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """List documents with their status, the file or address they came from, and why they are not current."""
    with _ledger(settings) as ledger:
        job_id = None
        if job is not None:
            pipeline, job_id = ledger.jobs.find(job, pipeline).key
        found = ledger.documents.list(
            status=status, source=source, text=text, pipeline=pipeline, job_id=job_id, limit=limit
        )
        is_of_these = status in {None, DocumentStatus.QUARANTINED} and source is None and text is None
        unparsed = ledger.documents.count_unparsed(pipeline=pipeline, job_id=job_id) if is_of_these else 0
    if unparsed:
        click.echo(
            f"medkg: besides, {counted(unparsed, 'file or record was', 'files or records were')} set aside "
            "and not found to be a document before; `medkg ledger show JOB` lists them, `medkg why FILE` "
            "tells of one",
            err=True,
        )
    if as_json:
        echo_json([item.model_dump(mode="json") for item in found])
        return
    shown = [{"file": short_name(item.origin), "shown_as": _status(item)} for item in found]
    echo_records(_COLUMNS, [item.model_dump() | more for item, more in zip(found, shown, strict=True)])
    more = f"; --limit {limit} reached, there may be more" if len(found) == limit else ""
    click.echo(f"{counted(len(found), 'document')}{more}")


@documents.command("show")
@click.argument("document")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def show_document(settings: Settings, document: str, as_json: bool) -> None:
    """Show DOCUMENT: its status and why, who holds it, and which of the built-in stores has it."""
    with _ledger(settings) as ledger:
        known, held = ledger.documents.get(document), ledger.documents.holdings(document)
        forms = ledger.documents.work(document)
    identifiers = merged_identifiers(forms) | known.identifiers
    stores = _holding_stores(settings, [document])[document]
    if as_json:
        described = [item.model_dump(mode="json") for item in held]
        work = {"identifiers": identifiers, "forms": [form.id for form in forms]}
        echo_json({**known.model_dump(mode="json"), **work, "holdings": described, "stores": stores})
        return
    _print_document(known)
    dated = f", of {one_line(known.date)}" if known.date else ""
    click.echo(f"  from {one_line(known.origin) or '-'}{dated}, first seen {seconds(known.since)}")
    for line in text_kept_lines(known.text_kept):
        click.echo(f"  {line}")
    if identifiers:
        named = ", ".join(f"{scheme} {one_line(value)}" for scheme, value in sorted(identifiers.items()))
        click.echo(f"  known as {named}")
    if others := [form.id for form in forms if form.id != document]:
        click.echo(f"  the same work as {', '.join(others)}; `medkg documents split` parts them")
    click.echo(f"  in {' and '.join(stores) or 'no built-in store'}")
    columns = {"PIPELINE": "pipeline", "SOURCE": "source", "ITEM": "item", "STATUS": "status"}
    more = {"ORIGIN": "origin", "UNLISTED": "unlisted_at"}
    echo_records({**columns, **more}, [item.model_dump(mode="json") for item in held], "  ")


@documents.command("withdraw")
@click.argument("names", nargs=-1, metavar="DOCUMENT...")
@click.option("--synthetic", is_flag=True, help="All that is invented, such as the bundled corpus.")
@click.option("--accept", metavar="PIPELINE", help="All that waits because its sources list it no more.")
@click.option("--reason", help="Why; it is shown with the document.")
@click.option("--dry-run", is_flag=True, help="Only show what would go.")
@click.option("--by", default=user_name, help="Who says so; the user's name by default.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def withdraw_documents(  # noqa: PLR0917 - one parameter per option of the command
    settings: Settings,
    names: tuple[str, ...],
    synthetic: bool,
    accept: str | None,
    reason: str | None,
    dry_run: bool,
    by: str,
    as_json: bool,
) -> None:
    """Take DOCUMENTs out of index and graph now, and keep them out whatever sources list.

    With --accept it takes out what waits for your word: documents that the sources of a pipeline list no
    more, too many to go by themselves. Those come back when they are listed again. With --synthetic it takes
    out what is no evidence, before what is.

    The stores with their default parameters change at once; others with the next run of their pipeline.
    """
    if bool(names) + bool(accept) + synthetic != 1:
        raise click.UsageError("name documents, or a pipeline with --accept, or take --synthetic")
    with _ledger(settings) as ledger:
        if synthetic:
            shown = ledger.documents.list(status=DocumentStatus.CURRENT, synthetic=True, limit=None)
            names = tuple(item.id for item in shown)
            reason = reason or "invented, no evidence"
        if dry_run:
            found = ledger.documents.unlisted(accept) if accept else tuple(map(ledger.documents.get, names))
            _print_all(found, as_json)
            if not as_json:
                click.echo(f"{counted(len(found), 'document')} would go")
            return
        if accept:
            names = ledger.documents.accept_unlisted(accept)
            known = map(ledger.documents.get, names)
            found = tuple(item for item in known if item.status is not DocumentStatus.CURRENT)
        else:
            stored = {name for name, stores in _holding_stores(settings, names).items() if stores}
            why = reason or f"withdrawn by {by}"
            found = ledger.documents.withdraw(names, actor=by, reason=why, stored=stored)
        take_out(settings, ledger, names)
    _print_all(found, as_json)


@documents.command("restore")
@click.argument("names", nargs=-1, metavar="DOCUMENT...")
@click.option("--synthetic", is_flag=True, help="All that is invented and was withdrawn.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def restore_documents(settings: Settings, names: tuple[str, ...], synthetic: bool, as_json: bool) -> None:
    """Take back that DOCUMENTs were withdrawn, split or set aside; the next run judges them again.

    A document that no source lists stays withdrawn: put its file back and run the pipeline.
    """
    if bool(names) == synthetic:
        raise click.UsageError("name documents, or take --synthetic")
    with _ledger(settings) as ledger:
        if synthetic:
            gone = ledger.documents.list(status=DocumentStatus.WITHDRAWN, synthetic=True, limit=None)
            names = tuple(item.id for item in gone)
        found = ledger.documents.restore(names)
        held = [item for name in names for item in ledger.documents.holdings(name)]
    _print_all(found, as_json)
    if held and not as_json:
        runs = ", ".join(sorted({run_command(item.pipeline, item.job_id) for item in held}))
        click.echo(f"the next run writes them to the stores: {runs}")


@documents.command("split")
@click.argument("names", nargs=-1, required=True, metavar="DOCUMENT...")
@click.option("--by", default=user_name, help="Who says so; the user's name by default.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def split_documents(settings: Settings, names: tuple[str, ...], by: str, as_json: bool) -> None:
    """Let DOCUMENTs be works of their own, though they share identifiers with others; it is remembered.

    The next run of their pipeline writes them to the stores. `medkg documents restore` takes that back.
    """
    with _ledger(settings) as ledger:
        found = ledger.documents.split(names, actor=by)
    _print_all(found, as_json)


@contextmanager
def _ledger(settings: Settings) -> Iterator[JobLedger]:
    from medkg_dagster.ledger import JobLedger

    require_ledger(settings)
    with JobLedger.of(settings) as ledger:
        yield ledger


def _holding_stores(settings: Settings, names: Sequence[str]) -> dict[str, list[str]]:
    return {
        name: [file for file, held in versions.items() if held is not None]
        for name, versions in stored_versions(settings, names).items()
    }


def _print_all(found: Sequence[KnownDocument], as_json: bool) -> None:
    if as_json:
        echo_json([item.model_dump(mode="json") for item in found])
        return
    for item in found:
        _print_document(item)
    if not found:
        click.echo("there are none")


def _status(known: KnownDocument) -> str:
    return f"{known.status.value}, synthetic" if known.synthetic else known.status.value


def _print_document(known: KnownDocument) -> None:
    why = f": {one_line(known.reason)}" if known.reason else ""
    title = f"  {one_line(known.title)}" if known.title else ""
    click.echo(f"{known.id}{title}\n  {_status(known)}{why}")
