"""One graph, one set of assets and one job per phase for each pipeline."""

from typing import Any

from dagster import (
    AssetKey,
    AssetsDefinition,
    AssetSelection,
    DependencyDefinition,
    DynamicPartitionsDefinition,
    ExecutorDefinition,
    GraphDefinition,
    NodeInvocation,
    OutputMapping,
    define_asset_job,
)

from medkg_dagster.compiler.dagster_internals import OutputDefinition, UnresolvedAssetJobDefinition
from medkg_dagster.compiler.ops import RESULT, SharedTypes, build_op
from medkg_dagster.registry import StageFactory
from medkg_dagster.resolution.plan import Phase, PipelinePlan, PlannedStage
from medkg_dagster.runtime.state_storage import STATE_RESOURCE
from medkg_dagster.runtime.tags import PARTITION_TAG, PIPELINE_TAG
from medkg_dagster.settings import DEFAULT_JOB_ID
from medkg_dagster.topology.names import (
    asset_path,
    dagster_name,
    graph_name,
    order_input_name,
    partition_set_name,
)


class _StateOutput(OutputMapping):
    """The output of a graph with our IO manager.

    The op behind it names the IO manager that is used. Dagster asks for the one that the graph's output names
    as well, and fails runs of some of a pipeline's assets where that is the default one.
    """

    __slots__ = ()

    def get_definition(self, is_dynamic: bool) -> OutputDefinition:
        """Return the graph's output; stages have no dynamic ones."""
        del is_dynamic
        return OutputDefinition(name=self.graph_output_name, io_manager_key=STATE_RESOURCE)


def asset_key(pipeline: PipelinePlan, stage: str) -> AssetKey:
    """Return the asset a stage materializes, `[pipeline, stage]`."""
    return AssetKey(asset_path(pipeline.name, stage))


def build_assets(pipeline: PipelinePlan, factory: StageFactory, types: SharedTypes) -> AssetsDefinition:
    """Compile a pipeline to one graph of ops with one asset per stage.

    Args:
        pipeline: The pipeline's plan.
        factory: Builds stages when ops run.
        types: The code location's Dagster types.
    """
    outputs = {stage.name: dagster_name(stage.name) for stage in pipeline.stages}
    keys = {outputs[stage.name]: asset_key(pipeline, stage.name) for stage in pipeline.stages}
    return AssetsDefinition.from_graph(
        _build_graph(pipeline, factory, types),
        keys_by_output_name=keys,
        internal_asset_deps={
            outputs[stage.name]: {asset_key(pipeline, name) for name in _upstream(stage)}
            for stage in pipeline.stages
        },
        partitions_def=DynamicPartitionsDefinition(name=partition_set_name(pipeline.name)),
        can_subset=True,
        group_name=pipeline.dagster_name,
        descriptions_by_output_name={
            outputs[stage.name]: stage.metadata.description for stage in pipeline.stages
        },
        metadata_by_output_name={outputs[stage.name]: _asset_metadata(stage) for stage in pipeline.stages},
        tags_by_output_name={outputs[stage.name]: _asset_tags(pipeline, stage) for stage in pipeline.stages},
        owners_by_output_name={outputs[stage.name]: _owners(pipeline) for stage in pipeline.stages},
        code_versions_by_output_name={outputs[stage.name]: stage.code_version for stage in pipeline.stages},
    )


def build_jobs(
    pipeline: PipelinePlan, executor: ExecutorDefinition
) -> tuple[UnresolvedAssetJobDefinition, ...]:
    """Compile a pipeline's phases to jobs over their assets' explicit keys, in the phases' order.

    Args:
        pipeline: The pipeline's plan.
        executor: Executes the jobs' steps, whatever the code location's own executor is.
    """
    return tuple(_build_job(pipeline, phase, executor) for phase in pipeline.phases)


def _build_job(
    pipeline: PipelinePlan, phase: Phase, executor: ExecutorDefinition
) -> UnresolvedAssetJobDefinition:
    described = pipeline.topology.metadata.description
    after = f" Begins when gate {phase.after_gate!r} opens." if phase.after_gate else ""
    return define_asset_job(
        phase.job_name,
        selection=AssetSelection.assets(
            *(asset_key(pipeline, name) for name in phase.stages)
        ).without_checks(),
        description=f"{described}{after}".strip() or None,
        tags={PARTITION_TAG: DEFAULT_JOB_ID, PIPELINE_TAG: pipeline.name},
        executor_def=executor,
    )


def _build_graph(pipeline: PipelinePlan, factory: StageFactory, types: SharedTypes) -> GraphDefinition:
    ops = [build_op(pipeline, stage, factory, types) for stage in pipeline.stages]
    dependencies: dict[Any, dict[str, DependencyDefinition]] = {}
    for stage, op in zip(pipeline.stages, ops, strict=True):
        inputs = {
            wire.argument: DependencyDefinition(dagster_name(wire.source), RESULT) for wire in stage.wires
        }
        inputs |= {
            order_input_name(name): DependencyDefinition(dagster_name(name), RESULT)
            for name in stage.order_after
        }
        dependencies[NodeInvocation(op.name, alias=dagster_name(stage.name))] = inputs
    return GraphDefinition(
        graph_name(pipeline.name),
        description=pipeline.topology.metadata.description or None,
        node_defs=ops,
        dependencies=dependencies,
        output_mappings=[
            _StateOutput(
                graph_output_name=dagster_name(stage.name),
                mapped_node_name=dagster_name(stage.name),
                mapped_node_output_name=RESULT,
            )
            for stage in pipeline.stages
        ],
    )


def _upstream(stage: PlannedStage) -> tuple[str, ...]:
    return (*dict.fromkeys(wire.source for wire in stage.wires), *stage.order_after)


def _asset_metadata(stage: PlannedStage) -> dict[str, Any]:
    return {
        "stage_type": stage.metadata.stage_type,
        "state_key": ", ".join(stage.metadata.state_keys) or "none",
        "wires": {wire.state_key: wire.source for wire in stage.wires},
        "policy": stage.definition.policy,
    }


def _asset_tags(pipeline: PipelinePlan, stage: PlannedStage) -> dict[str, str]:
    return {
        **pipeline.topology.metadata.tags,
        **{f"dagster/kind/{kind}": "" for kind in stage.metadata.kinds},
    }


def _owners(pipeline: PipelinePlan) -> list[str]:
    owner = pipeline.topology.metadata.owner
    if not owner:
        return []
    return [owner if "@" in owner or owner.startswith("team:") else f"team:{owner}"]
