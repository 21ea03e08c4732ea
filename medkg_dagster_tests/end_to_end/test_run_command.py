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
from pathlib import Path

import pytest
from dagster import DagsterInstance, DagsterRunStatus

from medkg_dagster.ledger import JobKey, JobStatus
from medkg_dagster_tests.end_to_end.running import BIN, REPOSITORY, Running, file_server

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
TEXT = "Dabrafenib improved survival in patients with melanoma and the mutation BRAF V600E.\n" * 5


@pytest.fixture
def deployment(tmp_path: Path) -> Running:
    """A deployment that nobody serves."""
    running = Running(tmp_path / "a folder")
    running.prepare({"plain.yaml": PLAIN, "gated.yaml": GATED})
    (running.folder / "note.txt").write_text(TEXT)
    return running


def runs(deployment: Running) -> list[tuple[str, DagsterRunStatus]]:
    """Return what the UI shows: the runs of the instance, the latest first."""
    with DagsterInstance.from_config(deployment.environment["DAGSTER_HOME"]) as instance:
        return [(run.job_name, run.status) for run in instance.get_runs()]


def test_a_pipeline_runs_without_a_daemon_and_shows_in_the_instance(deployment: Running) -> None:
    done = deployment.medkg("run", "plain", "--param", "path=note.txt")

    assert done.stdout.startswith("submitted plain/default\n")
    assert "parse: 1 made" in done.stdout
    assert done.stdout.endswith("plain/default succeeded\n")
    assert runs(deployment) == [("plain", DagsterRunStatus.SUCCESS)]


def test_without_a_folder_for_dagster_the_run_shows_where_make_dev_looks(deployment: Running) -> None:
    environment = {name: value for name, value in deployment.environment.items() if name != "DAGSTER_HOME"}
    (deployment.home / "dagster" / "dagster.yaml").unlink()

    done = subprocess.run(
        [BIN / "medkg", "run", "plain", "--param", "path=note.txt"],
        env=environment,
        cwd=deployment.folder,
        check=False,
        timeout=480,
    )

    assert done.returncode == 0
    assert runs(deployment) == [("plain", DagsterRunStatus.SUCCESS)]
    assert "telemetry:\n  enabled: false" in (deployment.home / "dagster" / "dagster.yaml").read_text()


@pytest.mark.parametrize("named", ["relative", "/nowhere/at/all"])
def test_a_folder_for_dagster_that_there_is_none_of_is_refused_before_anything_is_written(
    deployment: Running, named: str
) -> None:
    refused = subprocess.run(
        [BIN / "medkg", "run", "plain", "--param", "path=note.txt"],
        env=deployment.environment | {"DAGSTER_HOME": named},
        cwd=deployment.folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=480,
    )

    assert refused.returncode == 1
    assert refused.stderr.startswith(f"medkg: DAGSTER_HOME names {named}, which is not the absolute path")
    assert refused.stderr.count("\n") == 1
    assert not (deployment.home / "ledger.sqlite").exists()


def test_a_job_that_has_ended_runs_again(deployment: Running) -> None:
    command = ("run", "plain", "--param", "path=note.txt", "--job-id", "notes")
    deployment.medkg(*command)

    again = deployment.medkg("run", "plain", "--job-id", "notes")  # on what it was submitted with

    assert again.stdout.startswith("submitted plain/notes again; it had succeeded\n")
    assert again.stdout.endswith("plain/notes succeeded\n")
    assert len(runs(deployment)) == 2


def test_a_job_that_fails_says_why_with_exit_code_1(deployment: Running) -> None:
    (deployment.folder / "empty").mkdir()

    failed = deployment.medkg("run", "plain", "--param", "path=missing.txt", check=False)

    assert failed.returncode == 1
    assert "path missing.txt does not exist" in failed.stdout
    assert runs(deployment) == [("plain", DagsterRunStatus.FAILURE)]


def test_a_job_that_waits_at_a_gate_without_a_daemon_is_left_waiting_and_the_way_out_works(
    deployment: Running,
) -> None:
    waiting = deployment.medkg("run", "gated", "--param", "path=note.txt", check=False)

    assert (waiting.returncode, "waits at gate 'review'" in waiting.stdout) == (3, True)
    named = re.search(r"`medkg (gate approve [^`]*)`", waiting.stdout)
    assert named is not None
    deployment.medkg(*named[1].split())
    deployment.wait_for_job("gated", "default", JobStatus.SUCCEEDED)
    assert len(runs(deployment)) == 2


