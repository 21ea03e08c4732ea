from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from medkg_dagster.topology.models import PipelineTopologyConfig, ResiliencePolicy
from medkg_dagster.topology.pipeline_files import (
    LoadedPolicies,
    LoadedTopologies,
    load_pipelines,
    load_policies,
    parse_pipeline,
)
from medkg_dagster.topology.yaml_source import parse_yaml

POLICIES = LoadedPolicies({"default": ResiliencePolicy()}, frozenset(), ())
STAGES = "stages:\n  - name: a\n    type: ingest\n"
RESILIENCE = "policies:\n  default: {max_attempts: 2}\n"


def write(config: Path, resilience: str | None = RESILIENCE, **pipelines: str) -> LoadedTopologies:
    folder = config / "orchestration" / "pipelines"
    folder.mkdir(parents=True)
    for name, text in pipelines.items():
        (folder / f"{name}.yaml").write_text(text)
    if resilience is not None:
        (config / "orchestration" / "resilience.yaml").write_text(resilience)
    return load_pipelines(config)


def pipeline(name: str, stages: str = STAGES) -> str:
    return f'name: {name}\nversion: "2025-01-01"\n{stages}'


def test_the_shipped_configuration_has_no_problems(repository: Path) -> None:
    loaded = load_pipelines(repository / "config")

    assert loaded.problems == ()
    assert {"default", "gpu-bound", "polite-api"} <= loaded.policies.keys()


def test_one_bad_file_does_not_stop_the_others(tmp_path: Path) -> None:
    loaded = write(tmp_path, bad="a: [", good=pipeline("good"))

    assert [found.topology.name for found in loaded.pipelines] == ["good"]
    assert [problem.file and problem.file.name for problem in loaded.problems] == ["bad.yaml"]


def test_a_missing_folder_is_a_problem(tmp_path: Path) -> None:
    assert any("folder of pipelines" in problem.message for problem in load_pipelines(tmp_path).problems)


def test_pipelines_that_collide_in_dagster_name_both_and_the_file_of_that_name_wins(tmp_path: Path) -> None:
    loaded = write(tmp_path, a_copy=pipeline("my-p"), my_p=pipeline("my_p"))

    assert [found.file.name for found in loaded.pipelines] == ["my_p.yaml"]
    (problem,) = loaded.problems
    assert problem.file is not None
    assert problem.file.name == "a_copy.yaml"
    assert problem.line == 1
    assert "pipeline 'my-p' and pipeline 'my_p' of" in problem.message
    assert "my_p.yaml:1 both become 'my_p'" in problem.message


def test_a_pipeline_called_like_another_one_s_op_collides(tmp_path: Path) -> None:
    loaded = write(tmp_path, x=pipeline("x"), x__a=pipeline("x__a"))

    (problem,) = loaded.problems
    assert "pipeline 'x__a' and stage 'a' of pipeline 'x' of" in problem.message


@pytest.mark.parametrize(
    ("resilience", "line", "message"),
    [
        (None, None, "the resilience file is missing"),
        ("", 1, "the file is empty"),
        ("- a", 1, "must be a mapping"),
        ("policies: 3", 1, "'policies' must be a mapping"),
        ("extra: 1\n" + RESILIENCE, 1, "unknown key 'extra'"),
        (RESILIENCE + "  x: {max_attempts: 0}\n", 3, "'max_attempts'"),
        (RESILIENCE + "  x:\n    max_atempts: 1\n", 4, "unknown key 'max_atempts'"),
        (RESILIENCE + "  x:\n    backoff: {strategy: cubic}\n", 4, "'exponential', 'linear' or 'none'"),
        (RESILIENCE + "  x:\n    backoff: {initial: 5, maximum: 1}\n", 4, "maximum must not be less"),
        (RESILIENCE + "  x:\n    backoff: {initial: .nan}\n", 4, "finite number"),
        (RESILIENCE + "  x:\n    rate_limit: {rate_limit_per_second: 0}\n", 4, "greater than 0"),
        (RESILIENCE + "  x: fast\n", 3, "dictionary"),
    ],
)
def test_a_bad_resilience_file_is_a_problem_and_pipelines_go_on(
    tmp_path: Path, resilience: str | None, line: int | None, message: str
) -> None:
    loaded = write(tmp_path, resilience, p=pipeline("p"))

    assert [found.topology.name for found in loaded.pipelines] == ["p"]
    (problem,) = loaded.problems
    assert problem.line == line
    assert message in str(problem)


def test_a_broken_policy_is_no_unknown_policy(tmp_path: Path) -> None:
    loaded = write(
        tmp_path, RESILIENCE + "  bent: {max_attempts: 0}\n", p=pipeline("p", STAGES + "    policy: bent\n")
    )

    assert [problem.line for problem in loaded.problems] == [3, 6]
    assert "the policy 'bent' is not valid" in loaded.problems[1].message


