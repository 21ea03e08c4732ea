"""Processes killed at moments drawn at random: what is left behind is repaired by running again."""

from __future__ import annotations

import hashlib
import json
import multiprocessing.connection
import os
import random
import shutil
import signal
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from dagster import DagsterEventType, DagsterInstance, DagsterRunStatus, RunsFilter
from sqlalchemy import Connection, Engine, event

from medkg_dagster.ledger import (
    Job,
    JobKey,
    JobLedger,
    JobPhase,
    JobStatus,
    PhaseStatus,
    RunIdentity,
    RunStatus,
    StageStatus,
)
from medkg_dagster.registry import StageFactory
from medkg_dagster.resolution import load_plan
from medkg_dagster.resolution.plan import PipelinePlan
from medkg_dagster.runtime.ledger_job_record import gate_rule
from medkg_dagster.runtime.tags import ATTEMPT_TAG, JOB_TAG, PARTITION_TAG, PIPELINE_TAG
from medkg_dagster_tests.end_to_end.faulty_service import FaultyService, silent
from medkg_dagster_tests.end_to_end.running import (
    BIN,
    ENDED,
    PATIENCE,
    REPOSITORY,
    Running,
    file_server,
    forked,
    process,
    processes,
)

PIPELINE = "pdf-two-phase"
CONVERSION = "pdf_conversion"
FIRST = "pdf_two_phase"
BEHIND = "pdf_two_phase__after_pdf_ir_ready"
PHASES = {FIRST, CONVERSION, BEHIND}
# `make soak` asks for more.
KILLS_OF_EACH_PHASE = int(os.environ.get("MEDKG_TEST_KILLS", "1"))
PDFS = REPOSITORY / "medkg_dagster" / "corpus" / "documents" / "pdfs"
_VOLATILE = {"number", "chunk", "rowid", "at", "segment", "place"}


def at_write_points(act: Callable[[], None]) -> None:
    """Have this process act before each of its writes that others can see from then on.

    They are the commits of databases, Dagster's among them, and files that get or lose a name.
    """

    def committing(connection: Connection) -> None:
        changes = getattr(connection.connection.driver_connection, "total_changes", None)
        if changes != connection.info.get("changes", 0):
            connection.info["changes"] = changes
            act()

    def named(what: str, _arguments: object) -> None:
        if what in {"os.rename", "os.remove"}:  # `os.replace` tells of itself as the former
            act()

    event.listen(Engine, "commit", committing)
    sys.addaudithook(named)


def run_phase(
    environment: Mapping[str, str],
    phase: str,
    tags: Mapping[str, str],
    told: multiprocessing.connection.Connection,
) -> None:
    """Carry out the run of a phase as a run worker does; the target of a process of its own.

    Args:
        environment: Environment variables of the deployment.
        phase: Whose run it is.
        tags: The tags of the run.
        told: Is told of each write point.
    """
    os.setsid()
    os.environ.update(environment)
    from medkg_dagster.definitions import defs

    def pass_point() -> None:
        with suppress(BrokenPipeError):  # nobody listens to what a killed process has left behind
            told.send_bytes(b".")

    job = defs.resolve_job_def(phase)
    at_write_points(pass_point)
    with DagsterInstance.get() as instance:
        job.execute_in_process(
            instance=instance, tags=dict(tags), run_config=config_of(phase, tags), raise_on_error=False
        )


def config_of(phase: str, tags: Mapping[str, str]) -> dict[str, Any]:
    """Return the config of a phase's run with such tags."""
    if phase != CONVERSION:
        return {}
    place = {"pipeline": tags[PIPELINE_TAG], "job_id": tags[JOB_TAG], "workers": 1}
    return {"ops": {"convert_pdfs": {"config": place}}}


def tags_of(phase: JobPhase) -> dict[str, str]:
    """Return the tags of a phase's run."""
    place = JOB_TAG if phase.phase == CONVERSION else PARTITION_TAG
    return {place: phase.job_id, PIPELINE_TAG: PIPELINE, ATTEMPT_TAG: str(phase.attempt)}


