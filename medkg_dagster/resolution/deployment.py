"""Settings to plan: what a deployment lets in, loads and resolves, in one place for UI and console."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from medkg_dagster.errors import Problem
from medkg_dagster.registry import ExtensionRegistry, StageFactory
from medkg_dagster.resolution.plan import Plan
from medkg_dagster.resolution.requirements import asked_for
from medkg_dagster.resolution.resolve import resolve_topologies
from medkg_dagster.settings import Settings
from medkg_dagster.topology.loading import LoadedTopologies, load_pipelines
from medkg_dagster.topology.plugins_file import LoadedPluginPolicy, load_plugin_policy


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
    return deploy(load_pipelines(settings.config), policy, settings.home)


def deploy(loaded: LoadedTopologies, policy: LoadedPluginPolicy, home: Path) -> Deployment:
    """Load the plugins that are let in or asked for, and resolve the pipelines.

    Args:
        loaded: The pipelines.
        policy: What is let in.
        home: The folder for all data.
    """
    wanted = asked_for(pipeline.topology for pipeline in loaded.pipelines)
    factory = StageFactory.load_plugins(policy.policy, wanted)
    plan = resolve_topologies(loaded, factory, home, (*policy.problems, *factory.problems))
    return Deployment(factory, plan)


def load_plan(config: Path, factory: StageFactory, problems: Sequence[Problem] | None = None) -> Plan:
    """Load every pipeline of a configuration folder and resolve it against a factory of one's own.

    Args:
        config: The configuration folder.
        factory: The stage types.
        problems: Problems of plugins; the factory's own by default.

    Returns:
        The pipelines that could be resolved, and every problem: of plugins, of files, of resolution.
    """
    return resolve_topologies(load_pipelines(config), factory, problems=problems)
