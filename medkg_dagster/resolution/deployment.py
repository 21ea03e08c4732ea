"""Settings to plan: what a deployment lets in, loads and resolves, in one place for UI and console."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from medkg_dagster.errors import Problem, StageResolutionError
from medkg_dagster.io.collector import collector_paused
from medkg_dagster.plugins import LoadGuard
from medkg_dagster.plugins.events import Outcome, PluginEvent
from medkg_dagster.registry import ExtensionRegistry, StageFactory
from medkg_dagster.resolution.phase_cuts import work_clashes
from medkg_dagster.resolution.pipeline_resolution import resolve_one
from medkg_dagster.resolution.pipeline_triggers import check_upstream
from medkg_dagster.resolution.plan import PipelinePlan, Plan, PluginReport
from medkg_dagster.resolution.requirements import requested_plugins
from medkg_dagster.settings import Settings
from medkg_dagster.topology.alerts_file import LoadedAlerts, load_alerts
from medkg_dagster.topology.clashes import LoadedPipeline
from medkg_dagster.topology.models import PipelineTopologyConfig, ResiliencePolicy
from medkg_dagster.topology.pipeline_files import LoadedTopologies, load_pipelines
from medkg_dagster.topology.plugins_file import LoadedPluginPolicy, load_plugin_policy
from medkg_dagster.topology.structure import Finding


@dataclass(frozen=True, slots=True)
class Deployment:
    """Everything that was loaded.

    Attributes:
        factory: The stage types that are let in.
        plan: The pipelines that could be resolved, and every problem.
    """

    factory: StageFactory
    plan: Plan

    @property
    def extensions(self) -> ExtensionRegistry:
        """The sources, embedders, stores and gate conditions that are let in."""
        return self.factory.extensions


def load_deployment(settings: Settings) -> Deployment:
    """Load plugins and pipelines as the settings say.

    Args:
        settings: Where the configuration is, and whether plugins are let in.
    """
    policy = load_plugin_policy(settings.config, enabled=settings.plugins)
    return deploy(load_pipelines(settings.config), policy, load_alerts(settings.config), settings.home)


def deploy(
    loaded: LoadedTopologies, policy: LoadedPluginPolicy, alerts: LoadedAlerts, home: Path
) -> Deployment:
    """Load the plugins that are let in or requested, and resolve the pipelines."""
    requested = requested_plugins(pipeline.topology for pipeline in loaded.pipelines)
    factory = StageFactory.load_plugins(policy.policy, requested)
    problems = (*policy.problems, *alerts.problems, *factory.problems)
    plan = resolve_topologies(loaded, factory, home, problems)
    return Deployment(factory, replace(plan, alerts=alerts.content))


def load_plan(config: Path, factory: StageFactory, problems: Sequence[Problem] | None = None) -> Plan:
    """Load every pipeline of a configuration folder and resolve it against a factory of one's own."""
    return resolve_topologies(load_pipelines(config), factory, problems=problems)


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
        home: The folder for all data, which a custom condition is given.
        problems: Problems of plugins; the factory's own by default.

    Returns:
        The pipelines that could be resolved, and every problem: of plugins, of files, of resolution.
    """
    found = [*(factory.problems if problems is None else problems), *loaded.problems]
    plans = []
    overridden: list[PluginEvent] = []
    known = set(factory.problems)
    with collector_paused(), LoadGuard(factory.registry.policy.load_seconds) as guard:
        resolved = [
            (pipeline, resolve_one(pipeline.topology, factory, loaded.policies, home, guard))
            for pipeline in loaded.pipelines
        ]
    # An extension is imported when a pipeline asks for it.
    found += [problem for problem in factory.problems if problem not in known]
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
    plans, upstream_problems = check_upstream(loaded.pipelines, plans)
    found += upstream_problems
    discovery: dict[str, float] = {}
    for load in factory.registry.loads:
        provider = load.origin.distribution
        discovery[provider] = discovery.get(provider, 0.0) + load.seconds
    seconds: dict[tuple[str, ...], float] = {
        (pipeline.topology.name, *stage): spent
        for pipeline, resolution in resolved
        for stage, spent in resolution.seconds.items()
    }
    events = (*factory.events, *overridden)
    report = PluginReport(events, discovery, seconds, datetime.now(UTC).isoformat())
    return Plan(tuple(plans), tuple(found), report, loaded.deprecations)


def resolve_pipeline(
    topology: PipelineTopologyConfig,
    factory: StageFactory,
    policies: Mapping[str, ResiliencePolicy],
) -> PipelinePlan:
    """Resolve one pipeline.

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