class Starter:
    """Starts what is due as the daemon does, and kills it where it is told to."""

    def __init__(self, deployment: Running) -> None:
        self.deployment = deployment
        settings = deployment.folder / "config"
        plan = load_plan(settings, StageFactory.load_plugins())
        self.pipeline: PipelinePlan = next(item for item in plan.pipelines if item.name == PIPELINE)
        self.rule = gate_rule(self.pipeline.gates[0])

    def submit(self, job_id: str, records: Path) -> None:
        request = {
            "adapter": "files",
            "params": {"path": str(records)},
            "stages": {"download": {"allow_private_hosts": ["127.0.0.1"]}},
        }
        with self.deployment.ledger() as ledger:
            ledger.phases.submit(JobKey(PIPELINE, job_id), FIRST, request, actor="test")

    def due(self, job_id: str) -> tuple[Job, JobPhase | None]:
        """Look at the gate as its sensor does until the job has ended or there is something to start."""

        def look() -> tuple[Job, JobPhase | None] | None:
            with self.deployment.ledger() as ledger:
                # Does nothing until the gate's `poll_interval_seconds` have passed since the last review.
                ledger.gates.review(PIPELINE, self.rule)
                phases = ledger.phases.of_job(JobKey(PIPELINE, job_id))
                job = ledger.jobs.get(JobKey(PIPELINE, job_id))
            due = next((phase for phase in phases if phase.status is PhaseStatus.DUE), None)
            return (job, due) if due is not None or job.status in ENDED else None

        return self.deployment.wait(f"{job_id} to end or to have a phase that is due", look)

    def start(self, phase: JobPhase, kill_at: int | None = None) -> tuple[bool, int]:
        """Run a phase; return whether it was cut short, and how many write points it had told of.

        Args:
            phase: The phase.
            kill_at: The process is killed as soon as it has told of so many write points.
        """
        listening, told = processes.Pipe(duplex=False)
        arguments = (self.deployment.environment, phase.phase, tags_of(phase), told)
        worker = processes.Process(target=run_phase, args=arguments)
        worker.start()
        told.close()
        points = 0
        with listening, suppress(EOFError):  # the end of the process, and of what it has started
            while points != kill_at:
                listening.recv_bytes()
                points += 1
            worker.kill()
        worker.join()
        assert worker.exitcode in {0, -signal.SIGKILL}, phase
        return worker.exitcode != 0, points

    def repair(self, job_id: str) -> None:
        """Do what the sensor of failed runs and then `medkg ledger retry` do after a kill."""
        with self.deployment.ledger() as ledger:
            key = JobKey(PIPELINE, job_id)
            phases = {phase.phase: phase for phase in ledger.phases.of_job(key)}
            runs = {run.run_id: run for run in ledger.runs.of_job(key)}
            at_work = {run.run_id: run.job_name for run in runs.values() if run.status is RunStatus.STARTED}
            # The ledger hears of a run's phase before it does of the run.
            begun = {
                phase.run_id: name for name, phase in phases.items() if phase.run_id not in {None, *runs}
            }
            for run_id, job_name in (at_work | begun).items():
                phase = phases[job_name]
                identity = RunIdentity(str(run_id), phase.attempt, job_name=job_name)
                job = ledger.runs.end(key, identity, RunStatus.FAILED, "killed")
                if phase.is_work:
                    if job.status is JobStatus.WAITING and job.error:
                        ledger.phases.plan_work(key, CONVERSION, actor="test")
                elif job.status is JobStatus.FAILED:
                    rule = self.rule if phase.gate else None
                    ledger.phases.retry(key, phase.phase, rule, actor="test", reason="killed")


@pytest.fixture
def records(tmp_path: Path) -> Iterator[Path]:
    with served_records(tmp_path) as file:
        yield file


@contextmanager
def served_records(folder: Path) -> Iterator[Path]:
    """Give a file with the records of the bundled PDFs, which a loopback server has."""
    shutil.copytree(PDFS, folder / "served")
    with file_server(folder / "served") as address:
        listed = [
            {"doi": f"10.5555/kill.{path.stem}", "title": path.stem, "pdf_url": f"{address}/{path.name}"}
            for path in sorted(PDFS.glob("*.pdf"))
        ]
        file = folder / "records.json"
        file.write_text(json.dumps(listed))
        yield file


def prepared(folder: Path) -> Running:
    deployment = Running(folder)
    shipped = REPOSITORY / "config" / "orchestration" / "pipelines" / "pdf-two-phase.yaml"
    eager = shipped.read_text().replace("poll_interval_seconds: 1\n", "poll_interval_seconds: 0.01\n")
    deployment.prepare({"pdf-two-phase.yaml": eager})
    return deployment


