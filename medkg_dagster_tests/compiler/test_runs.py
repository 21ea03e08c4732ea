"""Pipelines of test stages, compiled and run on a real Dagster instance."""

from typing import Any

import pytest
from dagster import AssetKey, DagsterEventType, ExecuteInProcessResult, TableMetadataValue
from pydantic import BaseModel, Field

from medkg_dagster.errors import RejectedDocumentError, SourceError, StageContractError
from medkg_dagster.ledger import JobKey, JobLedger, JobStatus
from medkg_dagster.stage_api import StageContext
from medkg_dagster_tests.compiler.deployment import PIPELINE, Deployment, ReadConfig

PARTITION = {"dagster/partition": "by-hand"}


def test_a_run_without_a_partition_works_on_the_default_ledger_job(deployment: Deployment) -> None:
    deployment.run()

    with JobLedger.open(deployment.home) as ledger:
        job = ledger.jobs.get(JobKey("word-count", "default"))
    assert job.status is JobStatus.SUCCEEDED
    assert deployment.instance.get_dynamic_partitions("word-count") == ["default"]


def test_a_new_partition_key_is_created_on_first_use(deployment: Deployment) -> None:
    deployment.run(tags={"dagster/partition": "melanoma-2026"})

    assert deployment.instance.has_dynamic_partition("word-count", "melanoma-2026")
    with JobLedger.open(deployment.home) as ledger:
        assert ledger.jobs.get(JobKey("word-count", "melanoma-2026")).status is JobStatus.SUCCEEDED


def test_every_stage_materializes_its_asset_with_count_time_size_and_preview(deployment: Deployment) -> None:
    result = deployment.run()

    materializations = {event.asset_key: event for event in result.get_asset_materialization_events()}
    assert {tuple(key.path) for key in materializations if key} == {
        ("word_count", "read"),
        ("word_count", "count"),
    }
    shown = result.asset_materializations_for_node("word_count__stages.read")[0].metadata
    assert shown["output_count"].value == 3
    assert {"seconds", "bytes", "documents_succeeded", "documents_quarantined"} <= set(shown)
    assert '"a"' in str(shown["words_preview"].value)


def test_launchpad_configuration_wins_over_the_request_and_the_request_over_yaml(
    deployment: Deployment,
) -> None:
    with JobLedger.open(deployment.home) as ledger:
        ledger.jobs.ensure(
            JobKey("word-count", "default"),
            request={"adapter": "from_request", "params": {"q": 1}},
            actor="test",
        )

    deployment.run()
    launchpad = {"ops": {"word_count__stages": {"ops": {"read": {"config": {"adapter": "from_launchpad"}}}}}}
    deployment.run(run_config=launchpad)

    expected = {"separator": "-", "params": {"q": 1}}
    assert deployment.seen == [
        {"adapter": "from_request", **expected},
        {"adapter": "from_launchpad", **expected},
    ]


def described(result: ExecuteInProcessResult) -> list[str]:
    """Return what the page of the run says of each step that failed."""
    return [
        str(
            event.step_failure_data.user_failure_data
            and event.step_failure_data.user_failure_data.description
        )
        for event in result.all_events
        if event.event_type is DagsterEventType.STEP_FAILURE
    ]


@pytest.mark.parametrize("way", ["launchpad", "request"])
def test_a_wrong_value_of_any_stage_is_one_sentence_before_the_first_stage_begins(
    deployment: Deployment, way: str
) -> None:
    class CountConfig(BaseModel):
        least: int = Field(default=1, ge=1)

    deployment.register(
        "count",
        "total",
        lambda _ctx, _config, words: len(words),
        dependencies=("read",),
        value_type=int,
        counter=int,
        config_model=CountConfig,
    )
    key = JobKey("word-count", "default")
    with JobLedger.open(deployment.home) as ledger:
        ledger.jobs.ensure(key, {"stages": {"count": {"least": 0}}} if way == "request" else {}, actor="test")
    launchpad = {"ops": {"word_count__stages": {"ops": {"count": {"config": {"least": 0}}}}}}

    result = deployment.run(check=False, run_config=launchpad if way == "launchpad" else {})

    sentence = (
        "pipeline 'word-count' cannot work on this: "
        "stage 'count': 'least': Input should be greater than or equal to 1, got 0"
    )
    assert described(result) == [sentence]
    assert deployment.seen == []
    with JobLedger.open(deployment.home) as ledger:
        job = ledger.jobs.get(key)
    assert (job.status, job.error) == (JobStatus.FAILED, f"read: ConfigError: {sentence}")


def test_a_wrong_value_of_a_stage_that_does_not_run_is_left_to_the_run_that_runs_it(
    deployment: Deployment,
) -> None:
    deployment.register("count", None, lambda _ctx, _config: 0, config_model=ReadConfig)
    pipeline = PIPELINE.replace(", depends_on: [read]", "")
    with JobLedger.open(deployment.home) as ledger:
        ledger.jobs.ensure(
            JobKey("word-count", "default"), {"stages": {"count": {"separator": 1}}}, actor="test"
        )

    assert deployment.run(pipeline=pipeline, asset_selection=[AssetKey(["word_count", "read"])]).success
    assert not deployment.run(
        pipeline=pipeline, check=False, asset_selection=[AssetKey(["word_count", "count"])]
    ).success


