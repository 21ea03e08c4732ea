"""Checks that third parties declare on what their stages come to, in runs and asked for by themselves."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from dagster import AssetCheckEvaluation, AssetCheckKey, AssetCheckSeverity, AssetKey, TableMetadataValue

from medkg_dagster.errors import StageRegistryError
from medkg_dagster.stage_api import CheckVerdict, OutcomeCheck, StageContext, StageMetadata, write_key
from medkg_dagster_tests.compiler.deployment import PIPELINE, Deployment, Stage

READ = AssetKey(("word_count", "read"))
KEY = AssetCheckKey(READ, "words_are_long")


def judge(described: Mapping[str, Any]) -> CheckVerdict:
    short = [row for row in described["words"] if row["letters"] < 2]
    return CheckVerdict(not short, {"short": len(short), "shortest": short})


LONG = OutcomeCheck("words_are_long", "Every word has two letters or more.", judge)


def words_type(*checks: OutcomeCheck) -> StageMetadata:
    return StageMetadata(
        stage_type="read",
        state_key="words",
        output_handler=write_key("words"),
        output_counter=len,
        description="Reads words.",
        state_types={"words": tuple[str, ...]},
        checks=checks,
    )


@pytest.fixture
def reading(deployment: Deployment) -> Callable[..., Deployment]:
    """Return a deployment whose stage `read` gives some words, and describes each of them."""

    def read(*words: str, check: OutcomeCheck = LONG) -> Deployment:
        def execute(ctx: StageContext) -> tuple[str, ...]:
            ctx.describe("words", [{"word": word, "letters": len(word)} for word in words])
            return words

        deployment.registry.register_stage(
            metadata=words_type(check), builder=lambda _definition: Stage(execute), replace=True
        )
        return deployment

    return read


def judged_by_itself(deployment: Deployment) -> AssetCheckEvaluation:
    """Return what the check says where somebody asks for it in the UI, without a run of the stage."""
    job = deployment.definitions(PIPELINE).resolve_implicit_global_asset_job_def()
    result = job.get_subset(asset_selection=set(), asset_check_selection={KEY}).execute_in_process(
        instance=deployment.instance
    )
    (evaluation,) = result.get_asset_check_evaluations()
    return evaluation


def test_a_step_judges_what_its_stage_described_and_a_failed_check_warns(
    reading: Callable[..., Deployment],
) -> None:
    result = reading("a", "bc").run()

    (evaluation,) = result.get_asset_check_evaluations()
    assert (evaluation.asset_check_key, evaluation.passed) == (KEY, False)
    assert evaluation.severity is AssetCheckSeverity.WARN
    assert evaluation.metadata["short"].value == 1
    shortest = evaluation.metadata["shortest"]
    assert isinstance(shortest, TableMetadataValue)
    assert [dict(record.data) for record in shortest.records] == [{"word": "a", "letters": 1}]


def test_a_check_passes_where_the_outcome_is_as_it_should_be(reading: Callable[..., Deployment]) -> None:
    (evaluation,) = reading("ab", "bc").run().get_asset_check_evaluations()

    assert evaluation.passed


def test_a_check_asked_for_by_itself_judges_the_last_materialization(
    reading: Callable[..., Deployment],
) -> None:
    deployment = reading("a", "bc")
    before = judged_by_itself(deployment)
    (in_run,) = deployment.run().get_asset_check_evaluations()

    again = judged_by_itself(deployment)

    assert (before.passed, before.metadata["judged"].value) == (True, "nothing: the stage has not run yet")
    assert (again.passed, again.metadata) == (in_run.passed, in_run.metadata)


def test_a_check_without_a_verdict_fails_its_step_by_name(reading: Callable[..., Deployment]) -> None:
    broken: Any = OutcomeCheck("broken", "Says yes.", lambda _described: True)  # type: ignore[arg-type, return-value]  # what a plugin may get wrong

    result = reading("a", check=broken).run(check=False)

    assert not result.success
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    assert "check 'broken'" in str(failure.step_failure_data.error)
    assert "must return a CheckVerdict" in str(failure.step_failure_data.error)


FINE: dict[str, Any] = {"name": "fine", "description": "All is fine.", "judge": judge}


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"name": "not-a-name"}, "name must be letters"),
        ({"name": "no_job_waits"}, "not 'no_job_waits'"),
        ({"description": " "}, "description must not be empty"),
        ({"judge": "later"}, "judge must be callable"),
    ],
)
def test_a_check_that_could_not_be_shown_or_judged_is_refused(fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(StageRegistryError, match=reason):
        OutcomeCheck(**{**FINE, **fields})


def test_a_stage_type_declares_each_check_once() -> None:
    with pytest.raises(StageRegistryError, match="checks declares a name twice"):
        words_type(LONG, LONG)
