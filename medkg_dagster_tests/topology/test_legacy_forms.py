from __future__ import annotations

import re
import shutil
import warnings
from pathlib import Path

import pytest

from medkg_dagster.registry import StageFactory
from medkg_dagster.resolution import Plan, load_plan
from medkg_dagster.topology.clashes import LoadedPipeline
from medkg_dagster.topology.legacy_forms import READERS, WITHOUT_PARSED
from medkg_dagster.topology.models import ResiliencePolicy
from medkg_dagster.topology.pipeline_files import (
    LoadedPolicies,
    LoadedTopologies,
    load_pipelines,
    parse_pipeline,
)

POLICIES = LoadedPolicies({"default": ResiliencePolicy()}, frozenset(), ())

DOWNLOADED = """\
name: articles
version: "2025-01-01"
stages:
  - {name: ingest, type: ingest}
  - {name: download, type: download, depends_on: [ingest]}
  - {name: gate_ready, type: gate, depends_on: [download]}
"""
READY = """\
gates:
  - name: ready
    condition: {field: ready, equals: true}
"""
CHUNK = "  - {name: chunk, type: chunk, depends_on: [gate_ready]}\n"
EXTRACT = "  - {name: extract, type: extract, depends_on: [gate_ready]}\n"


def loaded(text: str) -> LoadedPipeline:
    """The pipeline of a text that holds earlier forms."""
    with pytest.warns(DeprecationWarning, match="an earlier form"):
        found, problems = parse_pipeline(text, Path("articles.yaml"), POLICIES)
    assert problems == ()
    assert found is not None
    return found


def loaded_as_it_is(text: str) -> LoadedPipeline | None:
    """The pipeline of a text in which nothing is taken for an earlier form."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return parse_pipeline(text, Path("articles.yaml"), POLICIES)[0]


def problems_of(text: str) -> list[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return [str(problem) for problem in parse_pipeline(text, Path("articles.yaml"), POLICIES)[1]]


def edges(pipeline: LoadedPipeline | None) -> dict[str, tuple[str, ...]]:
    assert pipeline is not None
    return {stage.name: stage.depends_on for stage in pipeline.topology.stages}


@pytest.fixture
def original(shared_data: Path, tmp_path: Path) -> Path:
    """A configuration folder with the files of the format's original form."""
    folder = tmp_path / "orchestration" / "pipelines"
    folder.mkdir(parents=True)
    for file in (shared_data / "legacy_pipelines").glob("*.yaml"):
        shutil.copyfile(file, (folder.parent if file.name == "resilience.yaml" else folder) / file.name)
    return tmp_path


def load(config: Path) -> tuple[LoadedTopologies, Plan]:
    with pytest.warns(DeprecationWarning, match="an earlier form"):
        return load_pipelines(config), load_plan(config, StageFactory.load_plugins())


def test_files_in_the_format_s_original_form_load_unchanged(original: Path) -> None:
    found, plan = load(original)

    assert plan.problems == ()
    names = ["auto", "clinical-trials", "pdf-two-phase", "pmc-fulltext"]
    assert [pipeline.name for pipeline in plan.pipelines] == names
    assert found.policies["polite-api"].rate_limit is not None
    assert found.policies["default"].timeout_seconds == 30
    assert found.policies["gpu-bound"].backoff.strategy == "none"


def test_the_gate_of_the_original_form_brings_converted_documents(original: Path) -> None:
    _, plan = load(original)

    for pipeline in plan.pipelines[2:]:
        (gate,) = pipeline.gates
        assert [work.declared.name for work in gate.work] == ["pdf_conversion"]
        assert gate.condition.timeout_seconds == 900
        assert gate.condition.poll_interval_seconds == 10
        assert pipeline.phases[1].stages[:2] == ("gate_pdf_ir_ready", "parse")
    wires = {
        stage.name: {wire.state_key: wire.source for wire in stage.wires}
        for stage in plan.pipelines[3].stages
    }
    assert wires["parse"] == {"payloads": "ingest", "downloaded_files": "download"}
    assert wires["mineru_ir"] == {"document": "parse"}
    assert wires["chunk"] == {"document": "mineru_ir"}


def test_each_earlier_form_of_the_original_files_is_named_with_its_line(original: Path) -> None:
    found, plan = load(original)

    places = [(note.file and note.file.name, note.line) for note in found.deprecations]
    two_phase = ("pdf-two-phase.yaml", 24), ("pdf-two-phase.yaml", 53), ("pdf-two-phase.yaml", 54)
    assert places == [*two_phase, ("pmc-fulltext.yaml", 22)]
    assert plan.deprecations == found.deprecations


