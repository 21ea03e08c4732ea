"""Building, resolving and serving pipelines of 8 stages against the same assets and jobs written by hand."""

import tempfile
from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any

from dagster import (
    AssetKey,
    AssetsDefinition,
    AssetSelection,
    Backoff,
    DagsterType,
    Definitions,
    DependencyDefinition,
    DynamicPartitionsDefinition,
    Field,
    GraphDefinition,
    In,
    Jitter,
    NodeInvocation,
    Nothing,
    OpDefinition,
    OpExecutionContext,
    Out,
    Output,
    OutputMapping,
    RepositoryDefinition,
    ResourceDefinition,
    RetryPolicy,
    Shape,
    define_asset_job,
    in_process_executor,
    mem_io_manager,
    serialize_value,
)

from benchmarks.figures import Figure, cpu_seconds, in_own_process, in_turn
from medkg_dagster.compiler.compile_plan import compile_plan
from medkg_dagster.registry import StageFactory
from medkg_dagster.resolution import Plan, load_plan
from medkg_dagster.runtime.dagster_internals import repository_snapshot
from medkg_dagster.settings import Settings
from medkg_dagster.topology.names import graph_name

CONFIG = Path(__file__).parent.parent / "config"

# Stage: (inputs by state key and the stage that writes it, order-only inputs, kinds).
STAGES: dict[str, tuple[dict[str, str], tuple[str, ...], tuple[str, ...]]] = {
    "ingest": ({}, (), ("python",)),
    "parse": ({"payloads": "ingest"}, (), ("python",)),
    "ir_validation": ({"document": "parse"}, (), ("python",)),
    "chunk": ({"document": "ir_validation"}, (), ("python",)),
    "embed": ({"chunks": "chunk"}, (), ("python", "numpy")),
    "index": ({"chunks": "chunk", "embedding_batch": "embed"}, (), ("python", "sqlite")),
    "extract": ({"document": "ir_validation"}, (), ("python",)),
    "kg": (
        {"entities": "extract", "claims": "extract", "document": "ir_validation"},
        ("index",),
        ("python", "sql"),
    ),
}


def measure(
    pipelines: int = 50, repeats: int = 5, served_pipelines: int = 500, served_repeats: int = 3
) -> Iterator[Figure]:
    """Measure building with and without reading the YAML files, and what a code server does at scale.

    Args:
        pipelines: How many pipelines.
        repeats: Rounds that count.
        served_pipelines: How many pipelines are served.
        served_repeats: Rounds of serving that count.
    """
    for ours, count, rounds, target in (
        (Side.FROM_PLAN, pipelines, repeats, 1.2),
        (Side.FROM_FILES, pipelines, repeats, 1.12),
        (Side.SERVED, served_pipelines, served_repeats, 1.2),
    ):
        reference = Side.SERVED_BY_HAND if ours is Side.SERVED else Side.BY_HAND
        with tempfile.TemporaryDirectory() as folder:
            config = write_pipelines(Path(folder), count)
            pair = in_turn(
                in_own_process(_seconds, ours, config, count),
                in_own_process(_seconds, reference, config, count),
                rounds,
            )
        yield Figure.ratio(f"definitions of {count} pipelines of 8 stages, {ours}", "s CPU", pair, target)


class Side(StrEnum):
    """What is measured."""

    FROM_PLAN = "from the plan"
    FROM_FILES = "from YAML files"
    BY_HAND = "by hand"
    SERVED = "from YAML files, all jobs resolved and served"
    SERVED_BY_HAND = "by hand, served"


def _seconds(side: Side, config: Path, pipelines: int) -> float:
    factory = StageFactory.load_plugins()
    plan = load_plan(config, factory)
    fields = {stage.name: _field_count(stage.metadata.config_model) for stage in plan.pipelines[0].stages}
    if side is not Side.FROM_PLAN:
        del plan  # nothing that only one side needs stays while the other is measured
    works: dict[Side, Callable[[], object]] = {
        Side.FROM_PLAN: lambda: _resolve(_compiled(plan, factory, config)),
        Side.FROM_FILES: lambda: _resolve(_compiled(load_plan(config, factory), factory, config)),
        Side.BY_HAND: lambda: _resolve(by_hand(pipelines, fields)),
        # What a code server does when it starts: load, resolve all jobs, and describe the location.
        Side.SERVED: lambda: _serve(_compiled(load_plan(config, factory), factory, config)),
        Side.SERVED_BY_HAND: lambda: _serve(by_hand(pipelines, fields)),
    }
    return cpu_seconds(works[side])


def _resolve(definitions: Definitions) -> RepositoryDefinition:
    repository = definitions.get_repository_def()
    repository.get_all_jobs()
    return repository


