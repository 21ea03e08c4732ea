"""A pipeline `report` with triggers, resolved."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from medkg_dagster.registry import StageFactory
from medkg_dagster.resolution import resolve_pipeline
from medkg_dagster.resolution.plan import PipelinePlan
from medkg_dagster.topology.models import ResiliencePolicy
from medkg_dagster.topology.pipeline_files import LoadedPolicies, parse_pipeline

POLICIES = LoadedPolicies({"default": ResiliencePolicy()}, frozenset(), ())
HEAD = 'name: report\nversion: "2026-01-01"\nstages: [{name: count, type: ingest}]\ntriggers:\n'


@cache
def plan_of(triggers: str) -> PipelinePlan:
    """Resolve a pipeline with these triggers, as they stand in YAML."""
    pipeline, problems = parse_pipeline(HEAD + triggers, Path("report.yaml"), POLICIES)
    assert pipeline is not None, problems
    return resolve_pipeline(pipeline.topology, StageFactory.load_plugins(), POLICIES.policies)
