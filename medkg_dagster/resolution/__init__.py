"""Topology x registry -> the frozen plan the compiler works from."""

from medkg_dagster.resolution.plan import Phase, PipelinePlan, Plan, PlannedStage, Wire
from medkg_dagster.resolution.resolve import load_plan, resolve_pipeline

__all__ = ["Phase", "PipelinePlan", "Plan", "PlannedStage", "Wire", "load_plan", "resolve_pipeline"]
