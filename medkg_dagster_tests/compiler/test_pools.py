"""Pools limit how many steps of their stages are at work in all runs."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from dagster import DagsterInstance, build_sensor_context

from medkg_dagster.compiler.ended_runs import ended_run_sensor
from medkg_dagster.runtime.tags import PARTITION_TAG
from medkg_dagster.settings import Settings
from medkg_dagster_tests.compiler.deployment import PIPELINE, Deployment

POOL = "gpu-bound"
POOLED = PIPELINE.replace("type: count,", f"type: count, pool: {POOL},")
PATIENCE = 20.0


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[Deployment]:
    (tmp_path / "dagster").mkdir()
    (tmp_path / "dagster" / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    with DagsterInstance.from_config(str(tmp_path / "dagster")) as instance:
        yield Deployment(tmp_path, instance)


class AtWork:
    """A stage that works until it may end, and knows how many steps of it are at work."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.may_end = threading.Semaphore(0)
        self.now, self.most = 0, 0
        self._lock = threading.Lock()

    def __call__(self, _ctx: Any, _config: Any, words: tuple[str, ...]) -> int:
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
        self.begun.release()
        assert self.may_end.acquire(timeout=PATIENCE)
        with self._lock:
            self.now -= 1
        return len(words)


def wait_until_pending(instance: DagsterInstance) -> None:
    """Wait until a step stands in the line for a place."""
    deadline = time.monotonic() + PATIENCE
    while not instance.event_log_storage.get_concurrency_info(POOL).pending_step_count:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_two_runs_are_never_in_a_pool_of_one_at_once(deployment: Deployment) -> None:
    at_work = AtWork()
    deployment.register("count", "total", at_work, dependencies=("read",), value_type=int, counter=int)
    instance = deployment.instance
    instance.event_log_storage.set_concurrency_slots(POOL, 1)
    job = deployment.definitions(POOLED).resolve_job_def("word_count")

    def run(number: int) -> bool:
        tags = {PARTITION_TAG: f"job-{number}"}
        return job.execute_in_process(instance=instance, tags=tags).success

    with ThreadPoolExecutor(2) as threads:
        runs = [threads.submit(run, 1)]
        # Dagster sets up logging for each run, which two threads must not do at once.
        assert at_work.begun.acquire(timeout=PATIENCE)
        runs.append(threads.submit(run, 2))
        wait_until_pending(instance)
        at_work.may_end.release(2)
        assert all(future.result(PATIENCE) for future in runs)

    assert at_work.most == 1
    assert instance.event_log_storage.get_concurrency_info(POOL).active_slot_count == 0


def test_a_place_that_a_lost_run_held_is_free_again(deployment: Deployment) -> None:
    instance = deployment.instance
    instance.event_log_storage.set_concurrency_slots(POOL, 1)
    lost = instance.create_run_for_job(deployment.definitions(POOLED).resolve_job_def("word_count"))
    claimed = instance.event_log_storage.claim_concurrency_slot(POOL, lost.run_id, "word_count__stages.count")
    assert claimed.is_claimed
    instance.report_run_failed(lost)

    sensor = ended_run_sensor(Settings(deployment.home, deployment.config), frozenset(), {})
    with build_sensor_context(instance) as context:
        sensor(context)

    assert instance.event_log_storage.get_concurrency_info(POOL).active_slot_count == 0
