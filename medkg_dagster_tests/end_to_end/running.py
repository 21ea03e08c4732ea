"""A deployment as people run it: Dagster's webserver, daemon and code server as processes of their own."""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import functools
import multiprocessing
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import entry_points
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, TypeVar

import httpx
from click.testing import CliRunner, Result
from dagster import DagsterInstance

from medkg_dagster.cli import main
from medkg_dagster.ledger import Job, JobKey, JobLedger, JobStatus

REPOSITORY = Path(__file__).parent.parent.parent
BIN = Path(sys.executable).parent
PATIENCE = 480.0
ENDED = {
    JobStatus.SUCCEEDED,
    JobStatus.FAILED,
    JobStatus.SKIPPED,
    JobStatus.QUARANTINED,
    JobStatus.REJECTED,
    JobStatus.CANCELLED,
}

T = TypeVar("T")

processes = multiprocessing.get_context("forkserver")
# All that a run worker imports but the definitions, which depend on the environment.
processes.set_forkserver_preload(
    [
        *("medkg_dagster.compiler.compile_plan", "dagster._core.storage.sqlite_storage", "dagster._cli"),
        *("numpy", "lxml.etree", "medkg_dagster.cli", "medkg_dagster_tests.end_to_end.running"),
    ]
)


@functools.cache
def _new_instance() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="medkg-dagster-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    shutil.copy(REPOSITORY / "config" / "dagster.yaml", folder)
    with DagsterInstance.from_config(str(folder)) as instance:
        instance.get_runs(limit=1)
        instance.all_instigator_state()
        instance.get_asset_keys(limit=1)
    return folder


def copy_instance(folder: Path) -> Path:
    """Make a DAGSTER_HOME with the shipped settings; return it.

    Its databases are there already: making them takes longer than a run, and of two processes that make them
    at once, one fails.
    """
    return Path(shutil.copytree(_new_instance(), folder))


@dataclass(frozen=True)
class Running:
    """A folder with configuration and data, and the processes that serve it.

    Attributes:
        folder: Holds `config` and `home`.
    """

    folder: Path

    @property
    def home(self) -> Path:
        """The folder for all data."""
        return self.folder / "home"

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables of every process of the deployment."""
        inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        return inherited | {
            "MEDKG_HOME": str(self.home),
            "MEDKG_CONFIG": str(self.folder / "config"),
            "DAGSTER_HOME": str(self.home / "dagster"),
            "DAGSTER_DISABLE_TELEMETRY": "1",
            "MEDKG_STRICT": "1",
        }

    def prepare(self, pipelines: Mapping[str, str], start_timeout_seconds: int = 60) -> None:
        """Write pipelines by file name, the shipped policies and Dagster's settings.

        Args:
            pipelines: The text of pipeline files by name.
            start_timeout_seconds: After this time Dagster gives up a run whose process has not begun.
        """
        target = self.folder / "config" / "orchestration" / "pipelines"
        target.mkdir(parents=True)
        shipped = REPOSITORY / "config" / "orchestration" / "resilience.yaml"
        shutil.copy(shipped, target.parent / "resilience.yaml")
        for name, text in pipelines.items():
            (target / name).write_text(text)
        settings = copy_instance(self.home / "dagster") / "dagster.yaml"
        shipped_timeout = "start_timeout_seconds: 60"
        text = settings.read_text()
        assert shipped_timeout in text
        settings.write_text(text.replace(shipped_timeout, f"start_timeout_seconds: {start_timeout_seconds}"))

    def ledger(self) -> JobLedger:
        """Open the deployment's ledger."""
        return JobLedger.open(self.home)

    def medkg(self, *arguments: str, check: bool = True) -> Result:
        """Give a console command, in this process: what it starts are processes of their own."""
        with contextlib.chdir(self.folder):
            done = CliRunner().invoke(main, arguments, env=self.environment, catch_exceptions=False)
        assert not check or done.exit_code == 0, done.output
        return done

    def wait(self, what: str, look: Callable[[], T | None], patience: float = PATIENCE) -> T:
        """Look until there is something to see."""
        deadline = time.monotonic() + patience
        while True:
            seen = look()
            if seen is not None:
                return seen
            assert time.monotonic() < deadline, f"waited {patience:.0f} s for {what}"
            time.sleep(0.1)

    def wait_for_job(self, pipeline: str, job_id: str, *statuses: JobStatus) -> Job:
        """Wait until a job is in one of the statuses, or has ended where none is named."""
        wanted = set(statuses) or ENDED

        with self.ledger() as ledger:

            def look() -> Job | None:
                job = ledger.jobs.get(JobKey(pipeline, job_id))
                return job if job.status in wanted else None

            return self.wait(f"{pipeline}/{job_id} to be {', '.join(sorted(wanted))}", look)


