"""Crash a job at its write points and kill the processes of a deployment, at random; `make soak` runs this.

However often it is cut short, a phase that runs again must leave what an undisturbed one leaves: the rows of
index and graph, the files, and how job, phases and stages stand in the ledger.
"""

from __future__ import annotations

import argparse
import multiprocessing.connection
import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from dagster import DagsterInstance

from medkg_dagster.ledger import JobKey, JobPhase, JobStatus
from medkg_dagster.runtime.tags import ATTEMPT_TAG, PARTITION_TAG
from medkg_dagster.settings import EXECUTORS
from medkg_dagster_tests.end_to_end.running import BIN, Running, process
from medkg_dagster_tests.end_to_end.test_kills import (
    CRASHED,
    MOMENTS,
    PHASES,
    PIPELINE,
    READY,
    Starter,
    contents,
    prepared,
    processes,
    run_phase,
    served_records,
    tags_of,
    wait_until_it_has_come_to,
)

JOB = "job-0"
DAEMON = (str(BIN / "dagster-daemon"), "run", "-m", "medkg_dagster.definitions")


def serve_runs(
    environment: Mapping[str, str],
    orders: multiprocessing.connection.Connection,
    told: multiprocessing.connection.Connection,
) -> None:
    """Load the definitions and carry out each run that is ordered in a fork; the target of a process."""
    os.environ.update(environment)
    import medkg_dagster.definitions  # noqa: F401 - it depends on the environment

    with suppress(EOFError):
        while True:
            phase, tags, crash_at = orders.recv()
            child = os.fork()
            if not child:
                try:
                    run_phase({}, phase, tags, told, crash_at)
                    os._exit(0)
                finally:
                    os._exit(1)
            told.send_bytes(f"begun {child}".encode())
            _, status = os.waitpid(child, 0)
            told.send_bytes(f"ended {os.waitstatus_to_exitcode(status)}".encode())


class ForkingStarter(Starter):
    """Starts runs in forks of one process, which spares each of them the imports."""

    def __init__(self, deployment: Running) -> None:
        super().__init__(deployment)
        orders, self._orders = processes.Pipe(duplex=False)
        self._told, told = processes.Pipe(duplex=False)
        self._server = processes.Process(target=serve_runs, args=(deployment.environment, orders, told))
        self._server.start()

    def start(
        self, phase: JobPhase, kill_at: int | None = None, crash_at: int | None = None
    ) -> tuple[bool, int]:
        """Run a phase, see `Starter.start`; what a run that is cut short has started ends with it."""
        self._orders.send((phase.phase, tags_of(phase), crash_at))
        points, child = 0, 0
        while True:
            if child and kill_at is not None and points >= kill_at:
                os.kill(child, signal.SIGKILL)
                kill_at = None
            what, _, number = self._told.recv_bytes().partition(b" ")
            if what == b"begun":
                child = int(number)
            elif what == b"ended":
                with suppress(ProcessLookupError):
                    os.killpg(child, signal.SIGKILL)
                if int(number) not in {0, CRASHED, -signal.SIGKILL}:
                    raise AssertionError(f"the run of {phase} ended with {int(number)}")
                return int(number) != 0, points
            else:
                points += 1

    def close(self) -> None:
        """End the process."""
        self._orders.close()
        self._server.join()


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


def crash(folder: Path, chance: random.Random, number: int) -> None:
    """Cut phases short so many times: three of four by themselves at a write point, else killed after one."""
    deployment = prepared(folder / "deployment")
    with served_records(folder) as records, closing(ForkingStarter(deployment)) as starter:
        deployment.create_storages()
        starter.submit(JOB, records)
        points: dict[str, int] = {}
        before, after = {}, {}
        _, phase = starter.due(JOB)
        while phase is not None:
            name = phase.phase
            before[name] = Path(shutil.copytree(deployment.home, folder / f"before_{name}"))
            _, points[name] = starter.start(phase)
            _, phase = starter.due(JOB)
            after[name] = state(deployment)
        print(f"write points: {points}", flush=True)
        if set(points) != PHASES or after[name]["job"] != (JobStatus.SUCCEEDED, None):
            raise AssertionError(f"the undisturbed job is not as it should be: {after[name]['job']}")

        crashes: Counter[str] = Counter()
        while crashes.total() < number:
            name = chance.choices(list(points), list(points.values()))[0]
            restore(deployment, before[name])
            _, phase = starter.due(JOB)
            history: list[tuple[str, int | None]] = []
            limit = chance.choice((1, 1, 1, 2, 3))
            while phase is not None and phase.phase == name:
                place = chance.randrange(points[name]) if len(history) < limit else None
                is_kill = bool(chance.randrange(4) == 0)
                cut, _ = starter.start(phase, place if is_kill else None, None if is_kill else place)
                if cut:
                    history.append(("killed after" if is_kill else "crashed at", place))
                    starter.repair(JOB)
                elif place is not None:
                    limit = len(history)  # it had less to do than the first time
                _, phase = starter.due(JOB)
            crashes[name] += len(history)
            found = state(deployment)
            if found != after[name]:
                different = {
                    key: (found[key], after[name][key]) for key in found if found[key] != after[name][key]
                }
                raise AssertionError(f"{name} {history}: found and expected are {different}")
            if crashes.total() // 50 != (crashes.total() - len(history)) // 50:
                print(f"{crashes.total()} crashes: {dict(crashes)}", flush=True)
    print(f"{crashes.total()} crashes, none of which left a trace: {dict(crashes)}")


