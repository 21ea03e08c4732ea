"""`medkg ledger`."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from medkg_dagster.cli.output import echo_json, echo_table, paragraph
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
    with open_ledger(settings) as book:
        jobs = book.jobs(pipeline, status, limit)
        if as_json:
            echo_json([{**asdict(job), "phases": _phases(book, job)} for job in jobs])
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
    with open_ledger(settings) as book:
        found = find_job(book, job, pipeline)
        described = describe_job(book, found)
    if as_json:
        echo_json(described)
    else:
        _print_job(found, described)


@contextmanager
def open_ledger(settings: Settings) -> Iterator[JobLedger]:
    """Open the ledger of a deployment that has one.

    Raises:
        LedgerError: There is none yet, or it cannot be read.
    """
    from medkg_dagster.ledger import JobLedger

    if not JobLedger.exists(settings):
        raise LedgerError(
            f"there is no ledger yet in {settings.home}; run `make demo`, submit a job with `medkg submit`, "
            "or set MEDKG_HOME"
        )
    with JobLedger.of(settings) as book:
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
        "phases": _phases(book, job),
        "stage_runs": [asdict(run) for run in book.stage_runs(*key)],
        "quarantined": [asdict(outcome) for outcome in book.outcomes(*key)],
        "files": [record.model_dump(mode="json") for record in book.files.of_job(*key)],
        "history": [asdict(entry) for entry in book.history(*key)],
    }


def _phases(book: JobLedger, job: Job) -> list[dict[str, Any]]:
    return [asdict(phase) for phase in book.phases.phases(job.pipeline, job.job_id)]


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
    _print_phases(described["phases"])
    _print_stage_runs(described["stage_runs"])
    _print_files(_name(job), described["files"])
    _print_quarantined(described["quarantined"])
    _print_history(described["history"])


def _print_phases(phases: list[dict[str, Any]]) -> None:
    if not phases:
        return
    click.echo("\nphases")
    echo_table(
        ("JOB", "GATE", "STATUS", "ATTEMPT", "SINCE", "UNTIL", "OPENED", "BY", "OBSERVED OR REASON"),
        [
            (
                phase["phase"],
                phase["gate"] or "-",
                phase["status"],
                phase["attempt"],
                seconds(phase["since"]),
                seconds(phase["deadline"]),
                seconds(phase["opened_at"]),
                phase["opened_by"] or "-",
                phase["reason"] or phase["observed"] or "-",
            )
            for phase in phases
        ],
        indent="  ",
    )


def _print_files(job: str, files: list[dict[str, Any]]) -> None:
    if not files:
        return
    counts = Counter(file["status"] for file in files)
    told = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
    click.echo(f"\nfiles: {told} (which: medkg ledger files {job})")


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