_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1


def _end_with_the_tests() -> None:
    """Let a process be interrupted and ended, also where the tests themselves run in the background.

    On Linux it is asked to end when the tests are killed.
    """
    for sent in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sent, signal.SIG_DFL)
    if sys.platform == "linux":
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


OWN_SESSION: dict[str, Any] = {"start_new_session": True, "preexec_fn": _end_with_the_tests}


@contextmanager
def process(
    deployment: Running, *command: str, log: str, cwd: Path | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command in a process group of its own, which is gone afterwards."""
    with (deployment.folder / log).open("ab") as stream:
        started = subprocess.Popen(
            command,
            env=deployment.environment,
            cwd=cwd or deployment.folder,
            stdout=stream,
            stderr=stream,
            **OWN_SESSION,
        )
    try:
        yield started
    finally:
        end(started)


def forked(
    command: Sequence[str],
    environment: Mapping[str, str],
    folder: Path,
    out: Path,
    err: Path | None = None,
) -> BaseProcess:
    """Start a console script in a session of its own, forked from a process that has loaded what it imports.

    What it forks in its turn comes of a fork server of its own, which has its environment.

    Args:
        command: The script and its arguments.
        environment: All its environment variables.
        folder: Where it runs.
        out: The file that its output is added to.
        err: The file for its errors, where it is another one.
    """
    arguments = (command, environment, folder, out, err or out)
    started = processes.Process(target=_carry_out, args=arguments)
    started.start()
    return started


def _carry_out(
    command: Sequence[str], environment: Mapping[str, str], folder: Path, out: Path, err: Path
) -> None:
    os.setsid()
    _end_with_the_tests()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for descriptor, file in ((1, out), (2, err)):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND), descriptor)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = [*command]
    (script,) = entry_points(group="console_scripts", name=command[0])
    sys.exit(script.load()())


def end(started: subprocess.Popen[bytes]) -> None:
    """End a process and its group: asked first, then killed."""
    for sent, patience in ((signal.SIGTERM, 15.0), (signal.SIGKILL, 15.0)):
        try:
            os.killpg(started.pid, sent)
            started.wait(patience)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


def free_port() -> int:
    """Return a port that nobody listens on, and that no connection going out is given meanwhile."""
    for port in random.SystemRandom().sample(range(15_000, 32_000), 100):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port of 100 is free")


DAGSTER_DEV = ("dagster", "dev", "-m", "medkg_dagster.definitions")


@contextmanager
def served(
    deployment: Running, command: tuple[str, ...] = DAGSTER_DEV, cwd: Path | None = None
) -> Iterator[str]:
    """Run webserver, daemon and code server, as `make dev` does by default; give the webserver's address."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    on_loopback = ("--host", "127.0.0.1", "--port", str(port))
    with process(
        deployment, str(BIN / command[0]), *command[1:], *on_loopback, log="dev.log", cwd=cwd
    ) as started:

        def is_up() -> bool | None:
            assert started.poll() is None, (deployment.folder / "dev.log").read_text()[-3000:]
            return answers(address) or None

        deployment.wait("the webserver", is_up)
        yield address


def answers(address: str) -> bool:
    """Say whether the webserver is there."""
    try:
        # Otherwise all certificates of the system are read, for each question.
        return httpx.get(f"{address}/server_info", timeout=60, verify=False).is_success
    except httpx.TransportError:
        return False


def ask(address: str, query: str, **variables: Any) -> Any:
    """Ask the webserver's GraphQL."""
    answer = httpx.post(
        f"{address}/graphql",
        json={"query": query, "variables": variables},
        timeout=PATIENCE,
        verify=False,
    )
    answer.raise_for_status()
    said = answer.json()
    assert "errors" not in said, said
    return said["data"]


class _Quiet(SimpleHTTPRequestHandler):
    def log_request(self, code: object = "-", size: object = "-") -> None:
        """Say nothing."""


@contextmanager
def file_server(folder: Path) -> Iterator[str]:
    """Serve a folder on loopback; give its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
