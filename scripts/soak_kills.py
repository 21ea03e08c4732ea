"""Crash a job at its write points and kill the processes of a deployment, at random; `make soak` runs this.

However often it is cut short, a phase that runs again must leave what an undisturbed one leaves: the rows of
index and graph, the files, and how job, phases and stages stand in the ledger.
"""

from __future__ import annotations

import argparse
import functools
import gc
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
import traceback
import unittest.mock
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from dagster import DagsterEvent, DagsterInstance, execute_job
from dagster._core.definitions.reconstruct import ReconstructableRepository

from medkg_dagster.ledger import JobKey, JobPhase, JobStatus
from medkg_dagster.runtime.tags import ATTEMPT_TAG, PARTITION_TAG
from medkg_dagster.settings import EXECUTORS
from medkg_dagster_tests.end_to_end.running import BIN, Running, process, processes
from medkg_dagster_tests.end_to_end.test_kills import (
    MOMENTS,
    PHASES,
    PIPELINE,
    READY,
    Starter,
    at_write_points,
    config_of,
    contents,
    prepared,
    served_records,
    tags_of,
    wait_until_it_has_come_to,
)

JOB = "job-0"
DAEMON = (str(BIN / "dagster-daemon"), "run", "-m", "medkg_dagster.definitions")
# Of the crashes; steps that have processes of their own take longer.
SHARES = {"in_process": 3, "multiprocess": 1}
FORK = multiprocessing.get_context("fork")
CRASHED, RETRIED = 99, 98
"""What a run's process ends with: where it was told to, and where it had to try a step again."""


UNKNOWN_STEP = b"was not known to be in flight"
"""How Dagster fails a run with a step process that ends behind the step's last event."""


class Forks(Starter):
    """Carries out runs in forks of this process, which has loaded all they need.

    Runs in process keep Dagster's own records in memory, which no other run reads; steps that have processes
    of their own need them on disk. Such a process is forked from that of its run.

    Attributes:
        passed: How many write points the last run and its steps have passed.
    """

    def __init__(self, deployment: Running, executor: str) -> None:
        super().__init__(deployment)
        os.environ.update(deployment.environment | {"MEDKG_EXECUTOR": executor})
        from medkg_dagster.definitions import defs

        self._defs = defs
        self._memory = DagsterInstance.ephemeral()
        self._is_in_process = executor == "in_process"
        self.passed = FORK.Value("i")

    def warm(self, records: Path) -> None:
        """Carry out a job in this process, and leave no trace of it in the deployment."""
        aside = Path(shutil.copytree(self.deployment.home, self.deployment.folder / "aside"))
        self.submit("warm", records)
        while (phase := self.due("warm")[1]) is not None:
            self._in_process(phase)
        restore(self.deployment, aside)
        gc.collect()
        gc.freeze()  # what is not looked at by the collector is not copied either

    def carry_out(self, phase: JobPhase, at: int | None = None, delay: float | None = None) -> bool:
        """Run a phase; return whether it was cut short, or a step of it.

        Args:
            phase: The phase.
            at: The write point, counted from 0, at which the process that comes to it ends.
            delay: After how many seconds it is killed, instead of ending there by itself.
        """
        self.passed.value = 0
        log = self.deployment.folder / "runs.log"
        before = log.stat().st_size if log.exists() else 0
        child = os.fork()
        if not child:
            try:
                os.setsid()
                os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
                at_write_points(functools.partial(self._pass_point, at, delay))
                events = self._in_process(phase) if self._is_in_process else self._in_processes(phase)
                os._exit(RETRIED if any(event.is_step_up_for_retry for event in events) else 0)
            finally:
                traceback.print_exc()
                os._exit(1)
        _, status = os.waitpid(child, 0)
        with suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)  # the processes of its steps
        code = os.waitstatus_to_exitcode(status)
        if code == 1 and at is not None and UNKNOWN_STEP in log.read_bytes()[before:]:
            code = CRASHED
        if code not in {0, RETRIED, CRASHED, -signal.SIGALRM}:
            raise AssertionError(f"the run of {phase} ended with {code}; see runs.log")
        return code != 0

    def _pass_point(self, at: int | None, delay: float | None) -> None:
        if signal.getitimer(signal.ITIMER_REAL)[0]:
            return  # it must not be killed while it has the lock
        with self.passed.get_lock():
            number = self.passed.value
            self.passed.value += 1
        if number == at:
            if delay is None:
                os._exit(CRASHED)
            signal.setitimer(signal.ITIMER_REAL, delay)  # nobody handles the signal

    def _in_process(self, phase: JobPhase) -> Sequence[DagsterEvent]:
        tags = tags_of(phase)
        config = config_of(phase.phase, tags)
        job = self._defs.resolve_job_def(phase.phase)
        return job.execute_in_process(instance=self._memory, tags=tags, run_config=config).all_events

    def _in_processes(self, phase: JobPhase) -> Sequence[DagsterEvent]:
        tags = tags_of(phase)
        config = config_of(phase.phase, tags)
        code = ReconstructableRepository.for_module("medkg_dagster.definitions", "defs")
        job = code.get_reconstructable_job(phase.phase)
        with (
            unittest.mock.patch.object(multiprocessing, "get_context", return_value=FORK),
            DagsterInstance.get() as instance,
            execute_job(job, instance, run_config=config, tags=tags, raise_on_error=True) as result,
        ):
            return result.all_events


