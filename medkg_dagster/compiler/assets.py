"""One graph, one set of assets and one job per phase for each pipeline."""

from functools import cache
from typing import Any

from dagster import (
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

from medkg_dagster.compiler.ops import SharedTypes, build_op
from medkg_dagster.compiler.translator import PipelineAssets
from medkg_dagster.registry import StageFactory
from medkg_dagster.resolution.plan import Phase, PipelinePlan, PlannedStage
from medkg_dagster.runtime.dagster_internals import OutputDefinition, UnresolvedAssetJobDefinition
from medkg_dagster.runtime.step import RESULT
from medkg_dagster.runtime.tags import PARTITION_TAG, PIPELINE_TAG
from medkg_dagster.settings import DEFAULT_JOB_ID
from medkg_dagster.topology.names import (
    STATE_RESOURCE,
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
        return _output(self.graph_output_name)


@cache
def _output(name: str) -> OutputDefinition:
    return OutputDefinition(name=name, io_manager_key=STATE_RESOURCE)


def build_assets(assets: PipelineAssets, factory: StageFactory, types: SharedTypes) -> AssetsDefinition:
    """Compile a pipeline to one graph of ops with one asset per stage.

    Args:
        assets: The pipeline's assets, translated.
        factory: Builds stages when ops run.
        types: The code location's Dagster types.
    """
    pipeline = assets.pipeline
    partitions = DynamicPartitionsDefinition(name=partition_set_name(pipeline.name))
    return AssetsDefinition(
        node_def=_build_graph(pipeline, factory, types),
        keys_by_input_name={},
        keys_by_output_name={dagster_name(stage.name): assets.key(stage.name) for stage in pipeline.stages},
        can_subset=True,
        specs=[
            assets.specs[stage.name].replace_attributes(
                deps=[assets.key(name) for name in _upstream(stage)],
                partitions_def=partitions,
                code_version=stage.code_version,
            )
            for stage in pipeline.stages
        ],
    )


def build_jobs(
    assets: PipelineAssets, executor: ExecutorDefinition
) -> tuple[UnresolvedAssetJobDefinition, ...]:
    """Compile a pipeline's phases to jobs over their assets' explicit keys, in the phases' order.

    Args:
        assets: The pipeline's assets, translated.
        executor: Executes the jobs' steps, whatever the code location's own executor is.
    """
    return tuple(_build_job(assets, phase, executor) for phase in assets.pipeline.phases)


def _build_job(
    assets: PipelineAssets, phase: Phase, executor: ExecutorDefinition
) -> UnresolvedAssetJobDefinition:
    pipeline = assets.pipeline
    described = pipeline.topology.metadata.description
    after = f" Begins when gate {phase.after_gate!r} opens." if phase.after_gate else ""
    return define_asset_job(
        phase.job_name,
        selection=AssetSelection.assets(*(assets.key(name) for name in phase.stages)).without_checks(),
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
