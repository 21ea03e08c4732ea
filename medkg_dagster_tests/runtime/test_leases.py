"""Leases: they last as long as their steps, and after a kill no longer than that takes to show."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from medkg_dagster.runtime.run_processes import this_process
from medkg_dagster.runtime.state import leases as leases_module
from medkg_dagster.runtime.state.leases import LEASE_SECONDS, leased, read_leases
from medkg_dagster_tests.runtime.prunable_state import DAY


def test_a_lease_ends_with_its_step_and_after_a_kill_by_age(tmp_path: Path) -> None:
    script = (
        "import os, signal, sys, pathlib\n"
        "from medkg_dagster.runtime.state.leases import leased\n"
        "with leased(pathlib.Path(sys.argv[1])):\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False, timeout=480)

    now = time.time()
    assert [lease.is_live for lease in read_leases(tmp_path, now)] == [True]
    assert [lease.is_live for lease in read_leases(tmp_path, now + LEASE_SECONDS + 1)] == [False]
    with leased(tmp_path):
        assert len(read_leases(tmp_path, now)) == 2
    assert len(read_leases(tmp_path, now)) == 1


def test_a_step_that_was_stopped_for_long_and_is_still_there_keeps_its_lease(tmp_path: Path) -> None:
    with leased(tmp_path):
        (lease,) = tmp_path.iterdir()
        assert lease.read_text() == this_process()
        (later,) = read_leases(tmp_path, time.time() + 10 * DAY)

    assert later.is_live


def test_a_lease_is_touched_while_the_step_works_and_written_again_where_it_was_taken_for_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases_module, "BEAT_SECONDS", 0.01)
    with leased(tmp_path):
        (lease,) = tmp_path.iterdir()
        os.utime(lease, (0, 0))
        wait_until(lambda: lease.stat().st_mtime > 0)
        lease.unlink()
        wait_until(lease.exists)


def wait_until(is_so: Callable[[], bool]) -> None:
    while not is_so():
        time.sleep(0.005)
