"""`medkg doctor`, and what can be asked of a home that cannot be written to."""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from dagster import DagsterInstance
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.remote_origin import (
    ManagedGrpcPythonEnvCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import InstigatorState, InstigatorStatus
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._daemon.types import DaemonHeartbeat

from medkg_dagster.ledger import JobKey, JobLedger
from medkg_dagster.runtime.launch import dagster_home
from medkg_dagster_tests.cli.conftest import Medkg
from medkg_dagster_tests.query.made_home import make_home

# Asks in one process, which takes long to begin; root without this capability obeys permissions as others do.
ASKING = """\
import ctypes, json, sys
from click.testing import CliRunner
from medkg_dagster.cli import main
asked = {line: CliRunner().invoke(main, line.split()) for line in sys.argv[1:]}
print(json.dumps({line: [done.exit_code, done.output] for line, done in asked.items()}))
"""
_DROP_FROM_BOUNDS, _OVERRIDES_PERMISSIONS = 24, 1


def examine(medkg: Medkg) -> tuple[int, dict[str, list[dict[str, str]]]]:
    """Return the exit code of the doctor, and by name what it found."""
    done = medkg("doctor", "--json")
    told = json.loads(done.stdout)
    found: dict[str, list[dict[str, str]]] = {}
    for check in told["checks"]:
        found.setdefault(check["name"], []).append(check)
    assert told["ok"] is (done.exit_code == 0)
    return done.exit_code, found


def lines_of(found: dict[str, list[dict[str, str]]], name: str) -> list[str]:
    return [f"{check['status']}: {check['found']} {check['way_out']}".strip() for check in found[name]]


def test_where_nothing_is_yet_nothing_is_wrong(medkg: Medkg, home: Path) -> None:
    code, found = examine(medkg)

    assert code == 0
    names = (
        "versions ledger index graph vocabulary state dagster daemon disk clock plugins alerts permissions"
    )
    assert list(found) == names.split()
    assert lines_of(found, "ledger") == ["note: there is none yet `medkg run auto` makes one"]
    assert not home.exists()


def test_what_is_there_is_told_in_a_line_each(medkg: Medkg, home: Path) -> None:
    make_home(home)

    done = medkg("doctor")

    assert done.exit_code == 0
    assert f"ok     ledger       {home / 'ledger.sqlite'}: 2 jobs (" in done.output
    assert all(line.split()[0] in {"ok", "note"} for line in done.output.splitlines())


def test_stores_that_cannot_be_read_are_wrong_and_the_others_are_looked_at(medkg: Medkg, home: Path) -> None:
    make_home(home)
    (home / "graph.sqlite").write_bytes(b"no database " * 500)

    code, found = examine(medkg)

    assert code == 1
    (graph,) = lines_of(found, "graph")
    assert graph.startswith("wrong: graph")
    assert "not a database" in graph
    assert found["index"][0]["status"] == found["ledger"][0]["status"] == "ok"


def test_a_ledger_of_a_newer_release_is_wrong(medkg: Medkg, home: Path) -> None:
    with JobLedger.open(home) as book, book._database.writing() as connection:
        connection.exec_driver_sql("INSERT INTO ledger_schema VALUES (999, 'later')")

    code, found = examine(medkg)

    assert code == 1
    assert "written by a newer release (schema 999" in found["ledger"][0]["found"]


def test_a_clock_behind_what_has_happened_is_wrong(medkg: Medkg, home: Path) -> None:
    ahead = datetime.now(UTC) + timedelta(days=1)
    with JobLedger.open(home, clock=lambda: ahead) as book:
        book.jobs.ensure(JobKey("auto", "default"), actor="test")
        book.jobs.set_fields(JobKey("auto", "default"), {"a": 1}, actor="test")

    code, found = examine(medkg)

    assert (code, found["clock"][0]["status"]) == (1, "wrong")
    assert "timedatectl" in found["clock"][0]["way_out"]


def test_no_room_on_the_disk_is_wrong(medkg: Medkg, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medkg_dagster.cli.doctor.machine.LEAST_FREE_BYTES", 1 << 62)

    code, found = examine(medkg)

    assert (code, found["disk"][0]["status"]) == (1, "wrong")


def test_what_everybody_can_write_to_is_wrong_and_put_right_by_the_way_out(medkg: Medkg, home: Path) -> None:
    JobLedger.open(home).close()
    (home / "ledger.sqlite").chmod(0o666)

    code, found = examine(medkg)
    (line,) = found["permissions"]
    subprocess.run(["sh", "-c", line["way_out"].strip("`")], check=True)

    assert code == 1
    assert examine(medkg)[0] == 0


def test_a_pipeline_that_does_not_load_is_wrong(
    medkg: Medkg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "config" / "orchestration" / "pipelines"
    folder.mkdir(parents=True)
    (folder / "bad.yaml").write_text("name: bad\n")
    monkeypatch.setenv("MEDKG_CONFIG", str(tmp_path / "config"))

    code, found = examine(medkg)

    assert (code, found["plugins"][0]["way_out"]) == (1, "`medkg check`")


def stopped_sensor(name: str) -> InstigatorState:
    target = LoadableTargetOrigin(executable_path=sys.executable, module_name="medkg_dagster.definitions")
    location = ManagedGrpcPythonEnvCodeLocationOrigin(target)
    origin = RemoteInstigatorOrigin(RemoteRepositoryOrigin(location, "__repository__"), name)
    return InstigatorState(origin, InstigatorType.SENSOR, InstigatorStatus.STOPPED)


@pytest.fixture
def instance(home: Path) -> Any:
    """Dagster's instance in the home."""
    with DagsterInstance.from_config(str(dagster_home(home))) as opened:
        opened.all_instigator_state()
        yield opened


def beat(instance: DagsterInstance, seconds_ago: float) -> None:
    heartbeat = DaemonHeartbeat(time.time() - seconds_ago, "SENSOR", "d1")
    instance.add_daemon_heartbeat(heartbeat)


@pytest.mark.parametrize(("seconds_ago", "is_alive"), [(1, True), (3600, False)])
def test_a_silent_daemon_is_wrong_while_a_job_waits_for_it_and_so_is_a_sensor_that_is_off(
    medkg: Medkg, instance: DagsterInstance, *, seconds_ago: float, is_alive: bool
) -> None:
    medkg("submit", "auto")
    beat(instance, seconds_ago)
    sensor = "auto__submissions"
    instance.add_instigator_state(stopped_sensor(sensor))

    code, found = examine(medkg)

    assert code == 1
    assert (found["daemon"][0]["status"] == "ok") is is_alive
    assert is_alive or "1 phase of a job waits" in found["daemon"][0]["found"]
    assert lines_of(found, "sensors") == [
        f"wrong: {sensor} is off `dagster sensor start {sensor} -m medkg_dagster.definitions`"
    ]


def obey_permissions() -> None:
    if os.geteuid() == 0:
        ctypes.CDLL(None).prctl(_DROP_FROM_BOUNDS, _OVERRIDES_PERMISSIONS, 0, 0, 0)


@pytest.mark.skipif(sys.platform != "linux", reason="root gives up its right there")
@pytest.mark.parametrize("is_in_use", [False, True])
def test_a_home_that_cannot_be_written_to_answers_and_stays_as_it_is(
    home: Path, repository: Path, *, is_in_use: bool
) -> None:
    make_home(home)
    dagster_home(home)
    lines = ["ledger list", "doctor", "ledger set default a=1"]
    if not is_in_use:
        lines += ["check", "documents list", "gate list", "vocab list", "search melanoma"]
    with ExitStack() as stack:
        if is_in_use:
            book = stack.enter_context(JobLedger.open(home))
            book.jobs.ensure(JobKey("auto", "just-now"), actor="test")
        paths = [home, *home.rglob("*")]
        before = {path: path.stat().st_mtime_ns for path in paths}
        stack.callback(set_modes, paths, 0o755, 0o644)
        set_modes(paths, 0o555, 0o444)
        answers = ask_as_others(lines, home, repository)
        after = {path: path.stat().st_mtime_ns for path in [home, *home.rglob("*")]}

    refused = {"doctor", "ledger set default a=1"}
    assert {line for line in lines if answers[line][0]} == refused
    assert ("just-now" in answers["ledger list"][1]) is is_in_use
    assert is_in_use or "Dabrafenib" in answers["search melanoma"][1]
    assert "searches and lists work, runs do not" in answers["doctor"][1]
    assert answers["doctor"][1].count("wrong ") == 1
    assert "readonly database; make the file and its folder writable" in answers["ledger set default a=1"][1]
    assert after == before


def set_modes(paths: list[Path], of_folders: int, of_files: int) -> None:
    for path in paths:
        path.chmod(of_folders if path.is_dir() else of_files)


def ask_as_others(lines: list[str], home: Path, repository: Path) -> dict[str, tuple[int, str]]:
    """Return exit code and output of each line of the console, asked by somebody whom permissions hold."""
    done = subprocess.run(
        [sys.executable, "-c", ASKING, *lines],
        env={**os.environ, "MEDKG_HOME": str(home), "MEDKG_CONFIG": str(repository / "config")},
        preexec_fn=obey_permissions,
        capture_output=True,
        text=True,
        check=True,
    )
    told: dict[str, tuple[int, str]] = json.loads(done.stdout)
    return told
