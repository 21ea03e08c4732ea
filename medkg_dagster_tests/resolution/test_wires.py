from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medkg_dagster.errors import StageResolutionError
from medkg_dagster.registry import StageFactory, StageRegistry
from medkg_dagster.resolution import PipelinePlan, load_plan, resolve_pipeline
from medkg_dagster.topology.models import PipelineTopologyConfig, ResiliencePolicy
from medkg_dagster_tests.registry.stage_types import registration

POLICIES = {"default": ResiliencePolicy()}


def shipped_types() -> StageFactory:
    """The built-in stage types as far as wires go."""
    registry = StageRegistry()
    for name, keys, dependencies, optional in (
        ("ingest", "payloads", (), ()),
        ("parse", "document", ("ingest",), ("download",)),
        ("ir-validation", "document", ("parse",), ()),
        ("chunk", "chunks", ("parse",), ()),
        ("embed", "embedding_batch", ("chunk",), ()),
        ("index", "index_receipt", ("chunk", "embed"), ()),
        ("extract", ("entities", "claims"), ("parse",), ("extract",)),
        ("knowledge-graph", "graph_receipt", ("extract",), ("parse",)),
        ("download", "downloaded_files", ("ingest",), ()),
        ("gate", None, (), ()),
    ):
        registry.register(registration(name, keys, dependencies, optional))
    return StageFactory(registry)


def topology(*stages: tuple[str, str, str]) -> PipelineTopologyConfig:
    """Stages as (name, type, names of dependencies)."""
    return PipelineTopologyConfig.model_validate(
        {
            "name": "p",
            "version": "2025-01-01",
            "stages": [
                {"name": name, "type": kind, "depends_on": upstream.split()}
                for name, kind, upstream in stages
            ],
        }
    )


def wires(plan: PipelinePlan) -> dict[str, list[str]]:
    return {
        stage.name: [
            *(f"{wire.state_key} <- {wire.source}" for wire in stage.wires),
            *(f"after {name}" for name in stage.order_after),
        ]
        for stage in plan.stages
    }


SHIPPED = {
    "ingest": [],
    "parse": ["payloads <- ingest"],
    "ir_validation": ["document <- parse"],
    "chunk": ["document <- ir_validation"],
    "embed": ["chunks <- chunk"],
    "index": ["chunks <- chunk", "embedding_batch <- embed"],
    "extract": ["document <- ir_validation"],
    "kg": ["entities <- extract", "claims <- extract", "document <- ir_validation", "after index"],
}


BEHIND_A_GATE = {
    "ingest": [],
    "download": ["payloads <- ingest"],
    "gate_pdf_ir_ready": ["after download"],
    **SHIPPED,
    "parse": ["payloads <- ingest", "downloaded_files <- download", "after gate_pdf_ir_ready"],
}


def test_the_wires_of_the_shipped_pipelines(repository: Path) -> None:
    plan = load_plan(repository / "config", shipped_types())

    assert plan.problems == ()
    assert {pipeline.name: wires(pipeline) for pipeline in plan.pipelines} == {
        "auto": SHIPPED,
        "clinical-trials": SHIPPED,
        "pdf-two-phase": BEHIND_A_GATE,
        "pmc-fulltext": BEHIND_A_GATE,
    }
    assert [(phase.job_name, phase.after_gate, phase.stages) for phase in plan.pipelines[1].phases] == [
        ("clinical_trials", None, tuple(SHIPPED))
    ]


def resolve(*stages: tuple[str, str, str]) -> PipelinePlan:
    return resolve_pipeline(topology(*stages), shipped_types(), POLICIES)


def test_without_validation_the_document_comes_from_parse() -> None:
    plan = resolve(("i", "ingest", ""), ("p", "parse", "i"), ("c", "chunk", "p"))

    assert wires(plan)["c"] == ["document <- p"]


def test_stages_may_stand_in_any_order_in_the_file() -> None:
    plan = resolve(("c", "chunk", "p"), ("p", "parse", "i"), ("i", "ingest", ""))

    assert [stage.name for stage in plan.stages] == ["i", "p", "c"]


def test_an_optional_input_is_left_out_where_nothing_writes_it() -> None:
    registry = shipped_types().registry
    registry.add(registration("make", ("entities", "claims")), replace=True)
    registry.add(registration("graph", "receipt", ("make",), ("parse", "not-installed")))

    plan = resolve_pipeline(
        topology(("m", "make", ""), ("g", "graph", "m")), StageFactory(registry), POLICIES
    )

    assert wires(plan)["g"] == ["entities <- m", "claims <- m"]


def test_a_stage_goes_on_with_what_an_earlier_one_of_its_type_wrote() -> None:
    plan = resolve(
        ("i", "ingest", ""),
        ("p", "parse", "i"),
        ("by_rules", "extract", "p"),
        ("by_model", "extract", "by_rules"),
        ("kg", "knowledge-graph", "by_model"),
    )

    assert wires(plan)["by_rules"] == ["document <- p"]
    assert wires(plan)["by_model"] == ["document <- p", "entities <- by_rules", "claims <- by_rules"]
    assert wires(plan)["kg"] == ["entities <- by_model", "claims <- by_model", "document <- p"]


