"""`medkg ledger`, and `medkg summary`: what the ledger knows of jobs."""

from __future__ import annotations

import json
import shutil
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from medkg_dagster.cli.output import ROWS, echo_json, echo_records, paragraph, seconds
from medkg_dagster.cli.stores import embedding_model
from medkg_dagster.domain.holdings import short_name
from medkg_dagster.errors import LedgerError
from medkg_dagster.settings import Settings

if TYPE_CHECKING:
    from medkg_dagster.ledger import Job, JobLedger, StageRun

COUNTED = {
    "documents": ("document", "documents"),
    "chunks": ("chunks",),
    "entities": ("entities",),
    "claims": ("claims",),
    "nodes": ("nodes_written", "nodes"),
    "edges": ("edges_written", "edges"),
}


@click.group()
def ledger() -> None:
    """Look at ledger jobs: what was asked for, what became of it, which documents were refused and why."""


@ledger.command("list")
@click.option("--pipeline", help="Only jobs of this pipeline.")
@click.option("--status", help="Only jobs in this status: submitted, running, waiting, succeeded, failed ...")
@click.option("--limit", default=50, show_default=True, type=ROWS, help="Jobs to show.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def list_jobs(
    settings: Settings, pipeline: str | None, status: str | None, limit: int, as_json: bool
) -> None:
    """List jobs, the latest changed first."""
    with open_ledger(settings) as book:
        jobs = book.jobs.list(pipeline, status, limit)
        if as_json:
            echo_json([{**asdict(job), "phases": _phases(book, job)} for job in jobs])
            return
    if not jobs:
        click.echo("no such jobs")
    columns = {"JOB": "job", "STATUS": "status", "PHASE": "phase", "ATTEMPTS": "attempts"}
    columns |= {"UPDATED": "updated_at", "ERROR": "error"}
    echo_records(columns, [asdict(job) | {"job": _name(job)} for job in jobs])


