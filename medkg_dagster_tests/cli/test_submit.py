import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from medkg_dagster.cli.follow import IdleWarning, follow
from medkg_dagster.cli.pipelines import find_pipeline, load_pipelines
from medkg_dagster.ledger import JobKey, JobLedger, JobStatus, PhaseStatus
from medkg_dagster.settings import Settings
from medkg_dagster_tests.cli.conftest import FIRST, PIPELINE, Medkg, ReviewedJob

ANY_PATH = "path=/data/records"


def request_of(home: Path, pipeline: str, job_id: str) -> object:
    with JobLedger.open(home) as ledger:
        return ledger.jobs.get(JobKey(pipeline, job_id)).request


def test_a_submitted_job_is_due_with_its_request(gated_medkg: Medkg, home: Path) -> None:
    done = gated_medkg(
        *("submit", "reviewed", "--adapter", "files", "--param", ANY_PATH, "--param", 'include=["*.xml"]'),
        *("--set", "ir_validation.min_characters=7", "--job-id", "spring", "--by", "ann"),
    )

    assert (done.exit_code, done.output) == (0, "submitted reviewed/spring\n")
    assert request_of(home, "reviewed", "spring") == {
        "adapter": "files",
        "params": {"path": "/data/records", "include": ["*.xml"]},
        "stages": {"ir_validation": {"min_characters": 7}},
    }
    with JobLedger.open(home) as ledger:
        (phase,) = ledger.phases.of_job(JobKey("reviewed", "spring"))
        assert (phase.phase, phase.status, phase.opened_by) == (FIRST, PhaseStatus.DUE, "ann")
        assert ledger.jobs.history(JobKey("reviewed", "spring"))[0].actor == "ann"


def test_what_is_not_given_is_not_in_the_request(gated_medkg: Medkg, home: Path) -> None:
    gated_medkg("submit", "reviewed", "--job-id", "spring")

    assert request_of(home, "reviewed", "spring") == {}


def test_a_path_that_exists_means_the_same_to_a_daemon_elsewhere(
    gated_medkg: Medkg, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "records").mkdir()
    monkeypatch.chdir(tmp_path)
    gated_medkg("submit", "reviewed", "--param", "path=records", "--job-id", "here")
    gated_medkg("submit", "reviewed", "--param", "path=elsewhere", "--job-id", "there")

    assert request_of(home, "reviewed", "here") == {"params": {"path": str(tmp_path / "records")}}
    assert request_of(home, "reviewed", "there") == {"params": {"path": "elsewhere"}}


def test_an_id_is_made_up_of_pipeline_time_and_chance(gated_medkg: Medkg) -> None:
    found = [gated_medkg("submit", "reviewed").output for _ in range(2)]

    assert all(re.fullmatch(r"submitted reviewed/reviewed-\d{8}T\d{6}-[0-9a-f]{4}\n", line) for line in found)
    assert found[0] != found[1]


def test_asking_twice_for_the_same_is_asking_once(gated_medkg: Medkg, home: Path) -> None:
    command = ("submit", "reviewed", "--param", ANY_PATH, "--job-id", "spring")
    assert gated_medkg(*command).exit_code == gated_medkg(*command).exit_code == 0
    other = gated_medkg(*command, "--adapter", "auto")

    assert (other.exit_code, "choose another job id" in other.stderr) == (1, True)
    with JobLedger.open(home) as ledger:
        assert len(ledger.jobs.list()) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("reviewd",), "unknown pipeline 'reviewd'; did you mean 'reviewed'?"),
        (("reviewed", "--adapter", "fils"), "did you mean 'files'"),
        (("reviewed", "--param", "pth=/data"), "pth"),
        (("reviewed", "--param", "max_files=many"), "max_files"),
        (("reviewed", "--set", "pars.x=1"), "has no stage 'pars'; did you mean 'parse'?"),
        (("reviewed", "--set", "parse=1"), "names no stage"),
        (("reviewed", "--set", "ir_validation.min_character=1"), "min_character"),
        (("reviewed", "--set", "gate_review.open=true"), "gate_review"),
        (("reviewed", "--set", "ingest.params.path=x"), "write --param path=x"),
        (("reviewed", "--set", "ingest.params.max_files=7"), "write --param max_files=7"),
        (
            ("reviewed", "--set", "parse.params.a=7"),
            """option whole: --set parse.params='{"a": 7}'""",
        ),
    ],
)
def test_what_the_pipeline_cannot_work_on_is_refused_before_anything_is_written(
    gated_medkg: Medkg, home: Path, arguments: tuple[str, ...], message: str
) -> None:
    refused = gated_medkg("submit", *arguments)

    assert refused.exit_code == 1
    assert refused.stderr.startswith("medkg: ")
    assert message in refused.stderr
    assert not home.exists()


