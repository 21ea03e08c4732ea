"""The sensor that tells people outside, on a real Dagster instance."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from dagster import DefaultSensorStatus, Definitions, build_sensor_context

from medkg_dagster.compiler.compile_plan import compile_plan
from medkg_dagster.registry import StageFactory
from medkg_dagster.resolution import load_plan
from medkg_dagster.settings import Settings
from medkg_dagster.topology.alerts_file import AlertsFile
from medkg_dagster_tests.compiler.deployment import PIPELINE, Deployment
from medkg_dagster_tests.webhook_receiver import SECRET, Receiver, receiving, status


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    monkeypatch.setenv("OPS_SECRET", SECRET)
    with receiving() as live:
        yield live


def telling(deployment: Deployment, receiver: Receiver | None) -> Definitions:
    """Return the definitions of a deployment that tells the receiver of everything."""
    (deployment.config / "orchestration" / "pipelines" / "pipeline.yaml").write_text(PIPELINE)
    factory = StageFactory(deployment.registry)
    hooks = (
        [] if receiver is None else [{"name": "ops", "url": receiver.url, "secret": {"env": "OPS_SECRET"}}]
    )
    plan = replace(load_plan(deployment.config, factory), alerts=AlertsFile.model_validate({"alerts": hooks}))
    return compile_plan(plan, factory, Settings(deployment.home, deployment.config))


def tick(deployment: Deployment, definitions: Definitions) -> Any:
    context = build_sensor_context(instance=deployment.instance, definitions=definitions)
    return definitions.resolve_sensor_def("alerts").evaluate_tick(context)


def test_there_is_no_sensor_where_nobody_is_told(deployment: Deployment) -> None:
    names = {sensor.name for sensor in telling(deployment, None).sensors or ()}
    assert "alerts" not in names


def test_a_run_that_fails_is_told_outside_once(deployment: Deployment, receiver: Receiver) -> None:
    def fail(*_: Any) -> None:
        raise ValueError("no words")

    deployment.register("read", "words", fail)
    definitions = telling(deployment, receiver)
    assert definitions.resolve_sensor_def("alerts").default_status is DefaultSensorStatus.RUNNING
    assert tick(deployment, definitions).skip_message == "There is no ledger yet."

    run = definitions.resolve_job_def("word_count").execute_in_process(
        instance=deployment.instance, raise_on_error=False
    )
    receiver.answers = [status(503)]
    assert "status 503" in tick(deployment, definitions).skip_message
    for _ in range(2):
        tick(deployment, definitions)

    # It waits a few seconds now; that it comes then, the tests of delivery say.
    (message,) = receiver.received
    told = message.json
    assert (told["type"], told["data"]["run_id"]) == ("run.failed", run.run_id)
    assert "no words" in told["data"]["error"]