@ledger.command("show")
@click.argument("job")
@click.option("--pipeline", help="The pipeline, where several have a job of that id.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def show_job(settings: Settings, job: str, pipeline: str | None, as_json: bool) -> None:
    """Show JOB (`job_id` or `pipeline/job_id`): fields, stage runs, refused documents, history."""
    with open_ledger(settings) as book:
        found = book.jobs.find(job, pipeline)
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

    require_ledger(settings)
    with JobLedger.of(settings) as book:
        yield book


def require_ledger(settings: Settings) -> None:
    """Refuse a deployment without a ledger, without making one.

    Raises:
        LedgerError: There is none yet.
    """
    from medkg_dagster.ledger import JobLedger

    if not JobLedger.exists(settings):
        place = settings.home if settings.ledger_url is None else "the file that MEDKG_LEDGER_URL names"
        raise LedgerError(
            f"there is no ledger yet in {place}; run `make demo`, submit a job with `medkg submit`, "
            "or set MEDKG_HOME"
        )


def describe_job(book: JobLedger, job: Job) -> dict[str, Any]:
    """Return everything the ledger knows of a job as plain values."""
    key = job.key
    return {
        **asdict(job),
        "phases": _phases(book, job),
        "runs": [asdict(run) for run in book.runs.of_job(key)],
        "stage_runs": [asdict(run) for run in book.stage_runs.of_job(key)],
        "quarantined": [asdict(outcome) for outcome in book.stage_runs.outcomes(key)],
        "files": [record.model_dump(mode="json") for record in book.files.of_job(key)],
        "history": [asdict(entry) for entry in book.jobs.history(key)],
    }


def _phases(book: JobLedger, job: Job) -> list[dict[str, Any]]:
    return [asdict(phase) for phase in book.phases.of_job(job.key)]


def _name(job: Job) -> str:
    return str(job.key)


def _print_job(job: Job, described: dict[str, Any]) -> None:
    from medkg_dagster.ledger.fields import flatten

    click.echo(f"{click.style(_name(job), bold=True)}: {job.status}, attempts: {job.attempts}")
    if job.phase:
        click.echo(f"phase: {job.phase}")
    click.echo(f"created {seconds(job.created_at)}, updated {seconds(job.updated_at)}")
    for name, text in (("error", job.error), ("problem", job.problem)):
        if text:
            click.echo(paragraph(f"{name}: {text}", indent=""))
    for title, values in (("request", job.request), ("fields", job.fields)):
        if values:
            click.echo(f"\n{title}")
            for path, value in flatten(values):
                click.echo(f"  {path} = {json.dumps(value, ensure_ascii=False)}")
    phases = [{**item, "observed": item["reason"] or item["observed"]} for item in described["phases"]]
    _print_records("phases", _PHASES, phases)
    _print_records("runs", _RUNS, described["runs"])
    _print_records("stages", _STAGE_RUNS, described["stage_runs"])
    if described["files"]:
        listed = _listed(file["status"] for file in described["files"])
        click.echo(f"\nfiles: {listed} (which: `medkg ledger files {_name(job)}`)")
    refused = [
        {**item, "file": short_name(item["origin"] or item["document_id"])}
        for item in described["quarantined"]
    ]
    aside = _listed(item["document_status"] for item in refused)
    _print_records(f"documents set aside: {aside}", _REFUSED, refused)
    _print_records(
        "history",
        _HISTORY,
        [
            {**entry, **{key: json.dumps(entry[key], ensure_ascii=False) for key in ("old", "new")}}
            for entry in described["history"]
        ],
    )


def _listed(statuses: Iterable[str]) -> str:
    return ", ".join(f"{count} {status}" for status, count in sorted(Counter(statuses).items()))


_PHASES = {
    "JOB": "phase",
    "GATE": "gate",
    "STATUS": "status",
    "ATTEMPT": "attempt",
    "SINCE": "since",
    "UNTIL": "deadline",
    "OPENED": "opened_at",
    "BY": "opened_by",
    "OBSERVED OR REASON": "observed",
}
_RUNS = {
    "RUN": "run_id",
    "JOB": "job_name",
    "STATUS": "status",
    "BEGAN": "began_at",
    "ENDED": "ended_at",
    "ERROR": "error",
}
_STAGE_RUNS = {
    "STAGE": "stage",
    "STATUS": "status",
    "OUTPUT": "output_count",
    "SUCCEEDED": "succeeded",
    "SET ASIDE": "quarantined",
    "STARTED": "started_at",
    "FINISHED": "finished_at",
    "ERROR": "error",
}
_REFUSED = {"FILE": "file", "DOCUMENT": "document_id", "STATUS": "document_status", "STAGE": "stage"}
_REFUSED |= {"ERROR": "error_class"}
_REFUSED |= {"MESSAGE": "message"}
_HISTORY = {"AT": "at", "FIELD": "field", "OLD": "old", "NEW": "new", "BY": "actor", "REASON": "reason"}


def _print_records(title: str, columns: dict[str, str], records: list[dict[str, Any]]) -> None:
    if records:
        click.echo(f"\n{title}")
        echo_records(columns, records, indent="  ")


@click.command()
@click.option("--pipeline", default="auto", show_default=True, help="The pipeline.")
@click.option("--job", default="default", show_default=True, help="The ledger job.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def summary(settings: Settings, pipeline: str, job: str, as_json: bool) -> None:
    """Say what a job made, where it is, and what to try next."""
    from medkg_dagster.ledger import JobKey
    from medkg_dagster.vocabulary.looked_with import looked_with

    key = JobKey(pipeline, job)
    with open_ledger(settings) as book:
        status = book.jobs.get(key).status
        runs = book.stage_runs.of_job(key)
        invented = len(book.documents.list(status="current", synthetic=True, limit=None))
        aside = Counter(outcome.document_status for outcome in book.stage_runs.outcomes(key))
    counts = totals(runs)
    model = embedding_model(settings)
    vocabularies = {run.stage: said for run in runs if (said := looked_with(run.counts))}
    files = data_files(settings.home)
    if as_json:
        echo_json(
            {
                "pipeline": pipeline,
                "job": job,
                "status": status,
                **counts,
                "vocabulary": vocabularies,
                "embedding_model": model,
                "set_aside": aside,
                "synthetic": invented,
                "home": settings.home,
                "files": {file.name: size for file, size in files},
            }
        )
        return
    click.echo(f"{pipeline}/{job}: {status}")
    for vocabulary in dict.fromkeys(vocabularies.values()):
        click.echo(f"  looked with {vocabulary}")
    for label, count in counts.items():
        click.echo(f"  {label:<12}{count:>9,}")
    if "chunks" in counts and model is None:
        click.echo(
            f"  {'vectors':<12}{'none':>9}  (search is by words; `medkg reindex --embedder NAME` makes some)"
        )
    if aside:
        said = f"{_listed(aside.elements())}; why: `medkg ledger show {pipeline}/{job}`"
        click.echo(f"  {'set aside':<12}{aside.total():>9,}  ({said})")
    if invented:
        out = f"{program()} documents withdraw --synthetic"
        click.echo(f"  {'synthetic':<12}{invented:>9,}  (no evidence; `{out}` takes it out)")
    click.echo(f"in {settings.home}")
    for file, size in files:
        click.echo(f"  {file.name:<20}{size / 1_000_000:>8.1f} MB")
    click.echo("Try next:")
    medkg = program()
    for command in (f'{medkg} search "overall survival"', f"{medkg} graph melanoma", "make dev"):
        click.echo(f"  {command}")


def program() -> str:
    """Return how this shell can call `medkg`: by name, or by path where its folder is not on the PATH."""
    if shutil.which("medkg") is not None:
        return "medkg"
    path = Path(sys.executable).with_name("medkg")
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def totals(runs: Iterable[StageRun]) -> dict[str, int]:
    """Return what stage runs made, by what people call it; a later stage's count wins."""
    found: dict[str, int] = {}
    for run in runs:
        for label, keys in COUNTED.items():
            for key in keys:
                if key in run.counts:
                    found[label] = run.counts[key]
    return {label: found[label] for label in COUNTED if label in found}


def data_files(home: Path) -> list[tuple[Path, int]]:
    """Return the stores in a home with their sizes in bytes, write-ahead logs left out."""
    return [
        (file, file.stat().st_size)
        for file in sorted(home.iterdir())
        if file.is_file() and not file.name.endswith(("-wal", "-shm"))
    ]