@contextmanager
def records(deployment: Running) -> Iterator[tuple[str, ...]]:
    """Let a deployment convert the bundled PDFs; give the options by which it fetches them from loopback."""
    shipped = REPOSITORY / "config" / "orchestration" / "pipelines" / "pdf-two-phase.yaml"
    shutil.copy(shipped, deployment.folder / "config" / "orchestration" / "pipelines")
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


@pytest.mark.parametrize("executor", ["in_process", "multiprocess"])
def test_what_goes_on_while_a_job_waits_is_done_without_a_daemon_too(
    deployment: Running, monkeypatch: pytest.MonkeyPatch, executor: str
) -> None:
    monkeypatch.setenv("MEDKG_EXECUTOR", executor)
    with records(deployment) as options:
        done = deployment.medkg("run", "pdf-two-phase", *options)

    assert done.stdout.endswith("pdf-two-phase/default succeeded\n")
    assert [name for name, _ in runs(deployment)] == [
        "pdf_two_phase__after_pdf_ir_ready",
        "pdf_conversion",
        "pdf_two_phase",
    ]


def test_a_conversion_that_is_killed_is_told_of_and_the_way_out_works(deployment: Running) -> None:
    with records(deployment) as options:
        deployment.ledger().close()  # its tables are there from now on
        command = [str(BIN / "medkg"), "run", "pdf-two-phase", *options]
        with subprocess.Popen(
            command,
            env=deployment.environment,
            cwd=deployment.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as started:
            with deployment.wait("the conversion to be at work", lambda: held_at_work(deployment)):
                for child in Path(f"/proc/{started.pid}/task/{started.pid}/children").read_text().split():
                    os.kill(int(child), signal.SIGKILL)
            _, said = started.communicate(timeout=480)

        assert started.returncode == 1
        assert "the process that ran pdf_conversion ended early" in said
        named = re.search(r"`medkg (ledger retry [^`]*)`", said)
        assert named is not None
        deployment.medkg(*named[1].split())
        done = deployment.medkg("run", "pdf-two-phase")

    assert done.stdout.endswith("pdf-two-phase/default succeeded\n")


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


def test_a_gate_that_is_open_already_is_gone_through(deployment: Running) -> None:
    deployment.medkg("run", "gated", "--param", "path=note.txt", "--job-id", "spring", check=False)
    deployment.medkg("ledger", "set", "gated/spring", "reviewed=true")
    with deployment.ledger() as ledger:
        assert ledger.jobs.get(JobKey("gated", "spring")).status is JobStatus.WAITING
    deployment.medkg("gate", "approve", "gated/spring", "review", "--reason", "read")

    done = deployment.medkg("run", "gated", "--param", "path=note.txt", "--job-id", "spring")

    assert "waiting already; following it" in done.stdout
    assert done.stdout.endswith("gated/spring succeeded\n")


@pytest.mark.parametrize("is_at_work", [True, False])
def test_a_process_that_is_killed_is_told_of_and_the_way_out_works(
    deployment: Running, is_at_work: bool
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts and never answers
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        command = [str(BIN / "medkg"), "run", "plain", "--adapter", "clinicaltrials"]
        command += ["--param", "query_cond=colitis", "--param", f"base_url={address}"]
        with subprocess.Popen(
            command,
            env=deployment.environment,
            cwd=deployment.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as started:
            deployment.wait("the process to be chosen", lambda: chosen(deployment))
            if is_at_work:
                deployment.wait_for_job("plain", "default", JobStatus.RUNNING)
            (child,) = map(int, Path(f"/proc/{started.pid}/task/{started.pid}/children").read_text().split())
            os.kill(child, signal.SIGKILL)
            _, said = started.communicate(timeout=480)

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


def test_definitions_that_do_not_load_end_the_command_with_their_error(deployment: Running) -> None:
    broken = deployment.folder / "config" / "orchestration" / "pipelines" / "broken.yaml"
    broken.write_text("name: broken\n")

    failed = deployment.medkg("run", "plain", "--param", "path=note.txt", check=False)

    assert failed.returncode == 1
    assert "broken.yaml" in failed.stderr
    assert "the process that ran plain ended early" in failed.stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ops: {plan__stages: {ops: {}}}", "expected the one key 'plain__stages'"),
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

    assert (refused.returncode, message in refused.stderr) == (1, True)
    assert not (deployment.home / "ledger.sqlite").exists()


def test_the_file_of_options_is_that_of_dagster_and_set_wins_over_it(deployment: Running) -> None:
    (deployment.folder / "options.yaml").write_text(
        "ops: {plain__stages: {ops: {ingest: {config: {params: {path: gone.txt}}}}}}"
    )

    done = deployment.medkg(
        *("run", "plain", "--config", "options.yaml", "--set", 'ingest.params={"path": "note.txt"}')
    )

    assert done.stdout.endswith("plain/default succeeded\n")
