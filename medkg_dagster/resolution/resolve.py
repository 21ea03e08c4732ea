"""Topology x registry -> plan: types, wires, configurations, policies, phases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from medkg_dagster.errors import Problem, StageResolutionError, did_you_mean
from medkg_dagster.registry import RegisteredStage, StageFactory, StageRegistry
from medkg_dagster.resolution.phases import cut_phases, plan_gates
from medkg_dagster.resolution.plan import PipelinePlan, Plan, PlannedStage, Wire
from medkg_dagster.resolution.stage_config import check_config, code_version
from medkg_dagster.resolution.wiring import inputs_of, nearest_writers, types_that_write
from medkg_dagster.topology.graph import ancestor_masks, topological_order
from medkg_dagster.topology.loading import LoadedPipeline, load_pipelines
from medkg_dagster.topology.models import PipelineTopologyConfig, ResiliencePolicy, StageDefinition
from medkg_dagster.topology.structure import Finding


def load_plan(config: Path, factory: StageFactory, problems: Sequence[Problem] | None = None) -> Plan:
    """Load every pipeline of a configuration folder and resolve it.

    Args:
        config: The configuration folder.
        factory: The stage types.
        problems: Problems of the registry; the factory's own by default.

    Returns:
        The pipelines that could be resolved, and every problem: of plugins, of files, of resolution.
    """
    loaded = load_pipelines(config)
    found = [*(factory.problems if problems is None else problems), *loaded.problems]
    plans = []
    for pipeline in loaded.pipelines:
        plan, findings = _resolve(pipeline.topology, factory.registry, loaded.policies)
        if plan is None:
            found += _problems(pipeline, findings)
        else:
            plans.append(plan)
    return Plan(tuple(plans), tuple(found))


def resolve_pipeline(
    topology: PipelineTopologyConfig, factory: StageFactory, policies: Mapping[str, ResiliencePolicy]
) -> PipelinePlan:
    """Resolve one pipeline.

    Args:
        topology: The pipeline.
        factory: The stage types.
        policies: The resilience policies by name.

    Raises:
        StageResolutionError: It cannot be resolved; the message holds every reason.
    """
    plan, findings = _resolve(topology, factory.registry, policies)
    if plan is None:
        reasons = "\n".join(
            f"{finding.message} ({finding.hint})" if finding.hint else finding.message for finding in findings
        )
        raise StageResolutionError(f"pipeline '{topology.name}' cannot be resolved:\n{reasons}")
    return plan


def _problems(pipeline: LoadedPipeline, findings: Sequence[Finding]) -> list[Problem]:
    problems = [pipeline.problem(finding.path, finding.message, finding.hint) for finding in findings]
    return sorted(problems, key=lambda problem: problem.line or 0)


def _resolve(
    topology: PipelineTopologyConfig, registry: StageRegistry, policies: Mapping[str, ResiliencePolicy]
) -> tuple[PipelinePlan | None, list[Finding]]:
    resolution = _Resolution(topology, registry, policies)
    entries = resolution.find_types()
    stages = resolution.plan_stages(entries)
    phases, findings = cut_phases(topology, resolution.order, resolution.ancestors)
    findings = [*resolution.findings, *findings]
    if findings:
        return None, findings
    gates = plan_gates(topology, phases, resolution.ancestors)
    return PipelinePlan(topology.name, topology.dagster_name, topology, tuple(stages), phases, gates), []


class _Resolution:
    """The resolution of one pipeline."""

    def __init__(
        self,
        topology: PipelineTopologyConfig,
        registry: StageRegistry,
        policies: Mapping[str, ResiliencePolicy],
    ) -> None:
        self.topology = topology
        self.registry = registry
        self.policies = policies
        self.findings: list[Finding] = []
        self.position = {stage.name: index for index, stage in enumerate(topology.stages)}
        edges = [[self.position[name] for name in stage.depends_on] for stage in topology.stages]
        self.order = topological_order(edges)
        # A valid topology has no cycle.
        self.ancestors: list[int] = ancestor_masks(edges) or []
        self.writers: dict[str, list[int]] = {}

    def find_types(self) -> list[RegisteredStage | None]:
        """Return the stage types in the order of the file; unknown ones become findings."""
        entries = [self.registry.find(stage.type) for stage in self.topology.stages]
        for index, (stage, entry) in enumerate(zip(self.topology.stages, entries, strict=True)):
            if entry is None:
                self._report(
                    ("stages", index, "type"),
                    f"stage '{stage.name}' has the unknown type '{stage.type}'",
                    did_you_mean(stage.type, self.registry.stage_types),
                )
                continue
            for key in entry.metadata.state_keys:
                self.writers.setdefault(key, []).append(index)
        return entries

    def plan_stages(self, entries: Sequence[RegisteredStage | None]) -> list[PlannedStage]:
        """Return the stages of known types, upstream first."""
        is_complete = None not in entries
        planned = []
        for index in self.order:
            entry = entries[index]
            if entry is not None:
                planned.append(self._plan_stage(index, entry, is_complete=is_complete))
        return planned

    def _plan_stage(self, index: int, entry: RegisteredStage, *, is_complete: bool) -> PlannedStage:
        stage = self.topology.stages[index]
        wires = self._wires(index, entry, is_complete=is_complete)
        sources = {wire.source for wire in wires}
        config, findings = check_config(entry.metadata, stage.config, ("stages", index, "config"))
        for finding in findings:
            self._report(finding.path, f"stage '{stage.name}': {finding.message}", finding.hint)
        return PlannedStage(
            name=stage.name,
            definition=stage,
            metadata=entry.metadata,
            builder=entry.builder,
            wires=wires,
            order_after=tuple(name for name in stage.depends_on if name not in sources),
            policy=self._policy(index, stage),
            code_version=code_version(entry.metadata, config),
        )

    def _policy(self, index: int, stage: StageDefinition) -> ResiliencePolicy:
        policy = self.policies.get(stage.policy)
        if policy is not None:
            return policy
        self._report(
            ("stages", index, "policy"),
            f"stage '{stage.name}' has the unknown policy '{stage.policy}'",
            did_you_mean(stage.policy, self.policies),
        )
        return ResiliencePolicy()

    def _wires(self, index: int, entry: RegisteredStage, *, is_complete: bool) -> tuple[Wire, ...]:
        self._check_dependencies(index, entry, is_complete=is_complete)
        stages = self.topology.stages
        wires = []
        for item in inputs_of(entry.metadata, self.registry):
            found = nearest_writers(index, self.writers.get(item.state_key, ()), self.ancestors)
            if len(found) == 1:
                wires.append(Wire(item.state_key, stages[found[0]].name))
            elif found:
                both = " and ".join(f"'{stages[writer].name}'" for writer in found)
                self._report(
                    ("stages", index),
                    f"stage '{stages[index].name}' reads '{item.state_key}', which the parallel "
                    f"stages {both} write",
                    "let one of them depend on the other, or depend on one of them only",
                )
            elif item.required and is_complete:
                self._report_no_writer(index, item.state_key)
        return tuple(wires)

    def _report_no_writer(self, index: int, key: str) -> None:
        name = self.topology.stages[index].name
        elsewhere = [
            self.topology.stages[writer].name for writer in self.writers.get(key, ()) if writer != index
        ]
        types = ", ".join(types_that_write(key, self.registry))
        hint = f"put a stage of one of these types before it: {types}"
        if elsewhere:
            others = " or ".join(map(repr, elsewhere))
            hint = f"let it depend on {others}, directly or not; types that write it: {types}"
        self._report(
            ("stages", index), f"stage '{name}' reads '{key}', which no stage upstream of it writes", hint
        )

    def _check_dependencies(self, index: int, entry: RegisteredStage, *, is_complete: bool) -> None:
        stage = self.topology.stages[index]
        for dependency in entry.metadata.dependencies:
            needed = self.registry.find(dependency)
            if needed is None:
                self._report(
                    ("stages", index, "type"),
                    f"stage '{stage.name}' is of type '{stage.type}', which depends on the stage type "
                    f"'{dependency}', and that is not registered",
                    did_you_mean(dependency, self.registry.stage_types),
                )
            elif is_complete and not needed.metadata.state_keys and not self._has_upstream(index, dependency):
                self._report(
                    ("stages", index),
                    f"stage '{stage.name}' needs a stage of type '{dependency}' upstream, and there is none",
                    f"add one, and let '{stage.name}' depend on it",
                )

    def _has_upstream(self, index: int, stage_type: str) -> bool:
        return any(
            self.ancestors[index] >> other & 1 and stage.type == stage_type
            for other, stage in enumerate(self.topology.stages)
        )

    def _report(self, path: tuple[str | int, ...], message: str, hint: str | None = None) -> None:
        self.findings.append(Finding(path, message, hint))
