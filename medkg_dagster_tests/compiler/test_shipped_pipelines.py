from collections.abc import Iterator
from pathlib import Path

import pytest
from dagster import (
    AssetKey,
    Definitions,
    DynamicPartitionsDefinition,
    GraphDefinition,
    OpDefinition,
    RetryPolicy,
)

from medkg_dagster.compiler.compile_plan import compile_plan
from medkg_dagster.registry import StageFactory
from medkg_dagster.resolution import Plan, load_plan
from medkg_dagster.settings import Settings

STAGES = ("ingest", "parse", "ir_validation", "chunk", "embed", "index", "extract", "kg")

WIRES = {
    "ingest": {},
    "parse": {"payloads": "ingest"},
    "ir_validation": {"document": "parse"},
    "chunk": {"document": "ir_validation"},
    "embed": {"chunks": "chunk"},
    "index": {"chunks": "chunk", "embedding_batch": "embed", "document": "ir_validation"},
    "extract": {"document": "ir_validation"},
    "kg": {"entities": "extract", "claims": "extract", "document": "ir_validation", "after_index": "index"},
}


@pytest.fixture(scope="module")
def plan(repository: Path) -> Plan:
    return load_plan(repository / "config", StageFactory.load_plugins())


@pytest.fixture
def definitions(plan: Plan, repository: Path, tmp_path: Path) -> Iterator[Definitions]:
    settings = Settings(home=tmp_path, config=repository / "config")
    yield compile_plan(plan, StageFactory.load_plugins(), settings)
    assert not list(tmp_path.iterdir()), "compiling must not write"


def test_the_shipped_pipelines_load_without_a_problem(plan: Plan) -> None:
    assert plan.problems == ()
    names = [pipeline.name for pipeline in plan.pipelines]
    assert names == ["auto", "clinical-trials", "pdf-two-phase", "pmc-fulltext"]


@pytest.mark.parametrize("name", ["pdf-two-phase", "pmc-fulltext"])
def test_a_pipeline_with_downloads_is_cut_at_its_gate_and_waits_for_the_conversion(
    plan: Plan, name: str
) -> None:
    pipeline = next(item for item in plan.pipelines if item.name == name)

    (gate,) = pipeline.gates
    assert [work.declared.name for work in gate.work] == ["pdf_conversion"]
    assert gate.upstream == {"ingest", "download"}
    assert [phase.stages[:3] for phase in pipeline.phases] == [
        ("ingest", "download"),
        ("gate_pdf_ir_ready", "parse", "ir_validation"),
    ]
    wires = {wire.state_key: wire.source for wire in pipeline.stages[3].wires}
    assert wires == {"payloads": "ingest", "downloaded_files": "download"}


def stage_graph(definitions: Definitions, pipeline: str) -> GraphDefinition:
    graph = definitions.resolve_job_def(pipeline).graph.node_named(f"{pipeline}__stages").definition
    assert isinstance(graph, GraphDefinition)
    return graph


@pytest.mark.parametrize("pipeline", ["auto", "clinical_trials"])
def test_each_stage_is_one_asset_of_its_pipelines_group(definitions: Definitions, pipeline: str) -> None:
    graph = definitions.resolve_asset_graph()

    keys = {key for key in graph.get_all_asset_keys() if key.path[0] == pipeline}

    assert keys == {AssetKey([pipeline, stage]) for stage in STAGES}
    for key in keys:
        node = graph.get(key)
        assert node.group_name == pipeline
        assert node.description
        assert node.owners
        assert node.kinds
        assert node.code_version
        assert isinstance(node.partitions_def, DynamicPartitionsDefinition)


@pytest.mark.parametrize("pipeline", ["auto", "clinical_trials"])
def test_state_keys_are_the_wires(definitions: Definitions, pipeline: str) -> None:
    graph = stage_graph(definitions, pipeline)

    wires = {
        stage: {
            handle.input_name: upstream[0].node_name
            for handle, upstream in graph.dependency_structure.input_to_upstream_outputs_for_node(
                stage
            ).items()
        }
        for stage in STAGES
    }

    assert wires == WIRES


@pytest.mark.parametrize("pipeline", ["auto", "clinical_trials"])
def test_lineage_follows_the_wires(definitions: Definitions, pipeline: str) -> None:
    graph = definitions.resolve_asset_graph()

    for stage, wires in WIRES.items():
        expected = {AssetKey([pipeline, source]) for source in wires.values()}
        assert graph.get(AssetKey([pipeline, stage])).parent_keys == expected


@pytest.mark.parametrize("pipeline", ["auto", "clinical_trials"])
def test_one_job_selects_all_stages_and_works_on_the_default_ledger_job(
    definitions: Definitions, pipeline: str
) -> None:
    job = definitions.resolve_job_def(pipeline)

    assert job.asset_layer.executable_asset_keys == {AssetKey([pipeline, stage]) for stage in STAGES}
    assert job.tags["dagster/partition"] == "default"


def test_a_step_whose_process_is_lost_is_tried_again_as_often_as_its_policy_says(
    definitions: Definitions,
) -> None:
    ops = {node.name: node.definition for node in stage_graph(definitions, "clinical_trials").nodes}

    policies = {name: op.retry_policy for name, op in ops.items() if isinstance(op, OpDefinition)}
    assert policies == dict.fromkeys(ops, RetryPolicy(max_retries=2))
