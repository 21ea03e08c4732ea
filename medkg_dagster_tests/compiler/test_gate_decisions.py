"""A person decides a gate in the UI: by a job of its own for each answer, on a real Dagster instance."""

from typing import Any

import pytest
from dagster import DagsterInvalidConfigError, ExecuteInProcessResult

from medkg_dagster.ledger import JobKey, JobLedger, JobStatus, PhaseStatus
from medkg_dagster.runtime.tags import ACTOR_TAG
from medkg_dagster.stages.gate import register
from medkg_dagster_tests.compiler.deployment import Deployment
from medkg_dagster_tests.compiler.test_gates import REVIEWED, tick

JOB = JobKey("reviewed", "default")


@pytest.fixture
def gated(deployment: Deployment) -> Deployment:
    gate = register()
    deployment.registry.register_stage(metadata=gate.metadata, builder=gate.builder)
    return deployment


def decide(deployment: Deployment, decision: str, **said: str) -> ExecuteInProcessResult:
    """Run a job by which a gate is decided, as the launchpad does."""
    name = f"reviewed__{decision}_approval"
    config = {"job_id": "default", "by": "Ann", "reason": "read twice"} | said
    return (
        deployment.definitions(REVIEWED)
        .resolve_job_def(name)
        .execute_in_process(
            instance=deployment.instance,
            raise_on_error=False,
            run_config={"ops": {f"{name}__decide": {"config": config}}},
        )
    )


def failure(result: ExecuteInProcessResult, decision: str) -> str:
    data = result.failure_data_for_node(f"reviewed__{decision}_approval__decide")
    assert data is not None
    assert data.user_failure_data is not None
    return str(data.user_failure_data.description)


def test_the_job_that_approves_lets_the_next_phase_start(gated: Deployment) -> None:
    gated.run("reviewed", pipeline=REVIEWED)

    assert decide(gated, "approve").success

    (request,) = tick(gated, "reviewed__gate_approval").run_requests
    assert request.job_name == "reviewed__after_approval"
    with JobLedger.open(gated.home) as ledger:
        (phase,) = ledger.phases.of_job(JOB)
        assert (phase.opened_by, phase.reason) == ("Ann", "approved: read twice")


def test_who_the_proxy_says_asked_has_decided_whoever_is_typed(gated: Deployment) -> None:
    gated.run("reviewed", pipeline=REVIEWED)
    name = "reviewed__approve_approval"
    config = {"job_id": "default", "by": "mallory", "reason": "read twice"}

    gated.definitions(REVIEWED).resolve_job_def(name).execute_in_process(
        instance=gated.instance,
        run_config={"ops": {f"{name}__decide": {"config": config}}},
        tags={ACTOR_TAG: "ann@example.org"},
    )

    with JobLedger.open(gated.home) as ledger:
        assert ledger.phases.of_job(JOB)[0].opened_by == "ann@example.org"


def test_the_job_that_rejects_ends_the_job(gated: Deployment) -> None:
    gated.run("reviewed", pipeline=REVIEWED)

    result = decide(gated, "reject", reason="  not ours ")

    assert result.success
    with JobLedger.open(gated.home) as ledger:
        assert ledger.jobs.get(JOB).status is JobStatus.REJECTED
        assert ledger.phases.of_job(JOB)[0].reason == "not ours"
    assert "was rejected by Ann" in failure(decide(gated, "approve"), "approve")


def test_a_job_that_has_not_come_to_the_gate_finds_it_decided(gated: Deployment) -> None:
    with JobLedger.open(gated.home) as ledger:
        ledger.jobs.ensure(JOB, actor="ann")

    assert decide(gated, "approve").success

    with JobLedger.open(gated.home) as ledger:
        assert ledger.phases.of_job(JOB)[0].status is PhaseStatus.EXPECTED


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"job_id": "other"}, "other"),
        ({"by": " "}, "by: say it in the launchpad"),
        ({"by": "", "reason": "\t"}, "by and reason: say it in the launchpad"),
    ],
)
def test_what_cannot_be_decided_fails_with_a_sentence_and_changes_nothing(
    gated: Deployment, said: dict[str, str], expected: str
) -> None:
    gated.run("reviewed", pipeline=REVIEWED)

    result = decide(gated, "approve", **said)

    assert not result.success
    assert expected in failure(result, "approve")
    with JobLedger.open(gated.home) as ledger:
        assert ledger.jobs.get(JOB).status is JobStatus.WAITING


def test_before_anything_was_submitted_there_is_nothing_to_decide(gated: Deployment) -> None:
    result = decide(gated, "approve")

    assert "nothing was submitted yet" in failure(result, "approve")


def test_the_check_of_a_gate_shows_the_command_to_copy(gated: Deployment) -> None:
    gated.run("reviewed", pipeline=REVIEWED)

    (evaluation,) = tick(gated, "reviewed__gate_approval").asset_events

    (row,) = evaluation.metadata["waiting"].value.records
    assert row.data["approve"] == "medkg gate approve reviewed/default approval --reason '...'"
    assert row.data["reject"] == "medkg gate reject reviewed/default approval --reason '...'"


ASKING = (
    REVIEWED
    + """\
    fields:
      - {name: review.score, type: integer, description: How good it is}
      - {name: review.weight, type: number, required: false}
      - {name: review.licence, choices: [CC0, CC-BY], default: CC0}
      - {name: review_licence, choices: [seen], required: false}
"""
)


def answer(deployment: Deployment, decision: str, fields: dict[str, Any]) -> ExecuteInProcessResult:
    name = f"reviewed__{decision}_approval"
    config = {"job_id": "default", "by": "Ann", "reason": "read twice", "fields": fields}
    job = deployment.definitions(ASKING).resolve_job_def(name)
    run_config = {"ops": {f"{name}__decide": {"config": config}}}
    return job.execute_in_process(instance=deployment.instance, raise_on_error=False, run_config=run_config)


def test_what_the_launchpad_asks_for_lands_in_the_fields_of_the_job(gated: Deployment) -> None:
    gated.run("reviewed", pipeline=ASKING)

    assert answer(gated, "approve", {"review.score": 4, "review.weight": 1}).success

    with JobLedger.open(gated.home) as ledger:
        assert ledger.jobs.get(JOB).fields == {"review": {"score": 4, "weight": 1, "licence": "CC0"}}
        by = {entry.field: (entry.actor, entry.reason) for entry in ledger.jobs.history(JOB)}
        assert by["review.score"] == ("Ann", "read twice")


@pytest.mark.parametrize(
    "fields",
    [{}, {"review.score": "high"}, {"review.score": 4, "review.licence": "GPL"}, {"review.score": 4, "x": 1}],
)
def test_the_launchpad_takes_nothing_else(gated: Deployment, fields: dict[str, Any]) -> None:
    with pytest.raises(DagsterInvalidConfigError):
        answer(gated, "approve", fields)


def test_who_rejects_need_not_answer(gated: Deployment) -> None:
    gated.run("reviewed", pipeline=ASKING)

    assert answer(gated, "reject", {}).success

    with JobLedger.open(gated.home) as ledger:
        assert ledger.jobs.get(JOB).fields == {}


def test_the_command_to_copy_has_what_must_be_given(gated: Deployment) -> None:
    gated.run("reviewed", pipeline=ASKING)

    (evaluation,) = tick(gated, "reviewed__gate_approval", ASKING).asset_events

    (row,) = evaluation.metadata["waiting"].value.records
    assert row.data["approve"].endswith(" --reason '...' --field review.score=3")
    assert row.data["reject"].endswith(" --reason '...'")
