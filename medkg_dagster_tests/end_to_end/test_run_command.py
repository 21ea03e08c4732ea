"""`medkg run` without a daemon: again, behind gates, and with its process killed."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from dagster import DagsterInstance, DagsterRunStatus

from medkg_dagster.cli import main
from medkg_dagster.ledger import JobKey, JobLedger, JobStatus
from medkg_dagster.ledger.statements.phase_rows import LEASE_SECONDS
from medkg_dagster_tests.end_to_end.running import BIN, PATIENCE, REPOSITORY, Running, file_server

# A process that a command has started goes on by itself.
pytestmark = pytest.mark.filterwarnings(r"ignore:subprocess \d+ is still running:ResourceWarning")
PDFS = REPOSITORY / "medkg_dagster" / "corpus" / "documents" / "pdfs"
PLAIN = """\
name: plain
version: "2026-01-01"
stages:
  - {name: ingest, type: ingest, config: {adapter: files}}
  - {name: parse, type: parse, depends_on: [ingest]}
"""
GATED = """\
name: gated
version: "2026-01-01"
stages:
  - {name: ingest, type: ingest, config: {adapter: files}}
  - {name: parse, type: parse, depends_on: [ingest]}
  - {name: gate_review, type: gate, depends_on: [parse]}
  - {name: ir_validation, type: ir-validation, depends_on: [gate_review]}
gates:
  - {name: review, condition: {clauses: [{field: reviewed, value: true}]}}
"""
PAPERS = """\
name: papers
version: "2026-01-01"
conversion: builtin
stages:
  - {name: ingest, type: ingest, config: {adapter: files}}
  - {name: download, type: download, depends_on: [ingest]}
  - {name: gate_pdf_ir_ready, type: gate, depends_on: [download]}
  - {name: parse, type: parse, depends_on: [gate_pdf_ir_ready]}
gates:
  - {name: pdf_ir_ready, condition: {field: pdf_ir_ready, equals: true, poll_interval_seconds: 0.01}}
