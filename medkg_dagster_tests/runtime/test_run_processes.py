"""Whether the process of a run is still there."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from medkg_dagster.runtime.run_processes import is_gone, this_process


def test_a_process_that_runs_is_not_gone() -> None:
    assert not is_gone(this_process())


def test_a_process_that_has_ended_is_gone() -> None:
    script = "from medkg_dagster.runtime.run_processes import this_process; print(this_process())"
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert is_gone(ended.stdout.strip())


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the system does not tell states")
def test_a_process_that_was_killed_is_gone_though_nobody_has_asked_about_it_yet() -> None:
    named = "from medkg_dagster.runtime.run_processes import this_process as name"
    script = f"{named}; print(name(), flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        name = process.stdout.readline().strip()
        assert not is_gone(name)
        os.kill(process.pid, signal.SIGKILL)
        while Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
            time.sleep(0.01)

        assert is_gone(name)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the system does not tell start times")
def test_another_process_under_the_same_number_is_not_taken_for_it() -> None:
    place, _, host = this_process().rpartition("@")

    assert is_gone(f"{place.partition('+')[0]}+1@{host}")


@pytest.mark.parametrize("name", ["", "12+3@another-machine", "no-process@", "1+2"])
def test_what_cannot_be_known_is_taken_to_live(name: str) -> None:
    assert not is_gone(name)