@pytest.mark.parametrize(
    "job_id",
    [
        "",
        "a...b",
        "a b",
        "a/b",
        "../a",
        ".a",
        "a\nb",
        "a\tb",
        "ä",
        "-a",
        "x" * 201,
        "a\x00b",
        "a" + ":" * 120,
    ],
)
def test_an_id_that_is_no_partition_key_or_path_is_refused_with_the_rule(
    gated_medkg: Medkg, home: Path, job_id: str
) -> None:
    for command in ("submit", "run"):
        refused = gated_medkg(command, "reviewed", "--job-id", job_id)

        assert refused.exit_code == 1
        assert "letters, digits and . _ : @ + = -" in refused.stderr
        assert not home.exists()


@pytest.mark.parametrize("job_id", ["a", "PMC-2026.01", "x" * 200, "2026-01-31T10:00:00", "a@b=c+d_e"])
def test_other_ids_are_partition_keys(gated_medkg: Medkg, job_id: str) -> None:
    assert gated_medkg("submit", "reviewed", "--job-id", job_id).exit_code == 0


@pytest.mark.parametrize("wrong", [("--param", "path"), ("--param", "=1"), ("--set", "x")])
def test_what_is_no_assignment_is_wrong_usage(gated_medkg: Medkg, wrong: tuple[str, str]) -> None:
    assert gated_medkg("submit", "reviewed", *wrong).exit_code == 2


def test_the_job_is_printed_as_json_and_nothing_else(gated_medkg: Medkg) -> None:
    done = gated_medkg("submit", "reviewed", "--job-id", "spring", "--json")

    assert json.loads(done.stdout)["status"] == "submitted"
    assert done.stderr == "submitted reviewed/spring\n"


class Follower:
    """Follows the job `reviewed/spring` in a thread and keeps what it prints."""

    def __init__(self, settings: Settings, patience: float = 60.0) -> None:
        self.lines: list[str] = []
        self.code: int | None = None
        self._settings = settings
        self._patience = patience
        self._thread = threading.Thread(target=self._follow)
        self._thread.start()

    def _follow(self) -> None:
        pipeline = find_pipeline(load_pipelines(self._settings), "reviewed")
        with JobLedger.of(self._settings) as book:
            self.code = follow(
                book, pipeline, "spring", self.lines.append, IdleWarning(self._patience), pause=0.02
            )

    def sees(self, text: str) -> None:
        """Wait until a line has been printed."""
        wait_for(lambda: any(text in line for line in self.lines), f"{text!r} in {self.lines}")

    def ends(self) -> int | None:
        self._thread.join(240)
        return self.code


