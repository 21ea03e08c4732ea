"""Custom conditions of gates, made into conditions on fields before anything runs."""

from __future__ import annotations

from pathlib import Path

from medkg_dagster.domain.gates import GateCondition
from medkg_dagster.errors import ConfigError
from medkg_dagster.plugins import LoadGuard
from medkg_dagster.plugins.loading import error_text
from medkg_dagster.stage_api import ExtensionKind, Extensions
from medkg_dagster.topology.models import CustomCondition, PipelineTopologyConfig
from medkg_dagster.topology.structure import Finding


def expand_conditions(
    topology: PipelineTopologyConfig, extensions: Extensions, home: Path, guard: LoadGuard
) -> tuple[PipelineTopologyConfig, dict[str, GateCondition], list[Finding]]:
    """Let extensions make a `GateCondition` of each custom condition.

    Plugins' code runs here, once, and never in the daemon that looks at waiting jobs.

    Args:
        topology: The pipeline.
        extensions: The extensions.
        home: The folder for all data.
        guard: Ends what an extension does not end itself.

    Returns:
        The pipeline with conditions on fields only, the condition of each gate by name, and what is wrong.
    """
    findings: list[Finding] = []
    conditions: dict[str, GateCondition] = {}
    for index, gate in enumerate(topology.gates):
        made: GateCondition | Finding = (
            _expanded(gate.condition, extensions, home, guard, ("gates", index, "condition"))
            if isinstance(gate.condition, CustomCondition)
            else gate.condition
        )
        if isinstance(made, Finding):
            findings.append(made)
        else:
            conditions[gate.name] = made
    if all(conditions.get(gate.name) is gate.condition for gate in topology.gates):
        return topology, conditions, findings
    gates = tuple(
        gate.model_copy(update={"condition": conditions.get(gate.name, gate.condition)})
        for gate in topology.gates
    )
    return topology.model_copy(update={"gates": gates}), conditions, findings


def _expanded(
    custom: CustomCondition,
    extensions: Extensions,
    home: Path,
    guard: LoadGuard,
    path: tuple[str | int, ...],
) -> GateCondition | Finding:
    authors = "tell the authors of the condition"
    try:
        extension = extensions.find(ExtensionKind.GATE_CONDITION, custom.custom)
        made = guard.run(f"gate condition '{custom.custom}'", lambda: extension.open(custom.parameters, home))
    except ConfigError as error:
        return Finding(path, f"custom condition: {error}")
    except Exception as error:  # noqa: BLE001 - a plugin may do anything, and other pipelines must load
        broke = error_text(error)
        return Finding(path, f"the condition '{custom.custom}' broke on these parameters: {broke}", authors)
    if not isinstance(made, GateCondition):
        message = f"the condition '{custom.custom}' made {type(made).__name__}; it must make a GateCondition"
        return Finding(path, message, authors)
    return made
