"""`medkg prune`: what is older than so long, in Dagster's storage and between stages."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from medkg_dagster.cli.ledger import open_ledger
from medkg_dagster.cli.output import echo_json
from medkg_dagster.cli.state import length_of_time, print_pruned, prune_home
from medkg_dagster.errors import counted
from medkg_dagster.io.times import stamp, utc_now
from medkg_dagster.settings import Settings, find_dagster_home

if TYPE_CHECKING:
    from medkg_dagster.ledger import JobKey


@click.command()
@click.option(
    "--older-than",
    required=True,
    callback=length_of_time,
    help="What ended or was used last longer ago goes: 90d, 12w.",
)
@click.option("--dry-run", is_flag=True, help="Only show what would go.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def prune(settings: Settings, older_than: timedelta, dry_run: bool, as_json: bool) -> None:
    """Remove old runs and events of Dagster, partitions of jobs that ended long ago, and state nobody uses.

    Of a job that goes on, the last run of each phase stays. The ledger keeps every job, so that one whose
    partition went can be run again. What triggers asked for long ago goes from their record too, and so do
    old alerts. State is pruned as by `medkg state prune`, with this as its --grace.
    """
    from medkg_dagster.runtime.instance_look import has_storage, prune_instance

    before = stamp(utc_now, seconds=-older_than.total_seconds())
    with open_ledger(settings) as book:
        ended = book.jobs.ended_before(before)
        fired = book.triggers.forget_fired(before, is_dry=dry_run)
        alerts = book.alerts.forget(before, dry_run=dry_run)
    folder = find_dagster_home(settings.home)
    removed: dict[str, int] | None = None
    if has_storage(folder):
        asked = {"before": before, "ended": _by_pipeline(ended), "dry_run": dry_run}
        removed = prune_instance(settings.home, folder, asked)
    pruned = prune_home(settings, older_than, dry_run=dry_run)
    if as_json:
        told = {"dry_run": dry_run, "before": before, "dagster": removed, "triggers": fired, "alerts": alerts}
        echo_json({**told, **asdict(pruned)})
        return
    click.echo(_told(removed, before, dry_run=dry_run))
    if fired:
        jobs = counted(fired, "job that a trigger asked for", "jobs that triggers asked for")
        click.echo(f"the record of {jobs} {'would go' if dry_run else 'went'}; the jobs stay")
    if alerts:
        click.echo(f"{counted(alerts, 'alert')} {'would go' if dry_run else 'went'}")
    print_pruned(pruned, settings.memo_bytes, dry_run=dry_run)


def _by_pipeline(keys: frozenset[JobKey]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for key in sorted(keys):
        found.setdefault(key.pipeline, []).append(key.job_id)
    return found


def _told(removed: dict[str, int] | None, before: str, *, dry_run: bool) -> str:
    if removed is None:
        return "Dagster has no storage here yet"
    verb = "would go" if dry_run else "went"
    runs, partitions = counted(removed["runs"], "run"), counted(removed["partitions"], "partition")
    kept = counted(removed["kept_runs"], "run as old stays", "runs as old stay")
    return (
        f"{runs} of Dagster and {partitions} from before {before} {verb}; {kept}, the last of jobs that go on"
    )
