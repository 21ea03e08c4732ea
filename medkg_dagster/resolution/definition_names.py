"""The names a pipeline takes in Dagster: graphs, ops and jobs of a code location share one set of names."""

from __future__ import annotations

from collections.abc import Iterator

from medkg_dagster.resolution.plan import PipelinePlan
from medkg_dagster.topology.names import dagster_name


def graph_name(pipeline: PipelinePlan) -> str:
    """Return the name of a pipeline's graph: the first part of its step keys and of its run configuration."""
    return f"{pipeline.dagster_name}__stages"


def op_name(pipeline: PipelinePlan, stage: str) -> str:
    """Return the name of a stage's op definition."""
    return f"{pipeline.dagster_name}__{dagster_name(stage)}"


def name_collision(pipeline: PipelinePlan, taken: dict[str, str]) -> str | None:
    """Take a pipeline's names, or say which of them something else has already.

    Args:
        pipeline: The pipeline.
        taken: Names to what has them; the pipeline's own are added where none collides.

    Returns:
        What collides with what; None where nothing does.
    """
    own: dict[str, str] = {}
    for name, owner in _names(pipeline):
        other = own.get(name) or taken.get(name)
        if other is not None:
            return f"{owner} and {other} would both be called '{name}' in Dagster"
        own[name] = owner
    taken |= own
    return None


def _names(pipeline: PipelinePlan) -> Iterator[tuple[str, str]]:
    for phase in pipeline.phases:
        yield phase.job_name, f"the job '{phase.job_name}' of pipeline '{pipeline.name}'"
    yield graph_name(pipeline), f"the graph of pipeline '{pipeline.name}'"
    for stage in pipeline.stages:
        yield op_name(pipeline, stage.name), f"stage '{stage.name}' of pipeline '{pipeline.name}'"
