"""`medkg triggers`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from medkg_dagster.cli.output import ROWS, echo_json, echo_records
from medkg_dagster.cli.pipelines import find_pipeline, load_pipelines
from medkg_dagster.domain.placeholders import utc_text
from medkg_dagster.errors import ConfigError, did_you_mean
from medkg_dagster.settings import Settings

if TYPE_CHECKING:
    from medkg_dagster.ledger import Fired, TriggerKey, TriggerState
    from medkg_dagster.resolution.plan import PipelinePlan, PlannedTrigger

_COLUMNS = {"TRIGGER": "name", "LOOKS AT": "looks_at", "LAST": "last_at", "OUTCOME": "outcome"}
_COLUMNS |= {"JOB": "job_id", "MISSED": "missed", "NEXT": "next_at", "WHY": "reason"}
_FIRED = {"AT": "at", "OCCASION": "occasion", "OUTCOME": "outcome", "JOB": "job_id", "WHY": "reason"}


@click.command()
@click.argument("pipeline", required=False)
@click.argument("trigger", required=False)
@click.option("--limit", default=20, show_default=True, type=ROWS, help="Occasions to show.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def triggers(
    settings: Settings, pipeline: str | None, trigger: str | None, limit: int, as_json: bool
) -> None:
    """List what asks for jobs by itself, of all pipelines or of PIPELINE; or what its TRIGGER asked for.

    Whether a trigger is on, Dagster's UI shows.
    """
    plan = load_pipelines(settings)
    pipelines = plan.pipelines if pipeline is None else (find_pipeline(plan, pipeline),)
    if trigger is not None:
        _show_fired(settings, pipelines[0], trigger, limit, as_json=as_json)
        return
    states = _states(settings)
    rows = [describe_trigger(item, planned, states) for item in pipelines for planned in item.triggers]
    if as_json:
        echo_json(rows)
    elif rows:
        shown = [{**row, "name": f"{row['pipeline']}/{row['trigger']}"} for row in rows]
        echo_records(_COLUMNS, shown)
    else:
        click.echo("no triggers")


def describe_trigger(
    pipeline: PipelinePlan, trigger: PlannedTrigger, states: Mapping[TriggerKey, TriggerState]
) -> dict[str, Any]:
    """Return what a trigger is and how far it has come, as plain values.

    Args:
        pipeline: Its pipeline.
        trigger: The trigger.
        states: How far triggers have come, of those that ever did something.
    """
    from medkg_dagster.ledger import TriggerKey

    state = states.get(TriggerKey(pipeline.name, trigger.name))
    schedule = trigger.definition.schedule
    following = None if schedule is None else utc_text(next(schedule.times.after(datetime.now(UTC))))
    return {
        "pipeline": pipeline.name,
        "trigger": trigger.name,
        "kind": trigger.kind,
        "looks_at": trigger.looks_at,
        "job": trigger.job_id,
        "request": trigger.request,
        "last_at": None if state is None else state.at,
        "outcome": None if state is None else state.outcome,
        "job_id": None if state is None else state.job_id,
        "missed": 0 if state is None else state.missed,
        "next_at": following,
        "reason": "it has not looked yet" if state is None else state.reason,
    }


def _states(settings: Settings) -> dict[TriggerKey, TriggerState]:
    from medkg_dagster.ledger import JobLedger

    if not JobLedger.exists(settings):
        return {}
    with JobLedger.of(settings) as book:
        return {state.key: state for state in book.triggers.list()}


def _show_fired(settings: Settings, pipeline: PipelinePlan, name: str, limit: int, *, as_json: bool) -> None:
    known = [item.name for item in pipeline.triggers]
    if name not in known:
        raise ConfigError(f"pipeline '{pipeline.name}' has no trigger '{name}'; {did_you_mean(name, known)}")
    rows = [asdict(item) for item in _fired(settings, pipeline, name, limit)]
    if as_json:
        echo_json(rows)
    elif rows:
        echo_records(_FIRED, rows)
    else:
        click.echo(f"{pipeline.name}/{name} has asked for nothing yet")


def _fired(settings: Settings, pipeline: PipelinePlan, name: str, limit: int) -> tuple[Fired, ...]:
    from medkg_dagster.ledger import JobLedger, TriggerKey

    if not JobLedger.exists(settings):
        return ()
    with JobLedger.of(settings) as book:
        return book.triggers.fired(TriggerKey(pipeline.name, name), limit)
