"""One pipeline x registry -> its plan: types, wires, configurations, policies, phases."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from medkg_dagster.errors import StageRegistryError, did_you_mean
from medkg_dagster.plugins import LoadGuard
from medkg_dagster.registry import RegisteredStage, StageFactory
from medkg_dagster.resolution.executors import missing_extra
from medkg_dagster.resolution.phase_cuts import cut_phases, expand_conditions, plan_gates, plan_work
from medkg_dagster.resolution.pipeline_triggers import plan_triggers, request_findings
from medkg_dagster.resolution.plan import PipelinePlan, PlannedStage, Wire
from medkg_dagster.resolution.requirements import unmet_requirements, why_not_registered
from medkg_dagster.resolution.stage_config import (
    OverriddenMetadata,
    check_config,
    code_version,
    override,
    stored_names,
)
from medkg_dagster.resolution.wiring import Writers, find_writers, inputs_of, types_that_write
from medkg_dagster.stage_api import StageMetadata, SubprocessIsolation
from medkg_dagster.topology.models import PipelineTopologyConfig, ResiliencePolicy, StageDefinition
from medkg_dagster.topology.structure import Finding, ancestor_masks, topological_order

CODE = "code"
"""Stands for a distribution where a stage type was registered in code."""


@dataclass(frozen=True, slots=True)
class ResolvedPipeline:
    """What resolving one pipeline gave.

    Attributes:
        plan: The plan; None where something is wrong.
        findings: What is wrong.
        seconds: By stage, stage type and distribution, the time it took.
    """

    plan: PipelinePlan | None
    findings: tuple[Finding, ...]
    seconds: Mapping[tuple[str, str, str], float]


@dataclass(frozen=True, slots=True)
class TypedStage:
    """A stage's type as this stage has it.

    Attributes:
        entry: The type.
        described: Its metadata with the stage's overrides.
    """

    entry: RegisteredStage
    described: OverriddenMetadata


def resolve_one(
    topology: PipelineTopologyConfig,
    factory: StageFactory,
    policies: Mapping[str, ResiliencePolicy],
    home: Path,
    guard: LoadGuard,
) -> ResolvedPipeline:
    """Resolve one pipeline.

    Args:
        topology: The pipeline.
        factory: The stage types and extensions.
        policies: The resilience policies by name.
        home: The folder for all data, which a custom condition is given.
        guard: Ends what a plugin's code does not end itself.
    """
    topology, conditions, condition_findings = expand_conditions(topology, factory.extensions, home, guard)
    resolution = _Resolution(topology, factory, policies, guard)
    stages = resolution.plan_stages(resolution.find_types())
    phases, phase_findings = cut_phases(topology, resolution.order, resolution.ancestors)
    missing = missing_extra(topology.execution or "")
    if missing is not None:
        message = f"the executor '{topology.execution}' needs {missing.needs}"
        resolution.findings.append(Finding(("execution",), message, missing.hint))
    unmet = unmet_requirements(topology, factory.registry, factory.extensions)
    findings = [*unmet, *condition_findings, *resolution.findings, *phase_findings]
    triggers = plan_triggers(topology)
    if not resolution.findings:
        findings += request_findings(triggers, stages, factory.extensions, guard)
    if findings:
        return ResolvedPipeline(None, tuple(findings), resolution.seconds)
    work, work_findings = plan_work(topology, conditions, stages, resolution.ancestors)
    if work_findings:
        return ResolvedPipeline(None, tuple(work_findings), resolution.seconds)
    gates = plan_gates(topology, conditions, phases, resolution.ancestors, work)
    plan = PipelinePlan(
        topology.name, topology.dagster_name, topology, tuple(stages), phases, gates, triggers
    )
    return ResolvedPipeline(plan, (), resolution.seconds)


class _Resolution:
    """The resolution of one pipeline."""

    def __init__(
        self,
        topology: PipelineTopologyConfig,
        factory: StageFactory,
        policies: Mapping[str, ResiliencePolicy],
        guard: LoadGuard,
    ) -> None:
        self.topology = topology
        self.guard = guard
        self.registry = factory.registry
        self.policies = policies
        self.extensions = factory.extensions
        self.findings: list[Finding] = []
        self.seconds: dict[tuple[str, str, str], float] = {}
        self.position = {stage.name: index for index, stage in enumerate(topology.stages)}
        edges = [[self.position[name] for name in stage.depends_on] for stage in topology.stages]
        self.order = topological_order(edges)
        # A valid topology has no cycle.
        self.ancestors: list[int] = ancestor_masks(edges) or []
        self.under_name: dict[str, list[int]] = {}
        self.renamed: dict[str, list[int]] = {}

    def find_types(self) -> list[TypedStage | None]:
        """Return each stage with its type, in the order of the file; unknown types become findings."""
        typed = [self._find_type(index, stage) for index, stage in enumerate(self.topology.stages)]
        for index, stage in enumerate(typed):
            if stage is None:
                continue
            described = stage.described
            for key, stored in stored_names(described.contract, described.metadata).items():
                self.under_name.setdefault(stored, []).append(index)
                if stored != key:
                    self.renamed.setdefault(key, []).append(index)
        return typed

    def _find_type(self, index: int, stage: StageDefinition) -> TypedStage | None:
        entry = self.registry.find(stage.type)
        if entry is None:
            why = why_not_registered(stage.type, "", self.registry.events)
            self._report(
                ("stages", index, "type"),
                f"stage '{stage.name}' has the unknown type '{stage.type}'",
                why or did_you_mean(stage.type, self.registry.stage_types),
            )
            return None
        try:
            return TypedStage(entry, override(entry.metadata, stage.metadata_overrides))
        except StageRegistryError as error:
            path = ("stages", index, "metadata_overrides")
            self._report(path, f"stage '{stage.name}': {error}")
            return TypedStage(entry, OverriddenMetadata(entry.metadata, entry.metadata))

    def plan_stages(self, typed: Sequence[TypedStage | None]) -> list[PlannedStage]:
        """Return the stages of known types, upstream first."""
        is_complete = None not in typed
        planned = []
        for index in self.order:
            stage = typed[index]
            if stage is not None:
                start = time.perf_counter()
                planned.append(self._plan_stage(index, stage, typed, is_complete=is_complete))
                provider = stage.entry.origin.distribution if stage.entry.origin else CODE
                definition = self.topology.stages[index]
                self.seconds[definition.name, definition.type, provider] = time.perf_counter() - start
        return planned

    def _plan_stage(
        self, index: int, typed: TypedStage, others: Sequence[TypedStage | None], *, is_complete: bool
    ) -> PlannedStage:
        stage = self.topology.stages[index]
        metadata = typed.described.metadata
        wires = self._wires(index, typed, others, is_complete=is_complete)
        sources = {wire.source for wire in wires}
        path = ("stages", index, "config")
        config, findings = check_config(metadata, stage.config, path, self.extensions, self.guard)
        for finding in findings:
            self._report(finding.path, f"stage '{stage.name}': {finding.message}", finding.hint)
        return PlannedStage(
            name=stage.name,
            definition=stage,
            metadata=metadata,
            contract=typed.described.contract,
            origin=typed.entry.origin,
            isolation=self._isolation(index, typed, [others[self.position[name]] for name in sources]),
            builder=typed.entry.builder,
            wires=wires,
            order_after=tuple(name for name in stage.depends_on if name not in sources),
            policy=self._policy(index, stage),
            code_version=code_version(typed.entry.metadata, config, stage.metadata_overrides.changes()),
        )

    def _isolation(
        self, index: int, typed: TypedStage, writers: Sequence[TypedStage | None]
    ) -> SubprocessIsolation | None:
        stage = self.topology.stages[index]
        limits = stage.isolation
        isolation = (
            typed.entry.metadata.isolation
            if limits is None
            else SubprocessIsolation(limits.memory_mb, limits.timeout_seconds)
        )
        if isolation is None:
            return None
        for needed in (typed, *writers):
            if needed is not None and needed.entry.origin is None:
                self._report(
                    ("stages", index),
                    f"stage '{stage.name}' cannot run in a process of its own: code registered the type "
                    f"'{needed.entry.metadata.stage_type}', and a new process would not know it",
                    "register the type by an entry point, or remove `isolation`",
                )
        return isolation

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

    def _wires(
        self, index: int, typed: TypedStage, others: Sequence[TypedStage | None], *, is_complete: bool
    ) -> tuple[Wire, ...]:
        metadata = typed.described.metadata
        self._check_dependencies(index, metadata, is_complete=is_complete)
        stages = self.topology.stages
        wires = []
        for item in inputs_of(metadata, self.registry):
            key = item.state_key
            writers = Writers(self.under_name.get(key, ()), self.renamed.get(key, ()))
            found = find_writers(index, writers, self.ancestors)
            if len(found) == 1:
                writer = others[found[0]]
                stored = key if found[0] in writers.under_name else writer and writer.described.stored_as(key)
                wires.append(Wire(stored or key, stages[found[0]].name, key))
            elif found:
                both = " and ".join(f"'{stages[writer].name}'" for writer in found)
                self._report(
                    ("stages", index),
                    f"stage '{stages[index].name}' reads '{key}', which the parallel stages {both} write",
                    "let one of them depend on the other, or depend on one of them only",
                )
            elif item.required and is_complete:
                self._report_no_writer(index, key)
        return tuple(wires)

    def _report_no_writer(self, index: int, key: str) -> None:
        name = self.topology.stages[index].name
        elsewhere = [
            self.topology.stages[writer].name for writer in self.under_name.get(key, ()) if writer != index
        ]
        types = ", ".join(types_that_write(key, self.registry))
        hint = f"put a stage of one of these types before it: {types}"
        if elsewhere:
            others = " or ".join(map(repr, elsewhere))
            hint = f"let it depend on {others}, directly or not; types that write it: {types}"
        self._report(
            ("stages", index), f"stage '{name}' reads '{key}', which no stage upstream of it writes", hint
        )

    def _check_dependencies(self, index: int, metadata: StageMetadata, *, is_complete: bool) -> None:
        stage = self.topology.stages[index]
        for dependency in metadata.dependencies:
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
