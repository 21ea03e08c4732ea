"""A pipeline cut at its gates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from medkg_dagster.domain.gates import GateCondition
from medkg_dagster.resolution.plan import Phase, PlannedGate, PlannedWork
from medkg_dagster.topology.models import PipelineTopologyConfig
from medkg_dagster.topology.names import job_name
from medkg_dagster.topology.structure import Finding


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
    reached = [at for at in gates if at == index or ancestors[index] >> at & 1]
    hidden = 0
    for at in reached:
        hidden |= ancestors[at]
    return [at for at in reached if not hidden >> at & 1]