def test_two_of_a_type_side_by_side_are_no_input() -> None:
    with pytest.raises(StageResolutionError, match=r"'entities'.*by_(model|rules)"):
        resolve(
            ("i", "ingest", ""),
            ("p", "parse", "i"),
            ("by_rules", "extract", "p"),
            ("by_model", "extract", "p"),
            ("kg", "knowledge-graph", "by_rules by_model"),
        )


def test_an_input_that_nothing_writes_names_stage_key_and_types() -> None:
    with pytest.raises(StageResolutionError) as error:
        resolve(("i", "ingest", ""), ("c", "chunk", "i"))

    assert "stage 'c' reads 'document', which no stage upstream of it writes" in str(error.value)
    assert "put a stage of one of these types before it: ir-validation, parse" in str(error.value)


def test_a_writer_that_is_not_upstream_is_pointed_at() -> None:
    with pytest.raises(StageResolutionError, match="let it depend on 'p', directly or not"):
        resolve(("i", "ingest", ""), ("p", "parse", "i"), ("c", "chunk", "i"))


def test_two_parallel_writers_are_both_named() -> None:
    with pytest.raises(StageResolutionError, match="'document', which the parallel stages 'p' and 'q' write"):
        resolve(("i", "ingest", ""), ("p", "parse", "i"), ("q", "parse", "i"), ("c", "chunk", "p q"))


def test_a_writer_behind_parallel_ones_settles_it() -> None:
    registry = shipped_types().registry
    registry.add(registration("merge", "document"))
    stages = (
        ("i", "ingest", ""),
        ("p", "parse", "i"),
        ("q", "parse", "i"),
        ("m", "merge", "p q"),
        ("c", "chunk", "m"),
    )
    plan = resolve_pipeline(topology(*stages), StageFactory(registry), POLICIES)

    assert wires(plan)["c"] == ["document <- m"]
    assert wires(plan)["m"] == ["after p", "after q"]


def test_a_stage_never_reads_from_itself() -> None:
    plan = resolve(
        ("i", "ingest", ""), ("p", "parse", "i"), ("v", "ir-validation", "p"), ("w", "ir-validation", "v")
    )

    assert wires(plan)["w"] == ["document <- v"]


def test_a_dependency_that_writes_nothing_must_stand_upstream() -> None:
    registry = shipped_types().registry
    registry.add(registration("notify"))
    registry.add(registration("late", "x", ("notify",)))

    with pytest.raises(StageResolutionError, match="'l' needs a stage of type 'notify' upstream"):
        resolve_pipeline(topology(("l", "late", "")), StageFactory(registry), POLICIES)
    plan = resolve_pipeline(
        topology(("n", "notify", ""), ("l", "late", "n")), StageFactory(registry), POLICIES
    )

    assert wires(plan)["l"] == ["after n"]


@st.composite
def topologies(draw: st.DrawFn) -> tuple[list[tuple[int, ...]], list[tuple[frozenset[str], frozenset[str]]]]:
    """Edges to earlier stages, and the keys each stage writes and reads."""
    count = draw(st.integers(1, 9))
    keys = st.frozensets(st.sampled_from("xyz"), max_size=2)
    edges = [
        tuple(sorted(draw(st.frozensets(st.integers(0, index - 1), max_size=3)))) if index else ()
        for index in range(count)
    ]
    return edges, [(draw(keys), draw(keys)) for _ in range(count)]


def paths_up(edges: list[tuple[int, ...]], start: int) -> set[int]:
    """Everything upstream, by walking."""
    return {found for edge in edges[start] for found in {edge, *paths_up(edges, edge)}}


@settings(max_examples=200, deadline=None)
@given(topologies())
def test_every_wire_goes_to_the_one_nearest_writer(
    drawn: tuple[list[tuple[int, ...]], list[tuple[frozenset[str], frozenset[str]]]],
) -> None:
    edges, keys = drawn
    registry = StageRegistry()
    for key in "xyz":
        registry.register(registration(f"source-{key}", key))
    for index, (written, read) in enumerate(keys):
        needs = tuple(f"source-{key}" for key in sorted(read))
        registry.register(registration(f"t{index}", tuple(sorted(written)) or None, needs))
    stages = [(f"s{n}", f"t{n}", " ".join(f"s{edge}" for edge in up)) for n, up in enumerate(edges)]

    expected: dict[tuple[int, str], set[int]] = {}
    for index, (_, read) in enumerate(keys):
        for key in read:
            upstream = {at for at in paths_up(edges, index) if key in keys[at][0]}
            expected[index, key] = {
                at for at in upstream if not any(at in paths_up(edges, other) for other in upstream)
            }
    is_clear = all(len(found) == 1 for found in expected.values())

    if not is_clear:
        with pytest.raises(StageResolutionError) as refused:
            resolve_pipeline(topology(*stages), StageFactory(registry), POLICIES)
        for (index, key), found in expected.items():
            assert (f"stage 's{index}' reads '{key}'" in str(refused.value)) == (len(found) != 1)
        return
    plan = resolve_pipeline(topology(*stages), StageFactory(registry), POLICIES)
    got = {
        (int(stage.name[1:]), wire.state_key): wire.source for stage in plan.stages for wire in stage.wires
    }
    assert got == {place: f"s{next(iter(found))}" for place, found in expected.items()}
    for stage in plan.stages:
        index = int(stage.name[1:])
        sources = {wire.source for wire in stage.wires}
        assert set(stage.order_after) == {f"s{edge}" for edge in edges[index]} - sources
