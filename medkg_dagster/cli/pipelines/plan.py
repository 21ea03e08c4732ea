"""`medkg plan`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from medkg_dagster.cli.output import echo_json, echo_table
from medkg_dagster.cli.pipelines import find_pipeline, load_pipelines
from medkg_dagster.domain.gate_conditions import describe_condition
from medkg_dagster.settings import Settings

if TYPE_CHECKING:
    from medkg_dagster.resolution.plan import PipelinePlan, PlannedGate


@click.command()
@click.argument("pipeline")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def plan(settings: Settings, pipeline: str, as_json: bool) -> None:
    """Show how PIPELINE was resolved: its stages, wires, order edges, policies, jobs, gates, triggers.

    A wire reads `state key <- stage`: the stage upstream that writes what this one reads.
    """
    resolved = find_pipeline(load_pipelines(settings), pipeline)
    if as_json:
        echo_json(describe_plan(resolved))
    else:
        _print_plan(resolved)


def describe_plan(resolved: PipelinePlan) -> dict[str, Any]:
    """Return a plan as plain values."""
    return {
        "name": resolved.name,
        "dagster_name": resolved.dagster_name,
        "version": resolved.topology.version,
        "owner": resolved.topology.metadata.owner,
        "description": resolved.topology.metadata.description,
        "stages": [
            {
                "name": stage.name,
                "type": stage.definition.type,
                "writes": list(stage.metadata.state_keys),
                "wires": {wire.state_key: wire.source for wire in stage.wires},
                "order_after": list(stage.order_after),
                "policy": {"name": stage.definition.policy, **stage.policy.model_dump(mode="json")},
                "config": dict(stage.definition.config),
                "code_version": stage.code_version,
                "from": str(stage.origin) if stage.origin else "code",
                "metadata_overrides": stage.definition.metadata_overrides.changes(),
                "isolation": asdict(stage.isolation) if stage.isolation else None,
            }
            for stage in resolved.stages
        ],
        "phases": [
            {"job": phase.job_name, "after_gate": phase.after_gate, "stages": list(phase.stages)}
            for phase in resolved.phases
        ],
        "gates": [
            {
                "name": gate.name,
                "stage": gate.stage,
                "job": gate.job_name,
                "condition": gate.condition.model_dump(mode="json"),
            }
            for gate in resolved.gates
        ],
        "triggers": [
            {**trigger.definition.model_dump(mode="json"), "kind": trigger.kind, "job_id": trigger.job_id}
            for trigger in resolved.triggers
        ],
    }


def _print_plan(resolved: PipelinePlan) -> None:
    metadata = resolved.topology.metadata
    click.echo(f"{resolved.name}, version {resolved.topology.version}")
    if metadata.description:
        click.echo(metadata.description)
    if metadata.owner:
        click.echo(f"owner: {metadata.owner}")
    click.echo()
    echo_table(
        ("STAGE", "TYPE", "WRITES", "WIRES", "ALSO AFTER", "POLICY", "ATTEMPTS", "TIMEOUT"),
        [
            (
                stage.name,
                stage.definition.type,
                ", ".join(stage.metadata.state_keys) or "-",
                ", ".join(f"{wire.state_key} <- {wire.source}" for wire in stage.wires) or "-",
                ", ".join(stage.order_after) or "-",
                stage.definition.policy,
                stage.policy.max_attempts,
                f"{stage.policy.timeout_seconds:g} s" if stage.policy.timeout_seconds else "-",
            )
            for stage in resolved.stages
        ],
    )
    click.echo()
    echo_table(
        ("JOB", "AFTER GATE", "STAGES"),
        [(phase.job_name, phase.after_gate or "-", ", ".join(phase.stages)) for phase in resolved.phases],
    )
    if resolved.gates:
        click.echo()
    echo_table(
        ("GATE", "OPENS WHEN", "TIMEOUT"),
        [(gate.name, describe_condition(gate.condition), _timeout(gate)) for gate in resolved.gates],
    )
    if resolved.triggers:
        click.echo()
    echo_table(
        ("TRIGGER", "LOOKS AT", "JOB", "FROM THE START"),
        [
            (item.name, item.looks_at, item.job_id, item.definition.default_status)
            for item in resolved.triggers
        ],
    )
    _print_deviations(resolved)


def _timeout(gate: PlannedGate) -> str:
    seconds = gate.condition.timeout_seconds
    return f"{gate.condition.on_timeout} after {seconds:g} s" if seconds is not None else "-"


def _print_deviations(resolved: PipelinePlan) -> None:
    """Say which stages differ from their types, and which run in a process of their own."""
    rows = []
    for stage in resolved.stages:
        changes = stage.definition.metadata_overrides.changes()
        limits = stage.isolation
        isolation = f"{limits.memory_mb} MB, {limits.timeout_seconds:g} s" if limits else "-"
        if changes or limits:
            overrides = "; ".join(f"{key}: {value}" for key, value in changes.items())
            rows.append((stage.name, overrides or "-", isolation))
    if rows:
        click.echo()
    echo_table(("STAGE", "OVERRIDES", "CHILD PROCESS"), rows)
