"""A deployment of many processes, disturbed, against one process; `make test-cluster` runs this.

PostgreSQL has Dagster's storage and the ledger, Redis is the broker of two workers of Celery, and code
server, daemon and webserver run beside them. Jobs of a pipeline without and of one with a gate are
submitted. One worker is killed with all its processes, and PostgreSQL is stopped and started again. At the
end, index and graph hold what they hold where one process does the same.
"""

from __future__ import annotations

import argparse
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from dagster import DagsterInstance

from medkg_dagster.compiler.compile_plan import compile_plan
from medkg_dagster.io.child_process import ChildProcess
from medkg_dagster.ledger import JobKey, JobLedger, JobStatus
from medkg_dagster.registry import StageFactory
from medkg_dagster.resolution import load_plan
from medkg_dagster.runtime.tags import PARTITION_TAG
from medkg_dagster.settings import Settings
from medkg_dagster_tests.compiler.deployment import instance_in_memory
from medkg_dagster_tests.end_to_end.running import BIN, ENDED, Running, answers, free_port, process
from medkg_dagster_tests.end_to_end.shipped_pipeline import rows_in, write_article
from medkg_dagster_tests.postgresql import as_ordinary_user, find_program
from medkg_dagster_tests.redis import redis_server

PLAIN, GATED = "plain", "gated"
GATE = "review"
STAGES = """\
name: {name}
version: "2026-01-01"
stages:
  - {{name: ingest, type: ingest, config: {{adapter: files}}}}
  - {{name: parse, type: parse, depends_on: [ingest]}}
  - {{name: ir_validation, type: ir-validation, depends_on: [parse]}}
{gate}  - {{name: chunk, type: chunk, depends_on: [{before}]}}
  - {{name: embed, type: embed, depends_on: [chunk]}}
  - {{name: index, type: index, depends_on: [embed]}}
  - {{name: extract, type: extract, depends_on: [ir_validation{after}]}}
  - {{name: kg, type: knowledge-graph, depends_on: [extract, index]}}
"""
GATE_STAGE = "  - {name: gate_review, type: gate, depends_on: [ir_validation]}\n"
GATES = """\
gates:
  - name: review
    condition: {field: review.approved, equals: true, timeout_seconds: 86400}
"""
PIPELINES = {
    "plain.yaml": STAGES.format(name=PLAIN, gate="", before="ir_validation", after=""),
    "gated.yaml": STAGES.format(name=GATED, gate=GATE_STAGE, before="gate_review", after=", gate_review")
    + GATES,
}
INSTANCE = """
storage:
  postgres:
    postgres_url: {env: CLUSTER_DAGSTER_URL}
"""
CODE = "location_name: medkg_dagster"


