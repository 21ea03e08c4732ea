"""Steps that a worker of Celery carries out."""

import dataclasses
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
from dagster import DagsterEventType, DagsterInstance

from medkg_dagster.errors import ConfigError
from medkg_dagster.ledger import JobLedger, JobStatus
from medkg_dagster.runtime.celery_app import celery_arguments
from medkg_dagster.settings import Settings
from medkg_dagster_tests.end_to_end.running import BIN, PATIENCE, Running, forked, process
from medkg_dagster_tests.redis import redis_server
from medkg_dagster_tests.runtime.test_cancelling import JOB, KEY, pid_at_work, prepare

WORKER = ("-A", "medkg_dagster.celery_worker", "worker", "--concurrency", "1", "--loglevel", "info")


@dataclasses.dataclass(frozen=True)
class OnCelery(Running):
    """A deployment whose steps workers of Celery carry out.

    Attributes:
        ledger_url: The ledger in PostgreSQL.
        broker: The broker, and where results are.
    """

    ledger_url: str = ""
    broker: str = ""

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables of every process of the deployment."""
        return super().environment | {
            "MEDKG_EXECUTOR": "celery",
            "MEDKG_CELERY_BROKER": self.broker,
            "MEDKG_LEDGER_URL": self.ledger_url,
            "MEDKG_SHARED_HOME": "1",
        }

    def ledger(self) -> JobLedger:
        """Open the deployment's ledger."""
        return JobLedger.of(Settings.from_environment(self.environment))

    def worker(self, name: str) -> AbstractContextManager[subprocess.Popen[bytes]]:
        """Run a worker."""
        return process(self, str(BIN / "celery"), *WORKER, "--hostname", f"{name}@%h", log=f"{name}.log")


@pytest.fixture
def deployment(tmp_path: Path, postgresql_url: str) -> Iterator[OnCelery]:
    with redis_server(tmp_path) as broker:
        yield OnCelery(tmp_path, postgresql_url, broker)


def test_a_worker_carries_out_the_steps_of_a_run(deployment: OnCelery) -> None:
    prepare(deployment.folder, "nothing")

    with deployment.worker("one"):
        run = forked(JOB, deployment.environment, deployment.folder, deployment.folder / "log")
        run.join(PATIENCE)

    assert run.exitcode == 0, (deployment.folder / "log").read_text()
    with deployment.ledger() as ledger:
        assert ledger.jobs.get(KEY).status is JobStatus.SUCCEEDED
    said = (deployment.folder / "one.log").read_text()
    assert said.count("Task execute_plan") >= 2, said


def start_sleeping(deployment: OnCelery) -> BaseProcess:
    """Start a run; return it when its second stage is at work."""
    run = forked(JOB, deployment.environment, deployment.folder, deployment.folder / "log")
    pid_at_work(deployment, run)
    assert run.exitcode is None, (deployment.folder / "log").read_text()
    return run


def attempts(deployment: OnCelery) -> int:
    """Return how often workers took up the second stage."""
    with DagsterInstance.from_config(str(deployment.home / "dagster")) as instance:
        (run,) = instance.get_runs()
        events = instance.all_logs(
            run.run_id, of_type={DagsterEventType.STEP_START, DagsterEventType.STEP_RESTARTED}
        )
    return sum(event.step_key == "long__stages.second" for event in events)


@pytest.mark.parametrize("lost", ["worker", "process of a worker"])
def test_a_step_that_is_lost_is_tried_once_more(deployment: OnCelery, lost: str) -> None:
    prepare(deployment.folder, "hang-once")

    with deployment.worker("one") as worker:
        run = start_sleeping(deployment)
        if lost == "worker":
            os.kill(worker.pid, signal.SIGKILL)
        else:
            os.kill(int((deployment.home / "second.mark").read_text()), signal.SIGKILL)
        with deployment.worker("two"):
            run.join(PATIENCE)

    assert run.exitcode == 0, (deployment.folder / "log").read_text()
    assert attempts(deployment) == 2
    with deployment.ledger() as ledger:
        assert ledger.jobs.get(KEY).status is JobStatus.SUCCEEDED


def test_without_a_broker_the_executor_says_what_to_set(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match="needs a broker: set MEDKG_CELERY_BROKER to the address of a Redis"
    ):
        celery_arguments(Settings(tmp_path, tmp_path))


@pytest.mark.parametrize(
    ("broker", "backend", "kept"),
    [
        ("redis://db:6379/0", None, "redis://db:6379/0"),
        ("rediss://db:6379/0", None, "rediss://db:6379/0"),
        ("amqp://user:secret@db:5672//", None, "rpc://"),
        ("amqp://user:secret@db:5672//", "redis://db:6379/1", "redis://db:6379/1"),
    ],
)
def test_results_are_where_the_broker_is_or_where_the_deployment_says(
    tmp_path: Path, broker: str, backend: str | None, kept: str
) -> None:
    settings = Settings(tmp_path, tmp_path, celery_broker=broker, celery_backend=backend)

    assert celery_arguments(settings)["backend"] == kept
    assert "secret" not in repr(settings)
