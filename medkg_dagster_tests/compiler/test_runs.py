"""Pipelines of test stages, compiled and run on a real Dagster instance."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from dagster import AssetKey, DagsterInstance, Definitions, ExecuteInProcessResult, TableMetadataValue
from pydantic import BaseModel, Field

from medkg_dagster.compiler.compile_plan import compile_plan
from medkg_dagster.errors import RejectedDocumentError, SourceError, StageContractError
from medkg_dagster.ledger import JobLedger, JobStatus
from medkg_dagster.registry import Discovery, StageFactory, StageRegistry
from medkg_dagster.resolution import load_plan
from medkg_dagster.settings import Settings
from medkg_dagster.stage_api import StageContext, StageDefinitionView, StageMetadata, write_key

POLICIES = """\
policies:
  default:
    max_attempts: 3
    timeout_seconds: 5
    backoff: {strategy: none, initial: 0.0, maximum: 0.0, jitter: false}
"""

PARTITION = {"dagster/partition": "by-hand"}

PIPELINE = """\
name: word-count
version: "2026-01-01"
metadata: {owner: text-team, description: Counts words.}
stages:
  - {name: read, type: read, config: {separator: "-", adapter: from_yaml}}
  - {name: count, type: count, depends_on: [read]}
"""


class ReadConfig(BaseModel):
    """What the test source reads."""

    adapter: str = "default"
    separator: str = Field(default=" ", description="Between words.")
    params: dict[str, Any] = {}


Execute = Callable[..., Any]


class Stage:
    """A stage whose `execute` is the given function."""

    def __init__(self, execute: Execute) -> None:
        self.execute = execute


class Deployment:
    """A configuration folder, a registry of test stages, a data folder and a Dagster instance."""

    def __init__(self, folder: Path, instance: DagsterInstance) -> None:
        self.home = folder / "home"
        self.config = folder / "config"
        self.instance = instance
        self.seen: list[Any] = []
        self.registry = StageRegistry(lambda: Discovery((), ()))
        (self.config / "orchestration" / "pipelines").mkdir(parents=True)
        (self.config / "orchestration" / "resilience.yaml").write_text(POLICIES)
        self.register("read", "words", self._read, config_model=ReadConfig)
        self.register("count", "total", self._count, dependencies=("read",), value_type=int, counter=int)

    def register(
        self,
        stage_type: str,
        key: str | None,
        execute: Execute,
        *,
        dependencies: tuple[str, ...] = (),
        value_type: Any = tuple[str, ...],
        counter: Callable[[Any], int] = len,
        config_model: type[BaseModel] | None = None,
    ) -> None:
        def build(definition: StageDefinitionView) -> Stage:
            def call(ctx: StageContext, **inputs: Any) -> Any:
                return execute(ctx, definition.config, **inputs)

            return Stage(call)

        def write_nothing(_state: Any, _stage: str, _output: Any) -> None:
            return

        self.registry.register_stage(
            metadata=StageMetadata(
                stage_type=stage_type,
                state_key=key,
                output_handler=write_key(key) if key else write_nothing,
                output_counter=counter,
                description=f"The test stage {stage_type}.",
                dependencies=dependencies,
                state_types={key: value_type} if key else {},
                config_model=config_model,
                kinds=("python",),
            ),
            builder=build,
            replace=True,
        )

    def definitions(self, pipeline: str = PIPELINE) -> Definitions:
        (self.config / "orchestration" / "pipelines" / "pipeline.yaml").write_text(pipeline)
        factory = StageFactory(self.registry)
        plan = load_plan(self.config, factory)
        assert plan.problems == ()
        return compile_plan(plan, factory, Settings(self.home, self.config))

    def run(
        self, job: str = "word_count", *, pipeline: str = PIPELINE, check: bool = True, **kwargs: Any
    ) -> ExecuteInProcessResult:
        resolved = self.definitions(pipeline).resolve_job_def(job)
        return resolved.execute_in_process(instance=self.instance, raise_on_error=check, **kwargs)

    def _read(self, _ctx: StageContext, config: dict[str, Any]) -> tuple[str, ...]:
        self.seen.append(config)
        return ("a", "b", "c")

    def _count(self, _ctx: StageContext, _config: dict[str, Any], words: tuple[str, ...]) -> int:
        return len(words)


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[Deployment]:
    with DagsterInstance.ephemeral() as instance:
        yield Deployment(tmp_path, instance)


def test_a_run_without_a_partition_works_on_the_default_ledger_job(deployment: Deployment) -> None:
    deployment.run()

    with JobLedger.open(deployment.home) as ledger:
        job = ledger.job("word-count", "default")
    assert job.status is JobStatus.SUCCEEDED
    assert deployment.instance.get_dynamic_partitions("word-count") == ["default"]


def test_a_new_partition_key_is_created_on_first_use(deployment: Deployment) -> None:
    deployment.run(tags={"dagster/partition": "melanoma-2026"})

    assert deployment.instance.has_dynamic_partition("word-count", "melanoma-2026")
    with JobLedger.open(deployment.home) as ledger:
        assert ledger.job("word-count", "melanoma-2026").status is JobStatus.SUCCEEDED


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
        ledger.ensure_job(
            "word-count", "default", request={"adapter": "from_request", "params": {"q": 1}}, actor="test"
        )

    deployment.run()
    launchpad = {"ops": {"word_count__stages": {"ops": {"read": {"config": {"adapter": "from_launchpad"}}}}}}
    deployment.run(run_config=launchpad)

    expected = {"separator": "-", "params": {"q": 1}}
    assert deployment.seen == [
        {"adapter": "from_request", **expected},
        {"adapter": "from_launchpad", **expected},
    ]


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
        job = ledger.job("word-count", "default")
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
        "document": "PMID:99990003",
        "error": "RejectedDocumentError",
        "message": "it is empty",
    }
    with JobLedger.open(deployment.home) as ledger:
        outcomes = ledger.outcomes("word-count", "default")
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


def test_a_run_of_some_assets_ends_when_those_are_made(deployment: Deployment) -> None:
    read = AssetKey(["word_count", "read"])
    job = deployment.definitions().resolve_implicit_global_asset_job_def()

    job.execute_in_process(instance=deployment.instance, asset_selection=[read], tags=PARTITION)

    with JobLedger.open(deployment.home) as ledger:
        assert ledger.job("word-count", "by-hand").status is JobStatus.SUCCEEDED
        assert [run.stage for run in ledger.stage_runs("word-count", "by-hand")] == ["read"]
