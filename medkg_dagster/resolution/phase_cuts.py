"""A pipeline's gates: conditions made of custom ones, the phases between gates, the work done at them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from medkg_dagster.domain.gate_conditions import GateCondition
from medkg_dagster.errors import ConfigError
from medkg_dagster.plugins import LoadGuard
from medkg_dagster.plugins.loading import error_text
from medkg_dagster.registry import StageRegistry
from medkg_dagster.resolution.plan import Phase, PipelinePlan, PlannedGate, PlannedStage, PlannedWork
from medkg_dagster.stage_api import ExtensionKind, Extensions
from medkg_dagster.topology import names
from medkg_dagster.topology.models import CustomCondition, PipelineTopologyConfig
from medkg_dagster.topology.names import job_name
from medkg_dagster.topology.structure import Finding, furthest_downstream

_TAKEN = frozenset(
    {names.ENDED_RUNS_SENSOR, names.ALERTS_SENSOR, names.LOAD_REPORT_SENSOR, names.LOAD_REPORT_CHECKS}
)


def expand_conditions(
    topology: PipelineTopologyConfig, extensions: Extensions, home: Path, guard: LoadGuard
) -> tuple[PipelineTopologyConfig, dict[str, GateCondition], list[Finding]]:
    """Let extensions make a `GateCondition` of each custom condition.

    Plugins' code runs here, once, and never in the daemon that looks at waiting jobs.

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
        before = [at for at in gate_at if at == index or ancestors[index] >> at & 1]
        last = furthest_downstream(before, ancestors)
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
                fields=gate.fields,
            )
        )
    return tuple(planned)


def plan_work(
    topology: PipelineTopologyConfig,
    conditions: Mapping[str, GateCondition],
    stages: Sequence[PlannedStage],
    ancestors: Sequence[int],
) -> tuple[dict[str, tuple[PlannedWork, ...]], list[Finding]]:
    """Find the work for each gate: of the nearest stage, at or upstream of it, that declares it for a field.

    Args:
        topology: The pipeline.
        conditions: When each gate opens, by name.
        stages: Its stages.
        ancestors: For each position of a stage a bit mask of what is upstream of it.

    Returns:
        The work by the gate's name, none where somebody else does it; and what is wrong.
    """
    declaring = [stage for stage in stages if stage.contract.work_at_gates]
    if topology.conversion == "external" or not declaring:
        return {}, []
    position = {stage.name: index for index, stage in enumerate(topology.stages)}
    work: dict[str, tuple[PlannedWork, ...]] = {}
    findings: list[Finding] = []
    for number, gate in enumerate(topology.gates):
        at = position[topology.gate_stage(gate.name) or ""]
        upstream = [
            PlannedWork(declared, stage.name)
            for stage in declaring
            for declared in stage.contract.work_at_gates
            if position[stage.name] == at or ancestors[at] >> position[stage.name] & 1
        ]
        for field in dict.fromkeys(clause.field for clause in conditions[gate.name].clauses):
            candidates = [item for item in upstream if item.declared.sets == field]
            last = furthest_downstream([position[item.stage] for item in candidates], ancestors)
            nearest = [item for item in candidates if position[item.stage] in last]
            if len({item.declared.name for item in nearest}) > 1:
                both = " and ".join(f"'{item.stage}'" for item in nearest)
                findings.append(
                    Finding(
                        ("gates", number),
                        f"the parallel stages {both} before gate '{gate.name}' are of types that declare "
                        f"work which sets '{field}'",
                        "let one of them depend on the other, so that it is clear whose work is done",
                    )
                )
            work[gate.name] = (*work.get(gate.name, ()), *nearest[:1])
        findings += _name_findings(number, work.get(gate.name, ()), position)
    return work, findings


def _name_findings(gate: int, work: Sequence[PlannedWork], stages: Mapping[str, int]) -> Iterator[Finding]:
    for item in work:
        name = item.declared.name
        if name in stages:
            yield Finding(
                ("stages", stages[name], "name"),
                f"stage '{name}' is called like the work that the type of stage '{item.stage}' declares",
                "give the stage another name, for the ledger keeps both by name",
            )
        for taken in {name, item.declared.op_name} & _TAKEN:
            yield Finding(
                ("gates", gate),
                f"the type of stage '{item.stage}' declares work that would be called '{taken}' in Dagster, "
                "like a part of the code location",
                "let its authors give it another name",
            )


def work_clashes(plans: Sequence[PipelinePlan], registry: StageRegistry) -> dict[str, str]:
    """Return what is wrong with pipelines, by name: Dagster names of work that mean something else too.

    Args:
        plans: The resolved pipelines, in order of name.
        registry: The stage types; no pipeline may be called like the work that one declares.
    """
    clashes: dict[str, str] = {}
    declared = {
        name: entry.metadata.stage_type
        for entry in registry
        for work in entry.metadata.work_at_gates
        for name in (work.name, work.op_name)
    }
    owners: dict[str, tuple[PlannedWork, PipelinePlan]] = {}
    for plan in plans:
        if plan.dagster_name in declared:
            clashes[plan.name] = (
                f"pipeline '{plan.name}' would be called '{plan.dagster_name}' in Dagster, like the work at "
                f"gates of the stage type '{declared[plan.dagster_name]}'"
            )
            continue
        for item in plan.work.values():
            for name in (item.declared.name, item.declared.op_name):
                owner, other = owners.setdefault(name, (item, plan))
                if owner.declared != item.declared:
                    clashes[plan.name] = (
                        f"work at gates that the type of stage '{item.stage}' declares is called '{name}' in "
                        f"Dagster, like other work, of stage '{owner.stage}' of pipeline '{other.name}'"
                    )
    return clashes
