"""What YAML and deployment say of plugins, seen in real runs."""

import os
from typing import Any

import pytest
from dagster import AssetKey

from medkg_dagster.ledger import JobKey, JobLedger
from medkg_dagster.plugins import Origin
from medkg_dagster.registry import StageFactory
from medkg_dagster.resolution import load_plan
from medkg_dagster.stage_api import StageContext, StageRegistration
from medkg_dagster_tests.compiler import isolated_words
from medkg_dagster_tests.compiler.deployment import Deployment, Stage

RENAMED = """\
name: word-count
version: "2026-01-01"
stages:
  - {name: read, type: read, metadata_overrides: {state_key: tokens, kinds: [s3], description: Reads tokens.}}
  - {name: count, type: count, depends_on: [read]}
"""
TOLD_APART = f"{RENAMED}  - {{name: other, type: read, metadata_overrides: {{state_key: tokens}}}}\n"
SHADOWED = """\
name: word-count
version: "2026-01-01"
stages:
  - {name: read, type: read}
  - {name: shout, type: shout, depends_on: [read], metadata_overrides: {state_key: words}}
  - {name: count, type: count, depends_on: [shout]}
"""
LENIENT = """\
name: word-count
version: "2026-01-01"
stages:
  - {name: read, type: read, metadata_overrides: {max_failure_ratio: 1.0}}
  - {name: count, type: count, depends_on: [read]}
"""


def test_a_renamed_state_key_is_stored_and_shown_under_its_new_name_and_every_reader_follows(
    deployment: Deployment,
) -> None:
    result = deployment.run(pipeline=RENAMED)

    (read,) = result.asset_materializations_for_node("word_count__stages.read")
    assert "tokens_preview" in read.metadata
    assert "words_preview" not in read.metadata
    (count,) = result.asset_materializations_for_node("word_count__stages.count")
    assert count.metadata["output_count"].value == 3


def test_overridden_labels_and_texts_are_those_of_the_asset(deployment: Deployment) -> None:
    graph = deployment.definitions(RENAMED).resolve_asset_graph()

    node = graph.get(AssetKey(["word_count", "read"]))
    assert node.kinds == {"s3"}
    assert node.description == "Reads tokens."


def test_stages_of_one_type_have_the_texts_that_each_of_them_says(deployment: Deployment) -> None:
    ops = deployment.definitions(TOLD_APART).resolve_job_def("word_count").graph.iterate_node_defs()

    described = {op.name: op.output_def_named("result").description for op in ops if op.has_output("result")}
    assert described["word_count__read"] == "Reads tokens."
    assert described["word_count__other"] == "The test stage read."


def test_a_plugin_can_be_put_between_two_stages_by_giving_its_output_their_name(
    deployment: Deployment,
) -> None:
    def shout(_ctx: StageContext, _config: dict[str, Any], words: tuple[str, ...]) -> tuple[str, ...]:
        return (*words, "!")

    deployment.register("shout", "shouted", shout, dependencies=("read",))

    result = deployment.run(pipeline=SHADOWED)

    (count,) = result.asset_materializations_for_node("word_count__stages.count")
    assert count.metadata["output_count"].value == 4


def test_an_overridden_share_of_failures_is_what_the_run_goes_by(deployment: Deployment) -> None:
    def read(ctx: StageContext, _config: dict[str, Any]) -> tuple[str, ...]:
        ctx.succeeded = 1
        for number in range(9):
            ctx.quarantine(str(number), ValueError("empty"))
        return ("a",)

    deployment.register("read", "words", read)

    assert deployment.run(pipeline=LENIENT).success


def test_an_error_in_a_run_names_the_plugin_it_came_from(deployment: Deployment) -> None:
    def break_down(_ctx: StageContext, _config: dict[str, Any]) -> tuple[str, ...]:
        raise ZeroDivisionError("no words")

    deployment.register("read", "words", break_down)
    entry = deployment.registry.get("read")
    origin = Origin("read", "lab.read:register", "lab-reader", "2.1")
    deployment.registry.add(StageRegistration(entry.metadata, entry.builder), replace=True, origin=origin)

    result = deployment.run(check=False)

    failure = result.failure_data_for_node("word_count__stages.read")
    assert failure is not None
    assert failure.user_failure_data is not None
    assert "'read' (read of lab-reader 2.1): ZeroDivisionError: no words" in str(
        failure.user_failure_data.description
    )


def test_a_run_writes_what_became_of_plugins_to_the_audit(deployment: Deployment) -> None:
    deployment.run()

    with JobLedger.open(deployment.home) as ledger:
        subjects = {entry.subject for entry in ledger.registrations.list()}
    assert "source files" in subjects


def test_a_stage_with_one_positional_input_still_runs_and_says_what_to_write(deployment: Deployment) -> None:
    class Upstream:
        def execute(self, _ctx: StageContext, upstream: tuple[str, ...]) -> int:
            return len(upstream)

    entry = deployment.registry.get("count")
    deployment.registry.add(
        StageRegistration(entry.metadata, lambda _: Stage(Upstream().execute)), replace=True
    )

    with pytest.warns(DeprecationWarning, match=r"write execute\(self, ctx, \*, words\)"):
        result = deployment.run()

    assert result.success


ISOLATED = """\
name: word-count
version: "2026-01-01"
stages:
  - {name: read, type: read-words, metadata_overrides: {state_key: tokens}}
  - {name: count, type: count-words, depends_on: [read]}
"""


def test_a_stage_that_asks_for_a_process_of_its_own_runs_in_one_and_gives_the_same(
    deployment: Deployment,
) -> None:
    origin = Origin("words", "medkg_dagster_tests.compiler.isolated_words:register", "lab-words", "1.0")
    for registration in isolated_words.register():
        deployment.registry.add(registration, origin=origin)

    result = deployment.run(pipeline=ISOLATED)

    (read,) = result.asset_materializations_for_node("word_count__stages.read")
    (count,) = result.asset_materializations_for_node("word_count__stages.count")
    assert count.metadata["output_count"].value == 3
    assert read.metadata["process"].value == os.getpid()
    assert count.metadata["process"].value != os.getpid()
    with JobLedger.open(deployment.home) as ledger:
        assert ledger.jobs.get(JobKey("word-count", "default")).fields == {"counted": 3}


def test_a_type_that_code_registered_cannot_have_a_process_of_its_own(deployment: Deployment) -> None:
    written = ISOLATED.replace("read-words", "read").replace("count-words", "count")
    pipeline = deployment.config / "orchestration" / "pipelines" / "pipeline.yaml"
    pipeline.write_text(written.replace("depends_on: [read]", "depends_on: [read], isolation: subprocess"))

    problems = load_plan(deployment.config, StageFactory(deployment.registry)).problems

    assert [problem.line for problem in problems] == [5, 5]
    assert "code registered the type 'count', and a new process would not know it" in problems[0].message
