"""Which work, as stage types declare it, is done while jobs wait at which gate."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from medkg_dagster.domain.gate_conditions import GateCondition
from medkg_dagster.registry import StageRegistry
from medkg_dagster.resolution.plan import PipelinePlan, PlannedStage, PlannedWork
from medkg_dagster.topology import names
from medkg_dagster.topology.models import PipelineTopologyConfig
from medkg_dagster.topology.structure import Finding, furthest_downstream

_TAKEN = frozenset({names.ENDED_RUNS_SENSOR, names.LOAD_REPORT_SENSOR, names.LOAD_REPORT_CHECKS})


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
