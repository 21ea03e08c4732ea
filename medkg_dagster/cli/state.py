"""`medkg state`: what lies between stages, and how much of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from medkg_dagster.cli.durations import parse_duration
from medkg_dagster.cli.graph import open_graph
from medkg_dagster.cli.ledger import open_ledger
from medkg_dagster.cli.output import echo_json, echo_table
from medkg_dagster.errors import StateError, counted
from medkg_dagster.io.times import stamp, utc_now
from medkg_dagster.settings import Settings

if TYPE_CHECKING:
    from medkg_dagster.runtime.state.prune import Amount, Pruned


def length_of_time(_ctx: click.Context, _parameter: click.Parameter, text: str) -> timedelta:
    """Return the length of time that an option names."""
    try:
        found = parse_duration(text)
    except OverflowError:
        found = None
    if found is None:
        raise click.BadParameter(f"{text!r} is no length of time; write for example 90m, 12h or 7d")
    return found


@click.group()
def state() -> None:
    """Look after the state between stages, and what is remembered of the work on documents."""


@state.command("prune")
@click.option(
    "--grace", default="1d", show_default=True, callback=length_of_time, help="Keep what was used since."
)
@click.option("--dry-run", is_flag=True, help="Only show what would go.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def prune(settings: Settings, grace: timedelta, dry_run: bool, as_json: bool) -> None:
    """Remove state that no job needs and that no work has used for a while, and changes of long ago.

    What a running step has used stays. Of what is only remembered for work to come, MEDKG_MEMO_BYTES stay; of
    changes of documents and edges those of MEDKG_CHANGES_DAYS, and the latest of each document.
    """
    pruned = prune_home(settings, grace, dry_run=dry_run)
    if as_json:
        echo_json({"dry_run": dry_run, **asdict(pruned.state), "changes": pruned.changes})
        return
    print_pruned(pruned, settings.memo_bytes, dry_run=dry_run)


@dataclass(frozen=True, slots=True)
class PrunedHome:
    """What was removed from a home, or would be.

    Attributes:
        state: What lies between stages.
        changes: How many changes of documents and edges were forgotten, and from before when.
    """

    state: Pruned
    changes: dict[str, Any]


def prune_home(settings: Settings, grace: timedelta, *, dry_run: bool) -> PrunedHome:
    """Remove state that no job needs, and let ledger and graph forget what changed long ago.

    Args:
        settings: Say where the home is, and how much may be remembered.
        grace: What was used since stays.
        dry_run: Only say what would go.

    Raises:
        StateError: The ledger knows no job: it is taken for the wrong one.
    """
    from medkg_dagster.domain.job_ids import file_name
    from medkg_dagster.runtime.state.prune import prune as prune_state
    from medkg_dagster.topology.names import dagster_name

    with open_ledger(settings) as book:
        jobs = {(dagster_name(key.pipeline), file_name(key.job_id)) for key in book.jobs.all_keys()}
    if not jobs:
        raise StateError(
            "the ledger knows no job, so no state would be kept; see to MEDKG_HOME and MEDKG_LEDGER_URL"
        )
    pruned = prune_state(
        settings.home,
        lambda pipeline, job: (pipeline, job) in jobs,
        grace_seconds=grace.total_seconds(),
        memo_bytes=settings.memo_bytes,
        is_dry=dry_run,
    )
    return PrunedHome(pruned, _forget_changes(settings, is_dry=dry_run))


def print_pruned(pruned: PrunedHome, memo_bytes: int, *, dry_run: bool) -> None:
    """Print what was removed, and what stays."""
    _print(pruned.state, memo_bytes, dry_run=dry_run)
    changes = pruned.changes
    verb = "would be forgotten" if dry_run else "were forgotten"
    click.echo(
        f"{counted(changes['documents'], 'change of documents', 'changes of documents')} and "
        f"{counted(changes['edges'], 'write of edges', 'writes of edges')} from before {changes['before']} "
        f"{verb}"
    )


def _forget_changes(settings: Settings, *, is_dry: bool) -> dict[str, Any]:
    """Let ledger and graph forget what changed long ago; return how much."""
    before = stamp(utc_now, seconds=-timedelta(days=settings.changes_days).total_seconds())
    with open_ledger(settings) as book:
        found: dict[str, Any] = {"before": before, "edges": 0}
        found["documents"] = book.documents.forget_changes(before, is_dry=is_dry)
    from medkg_dagster.query.opened import has_store
    from medkg_dagster.stage_api import ExtensionKind

    if has_store(settings, ExtensionKind.GRAPH_STORE):
        with open_graph(settings) as store:
            forget = store.forget_changes  # type: ignore[attr-defined] # the built-in store's
            found["edges"] = forget(before, is_dry=is_dry)
    return found


def _print(pruned: Pruned, memo_bytes: int, *, dry_run: bool) -> None:
    gone = {
        "state of jobs that the ledger does not know": pruned.archives,
        "shards that no job needs, not used lately": pruned.shards,
        f"shards and answers beyond the {memo_bytes:,} bytes that may be remembered": pruned.over_budget,
        "left by kills, or damaged": pruned.leftovers,
    }
    rows = [*map(_row, gone, gone.values())]
    header = "WOULD GO" if dry_run else "GONE"
    echo_table((header, "FILES", "BYTES"), [row for row in rows if row[1] != "0"])
    if not any(amount.files for amount in gone.values()):
        click.echo("nothing to remove")
    kept = {
        "shards that jobs need": pruned.needed,
        "shards and answers that are remembered": pruned.remembered,
    }
    echo_table(("STAYS", "FILES", "BYTES"), [*map(_row, kept, kept.values())])
    if pruned.running:
        click.echo(f"{counted(pruned.running, 'step is', 'steps are')} at work; what was used there stays")
    for path in pruned.unreadable:
        click.echo(f"{path} is damaged; run its stage again")


def _row(name: str, amount: Amount) -> tuple[str, str, str]:
    return name, f"{amount.files:,}", f"{amount.size:,}"