@pytest.mark.parametrize("job_id", ["x" * 300, "a" + ":" * 120, "a/b ../c"])
def test_a_run_for_an_id_that_no_job_can_have_is_refused_in_one_sentence_and_leaves_nothing(
    deployment: Deployment, job_id: str
) -> None:
    result = deployment.run(check=False, tags={"dagster/partition": job_id})

    (sentence,) = described(result)
    assert sentence.startswith(f"job id '{job_id[:200]}")
    assert "letters, digits and . _ : @ + = -" in sentence
    assert deployment.seen == []
    assert deployment.instance.get_dynamic_partitions("word-count") == []
    with JobLedger.open(deployment.home) as ledger:
        assert ledger.jobs.list() == ()


def test_a_passing_fault_is_tried_again_as_the_policy_says(deployment: Deployment) -> None:
    attempts = []

    def flaky(_ctx: StageContext, _config: dict[str, Any]) -> tuple[str, ...]:
        attempts.append(1)
        if len(attempts) < 3:
            raise SourceError("the service is away")
        return ("a",)

    deployment.register("read", "words", flaky, config_model=ReadConfig)

    assert deployment.run().success
    assert len(attempts) == 3


def test_a_broken_contract_is_not_tried_again_and_names_the_plugin(deployment: Deployment) -> None:
    attempts = []

    def broken(_ctx: StageContext, _config: dict[str, Any]) -> tuple[str, ...]:
        attempts.append(1)
        raise StageContractError("the plugin broke its word")

    deployment.register("read", "words", broken, config_model=ReadConfig)

    result = deployment.run(check=False)

    assert not result.success
    assert len(attempts) == 1
    failure = result.failure_data_for_node("word_count__stages.read")
    assert failure is not None
    assert failure.user_failure_data is not None
    assert "stage 'read' (read): the plugin broke its word" in str(failure.user_failure_data.description)
    with JobLedger.open(deployment.home) as ledger:
        job = ledger.jobs.get(JobKey("word-count", "default"))
    assert job.status is JobStatus.FAILED
    assert "the plugin broke its word" in str(job.error)


def test_a_value_of_another_type_than_declared_fails_the_step_and_says_which(deployment: Deployment) -> None:
    deployment.register("read", "words", lambda _ctx, _config: (1, 2), config_model=ReadConfig)

    result = deployment.run(check=False)

    assert not result.success
    failures = [event for event in result.all_events if event.is_step_failure]
    assert "state key 'words'" in str(failures[0].step_failure_data.error)


def test_refused_documents_are_in_the_ledger_and_on_the_asset(deployment: Deployment) -> None:
    def refuse_one(ctx: StageContext, _config: dict[str, Any]) -> tuple[str, ...]:
        def work(name: str) -> str:
            if name == "PMID:99990003":
                raise RejectedDocumentError("it is empty")
            return name

        return tuple(ctx.for_each([f"PMID:9999000{n}" for n in range(9)], work, document_id=str))

    deployment.register("read", "words", refuse_one, config_model=ReadConfig)

    result = deployment.run()

    shown = result.asset_materializations_for_node("word_count__stages.read")[0].metadata
    assert shown["documents_quarantined"].value == 1
    refused = shown["quarantined"]
    assert isinstance(refused, TableMetadataValue)
    assert refused.records[0].data == {
        "file": "",
        "document": "PMID:99990003",
        "error": "RejectedDocumentError",
        "message": "it is empty",
    }
    with JobLedger.open(deployment.home) as ledger:
        outcomes = ledger.stage_runs.outcomes(JobKey("word-count", "default"))
    assert [(item.document_id, item.stage, item.message) for item in outcomes] == [
        ("PMID:99990003", "read", "it is empty")
    ]


GATED = """\
name: gated
version: "2026-01-01"
stages:
  - {name: read, type: read}
  - {name: gate_approved, type: gate, depends_on: [read]}
  - {name: count, type: count, depends_on: [gate_approved]}
gates:
  - name: approved
    condition: {field: approved, equals: true}
    resume_stage: count
"""


def test_the_phase_behind_a_gate_reads_what_the_first_phase_stored(deployment: Deployment) -> None:
    deployment.register("gate", None, lambda _ctx, _config: None, counter=lambda _output: 0)

    first = deployment.run("gated", pipeline=GATED)
    second = deployment.run("gated__after_approved", pipeline=GATED)

    assert [event.step_key for event in first.all_events if event.is_step_success] == ["gated__stages.read"]
    assert [event.step_key for event in second.all_events if event.is_step_success] == [
        "gated__stages.gate_approved",
        "gated__stages.count",
    ]
    assert len(deployment.seen) == 1


def test_a_run_of_some_assets_ends_when_those_are_made_and_leaves_an_incomplete_job(
    deployment: Deployment,
) -> None:
    read = AssetKey(["word_count", "read"])
    job = deployment.definitions().resolve_implicit_global_asset_job_def()

    job.execute_in_process(instance=deployment.instance, asset_selection=[read], tags=PARTITION)

    with JobLedger.open(deployment.home) as ledger:
        assert ledger.jobs.get(JobKey("word-count", "by-hand")).status is JobStatus.INCOMPLETE
        assert [run.stage for run in ledger.stage_runs.of_job(JobKey("word-count", "by-hand"))] == ["read"]