def state(deployment: Running) -> dict[str, Any]:
    """Return what an undisturbed run and one that was cut short must have in common."""
    key = JobKey(PIPELINE, JOB)
    with deployment.ledger() as ledger:
        job = ledger.jobs.get(key)
        stages = sorted(
            (run.stage, run.status, run.output_count, run.succeeded) for run in ledger.stage_runs.of_job(key)
        )
        phases = sorted((phase.phase, phase.status) for phase in ledger.phases.of_job(key))
        files = sorted((item.document_id, item.sha256, item.size) for item in ledger.files.of_job(key))
    ledger_rows = {"job": (job.status, job.error), "stages": stages, "phases": phases, "records": files}
    return ledger_rows | contents(deployment.home)


def restore(deployment: Running, snapshot: Path) -> None:
    """Bring a deployment's data back to what they were."""
    shutil.rmtree(deployment.home)
    shutil.copytree(snapshot, deployment.home)


def crash(deployment: Running, records: Path, chance: random.Random, number: int, executor: str) -> None:
    """Cut phases short so many times, at each write point once and then at any; the target of a process."""
    starter = Forks(deployment, executor)
    starter.warm(records)
    starter.submit(JOB, records)
    points: dict[str, int] = {}
    before, after = {}, {}
    _, phase = starter.due(JOB)
    while phase is not None:
        name = phase.phase
        before[name] = Path(shutil.copytree(deployment.home, deployment.folder / f"before_{name}"))
        starter.carry_out(phase)
        points[name] = starter.passed.value
        _, phase = starter.due(JOB)
        after[name] = state(deployment)
    print(f"{executor}: write points: {points}", flush=True)
    if set(points) != PHASES or after[name]["job"] != (JobStatus.SUCCEEDED, None):
        raise AssertionError(f"the undisturbed job is not as it should be: {after[name]['job']}")

    crashes: Counter[str] = Counter()
    places = [(name, place) for name, count in points.items() for place in range(count)]
    chance.shuffle(places)
    each_once = iter(places)
    crashed_at = set()
    told = 0
    while crashes.total() < number:
        name, first = next(each_once, None) or chance.choice(places)
        restore(deployment, before[name])
        _, phase = starter.due(JOB)
        then = [
            (chance.randrange(points[name]), chance.choice((None, chance.uniform(0.001, 0.05))))
            for _ in range(chance.choice((0, 1, 2)))
        ]
        to_come: list[tuple[int, float | None]] = [(first, None), *then]
        history = []
        while phase is not None and phase.phase == name:
            place, wait = to_come.pop(0) if to_come else (None, None)
            if starter.carry_out(phase, place, wait):
                history.append((place, wait))
                crashed_at.add((name, place))
                starter.repair(JOB)
            else:
                to_come.clear()  # it had less to do than the first time
            _, phase = starter.due(JOB)
        crashes[name] += len(history)
        found = state(deployment)
        if found != after[name]:
            different = {
                key: (found[key], after[name][key]) for key in found if found[key] != after[name][key]
            }
            raise AssertionError(f"{name} {history}: found and expected are {different}")
        if crashes.total() >= told + 50:
            told = crashes.total()
            print(f"{told} crashes: {dict(crashes)}, {sum(os.times()[:4]):.0f} s", flush=True)
    covered = f"at {len(crashed_at & {*places})} of {len(places)} write points"
    print(f"{executor}: {crashes.total()} crashes {covered}, none of which left a trace: {dict(crashes)}")


def crashes(folder: Path, chance: random.Random, number: int, executor: str) -> None:
    """Have a process without threads, which the server of records needs, cut phases short."""
    deployment = prepared(folder)
    with served_records(folder) as records:
        worker = processes.Process(target=crash, args=(deployment, records, chance, number, executor))
        worker.start()
        worker.join()
    if worker.exitcode:
        raise SystemExit(1)


# A process of a deployment by what its command line holds; the first that fits.
KINDS = {
    "dagster-daemon": "daemon",
    "api grpc": "code server",
    "forkserver": "step, or what forks them",
    "spawn_main": "run worker",
    "medkg submit": "writer",
    "medkg ledger": "writer",
}


def of_deployment(home: Path) -> dict[str, list[int]]:
    """Return the processes of a deployment by kind."""
    found: dict[str, list[int]] = {}
    wanted = f"MEDKG_HOME={home}".encode()
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if wanted in (entry / "environ").read_bytes().split(b"\0"):
                line = (entry / "cmdline").read_text().replace("\0", " ")
                kind = next((kind for sign, kind in KINDS.items() if sign in line), None)
                if kind is not None:
                    found.setdefault(kind, []).append(int(entry.name))
    return found