def wait_for(seen: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 240
    while not seen():
        assert time.monotonic() < deadline, f"waited for {what}"
        time.sleep(0.02)


@pytest.fixture
def settings(reviewed: ReviewedJob) -> Settings:
    del reviewed
    return Settings.from_environment()


def test_following_tells_every_step_once_until_the_job_succeeded(
    reviewed: ReviewedJob, settings: Settings
) -> None:
    follower = Follower(settings)
    reviewed.wait_at_the_gate()
    follower.sees("waits at gate review for review.approved equals True or")
    reviewed.ledger.jobs.set_fields(JobKey("reviewed", "spring"), {"review.approved": True}, actor="ann")
    time.sleep(0.01)
    reviewed.ledger.gates.review("reviewed", reviewed.rule)
    follower.sees("gate review is open: ")
    reviewed.go_through()
    reviewed.run_stages("ir_validation", run_id="r2")

    assert follower.ends() == 0
    steps = [line.split("  ", 2)[-1] for line in follower.lines]
    for expected in ("ingest: begins", "ingest: 3 made", "parse: 3 made", "ir_validation: 3 made"):
        assert steps.count(expected) == 1
    assert any("by ann" in step for step in steps)
    assert steps[-1] == "reviewed/spring succeeded"
    assert [step.split(":")[0] for step in steps if step.endswith("made")][:2] == ["ingest", "parse"]


def test_following_a_failure_ends_with_the_error_and_what_to_do(
    reviewed: ReviewedJob, settings: Settings
) -> None:
    reviewed.run_stages("ingest", "parse", fail=True)
    follower = Follower(settings)

    assert follower.ends() == 1
    text = "\n".join(follower.lines)
    for expected in ("parse: failed: SourceError: gone", "reviewed/spring: failed", "medkg ledger retry"):
        assert expected in text


def test_following_a_failure_of_documents_advises_no_retry_that_would_repeat_it(
    reviewed: ReviewedJob, settings: Settings
) -> None:
    reviewed.run_stages("ingest", "parse", fail=True, error="BatchFailedError: 1 of 1 document failed")
    follower = Follower(settings)

    assert follower.ends() == 1
    last = follower.lines[-1]
    assert "once its documents are mended or removed, `medkg ledger retry reviewed/spring --phase " in last
    assert "--phase reviewed` starts it again" in last


@pytest.mark.parametrize("closed", ["rejected", "timed out"])
def test_following_a_job_whose_gate_is_closed_ends_with_the_reason(
    reviewed: ReviewedJob, settings: Settings, gated_medkg: Medkg, closed: str
) -> None:
    reviewed.wait_at_the_gate()
    if closed == "rejected":
        gated_medkg("gate", "reject", "spring", "review", "--by", "bob", "--reason", "unfit")
    else:
        reviewed.time_out()
    follower = Follower(settings)

    assert follower.ends() == 1
    text = " ".join(" ".join(follower.lines).split())
    assert ("rejected by bob: unfit" if closed == "rejected" else "did not open within 3600 s") in text


def test_following_tells_of_another_attempt(
    reviewed: ReviewedJob, settings: Settings, gated_medkg: Medkg
) -> None:
    reviewed.run_stages("ingest", fail=True)
    assert gated_medkg("ledger", "retry", "spring").exit_code == 0
    follower = Follower(settings)
    reviewed.run_stages(*PIPELINE, run_id="r1b")

    follower.sees("ingest: begins")
    assert reviewed.job.status in {JobStatus.RUNNING, JobStatus.SUCCEEDED}
    assert follower.ends() == 0


def test_a_job_that_nobody_starts_is_warned_once(
    reviewed: ReviewedJob, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    warnings: list[str] = []

    def is_warned() -> bool:
        warnings.append(capsys.readouterr().err)
        return "does a daemon run" in "".join(warnings)

    follower = Follower(settings, patience=0.0)
    wait_for(is_warned, "the warning")
    time.sleep(0.3)  # for some more looks
    reviewed.run_stages("ingest", fail=True)

    assert follower.ends() == 1
    is_warned()
    assert "".join(warnings).count("does a daemon run") == 1


def test_waiting_ends_with_the_jobs_outcome(gated_medkg: Medkg, reviewed: ReviewedJob) -> None:
    command = ("submit", "reviewed", "--job-id", "spring", "--wait")
    reviewed.run_stages("ingest", fail=True)
    failed = gated_medkg(*command)
    assert (failed.exit_code, "ingest: failed: SourceError: gone" in failed.stdout) == (1, True)
    reviewed.run_stages(*PIPELINE, run_id="r1b")
    succeeded = gated_medkg(*command, "--json")

    assert (succeeded.exit_code, json.loads(succeeded.stdout)["status"]) == (0, "succeeded")


def test_an_interrupt_ends_the_following_and_not_the_job(reviewed: ReviewedJob, settings: Settings) -> None:
    # Who starts the tests in the background makes them, and their children, deaf to interrupts.
    hearing = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    run = f"{hearing}from medkg_dagster.cli import main; main()"
    command = [sys.executable, "-c", run, "submit", "reviewed", "--job-id", "spring", "--wait"]
    environment = os.environ | {"MEDKG_HOME": str(settings.home), "MEDKG_CONFIG": str(settings.config)}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as started:
        try:
            assert started.stdout is not None
            assert started.stdout.readline() == "submitted reviewed/spring\n"
            reviewed.wait_at_the_gate()
            assert any("waits at gate review" in line for line in iter(started.stdout.readline, ""))
            started.send_signal(signal.SIGINT)
            _, error = started.communicate(timeout=480)
        finally:
            started.kill()

    assert started.returncode == 130
    assert "the job goes on: `medkg ledger show reviewed/spring`" in error
    assert "Traceback" not in error
    assert reviewed.job.status is JobStatus.WAITING
