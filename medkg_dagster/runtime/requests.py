"""What a run is to do differently from what YAML says: the request of its ledger job, and its run config."""

from collections.abc import Mapping
from typing import Any

from medkg_dagster.errors import ConfigError
from medkg_dagster.plugins import LoadGuard
from medkg_dagster.plugins.policy import LOAD_SECONDS
from medkg_dagster.resolution.plan import PipelinePlan, PlannedStage
from medkg_dagster.resolution.requested_config import requested_config
from medkg_dagster.resolution.stage_config import check_config
from medkg_dagster.stage_api import Extensions
from medkg_dagster.topology.names import dagster_name, graph_name


def given_config(
    pipeline: PipelinePlan, planned: PlannedStage, request: Mapping[str, Any], run_config: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the options that a run gives a stage: those of its run config over those of the request.

    The config of a stage's op has the defaults filled in, and so cannot tell a choice from a default.

    Args:
        pipeline: The pipeline's plan.
        planned: The stage.
        request: The request of the ledger job.
        run_config: What a person or a sensor gave the run, as in the launchpad.
    """
    node: Any = run_config
    for name in ("ops", graph_name(pipeline.name), "ops", dagster_name(planned.name), "config"):
        node = node.get(name) if isinstance(node, Mapping) else None
    return {**requested_config(request, planned), **(node if isinstance(node, Mapping) else {})}


def check_given(
    pipeline: PipelinePlan, given: Mapping[str, Mapping[str, Any]], extensions: Extensions
) -> None:
    """Check the configuration that stages come to by what a run gives them; YAML was checked at the load.

    Args:
        pipeline: The pipeline's plan.
        given: Options by stage.
        extensions: What the options may name.

    Raises:
        ConfigError: Something does not fit a stage's model; each key is named with what is wrong with it.
    """
    reasons = []
    for planned in pipeline.stages:
        if not given.get(planned.name):
            continue
        config = {**planned.definition.config, **given[planned.name]}
        with LoadGuard(LOAD_SECONDS) as guard:
            _, findings = check_config(planned.metadata, config, (planned.name,), extensions, guard)
        for finding in findings:
            hint = f" ({finding.hint})" if finding.hint else ""
            reasons.append(f"stage '{planned.name}': {finding.message}{hint}")
    if reasons:
        raise ConfigError(f"pipeline '{pipeline.name}' cannot work on this: {'; '.join(reasons)}")