def complete(starter: Starter, job_id: str) -> tuple[Job, dict[str, int]]:
    """Run a job undisturbed to its end; return it with the write points of each phase."""
    points: dict[str, int] = {}
    while True:
        job, phase = starter.due(job_id)
        if phase is None:
            return job, points
        points[phase.phase] = starter.start(phase)[1]


def test_kills_of_every_phase_leave_the_stores_of_an_undisturbed_run(
    tmp_path: Path, records: Path, chance: random.Random
) -> None:
    calm = Starter(prepared(tmp_path / "calm"))
    calm.submit("job-0", records)
    job, points = complete(calm, "job-0")
    assert job.status is JobStatus.SUCCEEDED
    kills: Counter[str] = Counter()
    number = 0
    killed = Starter(prepared(tmp_path / "killed"))
    killed.submit("job-0", records)
    while min(kills[phase] for phase in PHASES) < KILLS_OF_EACH_PHASE:
        job, phase = killed.due(f"job-{number}")
        if phase is None:
            assert job.status is JobStatus.SUCCEEDED, job
            number += 1
            killed.submit(f"job-{number}", records)
            continue
        is_due = kills[phase.phase] < KILLS_OF_EACH_PHASE
        was_killed, told = killed.start(phase, chance.randrange(points[phase.phase]) if is_due else None)
        if was_killed:
            kills[phase.phase] += 1
            killed.repair(f"job-{number}")
        else:
            points[phase.phase] = told or 1  # fewer, where it finds most of its work done
    jobs = [complete(killed, f"job-{index}")[0] for index in range(number + 1)]

    print(f"{dict(kills)} in {number + 1} jobs")
    assert {job.status for job in jobs} == {JobStatus.SUCCEEDED}
    assert contents(killed.deployment.home) == contents(calm.deployment.home)
    assert_whole(killed.deployment.home)


READY = """\
name: ready
version: "2026-01-01"
stages:
  - {name: ingest, type: ingest, config: {params: {include: ["trials/*"]}}}
  - {name: parse, type: parse, depends_on: [ingest]}
  - {name: gate_approval, type: gate, depends_on: [parse]}
  - {name: ir_validation, type: ir-validation, depends_on: [gate_approval]}
gates:
  - {name: approval, condition: {field: approved, equals: true}}
"""
# How far a job has come when the daemon crashes: runs that it has, and stages that have begun.
MOMENTS = ((0, 0), (1, 0), (1, 1), (1, 2), (2, 2), (2, 3))
CRASHES = 1  # the process kills of `make soak` are more


def test_crashes_of_daemon_and_runs_start_no_phase_twice_and_lose_no_job(
    tmp_path: Path, chance: random.Random
) -> None:
    deployment = Running(tmp_path)
    # A run whose daemon died before its process began is not waited for long.
    deployment.prepare({"ready.yaml": READY}, start_timeout_seconds=20)
    jobs = [f"job-{number}" for number in range(CRASHES)]
    daemon = [str(BIN / "dagster-daemon"), "run", "-m", "medkg_dagster.definitions"]
    for job_id, moment in zip(jobs, chance.sample(MOMENTS, CRASHES), strict=True):
        deployment.medkg("submit", "ready", "--job-id", job_id)
        deployment.medkg("ledger", "set", f"ready/{job_id}", "approved=true", "--by", "ann")
        begun = time.time()
        with process(deployment, *daemon, log="daemon.log") as started:
            wait_until_it_has_come_to(moment, deployment, job_id, begun)
            os.killpg(started.pid, signal.SIGKILL)  # the daemon, its code server and every run at work

    with process(deployment, *daemon, log="daemon.log"):
        for job_id in jobs:
            while deployment.wait_for_job("ready", job_id).status is not JobStatus.SUCCEEDED:
                deployment.medkg("ledger", "retry", f"ready/{job_id}")

    with DagsterInstance.from_config(str(deployment.home / "dagster")) as instance:
        runs = Counter(
            (run.job_name, run.tags[PARTITION_TAG], run.tags[ATTEMPT_TAG]) for run in instance.get_runs()
        )
        assert not instance.get_runs(filters=RunsFilter(statuses=[DagsterRunStatus.STARTED]))
    assert set(runs.values()) == {1}, runs
    assert {job_id for _, job_id, _ in runs} == set(jobs)