def test_an_unquoted_version_is_a_version() -> None:
    found, _ = parse_pipeline("name: p\nversion: 2025-01-01\n" + STAGES, Path("p.yaml"), POLICIES)

    assert found is not None
    assert found.topology.version == "2025-01-01"


def test_keys_without_a_value_mean_nothing_is_configured() -> None:
    text = pipeline("p", STAGES + "    config:\n    depends_on:\ngates:\nmetadata:\napplicable_sources:\n")
    found, problems = parse_pipeline(text, Path("p.yaml"), POLICIES)

    assert problems == ()
    assert found is not None
    assert found.topology.stages[0].config == {}


def test_aliases_and_merge_keys_work_and_lines_are_kept() -> None:
    text = pipeline(
        "p",
        "stages:\n  - name: a\n    type: x\n    config: &base\n      size: 1\n"
        "  - name: b\n    type: x\n    config:\n      <<: *base\n      other: 2\n",
    )
    found, problems = parse_pipeline(text, Path("p.yaml"), POLICIES)

    assert problems == ()
    assert found is not None
    assert found.topology.stages[1].config == {"size": 1, "other": 2}
    assert found.lines.line(("stages", 1, "config", "other")) == 12
    assert found.lines.line(("stages", 1, "config", "size")) == 10


def test_both_forms_of_a_gate_condition_mean_the_same() -> None:
    stages = (
        "stages:\n  - {name: a, type: x}\n  - {name: door, type: gate, gate: g, depends_on: [a]}\n"
        "  - {name: b, type: x, depends_on: [door]}\n"
    )
    gate = "gates:\n  - name: g\n    resume_stage: b\n    condition:"
    short = f"{gate} {{field: f, equals: true, timeout_seconds: 9}}\n"
    general = (
        f"{gate}\n      mode: all\n      timeout_seconds: 9\n"
        "      clauses:\n        - {field: f, operator: equals, value: true}\n"
    )
    first, _ = parse_pipeline(pipeline("p", stages + short), Path("p.yaml"), POLICIES)
    second, _ = parse_pipeline(pipeline("p", stages + general), Path("p.yaml"), POLICIES)

    assert first is not None
    assert second is not None
    assert first.topology == second.topology
    assert first.topology.gate_stage("g") == "door"


def test_a_topology_made_in_code_is_checked_too() -> None:
    with pytest.raises(ValidationError, match="depends on 'b', which is no stage"):
        PipelineTopologyConfig.model_validate(
            {
                "name": "p",
                "version": "2025-01-01",
                "stages": [{"name": "a", "type": "x", "depends_on": ["b"]}],
            }
        )


def test_a_resilience_file_that_is_called_otherwise_is_named(tmp_path: Path) -> None:
    write(tmp_path, RESILIENCE)
    (file,) = tmp_path.rglob("resilience.yaml")
    file.rename(file.with_suffix(".yml"))

    (problem,) = load_policies(file).problems

    assert "is not there, but resilience.yml is (rename it to resilience.yaml)" in str(problem)


def test_policies_of_the_missing_file_are_the_default_alone(tmp_path: Path) -> None:
    assert list(load_policies(tmp_path / "none.yaml").policies) == ["default"]


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


@given(plain)
def test_whatever_yaml_can_say_is_read_as_it_was_written(value: object) -> None:
    import yaml

    text = yaml.dump(value, Dumper=yaml.SafeDumper, allow_unicode=False)
    read = parse_yaml(text, Path("x.yaml"))

    assert read.problems == ()
    assert read.value == value


@given(st.text(max_size=200))
def test_no_text_breaks_the_reader(text: str) -> None:
    found, problems = parse_pipeline(text, Path("x.yaml"), POLICIES)

    assert found is None
    assert problems


@given(
    st.lists(
        st.sampled_from([*pipeline("p").splitlines(keepends=True), "stages:\n", "  - &a *a\n", "<<: x\n"])
    )
)
def test_no_shuffled_file_breaks_the_reader(lines: list[str]) -> None:
    found, problems = parse_pipeline("".join(lines), Path("x.yaml"), POLICIES)

    assert (found is None) == bool(problems)


@pytest.mark.parametrize("stage", ["stages", "after_approved"])
def test_a_stage_may_not_be_called_like_the_graph_or_a_later_job(tmp_path: Path, stage: str) -> None:
    folder = tmp_path / "orchestration" / "pipelines"
    folder.mkdir(parents=True)
    (folder / "gated.yaml").write_text(
        "name: gated\nversion: '2026-01-01'\n"
        f"stages:\n  - {{name: {stage}, type: read}}\n"
        f"  - {{name: gate_approved, type: gate, depends_on: [{stage}]}}\n"
        "  - {name: count, type: count, depends_on: [gate_approved]}\n"
        "gates: [{name: approved, condition: {field: approved, equals: true}}]\n"
    )

    loaded = load_pipelines(tmp_path)

    assert loaded.pipelines == ()
    assert any(f"both become 'gated__{stage}' in Dagster" in problem.message for problem in loaded.problems)
