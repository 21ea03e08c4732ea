"""A pipeline's gates: custom conditions made into conditions on fields, and the phases between gates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from medkg_dagster.domain.gates import GateCondition
from medkg_dagster.errors import ConfigError
from medkg_dagster.plugins import LoadGuard
from medkg_dagster.plugins.loading import error_text
from medkg_dagster.resolution.plan import Phase, PlannedGate, PlannedWork
from medkg_dagster.stage_api import ExtensionKind, Extensions
from medkg_dagster.topology.models import CustomCondition, PipelineTopologyConfig
from medkg_dagster.topology.names import job_name
from medkg_dagster.topology.structure import Finding, furthest_downstream


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


def cut_phases(
    topology: PipelineTopologyConfig, order: Sequence[int], ancestors: Sequence[int]
) -> tuple[tuple[Phase, ...], list[Finding]]:
    """Cut a pipeline: a stage belongs to the phase of the last gate upstream of it, a gate's stage to its.

    Args:
        topology: The pipeline.
        order: Positions of its stages, upstream first.
        ancestors: For each position a bit mask of what is upstream of it.

    Returns:
        The phases, the first one and then one for each gate, upstream first; and what is wrong.
    """
    names = [stage.name for stage in topology.stages]
    if not topology.gates:
        return (Phase(job_name(topology.name), None, tuple(names[index] for index in order)),), []
    gate_at = {
        names.index(stage): gate.name for gate in topology.gates if (stage := topology.gate_stage(gate.name))
    }
    members: dict[int | None, list[str]] = {None: [], **{at: [] for at in order if at in gate_at}}
    findings = []
    for index in order:
        last = _last_gates(index, list(gate_at), ancestors)
        if len(last) > 1:
            gates = " and ".join(f"'{gate_at[at]}'" for at in last)
            findings.append(
                Finding(
                    ("stages", index),
                    f"stage '{names[index]}' lies behind the parallel gates {gates}",
                    "put one gate behind the other, so that it is clear which one lets the stage begin",
                )
            )
            continue
        members[last[0] if last else None].append(names[index])
    if not members[None]:
        findings.append(
            Finding(("stages",), "every stage lies behind a gate", "put a stage before the first gate")
        )
    phases = [
        Phase(
            job_name(topology.name, gate_at.get(at) if at is not None else None),
            gate_at.get(at) if at is not None else None,
            tuple(stages),
        )
        for at, stages in members.items()
    ]
    return tuple(phases), findings


def plan_gates(
    topology: PipelineTopologyConfig,
    conditions: Mapping[str, GateCondition],
    phases: Sequence[Phase],
    ancestors: Sequence[int],
    work: Mapping[str, tuple[PlannedWork, ...]],
) -> tuple[PlannedGate, ...]:
    """Say of each gate what comes before it and what it opens.

    Args:
        topology: The pipeline.
        conditions: When each gate opens, by name.
        phases: Its phases, upstream first.
        ancestors: For each position of a stage a bit mask of what is upstream of it.
        work: What is done while a job waits at a gate, by the gate's name.
    """
    names = [stage.name for stage in topology.stages]
    defined = {gate.name: gate for gate in topology.gates}
    planned = []
    for phase in phases:
        stage = topology.gate_stage(phase.after_gate) if phase.after_gate else None
        if phase.after_gate is None or stage is None:
            continue
        gate = defined[phase.after_gate]
        mask = ancestors[names.index(stage)]
        upstream = frozenset(name for index, name in enumerate(names) if mask >> index & 1)
        planned.append(
            PlannedGate(
                name=gate.name,
                stage=stage,
                job_name=phase.job_name,
                condition=conditions[gate.name],
                description=gate.description,
                upstream=upstream,
                work=work.get(gate.name, ()),
            )
        )
    return tuple(planned)


def _last_gates(index: int, gates: Sequence[int], ancestors: Sequence[int]) -> list[int]:
    """Return the gates at or upstream of a stage that have no other such gate downstream of them."""
    return furthest_downstream([at for at in gates if at == index or ancestors[index] >> at & 1], ancestors)