def of_deployment(home: Path) -> list[int]:
    """Return the processes of a deployment: daemon, code server, run workers, steps and commands."""
    found = []
    wanted = f"MEDKG_HOME={home}".encode()
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if wanted in (entry / "environ").read_bytes().split(b"\0") and int(entry.name) != os.getpid():
                found.append(int(entry.name))
    return found


def kill(folder: Path, chance: random.Random, number: int, executor: str) -> None:
    """Kill so many processes of a deployment that works, then have all its jobs succeed."""
    os.environ["MEDKG_EXECUTOR"] = executor
    deployment = Running(folder)
    deployment.prepare({"ready.yaml": READY}, start_timeout_seconds=20)
    deployment.create_storages()
    jobs: list[str] = []
    killed: Counter[str] = Counter()
    while killed.total() < number:
        since = time.time()
        with process(deployment, *DAEMON, log="daemon.log") as daemon:
            while daemon.poll() is None and killed.total() < number:
                jobs.append(f"job-{len(jobs)}")
                submission, approval = writes(jobs[-1])
                begun(deployment, submission).wait()
                setting = begun(deployment, approval)
                moment = chance.choice((None, *MOMENTS))
                if moment is not None:
                    setting.wait()
                    wait_until_it_has_come_to(moment, deployment, jobs[-1], since)
                time.sleep(chance.uniform(0.0, 2.0))
                victim = chance.choice(of_deployment(deployment.home))
                with suppress(OSError):  # it may have ended
                    line = Path(f"/proc/{victim}/cmdline").read_text().replace("\0", " ")
                    os.kill(victim, signal.SIGKILL)
                    killed[shown(line)] += 1
                if victim == daemon.pid:
                    daemon.wait()
                setting.wait()
    print(f"{executor}: {killed.total()} kills among {len(jobs)} jobs: {dict(killed)}", flush=True)
    for job_id in jobs:  # a command that was killed is given again
        for words in writes(job_id):
            begun(deployment, words).wait()
    with process(deployment, *DAEMON, log="daemon.log"):
        for job_id in jobs:
            while deployment.wait_for_job("ready", job_id).status is not JobStatus.SUCCEEDED:
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


def shown(line: str) -> str:
    """Name a process by what tells it from the others."""
    known = (
        "dagster-daemon",
        "grpc",
        "execute_run",
        "spawn_main",
        "forkserver",
        "resource_tracker",
        "submit",
        "set",
    )
    return next((name for name in known if name in line), line[:60])


@contextmanager
def scratch(keep: Path | None) -> Iterator[Path]:
    """Give the folder that is named, or one that is gone afterwards."""
    if keep is not None:
        yield keep
    else:
        with tempfile.TemporaryDirectory() as made:
            yield Path(made)


def main() -> None:
    """Read the arguments, and print the seed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--crashes", type=int, default=1000, help="phases that are cut short")
    parser.add_argument("--kills", type=int, default=100, help="processes of a deployment that are killed")
    parser.add_argument("--seed", default=str(random.SystemRandom().randrange(2**32)))
    parser.add_argument("--folder", type=Path, help="an empty folder that is kept, for a look at what failed")
    given = parser.parse_args()
    print(f"seed {given.seed}", flush=True)
    chance = random.Random(given.seed)  # noqa: S311 - guards nothing
    with scratch(given.folder) as folder:
        if given.crashes:
            crash(folder / "crashes", chance, given.crashes)
        for executor in EXECUTORS if given.kills else ():
            kill(folder / executor, chance, given.kills // len(EXECUTORS), executor)


if __name__ == "__main__":
    main()