"""
TEXT = "Dabrafenib improved survival in patients with melanoma and the mutation BRAF V600E.\n" * 5


def prepared(folder: Path) -> Running:
    """Return a deployment that nobody serves."""
    running = Running(folder / "a folder")
    running.prepare({"plain.yaml": PLAIN, "gated.yaml": GATED})
    (running.folder / "note.txt").write_text(TEXT)
    return running


@pytest.fixture
def deployment(tmp_path: Path) -> Running:
    return prepared(tmp_path)


def copy_of(deployment: Running, folder: Path) -> Running:
    """Return a deployment that goes on from where another one is."""
    return Running(Path(shutil.copytree(deployment.folder, folder / "copy")))


Runs = list[tuple[str, DagsterRunStatus]]


def runs(deployment: Running) -> Runs:
    """Return what the UI shows, the latest first, once all runs have ended: the ledger hears of it before."""
    with DagsterInstance.from_config(deployment.environment["DAGSTER_HOME"]) as instance:

        def ended() -> Runs | None:
            found = instance.get_runs()
            return (
                [(run.job_name, run.status) for run in found] if all(r.is_finished for r in found) else None
            )

        return deployment.wait("every run to end", ended)


def job_names(deployment: Running) -> list[str]:
    """Return the jobs of the runs, the latest first, also of those that were killed and never end."""
    with DagsterInstance.from_config(deployment.environment["DAGSTER_HOME"]) as instance:
        return [run.job_name for run in instance.get_runs()]


def run_ids(deployment: Running) -> list[str]:
    """Return the ids of the runs, the latest first."""
    with DagsterInstance.from_config(deployment.environment["DAGSTER_HOME"]) as instance:
        return [run.run_id for run in instance.get_runs()]


Ran = tuple[Running, subprocess.CompletedProcess[str], Runs]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """A deployment whose first job has run, where nothing says where Dagster's instance is."""
    deployment = prepared(tmp_path_factory.mktemp("ran"))
    (deployment.home / "dagster" / "dagster.yaml").unlink()
    done = subprocess.run(
        [BIN / "medkg", "run", "plain", "--param", "path=note.txt"],
        env={name: value for name, value in deployment.environment.items() if name != "DAGSTER_HOME"},
        cwd=deployment.folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    return deployment, done, runs(deployment)


def test_a_pipeline_runs_without_a_daemon_and_shows_where_make_dev_looks(ran: Ran) -> None:
    deployment, done, shown = ran

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("submitted plain/default\n")
    assert "parse: 1 made" in done.stdout
    assert done.stdout.endswith("plain/default succeeded\n")
    assert shown == [("plain", DagsterRunStatus.SUCCESS)]
    assert "telemetry:\n  enabled: false" in (deployment.home / "dagster" / "dagster.yaml").read_text()


def test_a_job_that_has_ended_runs_again(ran: Ran) -> None:
    deployment = ran[0]

    again = deployment.medkg("run", "plain")  # on what it was submitted with

    assert again.stdout.startswith("submitted plain/default again; it had succeeded\n")
    assert again.stdout.endswith("plain/default succeeded\n")
    assert len(runs(deployment)) == 2


@pytest.mark.parametrize("seconds_left", [-1, 2], ids=["his time is over", "he may come yet"])
def test_what_a_killed_command_was_about_to_start_is_started_by_the_next(
    deployment: Running, seconds_left: int
) -> None:
    key = JobKey("plain", "default")
    earlier = timedelta(seconds=LEASE_SECONDS - seconds_left)
    with JobLedger.open(deployment.home, clock=lambda: datetime.now(UTC) - earlier) as ledger:
        ledger.phases.submit(key, "plain", {"params": {"path": "note.txt"}}, actor="ann")
        claimed = ledger.phases.claim(key, "plain", "medkg run 1")
        assert claimed is not None
        assert claimed.starter == "medkg run 1"

    done = deployment.medkg("run", "plain")

    assert done.stdout.endswith("plain/default succeeded\n")
    assert runs(deployment) == [("plain", DagsterRunStatus.SUCCESS)]


@pytest.mark.parametrize("named", ["relative", "/nowhere/at/all"])
def test_a_folder_for_dagster_that_there_is_none_of_is_refused_before_anything_is_written(
    deployment: Running, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", named)

    refused = CliRunner().invoke(main, ["run", "plain"], env=without_instance(deployment))

    assert refused.exit_code == 1
    assert refused.stderr.startswith(f"medkg: DAGSTER_HOME names {named}, which is not the absolute path")
    assert refused.stderr.count("\n") == 1
    assert not (deployment.home / "ledger.sqlite").exists()


def without_instance(deployment: Running) -> dict[str, str]:
    return {name: value for name, value in deployment.environment.items() if name != "DAGSTER_HOME"}


BROKEN = {
    "instance": ("home/dagster/dagster.yaml", "run_coordinator: [", 'dagster.yaml", line 2'),
    "settings": ("home/dagster/dagster.yaml", "telemetry: {enabled: maybe}", "root:telemetry:enabled"),
    "pipelines": ("config/orchestration/pipelines/broken.yaml", "name: broken", "broken.yaml"),
    "translator": ("note.txt", TEXT, "the translator 'nobody:Nothing' (MEDKG_TRANSLATOR, or a component's"),
}


@pytest.mark.parametrize(
    ("command", "what"), [("approve", "instance"), *(("run", what) for what in BROKEN if what != "instance")]
)
def test_what_keeps_dagster_from_starting_is_one_sentence_before_anything_is_begun(
    deployment: Running, monkeypatch: pytest.MonkeyPatch, command: str, what: str
) -> None:
    file, text, named = BROKEN[what]
    (deployment.folder / file).write_text(f"{text}\n")
    if what == "translator":
        monkeypatch.setenv("MEDKG_TRANSLATOR", "nobody:Nothing")
    with deployment.ledger() as ledger:
        ledger.phases.submit(JobKey("gated", "spring"), "gated", {}, actor="test")

    words = {
        "run": ("run", "plain", "--param", "path=note.txt"),
        "approve": ("gate", "approve", "gated/spring", "review", "--reason", "read", "--now"),
    }
    refused = deployment.medkg(*words[command], check=False)

    assert (refused.exit_code, refused.stdout) == (1, "")
    assert refused.stderr.startswith("medkg: nothing was begun, as Dagster does not start: ")
    assert named in refused.stderr
    assert refused.stderr.count("\n") == 1
    with deployment.ledger() as ledger:
        assert [job.key.pipeline for job in ledger.jobs.list()] == ["gated"]
        assert [phase.decision for phase in ledger.phases.of_job(JobKey("gated", "spring"))] == [None]


def test_a_job_that_fails_says_why_with_exit_code_1(deployment: Running) -> None:
    failed = deployment.medkg("run", "plain", "--param", "path=missing.txt", check=False)

    assert failed.exit_code == 1
    assert "path missing.txt does not exist" in failed.stdout
    assert runs(deployment) == [("plain", DagsterRunStatus.FAILURE)]


@pytest.fixture(scope="module")
def waiting(tmp_path_factory: pytest.TempPathFactory) -> tuple[Running, Result]:
    """A deployment whose job waits at a gate; what it works on stood in a file and in options."""
    deployment = prepared(tmp_path_factory.mktemp("waiting"))
    (deployment.folder / "options.yaml").write_text(
        "ops: {gated__stages: {ops: {ingest: {config: {params: {path: gone.txt}}}, "
        "parse: {config: {max_pages: 7}}}}}"
    )
    options = ("--config", "options.yaml", "--set", 'ingest.params={"path": "note.txt"}')
    return deployment, deployment.medkg("run", "gated", *options, check=False)


def test_the_file_of_options_is_that_of_dagster_and_set_wins_over_it(waiting: tuple[Running, Result]) -> None:
    with waiting[0].ledger() as ledger:
        request = ledger.jobs.get(JobKey("gated", "default")).request

    assert request == {"stages": {"ingest": {"params": {"path": "note.txt"}}, "parse": {"max_pages": 7}}}
    assert "parse: 1 made" in waiting[1].stdout


def test_a_job_that_waits_at_a_gate_without_a_daemon_is_left_waiting_and_the_way_out_works(
    waiting: tuple[Running, Result], tmp_path: Path
) -> None:
    deployment = copy_of(waiting[0], tmp_path)

    assert (waiting[1].exit_code, "waits at gate 'review'" in waiting[1].stdout) == (3, True)
    named = re.search(r"`medkg (gate approve [^`]*)`", waiting[1].stdout)
    assert named is not None
    deployment.medkg(*named[1].split())
    deployment.wait_for_job("gated", "default", JobStatus.SUCCEEDED)
    assert len(runs(deployment)) == 2


def test_a_gate_that_is_open_already_is_gone_through(waiting: tuple[Running, Result], tmp_path: Path) -> None:
    deployment = copy_of(waiting[0], tmp_path)
    deployment.medkg("ledger", "set", "gated/default", "reviewed=true")
    with deployment.ledger() as ledger:
        assert ledger.jobs.get(JobKey("gated", "default")).status is JobStatus.WAITING
    deployment.medkg("gate", "approve", "gated/default", "review", "--reason", "read")

    done = deployment.medkg("run", "gated")

    assert "waiting already; following it" in done.stdout
    assert done.stdout.endswith("gated/default succeeded\n")


@contextmanager
def records(deployment: Running) -> Iterator[tuple[str, ...]]:
    """Let a deployment convert the bundled PDFs; give the options by which it fetches them from loopback."""
    (deployment.folder / "config" / "orchestration" / "pipelines" / "papers.yaml").write_text(PAPERS)
    with file_server(PDFS) as address:
        listed = [
            {"doi": f"10.5555/{path.stem}", "title": path.stem, "pdf_url": f"{address}/{path.name}"}
            for path in sorted(PDFS.glob("*.pdf"))
        ]
        (deployment.folder / "records.json").write_text(json.dumps(listed))
        yield (
            *("--adapter", "files", "--param", "path=records.json"),
            *("--set", 'download.allow_private_hosts=["127.0.0.1"]'),
        )


PHASES = ["papers__after_pdf_ir_ready", "pdf_conversion", "papers"]


def test_what_goes_on_while_a_job_waits_is_done_without_a_daemon_and_where_it_is_killed_the_way_out_works(
    deployment: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    with records(deployment) as options:
        deployment.ledger().close()  # its tables are there from now on
        with begun(deployment, "run", "papers", *options) as started:
            with deployment.wait("the conversion to be at work", lambda: held_at_work(deployment)):
                for child in children(started):
                    os.kill(child, signal.SIGKILL)
            _, said = started.communicate(timeout=PATIENCE)

        assert started.returncode == 1
        assert "the process that ran pdf_conversion ended early" in said
        named = re.search(r"`medkg (ledger retry [^`]*)`", said)
        assert named is not None
        deployment.medkg(*named[1].split())
        monkeypatch.setenv("MEDKG_EXECUTOR", "multiprocess")
        done = deployment.medkg("run", "papers")

    assert done.stdout.endswith("papers/default succeeded\n")
    assert job_names(deployment) == [*PHASES[:2], *PHASES[1:]]
    told = [file.read_text() for file in (deployment.home / "launched").glob("*.run")]
    assert sorted(told) == sorted(run_ids(deployment)[:2])


def test_a_job_whose_run_was_killed_together_with_the_command_is_run_again_by_the_next(
    deployment: Running,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts and never answers
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        command = ("run", "plain", "--adapter", "clinicaltrials", "--param", "query_cond=colitis")
        with begun(deployment, *command, "--param", f"base_url={address}") as started:
            deployment.wait("the process to be chosen", lambda: chosen(deployment))
            deployment.wait_for_job("plain", "default", JobStatus.RUNNING)
            for process in (started.pid, *children(started)):
                os.kill(process, signal.SIGKILL)
    with deployment.ledger() as ledger:
        assert ledger.jobs.get(JobKey("plain", "default")).status is JobStatus.RUNNING

    again = deployment.medkg("run", "plain", check=False)

    assert re.match(r"submitted plain/default\n.*plain: run \w+ \(attempt 2\)", again.stdout)
    assert [status for _, status in runs(deployment)] == [DagsterRunStatus.FAILURE] * 2


@contextmanager
def begun(deployment: Running, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Start a console command in a process of its own."""
    with subprocess.Popen(
        [str(BIN / "medkg"), *arguments],
        env=deployment.environment,
        cwd=deployment.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as started:
        yield started


def children(process: subprocess.Popen[str]) -> list[int]:
    """Return the processes that a process has started."""
    place = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    return [int(child) for child in place.read_text().split()]


def held_at_work(deployment: Running) -> closing[sqlite3.Connection] | None:
    """Keep the ledger from hearing that the conversion has done its work, where it has begun."""
    connection = sqlite3.connect(deployment.home / "ledger.sqlite", timeout=60, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    if connection.execute(
        "SELECT 1 FROM ledger_stage_runs WHERE stage = 'pdf_conversion' AND status = 'started'"
    ).fetchone():
        return closing(connection)
    connection.close()
    return None


@pytest.mark.parametrize("is_at_work", [True, False])
def test_a_process_that_is_killed_is_told_of_and_the_way_out_works(
    deployment: Running, is_at_work: bool
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts and never answers
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        command = ("run", "plain", "--adapter", "clinicaltrials", "--param", "query_cond=colitis")
        with begun(deployment, *command, "--param", f"base_url={address}") as started:
            deployment.wait("the process to be chosen", lambda: chosen(deployment))
            if is_at_work:
                deployment.wait_for_job("plain", "default", JobStatus.RUNNING)
            (child,) = children(started)
            os.kill(child, signal.SIGKILL)
            _, said = started.communicate(timeout=PATIENCE)

    assert started.returncode == 1
    assert "the process that ran plain ended early" in said
    named = re.search(r"`medkg (ledger retry [^`]*)`", said)
    assert named is not None
    deployment.medkg(*named[1].split())
    with deployment.ledger() as ledger:
        assert ledger.jobs.get(JobKey("plain", "default")).status is JobStatus.SUBMITTED


def chosen(deployment: Running) -> bool | None:
    """Say whether somebody has taken it upon himself to start the job."""
    if not (deployment.home / "ledger.sqlite").exists():
        return None
    with deployment.ledger() as ledger:
        if not ledger.jobs.list("plain"):
            return None
        (phase,) = ledger.phases.of_job(JobKey("plain", "default"))
    return phase.starter is not None or None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "ops: {plan__stages: {ops: {}}}",
            "the one key 'plain__stages' with a mapping, and not 'plan__stages'",
        ),
        (
            "ops: {plain__stages: {ops: {}}}\nexecution: {}",
            "the one key 'ops' with a mapping, and not 'execution'",
        ),
        ("ops: {plain__stages: {ops: {}, x: 1, y: 2}}", "'ops' with a mapping, and not 'x', 'y'"),
        (
            "ops: {plain__stages: {ops: {parse: {config: {}, inputs: 1}}}}",
            "'config' with a mapping, and not 'inp",
        ),
        ("ops: {plain__stages: {ops: {pars: {config: {a: 1}}}}}", "no stage 'pars'; did you mean 'parse'"),
        ("ops: {plain__stages: {ops: {ingest: {config: {adaptr: files}}}}}", "adaptr"),
        ("ops: [", "not valid YAML"),
        ("", "the file is empty"),
    ],
)
def test_a_file_of_options_that_does_not_fit_is_refused_before_anything_is_written(
    deployment: Running, text: str, message: str
) -> None:
    (deployment.folder / "options.yaml").write_text(text)

    refused = deployment.medkg("run", "plain", "--config", "options.yaml", check=False)

    assert (refused.exit_code, message in refused.stderr) == (1, True)
    assert not (deployment.home / "ledger.sqlite").exists()
