"""`medkg plan`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from medkg_dagster.cli.output import echo_json, echo_table
from medkg_dagster.cli.pipelines import find_pipeline, load_pipelines
from medkg_dagster.settings import Settings

if TYPE_CHECKING:
    from medkg_dagster.resolution.plan import PipelinePlan


@click.command()
@click.argument("pipeline")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def plan(settings: Settings, pipeline: str, as_json: bool) -> None:
    """Show how PIPELINE was resolved: its stages, wires, order edges, policies and jobs.

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
            }
            for stage in resolved.stages
        ],
        "phases": [
            {"job": phase.job_name, "after_gate": phase.after_gate, "stages": list(phase.stages)}
            for phase in resolved.phases
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
