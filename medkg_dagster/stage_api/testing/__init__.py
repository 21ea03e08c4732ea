"""What authors of stages test with: run one stage by itself, check its contract, make example values."""

from medkg_dagster.stage_api.testing._check import StageCheckError, check_stage
from medkg_dagster.stage_api.testing._examples import (
    example_chunks,
    example_document,
    example_payload,
    example_topology,
)
from medkg_dagster.stage_api.testing._run import StageRun, StageRunner, installed_extensions, run_stage

__all__ = [
    "StageCheckError",
    "StageRun",
    "StageRunner",
    "check_stage",
    "example_chunks",
    "example_document",
    "example_payload",
    "example_topology",
    "installed_extensions",
    "run_stage",
]