def _serve(definitions: Definitions) -> str:
    return serialize_value(repository_snapshot(_resolve(definitions)))


def write_pipelines(folder: Path, count: int) -> Path:
    """Write copies of the shipped pipeline under other names; return the configuration folder."""
    target = folder / "orchestration" / "pipelines"
    target.mkdir(parents=True)
    text = (CONFIG / "orchestration" / "pipelines" / "auto.yaml").read_text()
    for number in range(count):
        (target / f"copy{number}.yaml").write_text(text.replace("name: auto\n", f"name: copy{number}\n", 1))
    (folder / "orchestration" / "resilience.yaml").write_text(
        (CONFIG / "orchestration" / "resilience.yaml").read_text()
    )
    return folder


def by_hand(pipelines: int, fields: dict[str, int]) -> Definitions:
    """Return the same ops, graphs, assets and jobs in plain Dagster.

    Args:
        pipelines: How many pipelines.
        fields: How many configuration fields each stage has.
    """
    types = {
        key: DagsterType(lambda _context, _value: True, name=key)
        for key in {
            *(key for inputs, _, _ in STAGES.values() for key in inputs),
            *(f"{name}_state" for name in STAGES),
        }
    }
    made = [_pipeline_by_hand(f"copy{number}", types, fields) for number in range(pipelines)]
    return Definitions(
        assets=[assets for assets, _ in made],
        jobs=[job for _, job in made],
        resources={"io_manager": mem_io_manager, "ledger_job": ResourceDefinition.none_resource()},
        executor=in_process_executor,
    )


def _compute(_context: OpExecutionContext, _inputs: Any) -> Iterator[Output[Any]]:
    yield Output(None, "result")


def _pipeline_by_hand(name: str, types: dict[str, DagsterType], fields: dict[str, int]) -> tuple[Any, Any]:
    ops = [
        OpDefinition(
            _compute,
            f"{name}__{stage}",
            ins={key: In(types[key], metadata={"state_key": key}) for key in inputs}
            | {f"after_{other}": In(Nothing) for other in after},
            outs={"result": Out(types[f"{stage}_state"], description="What the stage makes.")},
            description="What the stage does.",
            config_schema=Shape(
                {
                    f"field{number}": Field(
                        str, is_required=False, default_value="x", description="What it means."
                    )
                    for number in range(fields[stage])
                }
            ),
            required_resource_keys={"ledger_job"},
            retry_policy=RetryPolicy(2, 0.5, Backoff.EXPONENTIAL, Jitter.PLUS_MINUS),
            tags={"medkg/stage_type": stage, "medkg/policy": "default"},
            code_version="1",
        )
        for stage, (inputs, after, _) in STAGES.items()
    ]
    graph = GraphDefinition(
        graph_name(name),
        description="What the pipeline does.",
        node_defs=ops,
        dependencies={
            NodeInvocation(f"{name}__{stage}", alias=stage): {
                key: DependencyDefinition(source, "result") for key, source in inputs.items()
            }
            | {f"after_{other}": DependencyDefinition(other, "result") for other in after}
            for stage, (inputs, after, _) in STAGES.items()
        },
        output_mappings=[
            OutputMapping(graph_output_name=stage, mapped_node_name=stage, mapped_node_output_name="result")
            for stage in STAGES
        ],
    )
    keys = {stage: AssetKey([name, stage]) for stage in STAGES}
    assets = AssetsDefinition.from_graph(
        graph,
        keys_by_output_name=keys,
        internal_asset_deps={
            stage: {keys[source] for source in (*inputs.values(), *after)}
            for stage, (inputs, after, _) in STAGES.items()
        },
        partitions_def=DynamicPartitionsDefinition(name=name),
        can_subset=True,
        group_name=name,
        descriptions_by_output_name=dict.fromkeys(STAGES, "What the stage does."),
        metadata_by_output_name={
            stage: {"stage_type": stage, "state_key": "x", "wires": inputs, "policy": "default"}
            for stage, (inputs, _, _) in STAGES.items()
        },
        tags_by_output_name={
            stage: {f"dagster/kind/{kind}": "" for kind in kinds} for stage, (_, _, kinds) in STAGES.items()
        },
        owners_by_output_name={stage: ["team:ingestion-team"] for stage in STAGES},
        code_versions_by_output_name=dict.fromkeys(STAGES, "1"),
    )
    job = define_asset_job(
        name,
        selection=AssetSelection.assets(*keys.values()),
        description="What the pipeline does.",
        tags={"dagster/partition": "default"},
    )
    return assets, job


def _compiled(plan: Plan, factory: StageFactory, config: Path) -> Definitions:
    return compile_plan(plan, factory, Settings(config / "home", config))


def _field_count(model: Any) -> int:
    return len(model.model_fields) if model else 0