def wait_until_it_has_come_to(
    moment: tuple[int, int], deployment: Running, job_id: str, begun: float
) -> None:
    """Wait until a daemon that began at a time calls sensors, and a job has come so far or has ended."""
    key = JobKey("ready", job_id)
    with (
        DagsterInstance.from_config(str(deployment.home / "dagster")) as instance,
        deployment.ledger() as ledger,
    ):

        def look() -> bool | None:
            beat = instance.get_daemon_heartbeats().get("SENSOR")
            if beat is None or beat.timestamp < begun:
                return None
            runs = instance.get_runs(filters=RunsFilter(tags={PARTITION_TAG: job_id}))
            come_to = (len(runs), len(ledger.stage_runs.of_job(key)))
            has_come = all(there >= wanted for there, wanted in zip(come_to, moment, strict=True))
            return has_come or ledger.jobs.get(key).status in ENDED or None

        deployment.wait(f"{job_id} to come to {moment}", look)


def contents(home: Path) -> dict[str, Any]:
    """Return what a deployment has made, without row numbers, times and job ids."""
    return {
        "files": sorted(path.name for path in (home / "files").glob("*/*") if not path.name.startswith(".")),
        **{name: tables(home / name) for name in ("index.sqlite", "graph.sqlite")},
    }


def tables(database: Path) -> dict[str, list[str]]:
    with closing(sqlite3.connect(database)) as connection:
        names = [
            name
            for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            if name != "segments" and not name.startswith("sqlite_")
        ]
        found = {}
        for name in names:
            cursor = connection.execute(f"SELECT * FROM {name}")
            columns = [column[0] for column in cursor.description]
            kept = [index for index, column in enumerate(columns) if column not in _VOLATILE]
            found[name] = sorted(repr([row[index] for index in kept]) for row in cursor)
    return found


def assert_whole(home: Path) -> None:
    """Nothing stands under a final name that is not whole."""
    for path in (home / "files").glob("*/*.pdf"):
        assert hashlib.sha256(path.read_bytes()).hexdigest() == path.stem
    for path in (home / "files").glob("*/*.json"):
        json.loads(path.read_bytes())
    with JobLedger.open(home) as ledger:
        for record in ledger.files.of_job(JobKey(PIPELINE, "job-0")):
            assert (home / str(record.path)).stat().st_size == record.size


STEPS = """\
name: steps
version: "2026-01-01"
stages:
  - name: ingest
    type: ingest
    config: {{adapter: clinicaltrials, params: {{query_cond: melanoma, base_url: "{url}/api/v2"}}}}
  - {{name: parse, type: parse, depends_on: [ingest]}}
  - {{name: chunk, type: chunk, depends_on: [parse]}}
"""


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="step processes are looked up in /proc")
def test_a_killed_step_process_is_tried_again_as_its_policy_says(tmp_path: Path) -> None:
    deployment = Running(tmp_path)
    with FaultyService(first=[silent]) as service:
        deployment.prepare({"steps.yaml": STEPS.format(url=service.url)})
        environment = deployment.environment | {"MEDKG_EXECUTOR": "multiprocess"}
        command = ("dagster", "job", "execute", "-m", "medkg_dagster.definitions", "-j", "steps")

        worker = forked(command, environment, tmp_path, tmp_path / "run.log")
        assert worker.pid is not None
        leader = worker.pid
        deployment.wait("a step that waits for an answer", lambda: service.paths or None)
        victim = deployment.wait("its process", lambda: step_process(leader))
        os.kill(victim, signal.SIGKILL)
        worker.join(PATIENCE)
    assert worker.exitcode == 0, (tmp_path / "run.log").read_text()[-2000:]

    with DagsterInstance.from_config(str(deployment.home / "dagster")) as instance:
        (run,) = instance.get_runs()
        retried = instance.all_logs(run.run_id, of_type=DagsterEventType.STEP_UP_FOR_RETRY)
    assert len(retried) == 1
    with deployment.ledger() as ledger:
        assert ledger.jobs.get(JobKey("steps", "default")).status is JobStatus.SUCCEEDED
        assert {run.status for run in ledger.stage_runs.of_job(JobKey("steps", "default"))} == {
            StageStatus.FINISHED
        }


def step_process(worker: int) -> int | None:
    """Return a process that carries out a step for a worker: a child of its fork server."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it ended
        if int(fields[2]) == worker and fields[0] != "Z":
            parents[int(entry.name)] = int(fields[1])
    servers = {pid for pid, parent in parents.items() if parent == worker}
    return next((pid for pid, parent in parents.items() if parent in servers), None)