def kill(folder: Path, chance: random.Random, number: int, executor: str) -> None:
    """Kill so many processes of a deployment that works, then have all its jobs succeed."""
    os.environ["MEDKG_EXECUTOR"] = executor
    deployment = Running(folder)
    deployment.prepare({"ready.yaml": READY}, start_timeout_seconds=20)
    jobs: list[str] = []
    killed: Counter[str] = Counter()
    while killed.total() < number:
        since = time.time()
        with process(deployment, *DAEMON, log="daemon.log") as daemon:
            while daemon.poll() is None and killed.total() < number:
                jobs.append(f"job-{len(jobs)}")
                moment = chance.choice((None, *MOMENTS))
                writers = []
                for words in writes(jobs[-1]):
                    writers.append((words, begun(deployment, words)))
                    if moment is not None:
                        writers[-1][1].wait()
                if moment is not None:
                    wait_until_it_has_come_to(moment, deployment, jobs[-1], since)
                time.sleep(chance.uniform(0.0, 2.0))
                there = of_deployment(deployment.home)
                kind = min(there, key=lambda kind: (killed[kind], chance.random()))
                victim = chance.choice(there[kind])
                with suppress(ProcessLookupError):  # it has ended
                    os.kill(victim, signal.SIGKILL)
                    killed[kind] += 1
                if victim == daemon.pid:
                    daemon.wait()
                for words, writer in writers:
                    while writer.wait():  # a command that was killed is given again
                        writer = begun(deployment, words)  # noqa: PLW2901 - it takes the place of the other
    print(f"{executor}: {killed.total()} kills among {len(jobs)} jobs: {dict(killed)}", flush=True)
    with process(deployment, *DAEMON, log="daemon.log"):
        left = jobs
        while left:
            left = [
                job_id
                for job_id in left
                if deployment.wait_for_job("ready", job_id).status is not JobStatus.SUCCEEDED
            ]
            for job_id in left:
                deployment.medkg("ledger", "retry", f"ready/{job_id}")
    check(deployment, jobs)


def check(deployment: Running, jobs: Sequence[str]) -> None:
    """Raise where jobs that do the same have not made the same, or a phase was started twice."""
    made = set()
    with deployment.ledger() as ledger:
        for job_id in jobs:
            stages = ledger.stage_runs.of_job(JobKey("ready", job_id))
            made.add(tuple(sorted((run.stage, run.status, run.output_count) for run in stages)))
    if len(made) != 1:
        raise AssertionError(f"jobs that do the same have made: {made}")
    with DagsterInstance.from_config(str(deployment.home / "dagster")) as instance:
        runs = Counter(
            (run.job_name, run.tags[PARTITION_TAG], run.tags[ATTEMPT_TAG]) for run in instance.get_runs()
        )
    if set(runs.values()) != {1}:
        raise AssertionError(f"started twice: {[run for run, times in runs.items() if times > 1]}")
    print(f"all {len(jobs)} jobs succeeded, in {len(runs)} runs", flush=True)


def writes(job_id: str) -> Iterator[Sequence[str]]:
    """Yield the commands by which people submit a job and open its gate."""
    yield ("submit", "ready", "--job-id", job_id)
    yield ("ledger", "set", f"ready/{job_id}", "approved=true", "--by", "ann")


def begun(deployment: Running, words: Sequence[str]) -> subprocess.Popen[bytes]:
    """Start a command; it may have to be given again."""
    with (deployment.folder / "commands.log").open("ab") as log:
        return subprocess.Popen(  # noqa: S603 - the checkout's own command
            [str(BIN / "medkg"), *words],
            env=deployment.environment,
            cwd=deployment.folder,
            stdout=log,
            stderr=log,
        )


def main() -> None:
    """Read the arguments, and print the seed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--crashes", type=int, default=1000, help="phases that are cut short")
    parser.add_argument("--kills", type=int, default=100, help="processes of a deployment that are killed")
    parser.add_argument("--seed", default=str(random.SystemRandom().randrange(2**32)))
    parser.add_argument("--folder", type=Path, help="an empty folder that is kept, for a look at what failed")
    parser.add_argument("--executors", nargs="+", choices=EXECUTORS, default=EXECUTORS)
    given = parser.parse_args()
    print(f"seed {given.seed}", flush=True)
    chance = random.Random(given.seed)  # noqa: S311 - guards nothing
    with tempfile.TemporaryDirectory() as made:
        folder = given.folder or Path(made)
        for executor in given.executors:
            if given.crashes:
                number = given.crashes * SHARES[executor] // sum(SHARES[item] for item in given.executors)
                crashes(folder / f"crashes_{executor}", chance, number, executor)
            if given.kills:
                kill(folder / f"kills_{executor}", chance, given.kills // len(given.executors), executor)


if __name__ == "__main__":
    main()
