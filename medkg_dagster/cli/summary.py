"""`medkg summary`."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from medkg_dagster.cli.ledger import open_ledger
from medkg_dagster.cli.output import echo_json
from medkg_dagster.settings import Settings

if TYPE_CHECKING:
    from medkg_dagster.ledger import StageRun

COUNTED = {
    "documents": ("document", "documents"),
    "chunks": ("chunks",),
    "entities": ("entities",),
    "claims": ("claims",),
    "nodes": ("nodes_written", "nodes"),
    "edges": ("edges_written", "edges"),
}


@click.command()
@click.option("--pipeline", default="auto", show_default=True, help="The pipeline.")
@click.option("--job", default="default", show_default=True, help="The ledger job.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def summary(settings: Settings, pipeline: str, job: str, as_json: bool) -> None:
    """Say what a job made, where it is, and what to try next."""
    from medkg_dagster.ledger import JobKey

    key = JobKey(pipeline, job)
    with open_ledger(settings) as book:
        status = book.jobs.get(key).status
        runs = book.stage_runs.of_job(key)
    counts = totals(runs)
    quarantined = sum(run.quarantined for run in runs)
    files = data_files(settings.home)
    if as_json:
        echo_json(
            {
                "pipeline": pipeline,
                "job": job,
                "status": status,
                **counts,
                "quarantined": quarantined,
                "home": settings.home,
                "files": {file.name: size for file, size in files},
            }
        )
        return
    click.echo(f"{pipeline}/{job}: {status}")
    for label, count in counts.items():
        click.echo(f"  {label:<12}{count:>9,}")
    if quarantined:
        click.echo(f"  {'quarantined':<12}{quarantined:>9,}  (why: `medkg ledger show {pipeline}/{job}`)")
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
