"""Gates in a deployment of real processes: how soon the next phase starts, and what waiting costs."""

import os
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from benchmarks.figures import Figure, Pair
from medkg_dagster.ledger import GateRule, JobKey, JobLedger, JobStatus, RunIdentity, StageRun
from medkg_dagster.registry import StageFactory
from medkg_dagster.resolution import load_plan
from medkg_dagster.runtime.ledger_job_record import gate_rule
from medkg_dagster_tests.end_to_end.running import Running, served

NAME = "measured"
PIPELINE = f"""\
name: {NAME}
version: "2026-01-01"
stages:
  - {{name: ingest, type: ingest}}
  - {{name: gate_ready, type: gate, depends_on: [ingest]}}
  - {{name: again, type: ingest, depends_on: [gate_ready]}}
gates:
  - {{name: ready, condition: {{field: ready, equals: true}}}}
"""
TICKS = os.sysconf("SC_CLK_TCK")
LATENCY_TARGET = 7.0
NOW_TARGET = 3.0
IDLE_TARGET = 1.2


def measure(
    jobs: int = 20, now_jobs: int = 10, waiting: int = 10_000, idle: float = 60.0
) -> Iterator[Figure]:
    """Measure gate latency and the processor time of waiting, against a deployment where nothing waits.

    Args:
        jobs: Jobs whose field is set.
        now_jobs: Jobs approved with `--now`.
        waiting: Jobs that wait while the deployment idles.
        idle: Seconds of idling measured.
    """
    with tempfile.TemporaryDirectory() as folder:
        deployment = Running(Path(folder))
        deployment.prepare({f"{NAME}.yaml": PIPELINE})
        rule = _rule(deployment)
        with deployment.ledger() as ledger, served(deployment) as _:
            group = _group_of(deployment)
            latencies = sorted(_latency(deployment, ledger, rule, f"set-{n}") for n in range(jobs))
            at_once = sorted(_now(deployment, ledger, rule, f"now-{n}") for n in range(now_jobs))
            none = _cpu_while_idle(group, idle)
            for number in range(waiting):
                _let_wait(ledger, rule, f"waits-{number}")
            time.sleep(15)  # the sensor shows the new jobs once
            many = _cpu_while_idle(group, idle)
    yield Figure.value(
        f"field set to first op, 95th percentile of {jobs}",
        "s",
        _percentile(latencies),
        LATENCY_TARGET,
        f"median {statistics.median(latencies):.2f} s",
    )
    yield Figure.value(
        f"`medkg gate approve --now` to first op, 95th percentile of {now_jobs}",
        "s",
        _percentile(at_once),
        NOW_TARGET,
        f"median {statistics.median(at_once):.2f} s",
    )
    idling = Pair(many * 60, none * 60, many / none, (many - none) * 60)
    title = f"idle deployment, {waiting} jobs wait, against none"
    yield Figure.ratio(title, "s CPU/min", idling, IDLE_TARGET, "daemon, code server, webserver")


def _percentile(values: list[float]) -> float:
    return values[min(len(values) - 1, round(0.95 * len(values)))]


def _rule(deployment: Running) -> GateRule:
    plan = load_plan(deployment.folder / "config", StageFactory.load_plugins())
    return gate_rule(plan.pipelines[0].gates[0])


def _let_wait(ledger: JobLedger, rule: GateRule, job_id: str) -> None:
    ledger.jobs.ensure(JobKey(NAME, job_id), actor="benchmark")
    ledger.gates.arrive(JobKey(NAME, job_id), rule, RunIdentity("benchmark"))


def _latency(deployment: Running, ledger: JobLedger, rule: GateRule, job_id: str) -> float:
    _let_wait(ledger, rule, job_id)
    time.sleep(random.uniform(1, 6))  # noqa: S311 - spreads the changes over the daemon's ticks
    ledger.jobs.set_fields(JobKey(NAME, job_id), {"ready": True}, actor="benchmark")
    return _first_op(deployment, ledger, job_id, time.time())


def _now(deployment: Running, ledger: JobLedger, rule: GateRule, job_id: str) -> float:
    _let_wait(ledger, rule, job_id)
    start = time.time()
    deployment.medkg("gate", "approve", f"{NAME}/{job_id}", "ready", "--by", "b", "--reason", "b", "--now")
    return _first_op(deployment, ledger, job_id, start)


def _first_op(deployment: Running, ledger: JobLedger, job_id: str, start: float) -> float:
    def began() -> StageRun | None:
        runs = ledger.stage_runs.of_job(JobKey(NAME, job_id))
        return runs[0] if runs else None

    run = deployment.wait(f"{job_id} to go on", began)
    deployment.wait_for_job(NAME, job_id, JobStatus.INCOMPLETE)  # what is before the gate never ran
    return datetime.fromisoformat(run.started_at).timestamp() - start


def _group_of(deployment: Running) -> int:
    """Return the process group that serves the deployment."""
    wanted = f"MEDKG_HOME={deployment.home}".encode()
    groups = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if wanted in (process / "environ").read_bytes().split(b"\0"):
                groups.add(os.getpgid(int(process.name)))
        except (OSError, ValueError):
            continue  # it ended, or is not ours to look at
    groups.discard(os.getpgid(0))
    return groups.pop()


def _cpu_while_idle(group: int, seconds: float) -> float:
    """Return processor seconds per second of a process group."""
    before = _cpu(group)
    time.sleep(seconds)
    return (_cpu(group) - before) / seconds


def _cpu(group: int) -> float:
    total = 0.0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            fields = (process / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it ended
        if int(fields[2]) == group:
            total += sum(map(int, fields[11:15])) / TICKS
    return total
