"""Runs that somebody stops: they end within seconds, the ledger says so, and they can be started again."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
from dagster import DagsterEventType, DagsterInstance, DagsterRunStatus

from medkg_dagster.compiler.ended_runs import lost_runs, record_end
from medkg_dagster.ledger import JobKey, JobStatus, PhaseStatus, RunStatus
from medkg_dagster_tests.end_to_end.running import PATIENCE, Running, forked

KEY = JobKey("long", "default")
POLICY = "backoff: {strategy: none, initial: 600.0, maximum: 600.0, jitter: false}"
JOB = ("dagster", "job", "execute", "-m", "medkg_dagster_tests.runtime.long_definitions", "-j", "long")


def prepare(folder: Path, act: str, *, isolation: str = "", first: str = "nothing") -> Running:
    """Return a deployment of one pipeline of two stages, the second of which does `act`."""
    deployment = Running(folder)
    stage = f"name: second, type: second-act, depends_on: [first], config: {{act: {act}}}{isolation}"
    lines = ["name: long", 'version: "2026-01-01"', "stages:"]
    lines += [f"  - {{name: first, type: first-act, config: {{act: {first}}}}}", f"  - {{{stage}}}"]
    deployment.prepare({"long.yaml": "\n".join(lines) + "\n"})
    policies = folder / "config" / "orchestration" / "resilience.yaml"
    policies.write_text(f"policies:\n  default:\n    max_attempts: 3\n    {POLICY}\n")
    return deployment


def start(deployment: Running, executor: str) -> BaseProcess:
    """Run the job in a session of its own."""
    environment = deployment.environment | {"MEDKG_EXECUTOR": executor}
    return forked(JOB, environment, deployment.folder, deployment.folder / "log")


def end_of(started: BaseProcess) -> int:
    """Wait for a process to end; return its exit code."""
    started.join(PATIENCE)
    assert started.exitcode is not None
    return started.exitcode


def pid_at_work(deployment: Running, started: BaseProcess) -> int:
    """Wait for the second stage to be at work, or for the job to have ended before; return its process."""
    mark = deployment.home / "second.mark"
    deployment.wait("the second stage", lambda: mark.exists() or started.exitcode is not None or None)
    assert started.pid is not None
    return started.pid


def stop(
    deployment: Running, executor: str, sent: signal.Signals = signal.SIGINT, times: int = 1
) -> tuple[int, str]:
    """Run the job, stop it as a terminal does when its second stage is at work; return exit code and log."""
    started = start(deployment, executor)
    pid = pid_at_work(deployment, started)
    try:
        for _ in range(times):
            os.killpg(pid, sent)
        return end_of(started), (deployment.folder / "log").read_text()
    finally:
        if started.exitcode is None:
            os.killpg(pid, signal.SIGKILL)


def assert_cancelled(deployment: Running, log: str) -> None:
    """Fail where the ledger does not know, something is half-written, or the job cannot be started again."""
    with deployment.ledger() as ledger:
        assert ledger.jobs.get(KEY).status is JobStatus.CANCELLED, log
        again = ledger.phases.retry(KEY, "long", None, actor="test", reason="again")
    assert again.status is PhaseStatus.DUE
    with DagsterInstance.from_config(str(deployment.home / "dagster")) as instance:
        assert [run.status for run in instance.get_runs()] == [DagsterRunStatus.FAILURE]
    states = [path.name for path in (deployment.home / "state").rglob("*") if path.is_file()]
    assert states == ["default.state.zip"]


@pytest.mark.parametrize(
    ("executor", "act"), [("in_process", "compute"), ("in_process", "store"), ("multiprocess", "sleep")]
)
def test_an_interrupt_ends_the_run_whatever_the_stage_does(tmp_path: Path, executor: str, act: str) -> None:
    deployment = prepare(tmp_path, act)

    code, log = stop(deployment, executor)

    assert code == 1, log
    assert_cancelled(deployment, log)


@pytest.mark.parametrize("isolation", ["", ", isolation: subprocess"])
def test_an_interrupt_ends_the_processes_that_the_stage_started(tmp_path: Path, isolation: str) -> None:
    deployment = prepare(tmp_path, "start", isolation=isolation)

    _, log = stop(deployment, "in_process")

    assert_cancelled(deployment, log)
    process, child = map(int, (deployment.home / "second.mark").read_text().split())
    assert not Path(f"/proc/{process}").exists()
    # What a stage starts behind the back of its own child is ended where it asks for isolation.
    assert not isolation or not Path(f"/proc/{child}").exists()
    if Path(f"/proc/{child}").exists():
        os.kill(child, signal.SIGKILL)


def test_an_interrupt_ends_the_wait_before_another_attempt(tmp_path: Path) -> None:
    deployment = prepare(tmp_path, "fail")

    _, log = stop(deployment, "in_process")

    assert_cancelled(deployment, log)


@pytest.mark.parametrize("executor", ["in_process", "multiprocess"])
def test_being_asked_to_end_and_impatience_are_interrupts_too(tmp_path: Path, executor: str) -> None:
    deployment = prepare(tmp_path, "sleep")

    code, log = stop(deployment, executor, signal.SIGTERM, times=3)

    assert code != 0, log
    assert_cancelled(deployment, log)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are looked up in /proc")
@pytest.mark.parametrize("executor", ["in_process", "multiprocess"])
def test_a_run_whose_process_was_killed_is_found_among_those_that_are_said_to_be_at_work(
    tmp_path: Path, executor: str
) -> None:
    deployment = prepare(tmp_path, "sleep")
    started = start(deployment, executor)
    pid = pid_at_work(deployment, started)

    with DagsterInstance.from_config(str(deployment.home / "dagster")) as instance:
        assert lost_runs(instance, frozenset({"long"})) == []
        started.kill()
        end_of(started)
        (lost,) = lost_runs(instance, frozenset({"long"}))

    with deployment.ledger() as ledger:
        assert ledger.jobs.get(KEY).status is JobStatus.RUNNING
        record_end(ledger, lost, RunStatus.FAILED)
        assert ledger.jobs.get(KEY).status is JobStatus.FAILED
        assert ledger.phases.retry(KEY, "long", None, actor="test", reason="x").status is PhaseStatus.DUE
    deployment.wait("the steps to end with their run", lambda: not in_session(pid) or None)


def in_session(leader: int) -> list[int]:
    """Return the processes of a session, without those that have ended and wait to be asked how."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        with suppress(ProcessLookupError, FileNotFoundError):
            if os.getsid(int(place.name)) == leader and (place / "cmdline").read_bytes():
                found.append(int(place.name))
    return found


def test_a_job_whose_step_process_is_lost_at_every_attempt_has_failed(tmp_path: Path) -> None:
    deployment = prepare(tmp_path, "die")

    code = end_of(start(deployment, "multiprocess"))

    assert code == 1
    with DagsterInstance.from_config(str(deployment.home / "dagster")) as instance:
        (run,) = instance.get_runs()
        assert len(instance.all_logs(run.run_id, of_type=DagsterEventType.STEP_UP_FOR_RETRY)) == 2
    with deployment.ledger() as ledger:
        job = ledger.jobs.get(KEY)
        again = ledger.phases.retry(KEY, "long", None, actor="test", reason="again")
    assert again.status is PhaseStatus.DUE
    assert (job.status, job.attempts) == (JobStatus.FAILED, 1)
    assert f"`medkg ledger retry {KEY}` starts it again" in str(job.error)
