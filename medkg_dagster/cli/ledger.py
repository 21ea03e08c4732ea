"""`medkg ledger`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from medkg_dagster.cli.output import echo_json, echo_table, nothing_in, paragraph
from medkg_dagster.errors import LedgerError, UnknownJobError, did_you_mean
from medkg_dagster.settings import Settings

if TYPE_CHECKING:
    from medkg_dagster.ledger import Job, JobLedger


@click.group()
def ledger() -> None:
    """Look at ledger jobs: what was asked for, what became of it, which documents were refused and why."""


@ledger.command("list")
@click.option("--pipeline", help="Only jobs of this pipeline.")
@click.option("--status", help="Only jobs in this status: submitted, running, waiting, succeeded, failed ...")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1), help="Jobs to show.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def list_jobs(
    settings: Settings, pipeline: str | None, status: str | None, limit: int, as_json: bool
) -> None:
    """List jobs, the latest changed first."""
    with open_ledger(settings.home) as book:
        jobs = book.jobs(pipeline, status, limit)
    if as_json:
        echo_json([asdict(job) for job in jobs])
        return
    if not jobs:
        click.echo("no such jobs")
    echo_table(
        ("JOB", "STATUS", "PHASE", "ATTEMPTS", "UPDATED", "ERROR"),
        [
            (
                _name(job),
                job.status,
                job.phase or "-",
                job.attempts,
                seconds(job.updated_at),
                job.error or "-",
            )
            for job in jobs
        ],
    )


@ledger.command("show")
@click.argument("job")
@click.option("--pipeline", help="The pipeline, where several have a job of that id.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def show_job(settings: Settings, job: str, pipeline: str | None, as_json: bool) -> None:
    """Show JOB (`job_id` or `pipeline/job_id`): fields, stage runs, refused documents, history."""
    with open_ledger(settings.home) as book:
        found = find_job(book, job, pipeline)
        described = describe_job(book, found)
    if as_json:
        echo_json(described)
    else:
        _print_job(found, described)


@contextmanager
def open_ledger(home: Path) -> Iterator[JobLedger]:
    """Open the ledger of a home that has one.

    Raises:
        LedgerError: There is none yet, or it cannot be read.
    """
    from medkg_dagster.ledger import LEDGER_FILE, JobLedger

    if not (home / LEDGER_FILE).is_file():
        raise LedgerError(nothing_in(home))
    with JobLedger.open(home) as book:
        yield book


def find_job(book: JobLedger, wanted: str, pipeline: str | None) -> Job:
    """Return the job of that id, or of `pipeline/id`.

    Raises:
        UnknownJobError: There is none, or several pipelines have one.
    """
    found = list(book.jobs(pipeline, job_id=wanted))
    named_pipeline, slash, named_id = wanted.partition("/")
    if slash and pipeline in {None, named_pipeline}:
        found += book.jobs(named_pipeline, job_id=named_id)
    if len(found) == 1:
        return found[0]
    if found:
        raise UnknownJobError(
            f"several pipelines have a job '{wanted}': {', '.join(_name(job) for job in found)}; "
            "name one of these"
        )
    known = [_name(job) for job in book.jobs(pipeline, limit=20)]
    raise UnknownJobError(f"the ledger has no job '{wanted}'; {did_you_mean(wanted, known)}")


def describe_job(book: JobLedger, job: Job) -> dict[str, Any]:
    """Return everything the ledger knows of a job as plain values."""
    key = (job.pipeline, job.job_id)
    return {
        **asdict(job),
        "stage_runs": [asdict(run) for run in book.stage_runs(*key)],
        "quarantined": [asdict(outcome) for outcome in book.outcomes(*key)],
        "history": [asdict(entry) for entry in book.history(*key)],
    }


def seconds(stamp: str | None) -> str:
    """Return a stored time to the second."""
    return f"{stamp[:19]}Z" if stamp else "-"


def _name(job: Job) -> str:
    return f"{job.pipeline}/{job.job_id}"


def _print_job(job: Job, described: dict[str, Any]) -> None:
    from medkg_dagster.ledger.fields import flatten

    click.echo(f"{click.style(_name(job), bold=True)}: {job.status}, attempts: {job.attempts}")
    if job.phase:
        click.echo(f"phase: {job.phase}")
    click.echo(f"created {seconds(job.created_at)}, updated {seconds(job.updated_at)}")
    if job.error:
        click.echo(paragraph(f"error: {job.error}", indent=""))
    for title, values in (("request", job.request), ("fields", job.fields)):
        if values:
            click.echo(f"\n{title}")
            for path, value in flatten(values):
                click.echo(f"  {path} = {json.dumps(value, ensure_ascii=False)}")
    _print_stage_runs(described["stage_runs"])
    _print_quarantined(described["quarantined"])
    _print_history(described["history"])


def _print_stage_runs(runs: list[dict[str, Any]]) -> None:
    if not runs:
        return
    click.echo("\nstages")
    echo_table(
        ("STAGE", "STATUS", "OUTPUT", "SUCCEEDED", "QUARANTINED", "STARTED", "FINISHED", "ERROR"),
        [
            (
                run["stage"],
                run["status"],
                "-" if run["output_count"] is None else run["output_count"],
                run["succeeded"],
                run["quarantined"],
                seconds(run["started_at"]),
                seconds(run["finished_at"]),
                run["error"] or "-",
            )
            for run in runs
        ],
        indent="  ",
    )


def _print_quarantined(outcomes: list[dict[str, Any]]) -> None:
    if not outcomes:
        return
    click.echo(f"\nquarantined documents: {len(outcomes)}")
    echo_table(
        ("DOCUMENT", "STAGE", "ERROR", "MESSAGE"),
        [(item["document_id"], item["stage"], item["error_class"], item["message"]) for item in outcomes],
        indent="  ",
    )


def _print_history(entries: list[dict[str, Any]]) -> None:
    click.echo("\nhistory")
    echo_table(
        ("AT", "FIELD", "OLD", "NEW", "BY", "REASON"),
        [
            (
                seconds(entry["at"]),
                entry["field"],
                json.dumps(entry["old"], ensure_ascii=False),
                json.dumps(entry["new"], ensure_ascii=False),
                entry["actor"],
                entry["reason"] or "-",
            )
            for entry in entries
        ],
        indent="  ",
    )