def test_keys_of_a_condition_may_stand_beside_it() -> None:
    outside = "    timeout_seconds: 900\n    poll_interval_seconds: 10\n"
    parse = "  - {name: parse, type: parse, depends_on: [gate_ready]}\n"

    (gate,) = loaded(DOWNLOADED + parse + READY + outside).topology.gates

    inside = "{field: ready, equals: true, timeout_seconds: 900, poll_interval_seconds: 10}"
    today = loaded_as_it_is(DOWNLOADED + parse + f"gates:\n  - name: ready\n    condition: {inside}\n")
    assert today is not None
    assert (gate,) == today.topology.gates


def test_conditions_shared_by_an_alias_do_not_share_what_stood_beside_one_of_them() -> None:
    text = (
        DOWNLOADED
        + "  - {name: gate_later, type: gate, depends_on: [gate_ready]}\n"
        + "gates:\n"
        + "  - name: ready\n    condition: &ready {field: ready, equals: true}\n    timeout_seconds: 9\n"
        + "  - name: later\n    condition: *ready\n"
    )

    timeouts = [getattr(gate.condition, "timeout_seconds", "custom") for gate in loaded(text).topology.gates]

    assert timeouts == [9, None]


def test_who_reads_documents_right_behind_a_download_s_gate_gets_them_parsed() -> None:
    found = loaded(DOWNLOADED + CHUNK + EXTRACT + READY + "    resume_stage: chunk\n")

    today = loaded_as_it_is(
        DOWNLOADED
        + "  - {name: parse, type: parse, depends_on: [gate_ready]}\n"
        + (CHUNK + EXTRACT).replace("gate_ready", "parse")
        + READY
        + "    resume_stage: parse\n"
    )
    assert today is not None
    assert found.topology == today.topology


def test_the_stage_that_parses_has_the_policy_of_the_gate_s_stage_and_a_name_of_its_own() -> None:
    text = DOWNLOADED.replace("type: gate,", "type: gate, policy: patient,").replace("ingest", "parse")
    text = text.replace("type: parse}", "type: ingest}") + CHUNK + READY
    policies = LoadedPolicies({"patient": ResiliencePolicy()}, frozenset(), ())
    stages = text.replace("type: ingest", "policy: patient, type: ingest")
    for kind in ("download", "chunk"):
        stages = stages.replace(f"type: {kind}", f"policy: patient, type: {kind}")

    with pytest.warns(DeprecationWarning, match="nothing parses them"):
        found, problems = parse_pipeline(stages, Path("articles.yaml"), policies)

    assert problems == ()
    assert edges(found)["parse_2"] == ("gate_ready",)
    assert edges(found)["chunk"] == ("parse_2",)


def test_each_gate_behind_a_download_brings_documents_of_its_own() -> None:
    text = (
        DOWNLOADED
        + "  - {name: gate_later, type: gate, depends_on: [download]}\n"
        + "  - {name: chunk_later, type: chunk, depends_on: [gate_later]}\n"
        + CHUNK
        + READY
        + "  - name: later\n    condition: {field: later, equals: true}\n"
    )

    found = edges(loaded(text))

    assert list(found) == [
        "ingest",
        "download",
        "gate_ready",
        "parse",
        "gate_later",
        "parse_2",
        "chunk_later",
        "chunk",
    ]
    assert found["chunk"] == ("parse",)
    assert found["chunk_later"] == ("parse_2",)


@pytest.mark.parametrize(
    "stages",
    [
        CHUNK.replace("type: chunk", "type: chunk, metadata_overrides: {dependencies: [ingest]}"),
        "  - {name: parse, type: parse, depends_on: [ingest]}\n" + CHUNK.replace("[", "[parse, "),
        "  - {name: ocr, type: lab-ocr, depends_on: [gate_ready]}\n" + CHUNK.replace("[", "[ocr, "),
        "  - {name: ocr, type: lab-ocr, depends_on: [gate_ready]}\n" + CHUNK.replace("gate_ready", "ocr"),
        CHUNK.replace("type: chunk", "type: lab-chunk"),
    ],
)
def test_what_may_be_meant_as_it_is_written_is_left_alone(stages: str) -> None:
    assert edges(loaded_as_it_is(DOWNLOADED + stages + READY)) == {
        "ingest": (),
        "download": ("ingest",),
        "gate_ready": ("download",),
        **{
            name: tuple(names.split(", "))
            for name, names in re.findall(r"name: (\w+),.*depends_on: \[([\w, ]+)\]}\n", stages)
        },
    }


