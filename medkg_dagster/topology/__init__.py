"""YAML to validated topologies: every error with its file and line, all of them at once."""

from medkg_dagster.topology.clashes import LoadedPipeline
from medkg_dagster.topology.loading import (
    ConfigFiles,
    LoadedPolicies,
    LoadedTopologies,
    load_pipeline,
    load_pipelines,
    load_policies,
    parse_pipeline,
)
from medkg_dagster.topology.models import (
    BackoffPolicy,
    CircuitBreakerPolicy,
    GateDefinition,
    PipelineMetadata,
    PipelineTopologyConfig,
    RateLimitPolicy,
    ResiliencePolicy,
    StageDefinition,
)
from medkg_dagster.topology.names import dagster_name

__all__ = [
    "BackoffPolicy",
    "CircuitBreakerPolicy",
    "ConfigFiles",
    "GateDefinition",
    "LoadedPipeline",
    "LoadedPolicies",
    "LoadedTopologies",
    "PipelineMetadata",
    "PipelineTopologyConfig",
    "RateLimitPolicy",
    "ResiliencePolicy",
    "StageDefinition",
    "dagster_name",
    "load_pipeline",
    "load_pipelines",
    "load_policies",
    "parse_pipeline",
]
