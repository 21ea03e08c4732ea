"""Topology x registry -> plan, pipeline by pipeline."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from medkg_dagster.errors import Problem, StageResolutionError
from medkg_dagster.plugins import LoadGuard
from medkg_dagster.plugins.collector import collector_paused
from medkg_dagster.plugins.events import Outcome, PluginEvent
from medkg_dagster.registry import StageFactory
from medkg_dagster.resolution.gate_work import work_clashes
from medkg_dagster.resolution.pipeline_resolution import resolve_one
from medkg_dagster.resolution.plan import PipelinePlan, Plan, PluginReport
from medkg_dagster.topology.clashes import LoadedPipeline
from medkg_dagster.topology.loading import LoadedTopologies
from medkg_dagster.topology.models import PipelineTopologyConfig
from medkg_dagster.topology.policies import ResiliencePolicy
from medkg_dagster.topology.structure import Finding


def resolve_topologies(
    loaded: LoadedTopologies,
    factory: StageFactory,
    home: Path = Path(),
    problems: Sequence[Problem] | None = None,
) -> Plan:
    """Resolve every pipeline that was loaded.

    Args:
        loaded: Pipelines and policies.
        factory: The stage types and extensions.
        home: The folder for all data, which a custom condition is told.
        problems: Problems of plugins; the factory's own by default.

    Returns:
        The pipelines that could be resolved, and every problem: of plugins, of files, of resolution.
    """
    found = [*(factory.problems if problems is None else problems), *loaded.problems]
    plans = []
    overridden: list[PluginEvent] = []
    with collector_paused(), LoadGuard(factory.registry.policy.load_seconds) as guard:
        resolved = [
            (pipeline, resolve_one(pipeline.topology, factory, loaded.policies, home, guard))
            for pipeline in loaded.pipelines
        ]
    resolved_plans = [resolution.plan for _, resolution in resolved if resolution.plan]
    clashes = work_clashes(resolved_plans, factory.registry)
    for pipeline, resolution in resolved:
        if resolution.plan is None:
            found += _problems(pipeline, resolution.findings)
        elif resolution.plan.name in clashes:
            clash = clashes[resolution.plan.name]
            found.append(pipeline.problem(("name",), clash, "give one of them another name"))
        else:
            plans.append(resolution.plan)
            overridden += _overrides(pipeline, resolution.plan)
    discovery = _totals((load.origin.distribution, load.seconds) for load in factory.registry.loads)
    seconds = _totals(item for _, resolution in resolved for item in resolution.seconds.items())
    events = (*factory.events, *overridden)
    report = PluginReport(events, discovery, seconds, datetime.now(UTC).isoformat())
    return Plan(tuple(plans), tuple(found), report, loaded.deprecations)


def resolve_pipeline(
    topology: PipelineTopologyConfig,
    factory: StageFactory,
    policies: Mapping[str, ResiliencePolicy],
) -> PipelinePlan:
    """Resolve one pipeline.

    Args:
        topology: The pipeline.
        factory: The stage types and extensions.
        policies: The resilience policies by name.

    Raises:
        StageResolutionError: It cannot be resolved; the message holds every reason.
    """
    with LoadGuard(factory.registry.policy.load_seconds) as guard:
        resolution = resolve_one(topology, factory, policies, Path(), guard)
    if resolution.plan is None:
        reasons = "\n".join(
            f"{finding.message} ({finding.hint})" if finding.hint else finding.message
            for finding in resolution.findings
        )
        raise StageResolutionError(f"pipeline '{topology.name}' cannot be resolved:\n{reasons}")
    return resolution.plan


def _totals(spent: Iterable[tuple[str, float]]) -> dict[str, float]:
    """Add up seconds by distribution."""
    totals: dict[str, float] = {}
    for provider, seconds in spent:
        totals[provider] = totals.get(provider, 0.0) + seconds
    return totals


def _problems(pipeline: LoadedPipeline, findings: Sequence[Finding]) -> list[Problem]:
    problems = [pipeline.problem(finding.path, finding.message, finding.hint) for finding in findings]
    return sorted(problems, key=lambda problem: problem.line or 0)


def _overrides(pipeline: LoadedPipeline, plan: PipelinePlan) -> Iterator[PluginEvent]:
    origins = {stage.name: stage.origin for stage in plan.stages}
    for index, stage in enumerate(pipeline.topology.stages):
        changes = stage.metadata_overrides.changes()
        origin = origins[stage.name]
        if changes and origin is not None:
            line = pipeline.lines.line(("stages", index, "metadata_overrides"))
            subject, details = f"{plan.name}.{stage.name}", ", ".join(sorted(changes))
            yield PluginEvent(origin, Outcome.OVERRIDDEN, subject, f"{pipeline.file}:{line}", details)