def test_without_a_download_a_gate_brings_nothing() -> None:
    text = (DOWNLOADED + CHUNK + READY).replace("type: download", "type: lab-download")

    assert edges(loaded_as_it_is(text))["chunk"] == ("gate_ready",)


def test_built_in_stage_types_read_and_make_documents_as_the_earlier_form_takes_it() -> None:
    own = {
        entry.metadata.stage_type: entry.metadata
        for entry in StageFactory.load_plugins().registry
        if entry.origin is not None and entry.origin.distribution == "medkg-dagster"
    }

    assert {name for name, metadata in own.items() if "parse" in metadata.dependencies} == READERS
    assert own.keys() - WITHOUT_PARSED == {"parse"}
    makers = {name for name, metadata in own.items() if "document" in metadata.state_keys}
    assert makers <= READERS | {"parse"}


def test_problems_behind_a_stage_that_was_put_in_keep_their_lines() -> None:
    text = DOWNLOADED + CHUNK + EXTRACT.replace("type: extract", "type: extract, colour: red") + READY

    problems = problems_of(text + "    timeout_seconds: -1\n")

    assert [problem.split(": ")[0] for problem in problems] == ["articles.yaml:8", "articles.yaml:12"]
    assert "'colour'" in problems[0]
    assert "greater than 0" in problems[1]


def test_a_key_both_beside_a_condition_and_in_it_is_a_problem() -> None:
    text = DOWNLOADED + READY.replace("equals: true", "equals: true, timeout_seconds: 5")

    (problem,) = problems_of(text + "    timeout_seconds: 9\n")

    assert "unknown key 'timeout_seconds' in 'gates[0]' (write it inside 'condition')" in problem


def test_a_warning_names_file_and_line() -> None:
    with pytest.warns(DeprecationWarning, match="'timeout_seconds' stands outside") as caught:
        parse_pipeline(DOWNLOADED + READY + "    timeout_seconds: 9\n", Path("articles.yaml"), POLICIES)

    assert [(str(warning.filename), warning.lineno) for warning in caught] == [("articles.yaml", 10)]


def test_where_warnings_are_errors_the_file_has_a_problem_and_the_others_load(tmp_path: Path) -> None:
    folder = tmp_path / "orchestration" / "pipelines"
    folder.mkdir(parents=True)
    (folder / "articles.yaml").write_text(DOWNLOADED + READY + "    timeout_seconds: 9\n")
    (folder / "good.yaml").write_text(
        'name: good\nversion: "2025-01-01"\nstages: [{name: a, type: ingest}]\n'
    )
    (folder.parent / "resilience.yaml").write_text("policies:\n  default: {}\n")

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = load_pipelines(tmp_path)

    assert [pipeline.topology.name for pipeline in found.pipelines] == ["good"]
    (problem,) = found.problems
    assert problem.line == 10
    assert "write it inside 'condition'" in problem.message


@pytest.mark.parametrize(
    ("text", "key", "hint"),
    [
        (
            "plugins: {stages: [{type: ocr, callable: 'lab.ocr:make'}]}\n",
            "callable",
            "write 'from: DISTRIBUTION'",
        ),
        ("stages: [{name: a, type: ingest, callable: 'lab.ocr:make'}]\n", "callable", "entry point group"),
        (
            "stages: [{name: a, type: ingest, phase: pre}]\n",
            "phase",
            "remove it: a stage belongs to the phase",
        ),
        ("stages: [{name: a, type: ingest, retry: {max_attempts: 3}}]\n", "retry", "write 'policy: NAME'"),
        ("gates: [{name: g, on_timeout: skip}]\n", "on_timeout", "write it inside 'condition'"),
    ],
)
def test_keys_of_other_systems_get_an_error_that_names_what_to_write(text: str, key: str, hint: str) -> None:
    found = [
        problem for problem in problems_of('name: p\nversion: "2025-01-01"\n' + text) if f"'{key}'" in problem
    ]

    assert len(found) == 1
    assert found[0].startswith("articles.yaml:3: unknown key")
    assert hint in found[0]