@dataclass(frozen=True)
class Cluster(Running):
    """A deployment on PostgreSQL and Celery.

    Attributes:
        database: The port of PostgreSQL.
        broker: The URL of the broker.
        code: The port of the code server.
    """

    database: int = 0
    broker: str = ""
    code: int = 0

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables of every process."""
        at = f"medkg@127.0.0.1:{self.database}"
        return super().environment | {
            "MEDKG_EXECUTOR": "celery",
            "MEDKG_CELERY_BROKER": self.broker,
            "MEDKG_LEDGER_URL": f"postgresql://{at}/medkg",
            "MEDKG_SHARED_HOME": "1",
            "CLUSTER_DAGSTER_URL": f"postgresql+psycopg2://{at}/dagster",
        }

    def ledger(self) -> JobLedger:
        """Open the ledger."""
        return JobLedger.of(Settings.from_environment(self.environment))


class PostgreSQL:
    """A server in a folder, which can be stopped and started again."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        programs = {name: find_program(name) for name in ("initdb", "postgres", "createdb")}
        missing = [name for name, found in programs.items() if found is None]
        if missing:
            sys.exit(
                f"no {' and no '.join(missing)}: install PostgreSQL, as with `apt-get install postgresql`"
            )
        self._programs = {name: found for name, found in programs.items() if found}
        self._folder = folder
        if os.geteuid() == 0:
            shutil.chown(folder, "nobody", "nogroup")
        made = ["-D", f"{folder}/data", "-U", "medkg", "-A", "trust", "-E", "UTF8", "--no-locale"]
        self._do("initdb", *made)
        self.start()
        for name in ("dagster", "medkg"):
            self._do("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "medkg", name)

    def _do(self, program: str, *arguments: str) -> None:
        command = as_ordinary_user([self._programs[program], *arguments])
        subprocess.run(command, check=True, capture_output=True, cwd=self._folder)  # noqa: S603 - our own command

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        options = {"port": self.port, "listen_addresses": "127.0.0.1", "max_connections": 300}
        options |= {"unix_socket_directories": self._folder}
        given = [f"-c{name}={value}" for name, value in options.items()]
        command = [self._programs["postgres"], "-D", f"{self._folder}/data", *given]
        nowhere = subprocess.DEVNULL
        self._process = ChildProcess(as_ordinary_user(command), stdout=nowhere, stderr=nowhere)
        status = self._folder / "data" / "postmaster.pid"
        wait("PostgreSQL", lambda: status.is_file() and status.read_text().rstrip().endswith("ready"), 60)

    def stop(self) -> None:
        """Stop it as a machine does that is shut down: whoever is connected is cut off."""
        pid = int((self._folder / "data" / "postmaster.pid").read_text().splitlines()[0])
        os.kill(pid, signal.SIGINT)
        self._process.wait(60)


def wait(what: str, look: object, seconds: float) -> None:
    """Look until it is so."""
    deadline = time.monotonic() + seconds
    while not look():  # type: ignore[operator]
        if time.monotonic() > deadline:
            sys.exit(f"waited {seconds:.0f} s for {what}")
        time.sleep(0.2)


def jobs_of(number: int) -> list[JobKey]:
    """Return the jobs: one in four waits at a gate."""
    return [JobKey(GATED if index % 4 == 3 else PLAIN, f"job-{index:02}") for index in range(number)]


def folder_of(papers: Path, key: JobKey) -> Path:
    """Return where the documents of a job are."""
    return papers / key.job_id


@contextmanager
def services(cluster: Cluster) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Run two workers, code server, daemon and webserver; give the workers."""
    workspace = cluster.folder / "workspace.yaml"
    server = f"{{host: 127.0.0.1, port: {cluster.code}, {CODE}}}"
    workspace.write_text(f"load_from: [{{grpc_server: {server}}}]\n")
    port = free_port()
    on_code = ("-m", "medkg_dagster.definitions", "--host", "127.0.0.1", "--port", str(cluster.code))
    beside = ("-w", str(workspace))
    commands = {
        "code": ("dagster", "api", "grpc", *on_code),
        "webserver": ("dagster-webserver", *beside, "--host", "127.0.0.1", "--port", str(port)),
        "daemon": ("dagster-daemon", "run", *beside),
    }
    worker = ("celery", "-A", "medkg_dagster.celery_worker", "worker", "--concurrency", "1", "-l", "info")
    with ExitStack() as stack:
        for name, command in commands.items():
            started = (str(BIN / command[0]), *command[1:])
            stack.enter_context(process(cluster, *started, log=f"{name}.log"))
            if name == "webserver":
                wait("the webserver", lambda: answers(f"http://127.0.0.1:{port}"), 120)
        yield [
            stack.enter_context(
                process(cluster, str(BIN / worker[0]), *worker[1:], "-n", f"{name}@%h", log=f"{name}.log")
            )
            for name in ("one", "two")
        ]


def submit(ledger: JobLedger, key: JobKey, papers: Path) -> None:
    """Ask for a job as `medkg submit` does."""
    request = {"adapter": "files", "params": {"path": str(folder_of(papers, key))}}
    ledger.phases.submit(key, key.pipeline, request, actor="cluster")


def drive(ledger: JobLedger, keys: list[JobKey], retried: Counter[JobKey]) -> Counter[str]:
    """Approve what waits, retry what failed, as people would; return how many jobs are in which status."""
    found: Counter[str] = Counter()
    for key in keys:
        job = ledger.jobs.get(key)
        found[job.status.value] += 1
        if job.status is JobStatus.WAITING and not job.fields.get("review.approved"):
            ledger.jobs.set_fields(key, {"review.approved": True}, actor="cluster")
        elif job.status is JobStatus.FAILED and retried[key] < 3:
            retried[key] += 1
            subprocess.run([str(BIN / "medkg"), "ledger", "retry", str(key)], check=True)  # noqa: S603 - our own command
    return found


def disturbed(folder: Path, papers: Path, keys: list[JobKey]) -> Path:
    """Run the jobs on the cluster, and disturb it; return its home."""
    at_rest = tempfile.mkdtemp(prefix="medkg-pg-")
    database = PostgreSQL(Path(at_rest))
    redis = folder / "redis"
    redis.mkdir()
    try:
        with redis_server(redis) as broker:
            cluster = Cluster(folder, database.port, broker, free_port())
            cluster.prepare(PIPELINES)
            settings = cluster.home / "dagster" / "dagster.yaml"
            settings.write_text(settings.read_text() + INSTANCE)
            os.environ.update(cluster.environment)
            with DagsterInstance.get() as instance:
                instance.get_runs(limit=1)
            with services(cluster) as workers:
                run_all(cluster, database, workers, papers, keys)
            return cluster.home
    finally:
        database.stop()
        shutil.rmtree(at_rest, ignore_errors=True)


def run_all(
    cluster: Cluster,
    database: PostgreSQL,
    workers: list[subprocess.Popen[bytes]],
    papers: Path,
    keys: list[JobKey],
) -> None:
    """Submit the jobs, kill a worker after a quarter of them, restart PostgreSQL after half of them."""
    with cluster.ledger() as ledger:
        for key in keys:
            submit(ledger, key, papers)
    retried: Counter[JobKey] = Counter()
    pending = {len(keys) // 4: "worker", len(keys) // 2: "database"}
    began, told = time.monotonic(), 0.0
    while True:
        with cluster.ledger() as ledger:
            found = drive(ledger, keys, retried)
        done = found[JobStatus.SUCCEEDED.value]
        if time.monotonic() - told > 20:
            told = time.monotonic()
            print(f"{told - began:.0f} s: {dict(found)}", flush=True)
        for after in [after for after in pending if done >= after]:
            what = pending.pop(after)
            print(f"{time.monotonic() - began:.0f} s: {done} jobs done; the {what} goes", flush=True)
            if what == "worker":
                os.killpg(workers[0].pid, signal.SIGKILL)
            else:
                database.stop()
                time.sleep(3)
                database.start()
        if sum(found[status.value] for status in ENDED) == len(keys) and not found[JobStatus.FAILED.value]:
            break
        if time.monotonic() - began > 1500:
            sys.exit(f"not done in time: {dict(found)}; see the logs in {cluster.folder}")
        time.sleep(1)
    print(f"{time.monotonic() - began:.0f} s: {dict(found)}; retried by hand: {sum(retried.values())}")
    if done != len(keys):
        sys.exit("not all jobs succeeded")


def undisturbed(folder: Path, papers: Path, keys: list[JobKey]) -> Path:
    """Run the jobs in this process; return its home."""
    for name in ("MEDKG_LEDGER_URL", "MEDKG_EXECUTOR", "MEDKG_SHARED_HOME", "MEDKG_CELERY_BROKER"):
        os.environ.pop(name, None)
    one = Running(folder)
    one.prepare(PIPELINES)
    settings = Settings(one.home, folder / "config")
    factory = StageFactory.load_plugins()
    definitions = compile_plan(load_plan(settings.config, factory), factory, settings)
    with instance_in_memory() as instance, JobLedger.of(settings) as ledger:
        for key in keys:
            submit(ledger, key, papers)
            for job in (key.pipeline, *([f"{key.pipeline}__after_{GATE}"] if key.pipeline == GATED else ())):
                if job != key.pipeline:
                    ledger.jobs.set_fields(key, {"review.approved": True}, actor="cluster")
                tags = {PARTITION_TAG: key.job_id, "medkg/pipeline": key.pipeline}
                definitions.resolve_job_def(job).execute_in_process(instance=instance, tags=tags)
    return one.home


def main() -> None:
    """Run both, and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=40)
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="medkg-cluster-"))
    papers, keys = folder / "papers", jobs_of(given.jobs)
    for index, key in enumerate(keys):
        for number in range(3):
            write_article(folder_of(papers, key), 1000 + 2 * index + number)  # neighbours share one
    many, one = folder / secrets.token_hex(4), folder / "one"
    many.mkdir()
    one.mkdir()
    expected = rows_in(undisturbed(one, papers, keys))
    found = rows_in(disturbed(many, papers, keys))
    if found != expected:
        sizes = [[len(rows) for rows in table] for table in (found, expected)]
        sys.exit(f"the stores differ: {sizes}; see {folder}")
    print(f"{given.jobs} jobs: index and graph are those of one process")
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
