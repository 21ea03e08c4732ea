"""What `medkg run` does about the process it started, by what the ledger says of it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path

import pytest

from medkg_dagster.cli.follow import IdlePhases
from medkg_dagster.cli.run import Attendant
from medkg_dagster.io.times import stamp, utc_now
from medkg_dagster.ledger import JobKey, JobLedger, JobPhase, JobStatus, PhaseStatus, RunStatus
from medkg_dagster.runtime.launch import RUN_ID_FILE, Launcher, run_id_file, tell_run_id
from medkg_dagster_tests.end_to_end.shipped_pipeline import shipped
from medkg_dagster_tests.ledger.stage_histories import LedgerRun

KEY = JobKey("auto", "default")


@pytest.fixture
def book(tmp_path: Path) -> Iterator[JobLedger]:
    with closing(JobLedger.open(tmp_path / "home")) as ledger:
        ledger.phases.submit(KEY, "auto", {}, actor="ann")
        yield ledger


class Command:
    """`medkg run` that has started a process, which ends when it is told what to run."""

    def __init__(self, book: JobLedger, folder: Path, stack: ExitStack) -> None:
        process = stack.enter_context(
            subprocess.Popen(["head", "-n", "1"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        )
        self.book = book
        self.launched = Launcher(process, folder / "log")
        plan = shipped()[1]
        self.attendant = Attendant(folder, book, plan, self.launched, has_daemon=False, stack=stack)
        assert self.look() is None
        self.run_id = str(self.attendant._run_id)
        process.wait()

    @property
    def phase(self) -> JobPhase:
        (phase,) = self.book.phases.of_job(KEY)
        return phase

    def look(self) -> int | None:
        return self.attendant(self.book.jobs.get(KEY), self.book.phases.of_job(KEY))


@pytest.fixture
def command(book: JobLedger, tmp_path: Path) -> Iterator[Command]:
    with ExitStack() as stack:
        yield Command(book, tmp_path, stack)


def run(book: JobLedger, name: str, attempt: int | None) -> LedgerRun:
    return LedgerRun(book, KEY, shipped()[1].stage_names, name, attempt, "auto")


def test_a_run_that_somebody_began_meanwhile_is_followed_and_not_called_lost(
    command: Command, book: JobLedger, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.phase.starter is not None
    theirs, ours = run(book, "theirs", None), run(book, command.run_id, command.phase.attempt)
    theirs.start()
    book.phases.begin(KEY, "auto", theirs.identity)
    ours.start()
    book.runs.end(KEY, ours.identity, RunStatus.REFUSED, "it was begun already")

    assert [command.look() for _ in range(3)] == [None] * 3
    assert "another run has begun it meanwhile" in capsys.readouterr().err
    assert book.jobs.get(KEY).status is JobStatus.RUNNING

    theirs.finish()
    assert book.jobs.get(KEY).status is JobStatus.SUCCEEDED


def test_a_run_whose_process_ended_without_a_word_is_called_lost(command: Command, book: JobLedger) -> None:
    ours = run(book, command.run_id, command.phase.attempt)
    ours.start()
    book.phases.begin(KEY, "auto", ours.identity)

    assert [command.look(), command.look()] == [None, 1]
    assert book.jobs.get(KEY).status is JobStatus.FAILED


def test_a_killed_process_ends_its_own_run_alone_where_another_had_begun_meanwhile(
    command: Command, book: JobLedger, capsys: pytest.CaptureFixture[str]
) -> None:
    ours, theirs = run(book, command.run_id, command.phase.attempt), run(book, "theirs", None)
    ours.start()
    theirs.start()
    book.phases.begin(KEY, "auto", theirs.identity)

    assert [command.look() for _ in range(3)] == [None] * 3
    assert "another run has begun it meanwhile" in capsys.readouterr().err
    ended = {item.run_id: item.status for item in book.runs.of_job(KEY)}
    assert ended == {command.run_id: RunStatus.FAILED, "theirs": RunStatus.STARTED}

    theirs.finish()
    assert book.jobs.get(KEY).status is JobStatus.SUCCEEDED


@pytest.fixture
def in_processes(book: JobLedger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Command]:
    """A command whose run has a process for each step, and an id that nobody knows beforehand."""
    monkeypatch.setenv("MEDKG_EXECUTOR", "multiprocess")
    with ExitStack() as stack:
        yield Command(book, tmp_path, stack)


def test_a_killed_process_that_came_to_no_run_takes_no_other_for_its_own(
    in_processes: Command, book: JobLedger, capsys: pytest.CaptureFixture[str]
) -> None:
    theirs = run(book, "theirs", None)
    theirs.start()
    book.phases.begin(KEY, "auto", theirs.identity)

    assert [in_processes.look() for _ in range(3)] == [None] * 3
    assert "another run has begun it meanwhile" in capsys.readouterr().err

    theirs.finish()
    assert book.jobs.get(KEY).status is JobStatus.SUCCEEDED


def test_a_killed_process_with_processes_for_steps_ends_the_run_that_it_told_of(
    in_processes: Command, book: JobLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(RUN_ID_FILE, str(run_id_file(in_processes.launched.log)))
    for name in ("ours", "begun later in the same process"):
        tell_run_id(name)
    ours = run(book, "ours", in_processes.phase.attempt)
    ours.start()
    book.phases.begin(KEY, "auto", ours.identity)

    assert [in_processes.look(), in_processes.look()] == [None, 1]
    assert book.jobs.get(KEY).status is JobStatus.FAILED


def due(book: JobLedger, lease_seconds: float) -> JobPhase:
    """A phase behind an open gate that a sensor is to start."""
    (phase,) = book.phases.of_job(KEY)
    until = stamp(utc_now, lease_seconds)
    return replace(phase, gate="review", status=PhaseStatus.DUE, starter="a sensor", lease_until=until)


def test_a_phase_behind_an_open_gate_that_somebody_is_about_to_start_is_waited_for(
    book: JobLedger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job = replace(book.jobs.get(KEY), status=JobStatus.WAITING, phase="review")
    with ExitStack() as stack:
        attendant = Attendant(tmp_path, book, shipped()[1], None, has_daemon=False, stack=stack)  # type: ignore[arg-type]  # nothing is started

        assert attendant(job, (due(book, 30),)) is None

    assert "a sensor is to start it; if it has not by" in capsys.readouterr().err


@pytest.mark.parametrize(("lease_seconds", "is_idle"), [(30, False), (-1, True), (10_000_000_000, True)])
def test_a_lease_that_is_over_or_that_a_clock_ahead_wrote_keeps_nobody_from_starting(
    book: JobLedger, lease_seconds: float, is_idle: bool
) -> None:
    phase = due(book, lease_seconds)

    assert IdlePhases(0.0).find((phase,)) == ((phase,) if is_idle else ())
