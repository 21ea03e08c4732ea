"""What triggers look at in other pipelines, checked across the files of a deployment."""

from __future__ import annotations

from pathlib import Path

from medkg_dagster.registry import StageFactory
from medkg_dagster.resolution import Plan, load_plan

FACTORY = StageFactory.load_plugins()


def load(config: Path, **watched: str) -> Plan:
    """Load pipelines that each look at a stage, `PIPELINE/STAGE`, or at none."""
    folder = config / "orchestration" / "pipelines"
    folder.mkdir(parents=True)
    (folder.parent / "resilience.yaml").write_text("policies:\n  default: {}\n")
    for name, upstream in watched.items():
        text = f'name: {name}\nversion: "2026-01-01"\nstages: [{{name: fetch, type: ingest}}]\n'
        if upstream:
            pipeline, _, stage = upstream.partition("/")
            text += "triggers:\n  - name: after\n    asset:\n"
            text += f"      pipeline: {pipeline}\n      stage: {stage}\n"
        (folder / f"{name}.yaml").write_text(text)
    return load_plan(config, FACTORY)


def test_a_trigger_may_look_at_any_other_pipeline(tmp_path: Path) -> None:
    plan = load(tmp_path, papers="", report="papers/fetch", archive="report/fetch")

    assert plan.problems == ()
    assert [len(pipeline.triggers) for pipeline in plan.pipelines] == [1, 0, 1]


def test_a_pipeline_that_is_not_there_is_told_at_its_line_and_the_others_load(tmp_path: Path) -> None:
    plan = load(tmp_path, papers="", report="paper/fetch")

    (problem,) = plan.problems
    assert problem.line == 7
    assert "'paper', which is not there" in problem.message
    assert problem.hint == "did you mean 'papers'? known: papers"
    assert [pipeline.name for pipeline in plan.pipelines] == ["papers", "report"]


def test_a_stage_that_is_not_there_is_told_at_its_line(tmp_path: Path) -> None:
    (problem,) = load(tmp_path, papers="", report="papers/fetsh").problems

    assert problem.line == 8
    assert "'fetsh', which is no stage of the pipeline 'papers'" in problem.message
    assert problem.hint == "did you mean 'fetch'? known: fetch"


def test_pipelines_that_would_start_one_another_without_end_lose_these_triggers(tmp_path: Path) -> None:
    plan = load(tmp_path, a="b/fetch", b="c/fetch", c="a/fetch", d="a/fetch")

    (problem,) = plan.problems
    assert "the pipelines a -> b -> c -> a would start one another without end" in problem.message
    assert {pipeline.name: len(pipeline.triggers) for pipeline in plan.pipelines} == {
        "a": 0,
        "b": 0,
        "c": 0,
        "d": 1,
    }
