"""Topology x registry -> the frozen plan the compiler works from."""

from medkg_dagster.resolution.deployment import (
    Deployment,
    deploy,
    load_deployment,
    load_plan,
    resolve_pipeline,
    resolve_topologies,
)
from medkg_dagster.resolution.plan import Phase, PipelinePlan, Plan, PlannedStage, PluginReport, Wire

__all__ = [
    "Deployment",
    "Phase",
    "PipelinePlan",
    "Plan",
    "PlannedStage",
    "PluginReport",
    "Wire",
    "deploy",
    "load_deployment",
    "load_plan",
    "resolve_pipeline",
    "resolve_topologies",
]
